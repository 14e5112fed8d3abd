"""Texts inside a document: JSON within a string, XML, and the parts of a message.

Refuses to know where the document stood and what its texts mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from quopri import decodestring
from urllib.parse import unquote, unquote_plus

from sallygate.parsing.json_text import JsonError, parse_json

NESTED_CHARS_MIN = 5
"""`{"a":1}` has seven; shorter text holds nothing to find."""
_TAG = re.compile(r"<[^<>]*+>")
_CDATA = re.compile(r"<!\[CDATA\[([^\]]*+(?:\](?!\]>)[^\]]*+)*+)\]\]>")
"""Markup in such a section is text to the parser of the document, and markup to a browser that shows it."""
_ATTRIBUTE = re.compile(r"=[ \t\r\n]*+(?:\"([^\"]*+)\"|'([^']*+)')")
_REQUEST_LINE = re.compile(
    r"\n{0,2}(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\S{1,8000}) HTTP/[12](?:\.\d)?(?:\n|\Z)"
)
_PART = re.compile(r"(?:\A|\r?\n)--[^\r\n]{1,80}(?:\r?\n|\Z)")


def xml_texts(text: str) -> Iterator[str]:
    """Character data and attribute values of a document, references of the predefined entities undone."""
    yield from (section for section in _CDATA.findall(text) if "<" in section)
    text = text.replace("<![CDATA[", "").replace("]]>", "")
    for run in _TAG.split(text):
        if len(run) > 2 and not run.isspace():
            yield unescape(run)
    for tag in _TAG.findall(text):
        for double, single in _ATTRIBUTE.findall(tag):
            yield unescape(double or single)


def mixed_texts(text: str) -> Iterator[str]:
    """The heads and bodies of the parts of a message of several (`multipart/mixed`), those of messages within one too."""
    for part in _PART.split(text):
        for piece in part.replace("\r\n", "\n").split("\n\n"):
            if (found := _REQUEST_LINE.match(piece)) is not None:  # a request in a batch (OData, Google)
                yield from target_texts(found[1])
                piece = piece[found.end() :]
            if "=" in piece and (undone := decodestring(piece.encode()).decode("utf-8", "replace")) != piece:
                yield undone  # quoted-printable, whatever the head of the part says
            if piece and not piece.isspace():
                yield from piece.split("\n") if ": " in piece.partition("\n")[0] else (piece,)


def target_texts(target: str) -> Iterator[str]:
    """Segments of the path, names and values of the query of a request's target, decoded; and the path as a whole."""
    path, _, query = target.partition("?")
    yield unquote(path)
    yield from (unquote(segment) for segment in path.split("/") if len(segment) > 1)
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        yield unquote_plus(name)
        yield unquote_plus(value)


def document_in(text: str) -> object | None:
    """The JSON array, object or string that `text` spells as a whole, or None. What readers could read differently is read
    leniently, and a member written twice is there twice. Raises `RecursionError` when nested some hundred levels deep."""
    text = text.strip("\ufeff \t\r\n")
    if len(text) < NESTED_CHARS_MIN or text[0] not in '{["' or text[-1] not in '}]"':
        return None
    try:
        return parse_json(text.encode())
    except (JsonError, UnicodeError):
        pass
    try:
        tree: object = json.loads(text, object_pairs_hook=_every_member, parse_int=float)
        return tree
    except ValueError:
        return None


def _every_member(pairs: list[tuple[str, object]]) -> object:
    members = dict(pairs)
    return members if len(members) == len(pairs) else [{name: value} for name, value in pairs]
