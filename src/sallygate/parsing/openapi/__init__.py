"""Parsing of OpenAPI: documents, routes, the public view, and parameters a schema confines."""
