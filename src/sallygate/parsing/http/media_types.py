"""Reader of Content-Type: media type, parameters, and whether its charset can be read (RFC 9110, section 8.3).

A field that two parsers could read differently (a parameter twice, a bare semicolon inside a token, a comma
that joins two fields) is an error. It does not know which types an operation takes."""

from __future__ import annotations

import re

from msgspec import Struct

from sallygate.model.decision import HeaderList
from sallygate.model.finding import Finding
from sallygate.model.request import BodyKind

LENGTH_MAX = 256
"""Of the field value: the longest honest one, a multipart boundary of 70 and a charset, is below 130."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - a grammar, no secret
_TYPE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t -~])*)")')
_NO_PARAMETER = re.compile(r"[ \t]*;(?=[ \t]*(?:;|\Z))")
"""A semicolon with nothing behind it, which the grammar allows (RFC 9110, section 5.6.6)."""
_ESCAPE = re.compile(r"\\(.)")

READ_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
"""The last is a subset of the first; any other charset is a second reading of the same bytes."""
ASCII_READ_CHARSETS = frozenset({"iso-8859-1"})
"""Written by default by Apache HttpClient and Spring. Text of ASCII characters alone has one reading in it."""


class ContentType(Struct, frozen=True, gc=False):
    """A media type as sent: `name` is `type/subtype` in lower case; parameter names in lower case, values as
    sent."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str | None:
        """The value of parameter `name`, or None."""
        return next((value for key, value in self.parameters if key == name), None)


def kind_of(media: str) -> BodyKind:
    """How a body of a media type is read. XML and everything not named here is not looked into."""
    if media in ("application/json", "text/json") or media.endswith("+json"):
        return "json"
    if media == "application/x-www-form-urlencoded":
        return "form"
    if media == "multipart/form-data":
        return "multipart"
    if media.startswith("text/") and not media.endswith("/xml"):
        return "text"
    return "binary"


def parse_content_type(field: str) -> ContentType | None:
    """The media type `field` names, or None when it does not name exactly one."""
    field = field.strip(" \t")
    kind = _TYPE.match(field)
    if kind is None or len(field) > LENGTH_MAX:
        return None
    at = kind.end()
    parameters: list[tuple[str, str]] = []
    while at < len(field):
        if (empty := _NO_PARAMETER.match(field, at)) is not None:
            at = empty.end()
            continue
        found = _PARAMETER.match(field, at)
        if found is None:
            return None
        name, token, quoted = found.groups()
        name = name.lower()
        if any(name == known for known, _ in parameters):
            return None
        parameters.append((name, token if token is not None else _ESCAPE.sub(r"\1", quoted)))
        at = found.end()
    return ContentType(kind.group().lower(), tuple(parameters))


def judge_charset(media: ContentType) -> Finding | None:
    """A 415 finding when the text is announced in a charset other than UTF-8 or its subset."""
    charset = media.parameter("charset")
    if charset is None or charset.lower() in READ_CHARSETS | ASCII_READ_CHARSETS:
        return None
    return other_charset()


def is_ascii_only(media: ContentType) -> bool:
    """Whether the text is announced in a charset that reads as UTF-8 does for ASCII characters alone."""
    return (media.parameter("charset") or "").lower() in ASCII_READ_CHARSETS


def other_charset() -> Finding:
    """The 415 finding of text in a charset other than UTF-8."""
    return Finding(
        "body.charset",
        "text is read as UTF-8 only",
        415,
        where="header:content-type",
        rule="charset",
        owasp="API8",
    )


def media_and_coding(headers: HeaderList) -> tuple[bytes, bytes]:
    """Content type and content coding of a response, empty where it does not say."""
    media = coding = b""
    for name, value in headers:
        if name == b"content-type":
            media = value
        elif name == b"content-encoding":
            coding = coding + b", " * bool(coding) + value.strip().lower()
    return media, coding


def is_readable_json(media: bytes, coding: bytes) -> bool:
    """Whether a response of this content type and coding is JSON that can be read."""
    kind = media.partition(b";")[0].strip().lower()
    return coding in (b"", b"identity", b"gzip") and (kind == b"application/json" or kind.endswith(b"+json"))
