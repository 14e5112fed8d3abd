"""Judges of path traversal: steps up and file inclusion, and values that are paths of a host's own files."""
