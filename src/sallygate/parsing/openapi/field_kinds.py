"""Kinds of fields that a document declares: what a text is for, where its author says so in a word meant for it.

Read are `x-sallygate-kind`, `format: markdown` and `html`, and `contentMediaType`. Names of fields are not read: the
favourite parameter of an attacker is not opened by its name. A member declared by the name of an operator (`$and`),
and a free object, are a `filter`; a body that is a free object as a whole is none, since it declares no member.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sallygate.model.operation import Operation
from sallygate.parsing.openapi.composition import IN_PLACE
from sallygate.parsing.pointers import escape_pointer, resolve_pointer

MEMBERS_MAX = 5_000
"""Schemas looked at for one operation."""
DEPTH_MAX = 12
_NARROWING = ("$ref", "not", "properties", "patternProperties", "propertyNames", "if", "maxProperties")
_OPERATOR = re.compile(
    r"\$(?:and|or|nor|not|all|eq|ne|gte?|lte?|in|nin|regex|options|exists|size|mod|type|elemMatch|text|search|near|nearSphere|geoWithin|"
    r"geoIntersects|i?like|between|contains|not_contains)"
).fullmatch
_FORMATS: Mapping[str, str] = {"markdown": "markdown", "commonmark": "markdown", "html": "html"}
_MEDIA: Mapping[str, str] = {
    "text/markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/sql": "sql",
    "application/graphql": "query",
    "application/x-sh": "shell",
    "text/x-shellscript": "shell",
    "text/javascript": "code",
    "application/javascript": "code",
    "text/x-python": "code",
    "text/css": "code",
}


def declared_kinds(operation: Operation, document: Mapping[str, object] | None) -> dict[str, str]:
    """Place as findings name it, with `*` for elements → kind."""
    found: dict[str, str] = {}
    for parameter in operation.parameters:
        if kind := _kind(parameter.schema):
            found[f"{parameter.place}:{parameter.name}"] = kind
    for media in operation.body:
        for place, kind in _below(media.schema, "body:", document):
            found.setdefault(place, kind)
    return found


def _below(schema: object, where: str, document: Mapping[str, object] | None) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[object, str, int, bool]] = [(schema, where, 0, False)]
    seen = 0
    while waiting and seen < MEMBERS_MAX:
        node, place, depth, is_branch = waiting.pop()
        seen += 1
        if not isinstance(node, Mapping) or depth > DEPTH_MAX:
            continue
        if kind := _kind(node):
            yield place, kind
        yield from ((f"{place}/{escape_pointer(name)}", "filter") for name in _operators(node))
        if not is_branch and place.removeprefix(where).strip("/*") and _is_free(node):
            yield place, "filter"
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            try:
                waiting.append((resolve_pointer(document or {}, reference[1:]), place, depth + 1, is_branch))
            except (LookupError, ValueError):
                continue
        waiting += [(child, at, depth + 1, at == place) for child, at in _children(node, place)]


def _children(node: Mapping[str, Any], place: str) -> Iterator[tuple[object, str]]:
    for keyword in IN_PLACE:
        branches = node.get(keyword)
        yield from ((branch, place) for branch in (branches if isinstance(branches, list) else ()))
    properties = node.get("properties")
    for name, child in (properties if isinstance(properties, Mapping) else {}).items():
        yield child, f"{place}/{escape_pointer(str(name))}"
    yield node.get("items"), f"{place}/*"
    if not properties:
        yield node.get("additionalProperties"), f"{place}/*"


def _kind(schema: object) -> str:
    if not isinstance(schema, Mapping):
        return ""
    own, media = schema.get("x-sallygate-kind"), schema.get("contentMediaType")
    if isinstance(own, str):
        return own
    name = media.partition(";")[0].strip().lower() if isinstance(media, str) else ""
    return _MEDIA.get(name) or _FORMATS.get(str(schema.get("format")), "")


def _operators(schema: Mapping[str, Any]) -> list[str]:
    """Names of operators that are declared as members."""
    properties = schema.get("properties")
    names = map(str, properties) if isinstance(properties, Mapping) else ()
    return [name for name in names if _OPERATOR(name)]


def _is_free(schema: Mapping[str, Any]) -> bool:
    """Whether a member may be any object: none of scalars, and not one that a composition narrows."""
    types, inner = schema.get("type"), schema.get("additionalProperties", True)
    is_object = types == "object" or (isinstance(types, list) and "object" in types)
    narrowed = any(keyword in schema for keyword in (*IN_PLACE, *_NARROWING))
    of_any = inner is True or (isinstance(inner, Mapping) and inner.get("type", "object") == "object")
    return is_object and not narrowed and of_any


def kinds_by_operation(
    operations: Iterable[Operation], document: Mapping[str, object] | None
) -> dict[str, dict[str, str]]:
    """Operation → its declared kinds; without operations that declare none."""
    found = {operation.id: declared_kinds(operation, document) for operation in operations}
    return {name: kinds for name, kinds in found.items() if kinds}
