"""Reading of bodies for inspection: which bodies can be inspected, and how their bytes become values.

With a contract, bodies come parsed by what it declares, and only what it would stream unread although it holds text (XML)
is read here. Without one, this is the only reader: by the media type where the bytes agree with it, as text where not,
since an application that ignores the media type would read them, too.

Refuses to know attacks.
"""

from __future__ import annotations

import codecs
import re
from typing import Literal

from msgspec.structs import replace

from sallygate.controls.injection.pipeline.decodings import folded, utf8
from sallygate.model.finding import Finding
from sallygate.model.request import Body, BodyKind, BodyPlan, RequestHead
from sallygate.parsing.http.body import BodyLimits, parse_body
from sallygate.parsing.http.media_types import ContentType, kind_of, parse_content_type

_OPAQUE = ("image/", "audio/", "video/", "font/", "application/octet-stream", "application/pdf", "application/zip",
           "application/gzip", "application/x-tar", "application/wasm", "application/vnd.openxmlformats",
           "application/vnd.ms-", "application/msword", "application/grpc", "application/x-protobuf",
           "application/protobuf", "application/msgpack", "application/cbor")  # fmt: skip
"""Media types whose bytes no language of attacks is written in. `image/svg+xml` is text, and recognised by its ending."""
_READABLE_CHARSETS = frozenset(
    "utf-8 ascii iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 "
    "iso8859-13 iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 koi8-r "
    "koi8-u gb2312 gbk gb18030 big5 euc_jp euc_kr shift_jis cp932 cp949".split()
)
"""In which an ASCII character is its own byte. In others (UTF-7, UTF-16, EBCDIC) an attack can be written that reads as
something else in ASCII."""


_CONTROLS = bytes([*range(9), 11, *range(14, 32), 127])
CONTROLS_SHARE_MAX = 0.04
"""Of random bytes 11% are control characters; of text in any charset that is read here, none."""
_WORDS = re.compile(r"[\t\n\r\x20-\x7e]{8,}").findall
"""What can be read in bytes that are no text. Random bytes hold such a run once in some 3,500."""
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""The longer first: one begins with the other."""
_ZEROS: dict[tuple[bool, ...], str] = {
    (False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be",
}  # fmt: skip
_TWO_READINGS = frozenset(("duplicate", "utf8"))
"""Rules of JSON whose breach readers take differently. Other broken JSON is text: some applications take it."""
_BOUNDARY = re.compile(rb"--([\x21-\x7e]{1,70})\r\nContent-Disposition:", re.IGNORECASE)
"""How a multipart body begins whose media type was lost."""


def is_opaque(media: str) -> bool:
    """Whether bytes of a media type carry no language of attacks: images, audio, video, archives."""
    return media.startswith(_OPAQUE) and not media.endswith(("+xml", "+json"))


def plan_body(
    head: RequestHead, plan: BodyPlan, bytes_max: int, uninspected: Literal["refuse", "pass", "spool"]
) -> BodyPlan | Finding:
    """How to read what would otherwise stream past; or why it is not going to be."""
    media = parse_content_type(head.fields.get("content-type", ""))
    name = media.name if media is not None else ""
    if plan.declared and (is_opaque(name) or not name):
        return plan
    kind: BodyKind = "binary" if plan.declared else kind_of(name)
    if kind == "multipart":
        bytes_max = plan.bytes_max  # of its parts only the fields are inspected, and they are counted later
    length = head.fields.get("content-length")
    if length is None and is_opaque(name):  # how large it is, nobody can say: as one that says it is large
        return plan
    spooled = uninspected == "spool" and kind != "multipart" and (length is None or _is_over(length, bytes_max))
    if not spooled and _is_over(length, bytes_max):
        return plan if uninspected == "pass" or is_opaque(name) else too_large(bytes_max)
    if codec_of(media) is None:
        return plan if uninspected == "pass" else _charset()
    if spooled:
        return plan if is_opaque(name) else replace(plan, mode="spool", kind=kind, media=name)
    boundary = (media.parameter("boundary") or "") if media is not None and kind == "multipart" else ""
    whole = replace(plan, mode="whole", kind=kind, media=name, boundary=boundary)
    if plan.bytes_max <= bytes_max:
        return whole
    return replace(whole, bytes_max=bytes_max, over="injection.size", limit="injection.inspect")


def _is_over(length: str | None, bytes_max: int) -> bool:
    return length is not None and (len(length) > 15 or not length.isdigit() or int(length) > bytes_max)


def too_large(bytes_max: int) -> Finding:
    """Finding `injection.size` (413): the body exceeds `bytes_max` bytes."""
    detail = f"The body is larger than the {bytes_max} bytes that are inspected."
    return Finding("injection.size", detail, 413, where="body:", rule="injection.inspect", owasp="API4")


def _charset() -> Finding:
    detail = "Text in this charset is not inspected; send UTF-8."
    return Finding("injection.charset", detail, 415, where="header:content-type", rule="charset", owasp="API8")


def codec_of(media: ContentType | None) -> str | None:
    """The codec of a body's text, or None when it is one that cannot be inspected."""
    charset = media.parameter("charset") if media is not None else None
    if not charset:
        return "utf-8"
    try:
        name = codecs.lookup(charset.strip(" '\"")).name
    except (LookupError, ValueError):
        return None
    return name if name in _READABLE_CHARSETS else None


def read_body(head: RequestHead, plan: BodyPlan, raw: bytes, limits: BodyLimits) -> Body | Finding:
    """A body read without a contract: as its media type says, or, where the bytes are not that, as text. What two readers
    would take for different fields is refused: a broken multipart body or form, a member of JSON that is given twice. JSON
    and XML that say to be a form are read as what they are: such is the default of some clients (curl)."""
    if plan.kind in ("json", "form", "multipart"):
        parsed = parse_body(plan, raw, limits)
        if isinstance(parsed, Body) or plan.kind == "multipart":
            return parsed
        if plan.kind == "json" and parsed.rule in _TWO_READINGS:
            return parsed
        if plan.kind == "form":
            return parsed if parsed.rule == "limits.form_fields" else _mislabelled(plan, raw, limits) or parsed
    media = parse_content_type(head.fields.get("content-type", ""))
    if raw.startswith(b"--") and (boundary := _BOUNDARY.match(raw)) is not None:
        parsed = parse_body(replace(plan, kind="multipart", boundary=boundary[1].decode()), raw, limits)
        if isinstance(parsed, Body):
            return parsed
    return as_text(raw, plan.media, codec_of(media) or "utf-8")


def _mislabelled(plan: BodyPlan, raw: bytes, limits: BodyLimits) -> Body | None:
    """A document that says to be a form; None for bytes that are neither JSON nor begin as XML does."""
    if raw.lstrip()[:1] == b"<":
        return as_text(raw, "application/xml")
    document = parse_body(replace(plan, kind="json"), raw, limits)
    return document if isinstance(document, Body) and isinstance(document.tree, (dict, list)) else None


def as_text(raw: bytes, media: str, codec: str = "utf-8") -> Body:
    """Bytes as the text a reader may find in them: UTF-8; UTF-16 or UTF-32 where a byte order mark or its zeros tell; of
    bytes full of control characters the words; of an opaque media type nothing but UTF-8 all through."""
    wide = _wide_codec(raw)
    try:
        text = raw.decode(wide or codec)
    except UnicodeDecodeError:
        if is_opaque(media):
            return Body(raw, "binary", media, None)
        text = utf8(raw) if codec == "utf-8" else raw.decode(codec, "replace")
    if wide is None and len(raw.translate(None, _CONTROLS)) < len(raw) * (1 - CONTROLS_SHARE_MAX):
        text = "\n".join(_WORDS(folded(text) or text))
    return Body(raw, "text", media, text)


def _wide_codec(raw: bytes) -> str | None:
    """The codec of text whose characters have two or four bytes: by its mark, or by the zeros of ASCII's upper bytes."""
    for mark, codec in _MARKS.items():
        if raw.startswith(mark):
            return codec
    return _ZEROS.get(tuple(byte == 0 for byte in raw[:4]))


def inspected_bytes(body: Body) -> int:
    """How much of a body is inspected."""
    if body.kind == "multipart" and isinstance(body.tree, tuple):
        return sum(len(part.data) for part in body.tree if not part.filename)
    return len(body.raw)
