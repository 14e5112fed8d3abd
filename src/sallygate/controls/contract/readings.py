"""Readers of text values (parameters, form fields, plain parts) by the types that a schema declares.

The lexical rules are JSON's own (RFC 8259, section 6), so that ` 1`, `+1`, `1e3`, `0x10`, `١` and `True` are
no integer and no boolean here whatever a lenient upstream makes of them. It does not know where the text came
from, and judges nothing: text that fits none of the types stays text, and the schema refuses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isinf
from typing import Any

from sallygate.controls.contract.dialect import Dialect
from sallygate.parsing.json_text import DIGITS_MAX
from sallygate.parsing.pointers import escape_pointer

DEPTH_MAX = 8
"""Brackets in `filter[a][b]…`, and compositions within compositions looked into for types."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)").fullmatch
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?").fullmatch
_BOOLEANS = {"true": True, "false": False}
_MEASURES = frozenset({"minLength", "maxLength", "pattern", "enum", "const"})
_KEYWORDS = frozenset({"type", "properties", "items", "allOf", "anyOf", "oneOf", "$ref", "not", *_MEASURES})
"""Without any of these a schema says nothing, which in a multipart form is how 3.1 describes a file."""
_TEXT = frozenset({"string"})


class Reading:
    """How the text of one place becomes a value."""

    __slots__ = (
        "_boolean",
        "_integer",
        "_number",
        "additional",
        "ambiguous",
        "is_array",
        "is_file",
        "is_measured",
        "is_object",
        "is_text",
        "items",
        "members",
    )

    def __init__(self, kinds: frozenset[str]) -> None:
        self._integer = "integer" in kinds or "number" in kinds
        self._number = "number" in kinds
        self._boolean = "boolean" in kinds
        self.is_array = "array" in kinds
        self.is_object = "object" in kinds
        self.is_text = not (self._integer or self._boolean)
        self.ambiguous = "string" in kinds and not self.is_text
        """Text that reads as a number or boolean may also be meant as it stands."""
        self.is_file = self.is_measured = False
        """Opaque bytes; and whether the schema limits them, as text of one character a byte."""
        self.items: Reading = self
        self.members: Mapping[str, Reading] = {}
        self.additional: Reading | None = None
        """Of members not declared; None when there are to be none."""

    def scalar(self, text: str) -> object:
        """The number or boolean `text` spells in full, else `text`."""
        if self.is_text:
            return text
        if self._integer and _INTEGER(text):
            return int(text) if len(text) <= DIGITS_MAX else text
        if self._number and _NUMBER(text):
            value = float(text)
            return text if isinf(value) else value
        if self._boolean:
            return _BOOLEANS.get(text, text)
        return text

    def member(self, name: str) -> Reading:
        """The reading of an object's member."""
        return self.members.get(name) or self.additional or PLAIN_TEXT


PLAIN_TEXT = Reading(_TEXT)


class Readings:
    """The readings of one document's schemas, each made once, so that recursive ones are circles and not
    towers."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[str, Reading] = {}

    def of(self, schema: object, pointer: str) -> Reading:
        """The reading a schema asks for, seen through references and compositions."""
        schema, pointer = self._dialect.follow(schema, pointer)
        known = self._known.get(pointer)
        if known is not None:
            return known
        facts = _Facts()
        _gather(self._dialect, schema, pointer, facts, 0)
        reading = self._known[pointer] = Reading(frozenset(facts.kinds or facts.implied or _TEXT))
        reading.is_file, reading.is_measured = facts.file, facts.measured
        if reading.is_array:
            reading.items = self.of(*facts.items) if facts.items else PLAIN_TEXT
        if reading.is_object:
            reading.members = {name: self.of(*at) for name, at in facts.members.items()}
            if facts.additional:
                reading.additional = self.of(*facts.additional)
            elif not facts.members:
                reading.additional = PLAIN_TEXT
        return reading


class _Facts:
    """What is found out about a schema while it is walked."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.implied: set[str] = set()
        self.file = self.measured = False
        self.items: tuple[object, str] | None = None
        self.members: dict[str, tuple[object, str]] = {}
        self.additional: tuple[object, str] | None = None


def _gather(dialect: Dialect, schema: object, pointer: str, facts: _Facts, depth: int) -> None:
    schema, pointer = dialect.follow(schema, pointer)
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return
    kind = schema.get("type")
    facts.kinds.update((kind,) if isinstance(kind, str) else kind if isinstance(kind, list) else ())
    options = schema["enum"] if isinstance(schema.get("enum"), list) else []
    facts.implied.update(map(_kind_of, [*options, *([schema["const"]] if "const" in schema else [])]))
    facts.file |= schema.get("format") == "binary" or "contentMediaType" in schema or not _KEYWORDS.intersection(schema)
    facts.measured |= bool(_MEASURES.intersection(schema))
    if "items" in schema:
        facts.implied.add("array")
        facts.items = facts.items or (schema["items"], f"{pointer}/items")
    if isinstance(schema.get("properties"), dict):
        facts.implied.add("object")
        for name, inner in schema["properties"].items():
            facts.members.setdefault(name, (inner, f"{pointer}/properties/{escape_pointer(str(name))}"))
    more = schema.get("additionalProperties")
    if more is True or isinstance(more, dict):
        facts.additional = (more, f"{pointer}/additionalProperties")
    for keyword in ("allOf", "anyOf", "oneOf"):
        for at, inner in enumerate(schema.get(keyword) or ()):
            _gather(dialect, inner, f"{pointer}/{keyword}/{at}", facts, depth + 1)
    if "$ref" in schema:
        _gather(dialect, {"$ref": schema["$ref"]}, pointer, facts, depth + 1)


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    if isinstance(value, str):
        return "string"
    return "null" if value is None else "object" if isinstance(value, dict) else "array"


def shaped(tree: Any, reading: Reading, depth: int = 0) -> object:
    """A tree of bracketed names (`filter[a][b]`), lists where the schema has them, its leaves read.

    Where the schema has an array, the names have to be `0`, `1`, … in order, or all empty.
    """
    if isinstance(tree, str):
        return reading.scalar(tree)
    if isinstance(tree, list):
        return [shaped(item, reading.items, depth + 1) for item in tree]
    if reading.is_array and list(tree) == [str(at) for at in range(len(tree))]:
        return [shaped(item, reading.items, depth + 1) for item in tree.values()]
    return {name: shaped(item, reading.member(name), depth + 1) for name, item in tree.items()}
