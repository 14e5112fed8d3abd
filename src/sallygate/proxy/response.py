"""Reader of one upstream response: bytes in; head, body and trailer fields out. Sans-IO.

llhttp reads every head and every chunked body, with all its leniencies off. It does not know the method that was asked
with, and names no position where it stops. So this module finds the end of each head itself, gives llhttp exactly one
head at a time, and decides from the fields how the body ends (RFC 9112, section 6.3). Bodies that are not chunked are
counted here and never reach llhttp.

What llhttp takes and this module refuses: HTTP/0.9 and 2.0, RTSP and ICE; empty lines before the status line; statuses
below 100; control characters in the reason; any transfer coding but one `chunked`; an interim response with a body;
framing fields among the trailers; heads, fields and chunk framing of any size.

Refuses to know connections, time, and which fields a client gets.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec
from httptools import HttpParserError, HttpResponseParser

from sallygate.proxy.request import Fields

LINE_BYTES_MAX: Final = 8190
"""A status line; Apache's own number (`LimitRequestLine`)."""

FIELD_BYTES_MAX: Final = 16 * 1024
"""One response header field; twice what nginx buffers for a whole head, for the sake of long security policies."""

FIELDS_MAX: Final = 200
"""Response header fields, and trailer fields; twice Apache's `LimitRequestFields`."""

HEAD_BYTES_MAX: Final = 300 * 1024
"""One response head; curl's number (`MAX_HTTP_RESP_HEADER_SIZE`). Envoy allows 60 KiB, Go 10 MiB."""

FRAMING_BYTES_MAX: Final = 64 * 1024
"""Chunk sizes, extensions and trailer fields with no byte of body between them. Go's reader allows 16 KiB without the
trailers. A chunk size may have any number of zeros and extensions, so that a body need not come to an end."""

Framing = Literal["none", "length", "chunked", "to_end"]
"""What ends a body: there is none; its length; its last chunk; the end of the connection."""

_HEAD_END: Final = b"\r\n\r\n"
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_VERSION: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n")
"""RFC 9112, section 4. The space before an absent reason is left away by many servers."""

_BODILESS: Final = frozenset((204, 304))


class ResponseError(Exception):
    """The bytes are no response; `args[0]` is why."""


class ResponseHead(msgspec.Struct, frozen=True):
    """The head of a final response."""

    status: int
    """100 to 999."""
    fields: list[tuple[bytes, bytes]]
    """Names as sent, values without the white space around them, in the order received."""
    framing: Framing
    length: int
    """Size of the body in bytes, with the framing `length`; else 0."""
    is_last: bool
    """Whether its connection cannot carry another response."""


class ResponseReader:
    """Reads one response, and the interim ones before it."""

    __slots__ = (
        "_fields",
        "_framing_bytes",
        "_has_fields",
        "_is_persistent",
        "_left",
        "_line_ends",
        "_parser",
        "_pending",
        "_pieces",
        "_to_head",
        "complete",
        "has_excess",
        "head",
        "trailers",
    )

    def __init__(self, *, to_head: bool = False) -> None:
        """`to_head`: the response to HEAD, which has no body whatever its fields say."""
        self._to_head = to_head
        self._pending = bytearray()
        """The beginning of a head."""
        self._parser: HttpResponseParser | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._has_fields = False
        self._is_persistent = True
        """Whether no head said that the connection ends with this response."""
        self._left = 0
        """Bytes of body that have not come."""
        self._pieces: list[bytes] = []
        self._framing_bytes = 0
        """Bytes since the last byte of a chunked body."""
        self._line_ends = 0
        """CR and LF bytes at the end of what has come of a chunked body."""
        self.head: ResponseHead | None = None
        self.complete = False
        """Whether the whole response has come."""
        self.has_excess = False
        """Whether bytes came after its end."""
        self.trailers: Fields = ()
        """Trailer fields (RFC 9110, section 6.5), complete with the response; never among the header fields."""

    def feed(self, data: bytes) -> bytes:
        """Takes what the connection brought; returns what of it is body. Raises `ResponseError`."""
        if self.head is None:
            data = self._read_heads(data)
            if self.head is None:
                return b""
        if not data:
            return b""
        if self.complete:
            self.has_excess = True
            return b""
        if self.head.framing == "length":
            return self._count(data)
        if self.head.framing == "chunked":
            return self._read_chunks(data)
        return data

    def end(self) -> None:
        """Takes the end of the connection. Raises `ResponseError` for one that ends in the middle of a response."""
        if self.head is not None and self.head.framing == "to_end":
            self.complete = True
        if not self.complete:
            raise ResponseError("the connection ended before the response did")

    def _read_heads(self, data: bytes) -> bytes:
        """What follows the final head; empty as long as that has not come."""
        pending = self._pending
        searched = 0
        if pending:
            searched = max(len(pending) - len(_HEAD_END) + 1, 0)
            pending += data
            if pending.find(_HEAD_END, searched) < 0:
                data = b""
            else:
                data = bytes(pending)
                pending.clear()
        start = 0
        while (end := data.find(_HEAD_END, start)) >= 0:
            end += len(_HEAD_END)
            head = self._read_head(data[start:end])
            start = end
            if head.status >= 200:
                self.head = head
                return data[end:]
        if data:
            pending += data[start:]
            searched = 0
        self._check_beginning(searched)
        return b""

    def _check_beginning(self, searched: int) -> None:
        """Refuses at once what no further byte makes a head: who sends it may wait for ever."""
        pending = self._pending
        if len(pending) > HEAD_BYTES_MAX:
            raise ResponseError(f"the head is longer than {HEAD_BYTES_MAX} bytes")
        if not _VERSION.startswith(bytes(pending[: len(_VERSION)])):
            raise ResponseError("the connection does not speak HTTP/1")
        if _EMPTY_LINE.search(pending, searched) is not None:
            raise ResponseError("a line of the head ends without CR")

    def _read_head(self, head: bytes) -> ResponseHead:
        line = _STATUS_LINE.match(head)
        if line is None:
            raise ResponseError("the status line is none of HTTP/1.0 or HTTP/1.1")
        status = int(line[2])
        if status == 101:
            raise ResponseError("the upstream changes to a protocol that nobody asked for")
        _check_sizes(head, line.end())
        self._fields, self._has_fields = [], False
        self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(head)
        except HttpParserError as error:
            raise ResponseError(str(error)) from error
        if not self._has_fields:
            raise ResponseError("the head has no end")
        return self._framed(status, line[1] == b"0")

    def _framed(self, status: int, is_old: bool) -> ResponseHead:
        fields, length, coding = self._fields, None, None
        for name, value in fields:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                if length is not None or not value.isdigit():
                    raise ResponseError("Content-Length is no number, or there are two")
                length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                if coding is not None or value.lower() != b"chunked":
                    raise ResponseError("a transfer coding that would be lost on the way")
                coding = value
        if coding is not None and length is not None:
            raise ResponseError("Content-Length and Transfer-Encoding at once")
        is_last = not self._is_persistent or (coding is not None and is_old)  # RFC 9112, section 6.1
        framing: Framing
        if status < 200:
            if coding is not None or length:
                raise ResponseError("an interim response with a body")
            framing = "none"
        elif self._to_head or status in _BODILESS or length == 0:
            framing = "none"
            # A 204 that speaks of a body may bring it: the next response could be part of this one.
            is_last = is_last or (status == 204 and (coding is not None or bool(length)))
        elif coding is not None:
            framing = "chunked"
        else:
            framing = "to_end" if length is None else "length"
        if status >= 200:
            self._begin_body(framing, length or 0)
        return ResponseHead(status, fields, framing, self._left, is_last)

    def _begin_body(self, framing: Framing, length: int) -> None:
        if framing == "chunked":
            self._fields = []
            self.trailers = self._fields
            return
        self._parser = None
        if framing == "none":
            self.complete = True
        elif framing == "length":
            self._left = length

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left > 0:
            return data
        self.complete = True
        if self._left == 0:
            return data
        self.has_excess = True
        return data[: self._left]

    def _read_chunks(self, data: bytes) -> bytes:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.complete:
                raise ResponseError(str(error)) from error
            self.has_excess = True
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        tail = data[-5:]
        line_ends = len(tail) - len(tail.rstrip(b"\r\n"))
        self._line_ends = line_ends + (self._line_ends if line_ends == len(data) else 0)
        if self.complete:
            self._parser = None
            # llhttp passes over empty lines between two responses. The last chunk ends with two line ends.
            self.has_excess = self.has_excess or self._line_ends > len(_HEAD_END)
        elif body:
            self._framing_bytes = 0
        else:
            self._framing_bytes += len(data)
            if self._framing_bytes > FRAMING_BYTES_MAX:
                raise ResponseError("chunk framing or trailers without end")
        return body

    # What llhttp calls ------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Callback of the parser. Raises `ResponseError` if a second response begins."""
        if self.complete:
            raise ResponseError("another response follows")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Callback of the parser: one field of the head or of the trailers."""
        if self.head is not None:
            self._check_trailer(name, value)
        self._fields.append((name, value.rstrip(b" \t")))  # llhttp takes off what stands before the value only

    def on_headers_complete(self) -> None:
        """Callback of the parser: the head is complete."""
        self._has_fields = True
        assert self._parser is not None
        self._is_persistent = self._is_persistent and self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """Callback of the parser: a piece of the body."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Callback of the parser: the response is complete; interim responses (1xx) do not count."""
        if self.head is not None:
            self.complete = True

    def _check_trailer(self, name: bytes, value: bytes) -> None:
        if len(self._fields) == FIELDS_MAX or len(name) + len(value) > FIELD_BYTES_MAX:
            raise ResponseError("too many trailer fields, or one too long")
        if name.lower() in (b"content-length", b"transfer-encoding"):
            raise ResponseError("framing among the trailer fields")


def _check_sizes(head: bytes, line_end: int) -> None:
    if line_end > LINE_BYTES_MAX:
        raise ResponseError(f"the status line is longer than {LINE_BYTES_MAX} bytes")
    if head.count(b"\n") > FIELDS_MAX + 2:
        raise ResponseError(f"more than {FIELDS_MAX} header fields")
    if len(head) > FIELD_BYTES_MAX:
        if len(head) > HEAD_BYTES_MAX:
            raise ResponseError(f"the head is longer than {HEAD_BYTES_MAX} bytes")
        if max(map(len, head.split(b"\r\n"))) > FIELD_BYTES_MAX:
            raise ResponseError(f"a header field is longer than {FIELD_BYTES_MAX} bytes")
