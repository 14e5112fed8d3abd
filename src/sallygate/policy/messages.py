"""Messages about a policy's values: what the validator of its types found, as field, what is wrong, and what to write.

No text of the validator itself is shown: its words name types of Python, and no remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast, get_args

from pydantic import WithJsonSchema
from pydantic.fields import FieldInfo

from sallygate.policy.fields import Section
from sallygate.policy.reading import Path_, Reader
from sallygate.policy.schema import Policy

PATTERNS: Mapping[str, tuple[str, str]] = {
    "^/": ("is not a path", "begin with a slash, for example /things"),
    r"^(/[A-Za-z0-9_-]+)+$": ("is not a path of letters, digits, `-` and `_`", "write for example /auth"),
    r"^.+:\d+$": ("is not a host and port", "write for example mail.example:587"),
    r"^[^@\s]+@[^@\s]+$": ("is not an e-mail address", "write for example no-reply@shop.example"),
    "^(starttls|implicit|none)$": ("is unknown", "write starttls, implicit or none"),
    r"^[^\r\n]{1,200}$": ("is not one line of 1 to 200 characters", "write one short line"),
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": (
        "is not a name", "write 1 to 64 letters, digits, `.`, `_` and `-`, with a letter or digit first"),
    r"^[A-Za-z0-9._-]{1,64}$": ("is not a name", "write 1 to 64 letters, digits, `.`, `_` and `-`"),
    r"^[^:\x00-\x1f\x7f]{0,200}$": (
        "is not a user name", "write at most 200 characters, without a colon and control characters"),
    "^(query|header|cookie|path|body):": (
        "does not say where the value is", "begin with query:, header:, cookie:, path: or body:"),
    "^https?://": ("is not an http or https URL", "write for example https://collector.example:4318"),
    "^[A-Za-z0-9-]+$": ("is not a header's name", "write letters, digits and `-`, for example X-API-Key"),
    "^[!-~]+$": ("is not printable ASCII without blanks", "write it as the issuer does, for example https://id.example"),
    r"^[A-Za-z0-9_:./-]{1,128}$": ("is not the name of a claim", "write for example client_id"),
    "^[!-~]{0,64}$": (
        "is not printable ASCII without blanks, of at most 64 characters", "write for example partner:"),
}  # fmt: skip
"""What does not fit each pattern of the types, and what would."""
_ENTRIES = "write a list, for example [a, b]"
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_TIMES = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def say_problems(reader: Reader, written: Mapping[Any, Any], errors: Iterable[Any]) -> None:
    """Report what the validator found in `written`, the file's mapping. `errors` are the validator's own."""
    found: dict[Path_, list[tuple[Path_, Any]]] = {}
    for error in errors:
        whole = tuple(error["loc"])
        path = _as_written(written, whole, error["type"])
        found.setdefault(path, []).append((whole, error))
    for path, several in found.items():
        if len(several) > 1 and any(whole != path for whole, _ in several):
            # Alternatives of one value: that it is none of the other kinds is no news.
            several = [one for one in several if not one[1]["type"].endswith("_type")] or several[:1]
        elif any(whole != path for whole, _ in several) and _has_deeper(path, found):
            continue
        for _, error in several:
            _say(reader, path, error)


def _has_deeper(path: Path_, found: Mapping[Path_, object]) -> bool:
    return any(len(other) > len(path) and other[: len(path)] == path for other in found)


def _as_written(written: Any, path: Path_, kind: str) -> Path_:
    """The validator's path without what is not in the file: labels of alternatives, parts of a short spelling."""
    kept: list[str | int] = []
    for number, part in enumerate(path):
        if (isinstance(written, dict) and part in written) or (
            isinstance(written, list) and isinstance(part, int) and part < len(written)
        ):
            written = cast(Any, written)[part]
        elif not (kind == "missing" and number == len(path) - 1):
            continue
        kept.append(part)
    return tuple(kept)


def _say(reader: Reader, path: Path_, error: Mapping[str, Any]) -> None:
    kind = error["type"]
    name = ".".join(str(part) for part in path) or "the file"
    if kind == "extra_forbidden":
        known = list(_section_at(path[:-1]).model_fields)
        close = difflib.get_close_matches(str(path[-1]), known, 1)
        hint = f"did you mean `{close[0]}`?" if close else f"write one of: {', '.join(known)}"
        reader.say(path, "unknown_field", f"`{name}` is not a field", hint)
    elif kind == "missing":
        reader.say(path[:-1], "missing", f"`{name}` is missing")
    elif kind == "value_error":
        what, _, hint = str(error["ctx"]["error"]).partition("; ")
        reader.say(path, "value", f"`{name}`: {what[:1].lower()}{what[1:]}", hint)
    else:
        what, hint = _explained(kind, error.get("ctx", {}), error["input"], path)
        reader.say(path, "value", f"`{name}` {what}", hint)


def _explained(kind: str, limits: Mapping[str, Any], value: object, path: Path_) -> tuple[str, str]:
    """What is wrong with a value, and what to write."""
    example = _example_of(path)
    for_example = f"write for example {example}" if example else ""
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        known = list(_section_at(path).model_fields) if kind != "dict_type" else []
        fields = f"its fields, {', '.join(known)}," if known else "names and their values"
        return "is a section, not a value", f"write {fields} one per line under it"
    if value is None:
        return "has no value", for_example or "write one, or remove the field"
    if (said := _BY_KIND.get(kind)) is not None:
        what, hint = said(limits, example)
        return what, hint or for_example
    return "does not have the form of its field", for_example or "see docs/policy-reference.md"


def _bound(what: str, word: str, key: str) -> Callable[[Mapping[str, Any], str], tuple[str, str]]:
    def said(limits: Mapping[str, Any], example: str) -> tuple[str, str]:
        return f"is too {what}", f"write {word} {_amount(limits[key], example)}"

    return said


def _number(what: str) -> Callable[[Mapping[str, Any], str], tuple[str, str]]:
    return lambda _, example: (f"is not a {what}", "" if example else "write for example 10")


def _choices(limits: Mapping[str, Any], _: str) -> tuple[str, str]:
    return "is unknown", "write " + str(limits["expected"]).replace("'", "")


def _length(word: str, key: str) -> Callable[[Mapping[str, Any], str], tuple[str, str]]:
    def said(limits: Mapping[str, Any], _: str) -> tuple[str, str]:
        what = "has too few entries" if word == "at least" else "has too many entries"
        return what, f"write {word} {limits[key]}"

    return said


def _characters(word: str, key: str) -> Callable[[Mapping[str, Any], str], tuple[str, str]]:
    def said(limits: Mapping[str, Any], _: str) -> tuple[str, str]:
        if word == "at least" and limits[key] == 1:
            return "is empty", "write a text, or remove the field"
        what = "is too short" if word == "at least" else "is too long"
        return what, f"write {word} {limits[key]} characters"

    return said


_LIST = ("is not a list", _ENTRIES)
_BY_KIND: Mapping[str, Callable[[Mapping[str, Any], str], tuple[str, str]]] = {
    "literal_error": _choices,
    "string_pattern_mismatch": lambda limits, _: PATTERNS.get(limits["pattern"], ("has another form", "")),
    "string_type": lambda _, __: ("is not a text", "write one value"),
    "string_too_short": _characters("at least", "min_length"),
    "string_too_long": _characters("at most", "max_length"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), lambda _, __: _LIST),
    "too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _number("whole number")),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _number("number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _, __: ("is neither true nor false", "write true or false")),
    "is_instance_of": lambda _, __: ("is not an amount", ""),
    "greater_than_equal": _bound("small", "at least", "ge"),
    "greater_than": _bound("small", "more than", "gt"),
    "less_than_equal": _bound("large", "at most", "le"),
    "less_than": _bound("large", "less than", "lt"),
}
"""By the validator's name of the fault."""


def _amount(value: float, example: str) -> str:
    """A bound in the unit that the field is written in, which its example shows."""
    units = _TIMES if example.endswith("s") and example[:1].isdigit() else _SIZES if example.endswith("iB") else ()
    for unit, size in units:
        if value >= size and value % size == 0:
            return f"{value / size:.0f}{unit}"
    return f"{value:g}s" if units is _TIMES else f"{value:.0f}" if value == int(value) else f"{value:g}"


def _section_at(path: Path_) -> type[Section]:
    """The section at `path`. Names of plans and operations are passed over: their section was found a step before."""
    section: type[Section] = Policy
    for part in path:
        field = section.model_fields.get(str(part))
        inner = [one for one in _classes(field.annotation) if issubclass(one, Section)] if field is not None else []
        if inner:
            section = inner[0]
    return section


def _example_of(path: Path_) -> str:
    """An example of the field's type, as the schema for editors has it."""
    names = [part for part in path if isinstance(part, str)]
    field = _section_at(tuple(names[:-1])).model_fields.get(names[-1]) if names else None
    return _example_in(field) if field is not None else ""


def _example_in(found: object) -> str:
    metadata = found.metadata if isinstance(found, FieldInfo) else getattr(found, "__metadata__", ())
    for one in metadata:
        if isinstance(one, WithJsonSchema) and one.json_schema and one.json_schema.get("examples"):
            return str(one.json_schema["examples"][0])
    inner = (found.annotation,) if isinstance(found, FieldInfo) else get_args(found)
    return next((example for one in inner if (example := _example_in(one))), "")


def _classes(annotation: object) -> list[type]:
    if isinstance(annotation, type):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _classes(part)]
