"""Shapes of objects: the members that a schema declares, through every branch that applies to the same object.

It looks and rewrites nothing but the one keyword that closes. It does not know versions beyond whether a
reference hides its siblings, nor what the answer is used for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from sallygate.parsing.pointers import escape_pointer

CONDITIONAL = ("if", "then", "else")

DEPTH_MAX = 200
"""Schemas within schemas as written out; the depth of a document is bounded by its parser, this bounds
reference chains in places where only following them tells (allOf of allOf of …)."""


class Shape(Struct, frozen=True):
    """Which members a schema declares for the object it meets."""

    names: frozenset[str] = frozenset()
    """Declared whatever the value is."""
    read_only: frozenset[str] = frozenset()
    declares: bool = False
    """Some branch declares members."""
    certain: bool = True
    """`names` is all of them: nothing depends on the value."""


class Look:
    """One look at a schema's shape; remembers where it has been."""

    def __init__(
        self,
        target: Callable[[str, str], tuple[object, str] | None],
        is_read_only: Callable[[object, str], bool],
        old: bool,
    ) -> None:
        self._target, self._is_read_only, self._old = target, is_read_only, old
        self._been: set[str] = set()

    def at(self, schema: object, pointer: str, depth: int) -> Shape:
        """Shape of the schema at a JSON pointer; an empty shape beyond the depth limit."""
        if not isinstance(schema, dict) or depth > DEPTH_MAX:
            return Shape()
        shapes: list[Shape] = []
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference not in self._been:
                self._been.add(reference)
                target = self._target(reference, pointer)
                shapes.append(self.at(*target, depth + 1) if target else Shape())
            if self._old:
                return shapes[0] if shapes else Shape()
        shapes.append(self._own(schema, pointer))
        for number, inner in enumerate(schema.get("allOf") or ()):
            shapes.append(self.at(inner, f"{pointer}/allOf/{number}", depth + 1))
        for inner, at in _conditional_branches(schema):
            branch = self.at(inner, f"{pointer}/{at}", depth + 1)
            shapes.append(
                Shape(
                    read_only=branch.read_only,
                    declares=branch.declares,
                    certain=branch.certain and not branch.declares,
                )
            )
        return Shape(
            frozenset().union(*(shape.names for shape in shapes)),
            frozenset().union(*(shape.read_only for shape in shapes)),
            any(shape.declares for shape in shapes),
            all(shape.certain for shape in shapes),
        )

    def _own(self, schema: dict[str, Any], pointer: str) -> Shape:
        members = schema.get("properties")
        members = members if isinstance(members, dict) else {}
        uncertain = any(
            name in schema for name in ("patternProperties", "additionalProperties", "unevaluatedProperties")
        )
        read_only = (
            name
            for name, inner in members.items()
            if self._is_read_only(inner, f"{pointer}/properties/{escape_pointer(str(name))}")
        )
        return Shape(frozenset(members), frozenset(read_only), bool(members), not uncertain)


def _conditional_branches(schema: dict[str, Any]) -> list[tuple[object, str]]:
    branches: list[tuple[object, str]] = []
    for keyword in ("anyOf", "oneOf"):
        branches += [(inner, f"{keyword}/{at}") for at, inner in enumerate(schema.get(keyword) or ())]
    branches += [(schema[keyword], keyword) for keyword in CONDITIONAL if keyword in schema]
    dependent = schema.get("dependentSchemas")
    if isinstance(dependent, dict):
        branches += [(inner, f"dependentSchemas/{escape_pointer(name)}") for name, inner in dependent.items()]
    return branches


def close(out: dict[str, Any], shape: Shape) -> None:
    """Refuse undeclared members in a rewritten schema `out`, by the members that `shape` declares."""
    if not shape.certain:
        if "additionalProperties" not in out and "unevaluatedProperties" not in out:
            out["unevaluatedProperties"] = False
        return
    if "allOf" in out or "$ref" in out:
        declared = out.setdefault("properties", {})
        for name in shape.names:
            declared.setdefault(name, True)
    out["additionalProperties"] = False
