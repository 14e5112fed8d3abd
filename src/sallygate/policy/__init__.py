"""Policy file: its types and its reading, with all errors at once. No behaviour."""
