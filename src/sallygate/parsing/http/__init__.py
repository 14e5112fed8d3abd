"""Parsing of HTTP: heads, credentials, media types, codings, bodies, forms, multipart."""
