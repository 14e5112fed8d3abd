"""Members of an OpenAPI document by what their value is: description, names of the author's own, or data."""

from __future__ import annotations

FREE_NAMES = frozenset(
    "properties patternProperties headers schemas parameters requestBodies responses securitySchemes examples links "
    "callbacks pathItems content encoding variables mapping scopes $defs definitions dependentSchemas".split()
)
"""Their value is a map of freely chosen names, when it is a map."""
DATA = frozenset("example default enum const value dependentRequired required".split())
"""Their value is data: `$ref` and `x-` mean nothing there."""
