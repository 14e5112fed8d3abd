"""Decoder of content codings within a limit (RFC 9110, section 8.4.1). Knows nothing of the content."""

from __future__ import annotations

import zlib

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's window bits. `deflate` is the zlib format; bare deflate, which some clients send by mistake, is refused."""

READABLE = frozenset(_WINDOW)


class CodingError(Exception):
    """The bytes are not one whole stream of the coding, or are more than the limit when undone (`too_large`)."""

    def __init__(self, detail: str, *, too_large: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.too_large = too_large


def undo_coding(data: bytes, coding: str, bytes_max: int) -> bytes:
    """The plain bytes. Never makes more than `bytes_max` + 1 of them, however small `data` is."""
    if coding not in _WINDOW:
        raise CodingError(f"{coding} cannot be undone")
    reader = zlib.decompressobj(wbits=_WINDOW[coding])
    try:
        plain = reader.decompress(data, bytes_max + 1)
    except zlib.error:
        raise CodingError(f"not {coding}") from None
    if len(plain) > bytes_max:
        raise CodingError(f"larger than {bytes_max} bytes when decompressed", too_large=True)
    if not reader.eof:
        raise CodingError(f"a {coding} stream that ends early")
    if reader.unused_data:
        # A second member reads as more body to some and as nothing to others.
        raise CodingError(f"more than one {coding} stream")
    return plain


def undo_partial(data: bytes, coding: str, bytes_max: int) -> bytes:
    """As much as can be read of a stream that was cut."""
    try:
        return zlib.decompressobj(wbits=_WINDOW[coding]).decompress(data, bytes_max)
    except zlib.error:
        return b""
