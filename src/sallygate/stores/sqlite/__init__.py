"""SQLite database of the state directory: credentials, restrictions, counters, codes, grants, audit events."""
