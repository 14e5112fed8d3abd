"""Members of an OpenAPI document by what their value is: description, names of the author's own, or data."""

from __future__ import annotations

from collections.abc import Mapping

FREE_NAMES = frozenset(
    "properties patternProperties headers schemas parameters requestBodies responses securitySchemes examples links "
    "callbacks pathItems content encoding variables mapping scopes $defs definitions dependentSchemas".split()
)
"""Their value is a map of freely chosen names, when it is a map."""
DATA = frozenset("example default enum const value dependentRequired required".split())
"""Their value is data: `$ref` and `x-` mean nothing there."""


def query_keys(document: Mapping[str, object]) -> frozenset[str]:
    """Names of API keys that travel in the query, which no operation declares as a parameter."""
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    return frozenset(
        str(scheme.get("name"))
        for scheme in (schemes.values() if isinstance(schemes, dict) else ())
        if isinstance(scheme, dict) and scheme.get("type") == "apiKey" and scheme.get("in") == "query"
    )
