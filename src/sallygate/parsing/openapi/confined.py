"""Test whether a schema confines a parameter so far that no attack fits: numbers, booleans, enumerations, dates, UUIDs.

It looks at what is written where the parameter stands, one reference followed, and says no when it is not sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sallygate.model.operation import Operation
from sallygate.parsing.pointers import resolve_pointer

_KINDS = frozenset(("integer", "number", "boolean"))
_FORMATS = frozenset(("uuid", "date", "date-time", "time", "ipv4", "ipv6"))


def confined_fields(
    operations: Iterable[Operation], document: Mapping[str, object] | None
) -> dict[str, frozenset[str]]:
    """Operation → places of its confined parameters, `query:limit`, as findings name them."""
    found = {}
    for operation in operations:
        places = frozenset(
            f"{parameter.place}:{parameter.name}"
            for parameter in operation.parameters
            if parameter.place in ("query", "header", "cookie") and _is_confined(parameter.schema, document)
        )
        if places:
            found[operation.id] = places
    return found


def _is_confined(schema: object, document: Mapping[str, object] | None) -> bool:
    if isinstance(schema, Mapping) and isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/"):
        try:
            schema = resolve_pointer(document or {}, reference[1:])
        except LookupError:
            return False
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return False
    if isinstance(schema.get("enum"), list) or "const" in schema:
        return True
    kind = schema.get("type")
    return (isinstance(kind, str) and kind in _KINDS) or (kind == "string" and schema.get("format") in _FORMATS)
