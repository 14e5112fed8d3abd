"""Rewriter of one document's schemas into plain JSON Schema 2020-12 for requests.

A schema of OpenAPI 3.0 says some things differently (nullable, boolean exclusiveMinimum), both versions leave
some things to each reader (readOnly, formats of numbers, fields nobody declared). All of it is settled
here, once, at load time, so that what is compiled says exactly what a request may hold. It compiles and
judges nothing.

**Closing.** JSON Schema lets unknown members through; a contract must not. So wherever a schema that declares
properties meets a value (the body, a property, an item), it is closed. Where everything it declares is known
without looking at the value (its own `properties` and those of `allOf` and `$ref`), by `additionalProperties:
false`; where it depends on the value (`anyOf`, `oneOf`, `if`, patterns), by `unevaluatedProperties: false`.
The branches of a composition stay open, since each sees the members of the others. A free-form object (`type:
object` and nothing else) stays open, and so does an alternative that is one; as a branch of `allOf`, or next
to declared properties, the same words are a mere constraint and open nothing. `additionalProperties` written
by the author is respected.

A component used in both roles is rewritten twice: definitions are keyed by pointer, role, and the read-only
members whose `required` has to be lifted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from sallygate.controls.contract.discriminators import by_name, named_alternatives
from sallygate.controls.contract.settings import ContractSettings
from sallygate.controls.contract.shapes import CONDITIONAL, DEPTH_MAX, Look, Shape, close
from sallygate.parsing.openapi.document import Document, is_version_3_0
from sallygate.parsing.pointers import escape_pointer, resolve_pointer

Written = dict[str, Any] | bool

URI = "sallygate:contract"
READ_ONLY: Mapping[str, Any] = {"not": {"title": "readOnly"}}
"""What a read-only property becomes: never valid, and recognisable in the error."""

_KEPT = frozenset(
    [
        "type",
        "enum",
        "const",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxContains",
        "minContains",
        "maxProperties",
        "minProperties",
        "required",
        "dependentRequired",
        "format",
    ]
)
"""Assertions taken over as they are. Annotations are dropped; applicators are rewritten one by one."""

_IN_PLACE = ("allOf", "anyOf", "oneOf")
_SAYS_MORE = (
    "$ref",
    "properties",
    "additionalProperties",
    "patternProperties",
    "not",
    *_IN_PLACE,
    *CONDITIONAL,
)
_COUNTS = re.compile(
    r"\^(?P<of>\.|\\[dws]|\[[^\[\]\\]+\])\{(?P<least>[0-9]*)(?P<comma>,?)(?P<most>[0-9]*)\}\$"
).fullmatch
COUNTED_MAX = 1000
"""Characters that a pattern may count by itself; a larger count makes an automaton too large."""
_UNSUPPORTED = ("$dynamicRef", "$recursiveRef")

_FLOAT_MAX = 3.4028234663852886e38
_RANGES: Mapping[str, tuple[float, float]] = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "float": (-_FLOAT_MAX, _FLOAT_MAX),
}
"""The OpenAPI format registry. `double` needs none: the parser refuses what a double cannot hold."""

_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class Role(Struct, frozen=True):
    """How a schema meets its value, which is part of what it is rewritten to."""

    kind: Literal["closed", "open", "plain"]
    """`closed`: decides alone which members may come. `open`: one branch of several that see the same value.
    `plain`: under `not`, `if` and `contains`, where being stricter would let more through; taken as
    written."""
    lifted: frozenset[str] = frozenset()
    """Read-only members whose `required` does not bind a request."""
    frees: bool = False
    """An alternative that is a free-form object opens the place, since nothing is declared besides the
    alternatives."""
    parent: bool = False
    """What one of its own alternatives inherits from: written without the alternatives."""


CLOSED, PLAIN = Role("closed"), Role("plain")


class Dialect:
    """The rewriting of one document. `definitions` grows as schemas are asked for."""

    def __init__(self, document: Document, settings: ContractSettings) -> None:
        self._document = document
        self._old = is_version_3_0(document)
        self._close = settings.unknown_fields == "refuse"
        self._formats = settings.formats
        self._refuse_read_only = settings.read_only == "refuse"
        self._nulls = settings.nulls == "allow"
        self._overlaps = settings.overlaps == "allow"
        self._names: dict[tuple[str, Role], str] = {}
        self._anchors: dict[str, str] | None = None
        self.definitions: dict[str, Written] = {}
        self.pointers: dict[str, str] = {}
        """Definition → its pointer in the document."""
        self.patterns: dict[str, str] = {}
        """Every pattern in use and the pointer it was first seen at."""
        self.problems: list[tuple[str, str]] = []

    def rewrite(self, schema: object, pointer: str, role: Role = CLOSED) -> Written:
        """`schema`, found at `pointer`, as plain 2020-12; its references lead into `definitions`."""
        return self._schema(schema, pointer, role, 0)

    def follow(self, schema: object, pointer: str) -> tuple[object, str]:
        """What `schema` leads to by lone references, and where that is; itself when it is none."""
        for _ in range(DEPTH_MAX):
            if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
                break
            if not self._old and any(name in schema for name in (*_KEPT, *_IN_PLACE, "properties")):
                break
            target = self._target(schema["$ref"], pointer)
            if target is None:
                return {}, pointer
            schema, pointer = target
        return schema, pointer

    # -- references

    def _target(self, reference: str, pointer: str) -> tuple[object, str] | None:
        at = reference[1:]
        if reference.startswith("#") and not reference.startswith("#/") and reference != "#":
            at = self._anchored(at) or at
        elif not reference.startswith("#"):
            self.problem(pointer, f"$ref {reference!r} leaves the document; bundle it into one file first")
            return None
        try:
            return resolve_pointer(self._document, at), at
        except (LookupError, ValueError):
            self.problem(pointer, f"$ref {reference!r} leads nowhere")
            return None

    def _anchored(self, name: str) -> str | None:
        if self._anchors is None:
            self._anchors = dict(_anchors(self._document))
        return self._anchors.get(name)

    def _reference(self, reference: str, pointer: str, role: Role, depth: int) -> Written:
        target = self._target(reference, pointer)
        if target is None:
            return True
        schema, at = target
        key = (at, role)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = str(len(self._names))
            self.definitions[name] = True  # holds the place while a recursive schema is being written
            self.pointers[name] = at
            self.definitions[name] = self._schema(schema, at, role, depth + 1)
        return {"$ref": f"{URI}#/$defs/{name}"}

    # -- one schema

    def _schema(self, schema: object, pointer: str, role: Role, depth: int) -> Written:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            self.problem(pointer, "a schema is an object")
            return True
        if depth > DEPTH_MAX:
            self.problem(pointer, f"schemas nested or chained more than {DEPTH_MAX} deep")
            return True
        reference = schema.get("$ref")
        if isinstance(reference, str) and (self._old or len(schema) == 1):
            return self._reference(reference, pointer, role, depth)
        shape = Shape()
        branch = role
        if role.kind == "closed":
            shape = self._shape(schema, pointer, depth)
            branch = Role("open", shape.read_only, frees=self._close and not shape.names)
        out = self._assertions(schema, pointer, branch.lifted)
        self._parts(schema, out, pointer, PLAIN if role.kind == "plain" else CLOSED, depth)
        self._branches(schema, out, pointer, branch, depth)
        if self._close and shape.declares:
            close(out, shape)
        return self._nullable(schema, out)

    def _assertions(self, schema: dict[str, Any], pointer: str, lifted: frozenset[str]) -> dict[str, Any]:
        for keyword in _UNSUPPORTED:
            if keyword in schema:
                self.problem(pointer, f"{keyword} is not supported; use $ref")
        out = {name: value for name, value in schema.items() if name in _KEPT}
        if isinstance(out.get("required"), list):  # each name once, as 2020-12 wants it
            out["required"] = [name for name in dict.fromkeys(map(str, out["required"])) if name not in lifted]
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            # 3.0; also seen in documents merely labelled 3.1
            if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and bound in out:
                out[exclusive] = out.pop(bound)
        if isinstance(out.get("pattern"), str):
            self._bound(out)
            self.patterns.setdefault(out["pattern"], pointer)
        self._format(out)
        return out

    def _bound(self, out: dict[str, Any]) -> None:
        """A pattern that only counts characters, as bounds of a length: a large count makes an automaton too large."""
        if (found := _COUNTS(out["pattern"])) is None:
            return
        least, most = found["least"], found["most"]
        if int(most or least or 0) <= COUNTED_MAX:
            return
        bounds: dict[str, Any] = {"minLength": int(least)} if least else {}
        if most or not found["comma"]:
            bounds["maxLength"] = int(most or least)
        out["pattern"] = f"^{found['of']}*$"
        out.setdefault("allOf", []).append(bounds)

    def _format(self, out: dict[str, Any]) -> None:
        name = out.get("format")
        if not self._formats or not isinstance(name, str):
            out.pop("format", None)
            return
        if name in _RANGES:
            low, high = _RANGES[name]
            out.pop("format")
            out.setdefault("allOf", []).append({"minimum": low, "maximum": high})
        elif name == "byte":
            out.pop("format")
            out.setdefault("allOf", []).append({"pattern": _BASE64})

    def _parts(self, schema: dict[str, Any], out: dict[str, Any], pointer: str, role: Role, depth: int) -> None:
        """Keywords whose schemas meet a part of the value: each part is a place of its own."""

        def part(inner: object, at: str, role: Role = role) -> Written:
            return self._schema(inner, f"{pointer}/{at}", role, depth + 1)

        for keyword in ("properties", "patternProperties"):
            if isinstance(schema.get(keyword), dict):
                optional = self._nulls and keyword == "properties" and role is CLOSED
                out[keyword] = {
                    name: self._member(inner, f"{pointer}/{keyword}/{escape_pointer(str(name))}", role, depth)
                    for name, inner in schema[keyword].items()
                }
                if optional:
                    needed = schema.get("required") or ()
                    out[keyword] |= {name: or_null(one) for name, one in out[keyword].items() if name not in needed}
        for pattern in out.get("patternProperties", ()):
            self.patterns.setdefault(pattern, pointer)
        items = schema.get("items")
        if isinstance(items, list):  # draft 4: one schema for each place
            out["prefixItems"] = [part(inner, f"items/{at}") for at, inner in enumerate(items)]
        elif items is not None:
            out["items"] = part(items, "items")
        if isinstance(schema.get("prefixItems"), list):
            out["prefixItems"] = [part(inner, f"prefixItems/{at}") for at, inner in enumerate(schema["prefixItems"])]
        for keyword in ("additionalProperties", "unevaluatedProperties", "unevaluatedItems"):
            if keyword in schema:
                out[keyword] = part(schema[keyword], keyword)
        for keyword in ("contains", "propertyNames"):
            if keyword in schema:
                out[keyword] = part(schema[keyword], keyword, PLAIN)

    def _member(self, schema: object, pointer: str, role: Role, depth: int) -> Written:
        if role is CLOSED and self._refuse_read_only and self._is_read_only(schema, pointer):
            return dict(READ_ONLY)
        return self._schema(schema, pointer, role, depth + 1)

    def _branches(self, schema: dict[str, Any], out: dict[str, Any], pointer: str, role: Role, depth: int) -> None:
        """Keywords whose schemas meet the same value: they stay open, the place itself is closed."""

        onward = Role(role.kind, role.lifted, role.frees) if role.parent else role

        def branch(inner: object, at: str, role: Role = onward) -> Written:
            return self._schema(inner, f"{pointer}/{at}", role, depth + 1)

        for keyword in _IN_PLACE:
            if not isinstance(schema.get(keyword), list) or (role.parent and keyword != "allOf"):
                continue
            written = [
                branch(
                    inner, f"{keyword}/{at}", self._inherited(inner, pointer, onward) if keyword == "allOf" else onward
                )
                for at, inner in enumerate(schema[keyword])
            ]
            if keyword != "allOf" and role.frees:
                written = [
                    self._freed(inner, f"{pointer}/{keyword}/{at}", written[at])
                    for at, inner in enumerate(schema[keyword])
                ]
            if (named := named_alternatives(schema, keyword)) is not None:
                out["allOf"] = [*out.get("allOf", ()), by_name(*named, keyword, written)]
            else:
                many = "anyOf" if self._overlaps and keyword == "oneOf" else keyword
                if many in out and many == "anyOf":  # both keywords stand in the schema: each has to be satisfied
                    out["allOf"] = [*out.get("allOf", ()), {"anyOf": written}]
                else:
                    out[many] = [*out.get(many, ()), *written]
        for keyword in ("if", "not"):
            if keyword in schema:
                out[keyword] = branch(schema[keyword], keyword, PLAIN)
        for keyword in ("then", "else"):
            if keyword in schema:
                out[keyword] = branch(schema[keyword], keyword)
        if isinstance(schema.get("dependentSchemas"), dict):
            out["dependentSchemas"] = {
                name: branch(inner, f"dependentSchemas/{escape_pointer(name)}")
                for name, inner in schema["dependentSchemas"].items()
            }
        if isinstance(schema.get("$ref"), str):
            target = self._reference(schema["$ref"], pointer, role, depth)
            out["allOf"] = [*out.get("allOf", ()), target]

    def _inherited(self, schema: object, pointer: str, role: Role) -> Role:
        """How a branch of `allOf` is written: as a parent, without its alternatives, where the schema at `pointer` is
        one of these, or what one of these inherits from. So do generators write classes (springdoc)."""
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            return role
        target = self._target(schema["$ref"], pointer)
        if target is None or not isinstance(target[0], dict):
            return role
        alternatives = [*(target[0].get("oneOf") or ()), *(target[0].get("anyOf") or ())]
        if any(self._descends(inner, pointer, set()) for inner in alternatives):
            return Role(role.kind, role.lifted, role.frees, parent=True)
        return role

    def _descends(self, schema: object, ancestor: str, seen: set[str]) -> bool:
        """Whether `schema` is a reference to what is at `ancestor`, or to what inherits from it by `allOf`."""
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str) or reference in seen:
            return False
        seen.add(reference)
        target = self._target(reference, ancestor)
        if target is None:
            return False
        inner, at = target
        parents = inner.get("allOf") if isinstance(inner, dict) else None
        return at == ancestor or any(self._descends(one, ancestor, seen) for one in parents or ())

    def _freed(self, schema: object, pointer: str, written: Written) -> Written:
        """An alternative that is a free-form object, or anything at all, says that any member may come."""
        schema, _ = self.follow(schema, pointer)
        if schema is True:
            return {"additionalProperties": True}
        if not isinstance(schema, dict) or any(name in schema for name in _SAYS_MORE):
            return written
        kind = schema.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind) or not _KEPT.intersection(schema):
            return {"allOf": [written], "additionalProperties": True}
        return written

    def _nullable(self, schema: dict[str, Any], out: dict[str, Any]) -> Written:
        """Only in 3.0: null besides everything else the schema says. The standard lets enumerations and
        compositions veto it; authors who write nullable next to them mean it."""
        if not self._old or schema.get("nullable") is not True:
            return out
        return or_null(out)

    # -- looking ahead

    def _is_read_only(self, schema: object, pointer: str, depth: int = 0) -> bool:
        if not isinstance(schema, dict) or depth > DEPTH_MAX:
            return False
        if schema.get("readOnly") is True and not (self._old and "$ref" in schema):
            return True
        if isinstance(schema.get("$ref"), str):
            target = self._target(schema["$ref"], pointer)
            if target is not None and self._is_read_only(*target, depth + 1):
                return True
        return any(
            self._is_read_only(inner, f"{pointer}/allOf/{at}", depth + 1)
            for at, inner in enumerate(schema.get("allOf") or ())
            if isinstance(inner, dict) and ("readOnly" in inner or "$ref" in inner)
        )

    def _shape(self, schema: object, pointer: str, depth: int) -> Shape:
        """What `schema` declares, seen through every in-place branch. A circle of references adds nothing
        new."""
        return Look(self._target, self._is_read_only, self._old).at(schema, pointer, depth)

    def problem(self, pointer: str, message: str) -> None:
        """Notes what is wrong, once."""
        if (pointer, message) not in self.problems:
            self.problems.append((pointer, message))


def or_null(written: Written) -> Written:
    """What a schema takes, and null; unchanged where it takes nothing because it is read-only."""
    if not isinstance(written, dict) or not written or written == READ_ONLY:
        return written
    kind = written.get("type")
    if isinstance(kind, str) and not any(name in written for name in ("enum", "const", "not", *_IN_PLACE)):
        return {**written, "type": [kind, "null"]}
    return {"anyOf": [{"type": "null"}, written]}


def _anchors(value: object, pointer: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    waiting: list[tuple[object, str]] = [(value, pointer)]
    while waiting:
        node, at = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$anchor"), str):
                found.append((node["$anchor"], at))
            waiting.extend((inner, f"{at}/{escape_pointer(str(name))}") for name, inner in node.items())
        elif isinstance(node, list):
            waiting.extend((inner, f"{at}/{number}") for number, inner in enumerate(node))
    return found
