"""Parsing of JOSE: signed tokens and public keys as they are written (RFC 7515, 7517)."""
