"""Background work of a running gate: store sync, counters, feeds, issuers' keys, logins, clock, load."""
