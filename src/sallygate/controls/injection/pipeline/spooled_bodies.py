"""Values of a body too large to be held: read from its file in pieces, each with the texts that stand in it.

Strings of JSON are taken one by one, pairs of forms likewise; any other text in windows that overlap. What does not look
like the media type that was sent is read as text, too, since an application may ignore the media type.

Refuses to know attacks. What spans two pieces outside of one string, as a document's structure does, is not seen.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO

from sallygate.controls.injection.pipeline.values import Value, text_values
from sallygate.model.request import BodyKind
from sallygate.parsing.http.forms import decode_pairs

PIECE_BYTES = 131_072
"""Read at once: so much of a body is in memory, twice."""
OVERLAP = 1024
"""Characters of text that two pieces share, so that what stands across the border stands whole in one."""
TEXT_LONG = 65_536
"""Characters of one string, or of one pair, from which on it is judged in pieces."""
WHERE = "body:"
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"(\s*+:)?|(\\?\Z))', re.DOTALL)
"""A string, whether it ends or not: one that does not is read once, and not again from each of its quotes."""
_STRUCTURE = re.compile(r"(?:[\s\d{}\[\]:,.+\-eE]|true|false|null)*+").fullmatch
"""What stands between the strings of JSON."""


def spooled_values(file: IO[bytes], kind: BodyKind, media: str, codec: str = "utf-8") -> Iterator[list[Value]]:
    """The values of a body, a piece at a time. Raises `FormError` for a form that is not one. The file is read from its beginning, wherever it was read to before."""
    file.seek(0)
    pieces = _decoded(file, codec)
    if kind == "json":
        yield from _json(pieces)
    elif kind == "form":
        yield from _form(pieces)
    else:
        for text in _windows(pieces):
            yield list(text_values(text, media, WHERE))


def _decoded(file: IO[bytes], codec: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    while data := file.read(PIECE_BYTES):
        yield decoder.decode(data)
    if rest := decoder.decode(b"", True):
        yield rest


def _windows(pieces: Iterator[str]) -> Iterator[str]:
    before = ""
    for piece in pieces:
        yield before + piece
        before = piece[-OVERLAP:]


def _json(pieces: Iterator[str]) -> Iterator[list[Value]]:
    """Strings and names of JSON, or of many documents of it one after the other. A string that is longer than
    `TEXT_LONG` comes in windows."""
    rest = before = ""
    for piece in pieces:
        text = rest + piece
        rest = ""
        if (opened := _open_string(text)) is not None:
            rest, text = text[opened:], text[:opened]
        values = _strings(text, before)
        before = text[-OVERLAP:]
        if len(rest) > TEXT_LONG:
            values.append(Value(WHERE, _unescaped(rest[1:]), "body"))
            # The escape that may begin at the end is kept whole; the quote makes the rest a string again.
            rest = '"' + rest[-OVERLAP:].lstrip("\\")
        yield values
    yield _strings(rest, before) or [Value(WHERE, rest, "body")]


def _open_string(text: str) -> int | None:
    """Where a string begins that does not end within the text."""
    return next((token.start() for token in _TOKEN.finditer(text) if token[3] is not None), None)


def _strings(text: str, before: str = "") -> list[Value]:
    """Strings and names of a piece; the piece as text, with the end of the one before, where it is no JSON."""
    values = []
    for token in _TOKEN.finditer(text):
        said = _unescaped(token[1])
        if token[2] is None:
            values.append(Value(WHERE, said, "body"))
        elif len(said) > 1:
            values.append(Value(WHERE, said, "name"))
    if not _STRUCTURE(_TOKEN.sub(" ", text)):
        values.append(Value(WHERE, before + text, "body"))
    return values


def _unescaped(inner: str) -> str:
    if "\\" not in inner:
        return inner
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return inner


def _form(pieces: Iterator[str]) -> Iterator[list[Value]]:
    rest = ""
    for piece in pieces:
        whole, _, rest = (rest + piece).rpartition("&")
        if len(rest) > TEXT_LONG:
            whole, rest = f"{whole}&{rest}", rest[-OVERLAP:]
        yield _pairs(whole)
    yield _pairs(rest)


def _pairs(text: str) -> list[Value]:
    """Raises `FormError` for what is not encoded as forms are."""
    values = []
    for name, value in decode_pairs(text.encode("utf-8", "replace"), len(text) + 1):
        values += [Value(f"{WHERE}/{name[:64]}", value, "body")] if value else []
        values += [Value(WHERE, name, "name")] if len(name) > 2 else []
    return values
