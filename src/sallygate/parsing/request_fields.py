"""Value of one field of a request, by the place that findings name it with: `body:/username`, `query:q`, `path:id`.

Refuses to know what a value means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from msgspec.json import encode

from sallygate.model.request import Body, Part, RequestHead
from sallygate.parsing.pointers import resolve_pointer, unescape_pointer

PLACE = re.compile(r"(?:query|header|cookie|path):[^\s:]+|body:(?:/[^/]*)+").fullmatch
"""A field that a policy may name."""
VALUE_CHARS_MAX = 512
"""Characters of a value that count; longer ones with the same beginning are one."""


def field_values(place: str, head: RequestHead, path_values: Iterable[tuple[str, str]], body: Body) -> tuple[str, ...]:
    """The field's values as texts, each once and in one spelling: without space around it, and without capitals.
    Several where the field is repeated, since an API may take any of them; none where the request does not have it."""
    kind, _, name = place.partition(":")
    if kind == "query":
        found = [value for known, value in head.query if known == name]
    elif kind == "path":
        found = [value for known, value in path_values if known == name]
    elif kind == "header":
        found = [head.fields[name.lower()]] if name.lower() in head.fields else []
    elif kind == "cookie":
        pairs = (pair.strip().partition("=") for pair in head.fields.get("cookie", "").split(";"))
        found = [value for known, _, value in pairs if known == name]
    else:
        found = _in_body(name, body)
    return tuple(dict.fromkeys(map(_spelled, found)))


def _in_body(pointer: str, body: Body) -> list[str]:
    if body.kind == "json":
        try:
            value = resolve_pointer(body.tree, pointer)
        except (LookupError, ValueError):
            return []
        values = value if isinstance(value, list) and value else [value]
        return [one if isinstance(one, str) else encode(one).decode() for one in values]
    name = unescape_pointer(pointer[1:])
    pairs = body.tree if isinstance(body.tree, tuple) else ()
    if body.kind == "multipart":
        parts = (part for part in pairs if isinstance(part, Part) and part.name == name)
        return [part.data[: VALUE_CHARS_MAX * 4].decode("utf-8", "replace") for part in parts]
    return [pair[1] for pair in pairs if pair[0] == name] if body.kind == "form" else []


def _spelled(value: str) -> str:
    shown = "".join(char for char in value.strip() if unicodedata.category(char) not in ("Cc", "Cf"))
    return unicodedata.normalize("NFKC", shown[:VALUE_CHARS_MAX]).casefold().strip()
