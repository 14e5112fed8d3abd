"""Operators' acts on an installation: keys, accounts, restrictions, secrets, locations, backup, erase."""
