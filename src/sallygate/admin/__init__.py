"""What operators do to an installation: keys, accounts, restrictions, secrets, locations, backup, erase."""
