"""Schemas that meet one value: a schema, what it refers to, and the branches of its compositions.

It walks the document as its author wrote it. Refuses to know values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sallygate.model.operation import Operation
from sallygate.parsing.pointers import resolve_pointer

IN_PLACE = ("allOf", "anyOf", "oneOf")
"""Keywords whose branches judge the value itself."""
NODES_MAX = 2000
"""Schemas looked at for one value."""
_OPENING = frozenset(
    "patternProperties items prefixItems if dependentSchemas unevaluatedProperties $dynamicRef".split()
)
"""Keywords of a schema whose fields are not those of its `properties` alone."""

Node = tuple[dict[str, Any], str]
"""A schema and its JSON pointer."""


def through(nodes: Iterable[Node], document: Mapping[str, object]) -> Iterator[Node]:
    """The nodes, what they refer to, and the branches of their compositions; each once."""
    waiting, seen = list(nodes), set[str]()
    while waiting and len(seen) < NODES_MAX:
        schema, at = waiting.pop(0)
        if at in seen or not isinstance(schema, dict):
            continue
        seen.add(at)
        yield schema, at
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            try:
                waiting.append((resolve_pointer(document, reference[1:]), reference[1:]))  # type: ignore[arg-type]
            except (LookupError, ValueError):
                continue
        for keyword in IN_PLACE:
            if isinstance(branches := schema.get(keyword), list):
                waiting += [(branch, f"{at}/{keyword}/{number}") for number, branch in enumerate(branches)]


def body_names(operation: Operation, document: Mapping[str, object]) -> set[str] | None:
    """Names of the fields that bodies of the operation have at their top; None where they may have any."""
    names = set[str]()
    for media in operation.body:
        own = set[str]()
        for schema, _ in through([(media.schema, media.pointer)], document):  # type: ignore[list-item]
            if schema.get("additionalProperties", False) is not False or not _OPENING.isdisjoint(schema):
                return None
            if isinstance(properties := schema.get("properties"), dict):
                own.update(properties)
        if not own:
            return None
        names |= own
    return names
