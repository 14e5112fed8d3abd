"""Reader of multipart/form-data (RFC 7578) that accepts only bodies with one reading.

Parsers disagree about nearly everything here: bare line feeds, text before the first and after the last
boundary, a boundary cut short, names given twice, `filename*` that says something else than `filename`, folded headers,
nested multiparts. Each disagreement is a way to show one body to a gate and another to the application (WAF
bypasses; RFC 7578, section 5, warns of some), so each is refused. Whole bodies only; it does not know which parts are
expected.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from sallygate.model.request import Part
from sallygate.parsing.http.media_types import READ_CHARSETS, is_ascii_only, parse_content_type

PARTS_MAX = 1000
"""Parts of one body. Forms written for people have tens of fields; Starlette and Django stop at 1,000, too."""
HEADER_BYTES_MAX = 4096
"""Header lines of one part: three short fields and a file name of 255 characters, escaped, fit three
times."""
BOUNDARY_MAX = 70
"""RFC 2046, section 5.1.1."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_DISPOSITION = re.compile(r"""form-data((?:;[ \t]*[a-z*]+=(?:"[^"\\]*"|[\w.'%-]+))*)[ \t]*""", re.IGNORECASE | re.ASCII)
_PARAMETER = re.compile(r""";[ \t]*([a-zA-Z*]+)=(?:"([^"\\]*)"|([\w.'%-]+))""", re.ASCII)
_EXTENDED = re.compile(r"utf-8''([\w.%-]+)", re.IGNORECASE | re.ASCII)
"""A value of RFC 8187."""
_READ = frozenset({"content-disposition", "content-type", "content-transfer-encoding", "content-length"})
_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})


class MultipartError(ValueError):
    """The body could be read in two ways, or in none. `detail` holds nothing that was sent."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


def parse_multipart(
    raw: bytes, boundary: str, parts_max: int = PARTS_MAX, header_bytes_max: int = HEADER_BYTES_MAX
) -> tuple[Part, ...]:
    """The parts of a whole body, in order. Raises `MultipartError`; time is linear in the size."""
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError("boundary", "the boundary is missing, too long, or has characters no boundary has")
    delimiter = b"--" + boundary.encode()
    if not raw.startswith(delimiter):
        raise MultipartError("preamble", "does not begin with its boundary")
    if raw.count(b"\r\n" + delimiter) > parts_max:
        raise MultipartError("limits.parts", f"more than {parts_max} parts")
    pieces = (b"\r\n" + raw).split(b"\r\n" + delimiter)[1:]
    last = pieces.pop()
    if last not in (b"--", b"--\r\n"):
        raise MultipartError("epilogue", "does not end with its closing boundary")
    # Browsers write an empty `FormData` as the closing boundary alone.
    return tuple(_part(piece, delimiter, header_bytes_max) for piece in pieces)


def _part(piece: bytes, delimiter: bytes, header_bytes_max: int) -> Part:
    if not piece.startswith(b"\r\n"):
        raise MultipartError("boundary", "a boundary is followed by something else than a line break")
    end = piece.find(b"\r\n\r\n", 0, header_bytes_max + 4)
    if end < 2:
        raise MultipartError("headers", f"a part has no header, or more than {header_bytes_max} bytes of them")
    data = piece[end + 4 :]
    if b"\n" + delimiter in data or b"\r" + delimiter in data:
        raise MultipartError("boundary", "a boundary stands after a bare line feed")
    fields = _fields(piece[2:end])
    name, filename = _disposition(fields.get("content-disposition"))
    media = _media(fields.get("content-type"), data)
    if fields.get("content-transfer-encoding", "8bit").lower() not in _PLAIN_ENCODINGS:
        raise MultipartError("transfer_encoding", "a part is encoded for mail")
    length = fields.get("content-length")
    if length is not None and length != str(len(data)):
        raise MultipartError("content_length", "a part's Content-Length is not its length")
    others = tuple([value for field, value in fields.items() if field not in _READ])
    return Part(name, filename, media, data, others)


def _fields(head: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        if b"\n" in line or b"\r" in line or b"\x00" in line:
            raise MultipartError("headers", "a part's header holds a bare line break or a NUL")
        found = _FIELD.fullmatch(line)
        if found is None:
            raise MultipartError("headers", "a line of a part's header is folded, or is none")
        name = found.group(1).decode().lower()
        if name in fields:
            raise MultipartError("headers", "a part has a header twice")
        try:
            fields[name] = found.group(2).decode("utf-8")
        except UnicodeDecodeError:
            raise MultipartError("headers", "a part's header is not UTF-8") from None
    return fields


def _disposition(field: str | None) -> tuple[str, str | None]:
    """Name and file name, each at most once: a token, or quoted without backslashes (browsers write `%22` for a quote).
    `filename*`, which .NET sends besides, has to say what `filename` says: some read the one, some the other."""
    found = _DISPOSITION.fullmatch(field or "")
    if found is None:
        raise MultipartError("disposition", "a part's Content-Disposition is missing or is not plain form-data")
    parameters: dict[str, str] = {}
    for key, quoted, token in _PARAMETER.findall(found.group(1)):
        key, value = key.lower(), quoted or token
        odd = quoted != "" if key == "filename*" else "'" in token or "%" in token
        if odd or key not in ("name", "filename", "filename*") or key in parameters:
            raise MultipartError("disposition", "a part's Content-Disposition has a parameter twice, or an odd one")
        if any(char < " " or char == "\x7f" for char in value):
            raise MultipartError("disposition", "a part's name holds a control character")
        parameters[key] = value
    if not parameters.get("name"):
        raise MultipartError("disposition", "a part has no name")
    extended = parameters.pop("filename*", None)
    if extended is not None:
        spelled = _EXTENDED.fullmatch(extended)
        if spelled is None or unquote_to_bytes(spelled[1]) != parameters.get("filename", "").encode():
            raise MultipartError("disposition", "a part's filename* says something else than its filename")
    return parameters["name"], parameters.get("filename")


def _media(field: str | None, data: bytes) -> str:
    if field is None:
        return "text/plain"
    media = parse_content_type(field)
    if media is None:
        raise MultipartError("content_type", "a part's Content-Type is not one media type")
    if media.name.startswith(("multipart/", "message/")):
        raise MultipartError("nested", "a part holds parts of its own")
    charset = media.parameter("charset")
    if charset is not None and charset.lower() not in READ_CHARSETS and not (is_ascii_only(media) and data.isascii()):
        raise MultipartError("charset", "a part is in a charset other than UTF-8")
    return media.name
