"""Edits of forwarded bytes: of a query, a body, a record. They do not know their reason."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.json import decode
from msgspec.structs import replace

from sallygate.model.decision import Edit
from sallygate.model.request import Body, RequestHead
from sallygate.parsing.http.forms import decode_pairs
from sallygate.parsing.json_splice import splice

WHOLE = "body:"


def edit_text(text: bytes, edits: Iterable[Edit]) -> bytes:
    """`text` with the edits of its body. Raises `NoSuchValue` for a pointer that names no value."""
    changes = {edit.at.removeprefix(WHOLE): edit.replacement for edit in edits if edit.at.startswith(WHOLE)}
    return splice(text, changes) if changes else text


def edit_body(body: Body, edits: Iterable[Edit]) -> Body:
    """`body` with its edits, read again. Raises `NoSuchValue`, and `FormError` for a form that reads two ways."""
    raw = edit_text(body.raw, edits)
    if raw is body.raw:
        return body
    tree = decode(raw) if body.kind == "json" else decode_pairs(raw) if body.kind == "form" else None
    return Body(raw, body.kind, body.media, tree, body.declared)


def edit_head(head: RequestHead, edits: Iterable[Edit]) -> RequestHead:
    """`head` with the edits of its query."""
    for edit in edits:
        if edit.at == "query":
            raw_query = edit.replacement or b""
            head = replace(head, raw_query=raw_query, query=decode_pairs(raw_query))
    return head
