"""Parameter styles of OpenAPI 3.1.1, section 4.8.12.4: text on the wire to arrays and objects.

Delimiters are looked for in the text as it was sent, before percent-decoding, so that an encoded comma is
data. It does not know parameters, schemas or requests; what does not fit its style raises `Unreadable`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sallygate.controls.contract.readings import DEPTH_MAX, Reading
from sallygate.parsing.http.forms import FormError

ITEMS_MAX = 1000
"""Items of one array or members of one object in a parameter: as many as pairs in a query."""

Decode = Callable[[str], str]

_SPACE = re.compile(r"%20|\+| ")
_PIPE = re.compile(r"\||%7[Cc]")
_DELIMITERS: dict[str, Callable[[str], list[str]]] = {
    "spaceDelimited": _SPACE.split,
    "pipeDelimited": _PIPE.split,
}


class Unreadable(ValueError):
    """Text that does not have the form its style asks for. Holds the rule and a detail without the text."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


def split_delimited(text: str, style: str) -> list[str]:
    """The pieces of a value that is not exploded, still encoded."""
    pieces = _DELIMITERS[style](text) if style in _DELIMITERS else text.split(",")
    if len(pieces) > ITEMS_MAX:
        raise Unreadable("style", f"holds more than {ITEMS_MAX} items")
    return pieces


def read_items(pieces: Sequence[str], reading: Reading, decode: Decode) -> list[object]:
    """An array of pieces."""
    return [reading.items.scalar(decoded(piece, decode)) for piece in pieces]


def read_alternating(pieces: Sequence[str], reading: Reading, decode: Decode) -> dict[str, object]:
    """An object written `name,value,name,value`."""
    if len(pieces) % 2:
        raise Unreadable("style", "has a name without a value")
    return _object(zip(pieces[::2], pieces[1::2], strict=True), reading, decode)


def read_assignments(pieces: Sequence[str], reading: Reading, decode: Decode) -> dict[str, object]:
    """An object written as `name=value` pieces."""
    pairs = []
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if not equals:
            raise Unreadable("style", "has a name without a value")
        pairs.append((name, value))
    return _object(pairs, reading, decode)


def _object(pairs: object, reading: Reading, decode: Decode) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:  # type: ignore[attr-defined]
        name = decoded(name, decode)
        if name in found:
            raise Unreadable("style", "has the same name twice")
        found[name] = reading.member(name).scalar(decoded(value, decode))
    return found


def decoded(text: str, decode: Decode) -> str:
    """`text` decoded, or `Unreadable`."""
    try:
        return decode(text)
    except FormError as error:
        raise Unreadable("encoding", f"holds {error.detail}") from None


def read_prefixed(text: str, name: str, style: str, explode: bool, reading: Reading, decode: Decode) -> object:
    """A path segment of style `simple`, `label` or `matrix`."""
    compound = reading.is_array or reading.is_object
    separator = "," if style == "simple" or not explode else "." if style == "label" else ";"
    if style != "simple":
        mark = "." if style == "label" else ";"
        if not text.startswith(mark):
            raise Unreadable("style", f"does not begin with {mark!r}, as style {style} has it")
        text = text[1:]
    if style == "matrix" and not (explode and reading.is_object):
        return _read_matrix(text, name, explode, reading, decode)
    if not compound:
        return reading.scalar(decoded(text, decode))
    pieces = text.split(separator)
    if len(pieces) > ITEMS_MAX:
        raise Unreadable("style", f"holds more than {ITEMS_MAX} items")
    if reading.is_array:
        return read_items(pieces, reading, decode)
    return read_assignments(pieces, reading, decode) if explode else read_alternating(pieces, reading, decode)


def _read_matrix(text: str, name: str, explode: bool, reading: Reading, decode: Decode) -> object:
    """`name=value`, `name=a,b` or `name=a;name=b`, the first semicolon already gone."""
    values = []
    for piece in text.split(";") if explode and reading.is_array else [text]:
        key, equals, value = piece.partition("=")
        if decoded(key, decode) != name or (not equals and (reading.is_array or reading.is_object)):
            raise Unreadable("style", "does not repeat its name, as style matrix has it")
        values.append(value)
    if explode and reading.is_array:
        return read_items(values, reading, decode)
    if reading.is_array:
        return read_items(split_delimited(values[0], "simple"), reading, decode)
    if reading.is_object:
        return read_alternating(split_delimited(values[0], "simple"), reading, decode)
    return reading.scalar(decoded(values[0], decode))


_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def bracket_path(rest: str) -> list[str]:
    """The names in `[a][b]`; raises `Unreadable` when the brackets do not pair."""
    names = _BRACKETS.findall(rest)
    if not names or len(names) > DEPTH_MAX or "".join(f"[{name}]" for name in names) != rest:
        raise Unreadable("style", "has brackets that do not pair, or too many of them")
    return names


def plant(tree: dict[str, object], names: Sequence[str], text: str) -> None:
    """Puts one leaf into the tree of a deepObject; refuses a place that is taken, or a leaf below a leaf."""
    node = tree
    for at, name in enumerate(names):
        last = at == len(names) - 1
        if name == "":
            if not last or (node and "" not in node):
                raise Unreadable("style", "mixes [] with names")
            items = node.setdefault("", [])
            if isinstance(items, list):
                items.append(text)
            return
        if last:
            if name in node or "" in node:
                raise Unreadable("style", "has the same name twice")
            node[name] = text
            return
        below = node.setdefault(name, {})
        if not isinstance(below, dict):
            raise Unreadable("style", "has the same name as a value and as an object")
        node = below


def unwrap(tree: object) -> object:
    """`{"": [a, b]}` of `name[]=a&name[]=b` becomes the list."""
    if not isinstance(tree, dict):
        return tree
    if list(tree) == [""] and isinstance(tree[""], list):
        return tree[""]
    return {name: unwrap(value) for name, value in tree.items()}
