"""Reader of request heads, with one canonical reading. A head with two readings gets a fault, and is never forwarded.

Target by RFC 9112, section 3.2.1 and RFC 3986, section 3.3; header fields by RFC 9110, section 5. Servers differ in
what they let through, so everything is checked here again, for every server. What a server drops before us
(a `#fragment`, a lone `?`, an authority beside `Host`, a length beside chunks) is neither inspected nor forwarded.

Refuses to know what any of it means to the API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from sallygate.model.finding import Finding
from sallygate.model.request import Headers, RequestHead
from sallygate.parsing.addresses import UNKNOWN, Address, Prefixes, parse_address, strip_port

TARGET_BYTES_MAX = 16_384
"""Twice Apache's `LimitRequestLine` and nginx's line buffer: of 103,000 recorded honest requests 16 were longer than
those, two longer than this."""
HEADERS_MAX = 100
"""Apache's `LimitRequestFields`, and hyper's own."""
HEADER_BYTES_MAX = 32 * 1024
"""nginx takes 4 buffers of 8 KiB."""
QUERY_PAIRS_MAX = 256
"""Four times the largest form seen in recorded traffic; bounds the work of every control that looks at pairs."""
FORWARDED_HOPS_MAX = 32
"""No real chain is longer; bounds the walk."""
DECODINGS_MAX = 4
"""Of a path that is encoded more than once; nothing honest is encoded more than twice."""
METHOD_CHARS_MAX = 24
"""The longest registered method, UPDATEREDIRECTREF, has 17."""

SINGLETONS = frozenset(
    "host content-length content-type content-encoding transfer-encoding authorization expect from referer user-agent "
    "if-modified-since if-unmodified-since max-forwards origin upgrade x-forwarded-proto traceparent".split()
)
"""Fields that two parsers would pick differently from when repeated (RFC 9110, section 5.3)."""

_FORWARDING = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"forwarded"))

_PER_HOP = frozenset(
    "connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings".split()
)
"""What `Connection` may name (RFC 9110, section 7.6.1). Honest clients name nothing else."""

# RFC 3986's pchar, and what browsers leave as it is (URL standard, path percent-encode set; `^` until 2023).
_PLAIN_PATH = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]|^]*").fullmatch
_PATH = re.compile(rb"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]|^]|%[0-9A-Fa-f]{2})*").fullmatch
_QUERY_BAD = re.compile(rb"[\x00-\x20\x7f-\xff#]|%(?![0-9A-Fa-f]{2})|%00").search
_TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,24}").fullmatch
_VALUE_BAD_BYTES = bytes([*range(9), *range(10, 32), 127])
_HOST = re.compile(r"(?:[A-Za-z0-9\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]").search
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}").match
_LENGTH = re.compile(r"[0-9]{1,18}").fullmatch


class Fault(Exception):
    """The head reads two ways, or none. Carries the finding; never leaves this module."""

    def __init__(self, code: str, detail: str, status: int = 400, where: str = "", rule: str = "") -> None:
        """`rule` is the field of the policy that has the limit."""
        self.finding = Finding(f"request.{code}", detail, status, where=where, rule=rule, owasp="API8", attack="T1190")


class HeadLimits(Struct, frozen=True, gc=False):
    """Bounds of a head; each default has its reason where it is defined."""

    target_bytes: int = TARGET_BYTES_MAX
    fields: int = HEADERS_MAX
    bytes: int = HEADER_BYTES_MAX
    query_pairs: int = QUERY_PAIRS_MAX


LIMITS = HeadLimits()


class HeadReader(Struct, frozen=True):
    """How heads are read under one policy."""

    trusted_hops: Prefixes = Prefixes(())
    forwarded: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    ambiguous_paths: Literal["refuse", "allow"] = "refuse"
    """Encoded slashes and doubly encoded separators in the path."""
    singletons: frozenset[str] = SINGLETONS
    """With the headers that carry credentials."""
    limits: HeadLimits = LIMITS

    def read(
        self,
        *,
        method: str,
        scheme: str,
        raw_path: bytes,
        raw_query: bytes,
        headers: Headers,
        http_version: str,
        peer: str,
        request_id: str,
        now: float,
        websocket: bool = False,
    ) -> RequestHead:
        """Read a request head. Raises nothing: a head that reads two ways has `fault` set. `now` is in seconds since
        the epoch."""
        address = parse_address(peer) or UNKNOWN
        segments: tuple[str, ...] = ()
        query: tuple[tuple[str, str], ...] = ()
        fields: Mapping[str, str] = {}
        trace_id, fault = request_id, None
        try:
            if not _METHOD(method):
                raise Fault("method", "The method is not a token of at most 24 characters.")
            fields = self._fields(headers, http_version)
            if self.trusted_hops.lengths and address in self.trusted_hops:
                address, scheme = self._through_hops(fields, address, scheme)
            websocket = websocket or fields.get("upgrade", "").lower() == "websocket"
            trace = fields.get("traceparent")
            if trace and (found := _TRACEPARENT(trace)) and found[1].strip("0"):
                trace_id = found[1]
            if len(raw_path) + len(raw_query) > (most := self.limits.target_bytes):
                said = f"The request target is longer than {most} bytes."
                raise Fault("target_size", said, 414, rule="limits.target")
            segments = self._segments(raw_path)
            query = read_query(raw_query, self.limits.query_pairs) if raw_query else ()
        except Fault as error:
            fault = error.finding
        return RequestHead(
            method,
            scheme,
            raw_path,
            raw_query,
            headers,
            http_version,
            peer,
            address.text,
            address.network,
            segments,
            query,
            fields,
            request_id,
            trace_id,
            now,
            websocket,
            fault,
        )

    def early_client(self, peer: str, scheme: str, headers: Headers) -> Address | None:
        """The client address of a request over HTTPS of which nothing else is read; None where that has to be."""
        address = parse_address(peer)
        if address is not None and self.trusted_hops.lengths and address in self.trusted_hops:
            try:
                fields = self._joined(tuple([pair for pair in headers if pair[0] in _FORWARDING]))
                address, scheme = self._through_hops(fields, address, scheme)
            except Fault:
                return None
        return address if scheme == "https" else None

    def _segments(self, raw_path: bytes) -> tuple[str, ...]:
        if _PLAIN_PATH(raw_path):
            segments = raw_path.decode("ascii").split("/")[1:]
            if b"/." in raw_path:
                _no_dots(segments)
            return tuple(segments)
        if not raw_path.startswith(b"/"):
            raise Fault("path", "The request target must begin with a slash.")
        if not _PATH(raw_path):
            raise Fault("path", "The path has a character, or a percent sign, that must be percent-encoded.")
        try:
            segments = [unquote_to_bytes(part).decode("utf-8") for part in raw_path.split(b"/")[1:]]
        except UnicodeDecodeError:
            raise Fault("path", "The path is not UTF-8.") from None
        if self.ambiguous_paths == "refuse" and any(
            "%" in segment and _reads_otherwise(segment) for segment in segments
        ):
            raise Fault("path", "The path is percent-encoded twice.")
        if _CONTROL("".join(segments)):
            raise Fault("path", "The path contains a control character or a backslash.")
        _no_dots(segments)
        if any("/" in segment for segment in segments):
            if self.ambiguous_paths == "refuse":
                raise Fault("path", "The path contains an encoded slash.")
            _no_dots([part for segment in segments for part in segment.split("/")])
        return tuple(segments)

    def _fields(self, headers: Headers, http_version: str) -> Mapping[str, str]:
        if len(headers) > (most := self.limits.fields) and _fields_in(headers) > most:
            raise Fault("headers", f"There are more than {most} header fields.", 431, rule="limits.header_fields")
        values = b"".join([value for _, value in headers])
        if len(values) > (most := self.limits.bytes):
            raise Fault("headers", f"The header fields are longer than {most} bytes.", 431, rule="limits.header_bytes")
        if len(values.translate(None, _VALUE_BAD_BYTES)) < len(values):
            raise Fault("headers", "A header field contains a control character.")
        names = b"".join([name or b":" for name, _ in headers])
        if names.translate(None, _TOKEN_BYTES):
            raise Fault("headers", "A header field's name is not a token.")
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        if len(fields) < len(headers):
            fields = self._joined(headers)
        if b"_" in names:
            self._no_twins(fields)
        if "connection" in fields:
            _check_connection(fields)
        _check_framing(fields, http_version)
        return fields

    def _joined(self, headers: Headers) -> dict[str, str]:
        fields: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name not in fields:
                fields[name] = value
            elif name in self.singletons:
                raise Fault("header_repeated", "A header field that may occur once is repeated.", where=_at(name))
            else:
                fields[name] += ("; " if name == "cookie" else ", ") + value
        return fields

    def _no_twins(self, fields: Mapping[str, str]) -> None:
        """CGI, WSGI and PHP read `Content_Length` as `Content-Length`: a name that is another's to them is refused."""
        dashed = {name.replace("_", "-") for name in fields}
        if len(dashed) < len(fields) or any(
            "_" in name and name.replace("_", "-") in self.singletons for name in fields
        ):
            raise Fault("header_underscore", "A header field's name differs from another's only by an underscore.")

    def _through_hops(self, fields: Mapping[str, str], peer: Address, scheme: str) -> tuple[Address, str]:
        """The nearest address no trusted hop vouches for, and the scheme the hops report."""
        chain = fields.get(self.forwarded, "")
        hops = [hop.strip() for hop in chain.split(",")] if chain else []
        if len(hops) > FORWARDED_HOPS_MAX:
            raise Fault("forwarded", f"More than {FORWARDED_HOPS_MAX} forwarding hops.", where=_at(self.forwarded))
        address = peer
        for index, hop in enumerate(reversed(hops)):
            if self.forwarded == "forwarded":
                parameters = _forwarded(hop)
                hop = parameters.get("for", "")
                if index == 0 and "proto" in parameters:
                    scheme = parameters["proto"].lower()
            found = parse_address(strip_port(hop))
            if found is None:
                raise Fault(
                    "forwarded",
                    "A forwarding header contains something other than an address.",
                    where=_at(self.forwarded),
                )
            address = found
            if address not in self.trusted_hops:
                break
        if self.forwarded == "x-forwarded-for" and (reported := fields.get("x-forwarded-proto")):
            scheme = reported.strip().lower()
        return address, "https" if scheme in ("https", "wss") else "http"


def _fields_in(headers: Headers) -> int:
    """How many there are, the pieces of a cookie counted as one (RFC 9113, section 8.2.3)."""
    cookies = sum(name == b"cookie" for name, _ in headers)
    return len(headers) - max(0, cookies - 1)


def _at(name: str) -> str:
    return f"header:{name}"


def _forwarded(element: str) -> dict[str, str]:
    """One element of `Forwarded` (RFC 7239, section 4); later parameters of the same name are refused."""
    parameters: dict[str, str] = {}
    for pair in element.split(";"):
        name, equals, value = pair.strip().partition("=")
        if not equals or name.lower() in parameters:
            raise Fault("forwarded", "The Forwarded header is malformed.", where="header:forwarded")
        parameters[name.lower()] = value.strip('"')
    return parameters


def _reads_otherwise(segment: str) -> bool:
    """Whether a server that decodes once more sees another path: a separator, a NUL, a dot segment."""
    for _ in range(DECODINGS_MAX):
        decoded = unquote_to_bytes(segment).decode("latin-1")
        if decoded == segment:
            return False
        if any(mark in decoded for mark in "/\\\0") or decoded.partition(";")[0] in (".", ".."):
            return True
        segment = decoded
    return True


def _no_dots(segments: list[str]) -> None:
    # `..;x` is `..` to servers that know path parameters (Tomcat), and a name to those that do not.
    for segment in segments:
        if segment.startswith(".") and segment.partition(";")[0] in (".", ".."):
            raise Fault("path", "The path contains a dot segment.")


def _check_connection(fields: Mapping[str, str]) -> None:
    """A hop takes off what `Connection` names, so the API would get another request than the one inspected."""
    for name in fields["connection"].lower().split(","):
        if (name := name.strip()) in fields and name not in _PER_HOP:
            raise Fault("connection", "The Connection header names a field that is not per hop.",
                        where="header:connection")  # fmt: skip


def _check_framing(fields: Mapping[str, str], http_version: str) -> None:
    """RFC 9112, section 6.3: one length, in one spelling, from one header."""
    length, coding, host = fields.get("content-length"), fields.get("transfer-encoding"), fields.get("host")
    if length is not None:
        if coding is not None:
            raise Fault("framing", "Content-Length and Transfer-Encoding are both given.")
        if not _LENGTH(length):
            raise Fault("framing", "Content-Length is not a number.", where="header:content-length")
    if coding is not None and (coding.lower() != "chunked" or http_version == "1.0"):
        raise Fault("framing", "Transfer-Encoding must be chunked.", where="header:transfer-encoding")
    if host is None:
        if http_version == "1.1":
            raise Fault("host", "The Host header is missing.", where="header:host")
    elif not _HOST(host) and (host or http_version != "1.0"):
        raise Fault("host", "The Host header is not a host and port.", where="header:host")


def read_query(raw_query: bytes, pairs_max: int = QUERY_PAIRS_MAX) -> tuple[tuple[str, str], ...]:
    """Decoded pairs, `+` as a space (the form encoding every framework reads queries by)."""
    if _QUERY_BAD(raw_query):
        raise Fault("query", "The query has a character, a NUL or a percent sign that is not allowed.")
    parts = raw_query.decode("ascii").split("&")
    if len(parts) > pairs_max:
        raise Fault("query", f"The query has more than {pairs_max} pairs.", rule="limits.query_fields")
    plain = b"%" not in raw_query and b"+" not in raw_query
    pairs = []
    for part in parts:
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value) if plain else (_unquote(name), _unquote(value)))
    return tuple(pairs)


def _unquote(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("query", "The query is not UTF-8.") from None
