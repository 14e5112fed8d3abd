"""The policy file: its types, its reading, and every error of it at once. No behaviour."""
