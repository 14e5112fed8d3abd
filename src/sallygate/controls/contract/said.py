"""Messages about values that break their schema: where, which rule, and what the schema asks for.

The schema is public; values of the request are never repeated, names are bounded and made printable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema_rs

from sallygate.controls.contract.dialect import READ_ONLY

Said = tuple[str, str, str]
"""JSON pointer, keyword, detail."""
FINDINGS_MAX = 10
"""Findings of one request: enough to correct a request by, too few to fill an event."""
NAME_MAX = 64
ASKED_MAX = 100
"""Characters of what a schema asks for."""
ALTERNATIVES_DEPTH_MAX = 8
"""Of alternatives within alternatives that are looked into."""
_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
_LIMITS = {
    "minimum": "is below", "maximum": "is above",
    "exclusiveMinimum": "is not above", "exclusiveMaximum": "is not below",
    "minLength": "is shorter than", "maxLength": "is longer than",
    "minItems": "has fewer items than", "maxItems": "has more items than",
    "minProperties": "has fewer members than", "maxProperties": "has more members than",
}  # fmt: skip


def say(errors: Sequence[jsonschema_rs.ValidationError], depth: int = 0) -> Iterator[Said]:
    """All that is wrong. Members that nothing evaluated are named only where nothing else is wrong with their object:
    what a failed branch declares would count among them."""
    wrong = {tuple(error.instance_path) for error in errors if error.kind.name != "unevaluatedProperties"}
    for error in errors:
        at = tuple(error.instance_path)
        if error.kind.name == "unevaluatedProperties" and any(one[: len(at)] == at for one in wrong):
            continue
        yield from _say(error, depth)


def _say(error: jsonschema_rs.ValidationError, depth: int) -> Iterator[Said]:
    keyword, asked = error.kind.name, error.kind.as_dict()
    pointer = "".join(f"/{printable(str(part))}" for part in error.instance_path)
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        for name in asked["unexpected"][:FINDINGS_MAX]:
            yield f"{pointer}/{printable(name)}", "additionalProperties", "is not declared"
    elif keyword == "required":
        yield pointer, keyword, f"lacks {printable(str(asked['property']))}"
    elif keyword == "not" and asked["schema"] == READ_ONLY["not"]:
        yield pointer, "readOnly", "is read-only and cannot be sent"
    elif keyword == "falseSchema":
        yield pointer, "false", "is not allowed here"
    elif keyword in ("oneOf", "anyOf") and depth < ALTERNATIVES_DEPTH_MAX:
        yield from _alternatives(pointer, keyword, asked["context"], len(error.instance_path), depth)
    elif error.instance is None and keyword in ("type", "enum", "const"):
        yield pointer, "nullable", _asked(keyword, asked, None)
    else:
        yield pointer, keyword, _asked(keyword, asked, error.instance)


def _alternatives(pointer: str, keyword: str, context: list[list[Any]], at: int, depth: int) -> Iterator[Said]:
    """Why no alternative fits: what is wrong with the one that comes nearest; or that several do."""
    fitting = [str(number + 1) for number, errors in enumerate(context) if not errors]
    if fitting:
        yield pointer, keyword, f"fits alternatives {' and '.join(fitting[:2])} of {len(context)}, and may fit one only"
        return
    if not context:
        yield pointer, keyword, f"does not satisfy {keyword}"
        return
    nearest = min(context, key=lambda errors: _distance(errors, at))
    yield from say(nearest, depth + 1)


def _distance(errors: list[Any], at: int) -> tuple[int, int, int]:
    """How far an alternative is from fitting a value at a path of `at` steps: whether the value is of another type, or
    names another alternative, then how much it lacks, then how much is wrong."""
    other = sum(
        (error.kind.name == "type" and len(error.instance_path) == at)
        or (error.kind.name in ("const", "enum") and len(error.instance_path) <= at + 1)
        for error in errors
    )
    return other, sum(error.kind.name == "required" for error in errors), len(errors)


def _asked(keyword: str, asked: dict[str, Any], instance: object) -> str:
    if keyword == "type":
        return f"is to be {' or '.join(map(str, asked['types']))}, and is {_TYPES.get(type(instance), 'another')}"
    if keyword in _LIMITS:
        return f"{_LIMITS[keyword]} {asked['limit']}"
    if keyword == "enum":
        return f"is none of {_short(', '.join(map(str, asked['options'])))}"
    if keyword == "const":
        return f"is not {_short(str(asked['expected_value']))}"
    if keyword == "pattern":
        return f"does not match {_short(asked['pattern'])}"
    if keyword == "format":
        return f"is no {asked['format']}"
    if keyword == "multipleOf":
        return f"is no multiple of {asked['multiple_of']}"
    return f"does not satisfy {keyword}"


def _short(text: str) -> str:
    return text if len(text) <= ASKED_MAX else text[:ASKED_MAX] + "…"


def printable(name: str) -> str:
    """A name the client chose, as it may be shown: bounded, printable ASCII, safe within a JSON pointer."""
    name = name[:NAME_MAX].replace("~", "~0").replace("/", "~1")
    if name.isascii() and name.isprintable():
        return name
    return "".join(char if " " <= char <= "~" else "?" for char in name)
