"""Stripping of named fields: edits that remove the offending characters.

Only what the policy names is touched: a value of the query, a leaf of a JSON body, a field of a form. Everything else stays
byte for byte as it was sent. The control judges again what is left.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

from msgspec.json import encode

from sallygate.controls.injection.pipeline.decodings import utf8
from sallygate.model.decision import Edit
from sallygate.model.request import Body, RequestHead
from sallygate.parsing.pointers import unescape_pointer

_OFFENDING = re.compile(r"[\x00-\x1f\x7f\"'`<>;|&$(){}\[\]\\=*#%^~]|--+|\.\.+")
"""What carries syntax in the languages of attacks. Letters, digits, spaces and the marks of prose stay."""


def stripped(text: str) -> str:
    """Text without its offending characters; the first `-` or `.` of a run stays."""
    return _OFFENDING.sub(lambda found: found.group()[0] if found.group()[0] in "-." else "", text)


def strip_fields(places: frozenset[str], head: RequestHead, body: Body) -> tuple[Edit, ...] | None:
    """Edits that strip the fields at `places` (`query:q`, `body:/a/0`); None when one of them cannot be stripped."""
    names = frozenset(place.partition(":")[2] for place in places if place.startswith("query:"))
    edits = (Edit("query", _strip_pairs(head.raw_query, names)),) if names else ()
    pointers = frozenset(place.partition(":")[2] for place in places if place.startswith("body:"))
    if not pointers:
        return edits
    stripped_body = _strip_body(body, pointers)
    return (*edits, *stripped_body) if stripped_body is not None else None


def _strip_body(body: Body, pointers: frozenset[str]) -> tuple[Edit, ...] | None:
    if body.kind == "json":
        leaves = {pointer: _leaf(body.tree, pointer) for pointer in pointers}
        made = [Edit(f"body:{at}", encode(stripped(text))) for at, text in leaves.items() if text is not None]
        return tuple(made) if len(made) == len(leaves) else None
    if body.kind == "form":
        raw = _strip_pairs(body.raw, frozenset(pointer.removeprefix("/") for pointer in pointers))
        return (Edit("body:", raw),)
    return None


def _leaf(tree: Any, pointer: str) -> str | None:  # Any: decoded JSON
    """The text at `pointer`; None where it leads into a document within a text, or was cut."""
    for step in map(unescape_pointer, pointer.split("/")[1:]):
        try:
            tree = tree[int(step) if isinstance(tree, list) and step.isdecimal() else step]
        except (LookupError, TypeError):
            return None
    return tree if pointer and isinstance(tree, str) else None


def _strip_pairs(raw: bytes, names: frozenset[str]) -> bytes:
    pairs = []
    for pair in raw.split(b"&"):
        name, equals, value = pair.partition(b"=")
        if _decoded(name) in names:
            pair = name + equals + quote_plus(stripped(_decoded(value))).encode()
        pairs.append(pair)
    return b"&".join(pairs)


def _decoded(text: bytes) -> str:
    return utf8(unquote_to_bytes(text.replace(b"+", b" ")))
