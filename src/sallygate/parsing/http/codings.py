"""Decoder of content codings within a limit (RFC 9110, section 8.4.1). Knows nothing of the content.

The API gets the plain bytes, so that several frames in one body, or bytes after a frame, have no second reading.
"""

from __future__ import annotations

import zlib
from typing import Any

import cramjam

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's window bits. `deflate` is the zlib format; bare deflate, which some clients send by mistake, is refused."""
_FRAMED: dict[str, Any] = {
    "br": cramjam.brotli,  # RFC 7932
    "zstd": cramjam.zstd,  # RFC 8878
    "lz4": cramjam.lz4,
    "x-snappy-framed": cramjam.snappy,
}
_SNAPPY_FRAMED = b"\xff\x06\x00\x00sNaPpY"
"""Beginning of a framed stream. Without it `snappy` is one block, as remote writers of metrics send it."""
_FULL = ("write whole buffer", "output buffer")
"""In the errors of a buffer that is too small."""
EXPANSION = 8
BUFFER_BYTES_MIN = 64 << 10
"""Size of the first buffer, in times the data: few texts are compressed better, and a larger one is tried after it."""

READABLE = frozenset((*_WINDOW, *_FRAMED, "snappy"))


class CodingError(Exception):
    """The bytes are not one whole stream of the coding, or are more than the limit when undone (`too_large`)."""

    def __init__(self, detail: str, *, too_large: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.too_large = too_large


def undo_coding(data: bytes, coding: str, bytes_max: int) -> bytes:
    """The plain bytes. Never makes more than `bytes_max` + 1 of them, however small `data` is."""
    if coding in _WINDOW:
        return _inflated(data, coding, bytes_max)
    if coding not in READABLE:
        raise CodingError(f"{coding} cannot be undone")
    first = min(max(len(data) * EXPANSION, BUFFER_BYTES_MIN), bytes_max)
    plain = _filled(data, coding, first)
    if plain is None and first < bytes_max:
        plain = _filled(data, coding, bytes_max)
    if plain is None:
        raise _too_large(bytes_max)
    return plain


def _inflated(data: bytes, coding: str, bytes_max: int) -> bytes:
    reader = zlib.decompressobj(wbits=_WINDOW[coding])
    try:
        plain = reader.decompress(data, bytes_max + 1)
    except zlib.error:
        raise CodingError(f"not {coding}") from None
    if len(plain) > bytes_max:
        raise _too_large(bytes_max)
    if not reader.eof:
        raise CodingError(f"a {coding} stream that ends early")
    if reader.unused_data:
        # A second member reads as more body to some and as nothing to others.
        raise CodingError(f"more than one {coding} stream")
    return plain


def _filled(data: bytes, coding: str, size: int) -> bytes | None:
    """The plain bytes; None if they are more than `size`."""
    buffer = bytearray(size)
    try:
        if coding == "snappy" and not data.startswith(_SNAPPY_FRAMED):
            written = cramjam.snappy.decompress_raw_into(data, buffer)
        else:
            written = _FRAMED.get(coding, cramjam.snappy).decompress_into(data, buffer)
    except cramjam.DecompressionError as error:
        if any(words in str(error) for words in _FULL):
            return None
        raise CodingError(f"not {coding}") from None
    return bytes(memoryview(buffer)[:written])


def _too_large(bytes_max: int) -> CodingError:
    return CodingError(f"larger than {bytes_max} bytes when decompressed", too_large=True)


def undo_partial(data: bytes, coding: str, bytes_max: int) -> bytes:
    """As much as can be read of a gzip or deflate stream that was cut."""
    try:
        return zlib.decompressobj(wbits=_WINDOW[coding]).decompress(data, bytes_max)
    except zlib.error:
        return b""
