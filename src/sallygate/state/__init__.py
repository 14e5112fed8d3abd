"""Tables that decisions read, in memory: counters, credentials, restrictions, feeds, load; filled by services."""
