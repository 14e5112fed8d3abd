"""Writer of a request's head as bytes. Knows no connection; refuses a head that reads as more or less than one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

Fields = Sequence[tuple[bytes, bytes]]
Body = bytes | AsyncIterator[bytes] | None

_ENDS_A_FIELD: Final = b"\r\n\x00"
_OWE_A_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))
"""Their requests say that there is no body (RFC 9110, section 8.6)."""


def request_head(method: str, target: bytes, host: bytes, fields: Fields, body: Body, length: int | None) -> bytes:
    """The bytes before the body. `length` is that of a body that comes in pieces; None: nobody knows it. Raises
    `ValueError` for a field that would end early, or in two."""
    parts = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nHost: ", host, b"\r\n"]
    for name, value in fields:
        parts += (name, b": ", value, b"\r\n")
    lines = len(fields) + 3
    if (framing := _framing(method, body, length)) is not None:
        parts += (framing, b"\r\n")
        lines += 1
    parts.append(b"\r\n")
    head = b"".join(parts)
    if len(head) - len(head.translate(None, _ENDS_A_FIELD)) != 2 * lines:
        raise ValueError("a header field has a line break or a NUL in it")
    return head


def _framing(method: str, body: Body, length: int | None) -> bytes | None:
    if isinstance(body, bytes):
        return b"content-length: %d" % len(body)
    if body is None:
        return b"content-length: 0" if length is not None or method in _OWE_A_LENGTH else None
    return b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
