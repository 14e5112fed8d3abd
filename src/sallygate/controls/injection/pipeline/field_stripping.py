"""Stripping of named fields: removes the offending characters, and makes the bytes of the request again from the rest.

Only what the policy names is touched: a value of the query, a leaf of a JSON body, a field of a form. Everything else stays
byte for byte as it was sent. What is left is judged again by whoever called this.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import msgspec

from sallygate.controls.injection.pipeline.decodings import utf8
from sallygate.model.decision import Edit
from sallygate.model.request import Body, RequestHead
from sallygate.parsing.pointers import unescape_pointer

_OFFENDING = re.compile(r"[\x00-\x1f\x7f\"'`<>;|&$(){}\[\]\\=*#%^~]|--+|\.\.+")
"""What carries syntax in the languages of attacks. Letters, digits, spaces and the marks of prose stay."""


_encode = msgspec.json.Encoder(decimal_format="number").encode


def stripped(text: str) -> str:
    return _OFFENDING.sub(lambda found: found.group()[0] if found.group()[0] in "-." else "", text)


def strip_fields(places: frozenset[str], head: RequestHead, body: Body) -> Edit | None:
    """The request with the fields at `places` (`query:q`, `body:/a/0`) stripped; None when one of them cannot be."""
    names = frozenset(place.partition(":")[2] for place in places if place.startswith("query:"))
    raw_query = _strip_pairs(head.raw_query, names) if names else None
    pointers = frozenset(place.partition(":")[2] for place in places if place.startswith("body:"))
    raw_body: bytes | None = None
    if pointers:
        raw_body = _strip_body(body, pointers)
        if raw_body is None:
            return None
    return Edit(raw_query, raw_body)


def _strip_body(body: Body, pointers: frozenset[str]) -> bytes | None:
    if body.kind == "json":
        # A copy: the one that was judged stays as it is. Decimals keep every digit.
        tree = json.loads(body.raw, parse_float=Decimal)
        return _encode(tree) if all(_strip_leaf(tree, pointer) for pointer in pointers) else None
    if body.kind == "form":
        return _strip_pairs(body.raw, frozenset(pointer.removeprefix("/") for pointer in pointers))
    return None


def _strip_leaf(tree: Any, pointer: str) -> bool:  # Any: decoded JSON
    """Whether there is a text at `pointer`: it may as well lead into a document within a text, or be cut."""
    holder, at = None, None
    for step in map(unescape_pointer, pointer.split("/")[1:]):
        holder, at = tree, int(step) if isinstance(tree, list) and step.isdecimal() else step
        try:
            tree = holder[at]
        except (LookupError, TypeError):
            return False
    if holder is None or not isinstance(tree, str):
        return False
    holder[at] = stripped(tree)
    return True


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
