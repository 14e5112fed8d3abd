"""Passwords, signing keys, assertions, certificates, and the state directory that keeps secrets."""
