"""Discriminators of OpenAPI (3.1.1, section 4.8.25): which of several alternatives a value names as its own.

A value that names one is judged by that one alone, whatever others it would fit; one that names none is judged by all
of them, as without a discriminator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sallygate.parsing.pointers import unescape_pointer

Written = dict[str, Any] | bool


def named_alternatives(schema: Mapping[str, Any], keyword: str) -> tuple[str, dict[str, int]] | None:
    """The property that names an alternative of `schema[keyword]`, and the alternatives by the names they go by; None
    without a discriminator that can be followed."""
    discriminator, alternatives = schema.get("discriminator"), schema.get(keyword)
    if not isinstance(discriminator, dict) or not isinstance(alternatives, list):
        return None
    name, mapping = discriminator.get("propertyName"), discriminator.get("mapping") or {}
    if not isinstance(name, str) or not isinstance(mapping, dict):
        return None
    at = {
        inner["$ref"]: number
        for number, inner in enumerate(alternatives)
        if isinstance(inner, dict) and isinstance(inner.get("$ref"), str)
    }
    found = {unescape_pointer(reference.rpartition("/")[2]): number for reference, number in at.items()}
    for value, target in mapping.items():
        number = at.get(str(target), at.get(f"#/components/schemas/{target}"))
        if number is not None:
            found[str(value)] = number
        else:
            found.pop(str(value), None)  # it names what is no alternative here
    return (name, found) if found else None


def by_name(name: str, named: Mapping[str, int], keyword: str, written: Sequence[Written]) -> dict[str, Any]:
    """The alternatives as a choice by the value of the property `name`."""
    values: dict[int, list[str]] = {}
    for value, number in named.items():
        values.setdefault(number, []).append(value)
    chosen = [{"if": _is(name, names), "then": written[number]} for number, names in values.items()]
    return {"if": _is(name, list(named)), "then": {"allOf": chosen}, "else": {keyword: list(written)}}


def _is(name: str, values: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"enum": values}}}
