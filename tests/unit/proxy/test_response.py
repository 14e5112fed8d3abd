"""Responses as bytes: what is taken, how it is framed, what is refused. Where llhttp alone would take more, or once took
other answers than another reader, the case stands here with the right value."""

from __future__ import annotations

from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sallygate.proxy import response
from sallygate.proxy.response import ResponseError, ResponseReader

START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, to_head: bool = False) -> tuple[ResponseReader, bytes]:
    """The reader after these pieces, and the body they brought."""
    reader = ResponseReader(to_head=to_head)
    return reader, b"".join([reader.feed(piece) for piece in pieces])


def is_kept(reader: ResponseReader) -> bool:
    """Whether its connection may carry another response."""
    assert reader.head is not None
    return reader.complete and not reader.has_excess and not reader.head.is_last


# what is taken --------------------------------------------------------------------------------------------------------

WHOLE = {
    "length": (START + b"Content-Length: 2\r\n\r\nok", b"ok", True),
    "white space around a length": (START + b"Content-Length: \t 2 \t\r\n\r\nok", b"ok", True),
    "length with zeros": (START + b"Content-Length: 0002\r\n\r\nok", b"ok", True),
    "no length but nothing": (START + b"Content-Length: 0\r\n\r\n", b"", True),
    "chunks": (CHUNKED + b"2\r\nok\r\n00000000a\r\n0123456789\r\n0\r\n\r\n", b"ok0123456789", True),
    "chunk extensions": (CHUNKED + b'2;a=b;c;d="e\\"f"\r\nok\r\n0;x\r\n\r\n', b"ok", True),
    "coding in capitals": (START + b"TRANSFER-ENCODING: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok", True),
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "no reason and no space": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "a reason in Latin 1": (b"HTTP/1.1 404 introuv\xe9\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "a status nobody registered": (b"HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "bytes above 127 in a value": (START + b"X: caf\xc3\xa9 \xe9\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "an empty value": (START + b"X:\r\nY: \r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "upgrade offered": (START + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "close": (START + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "close in a list": (START + b"Connection: foo, Close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "HTTP/1.0, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "HTTP/1.0, chunked": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"ok",
        False,
    ),
    "interim responses": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: a\r\n\r\n" + START
                          + b"Content-Length: 2\r\n\r\nok", b"ok", True),
    "interim response that closes": (b"HTTP/1.1 103 E\r\nConnection: close\r\n\r\n" + START
                                     + b"Content-Length: 2\r\n\r\nok", b"ok", False),
    "interim response with an empty body": (b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n" + START
                                            + b"Content-Length: 2\r\n\r\nok", b"ok", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "204 that speaks of a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"", False),
    "204 that speaks of chunks": (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", b"", False),
    "204 that speaks of nothing": (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b"", True),
    "304 with the length of what was not sent": (b"HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", b"", True),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("by_byte", [False, True])
def test_a_response_is_read_as_it_is_framed(name: str, by_byte: bool) -> None:
    sent, body, kept = WHOLE[name]
    pieces = [sent[at : at + 1] for at in range(len(sent))] if by_byte else [sent]
    reader, got = read(*pieces)
    assert reader.complete and not reader.has_excess
    assert (got, is_kept(reader)) == (body, kept)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(START + b"\r\nok", b"ok"), (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"), (START + b"\r\n", b"")],
)
def test_without_framing_the_end_of_the_connection_ends_the_body(sent: bytes, expected: bytes) -> None:
    reader, body = read(sent)
    assert not reader.complete
    reader.end()
    assert reader.complete and body == expected and not is_kept(reader)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n"]
)
def test_the_response_to_head_ends_with_its_head(framing: bytes) -> None:
    reader, body = read(START + framing + b"\r\n", to_head=True)
    assert reader.complete and body == b"" and is_kept(reader)


@pytest.mark.parametrize(
    ("sent", "to_head", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, b""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", False, b""),
        (START + b"Content-Length: 4\r\n\r\n", True, b""),
        (START + b"Content-Length: 2\r\n\r\nok", False, b"ok"),
        (START + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", False, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", False, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", False, b"ok"),
    ],
)
@pytest.mark.parametrize(
    "excess", [b"more", START + b"Content-Length: 4\r\n\r\nevil", START + b"\r\nevil", b"\r\n", b"\n", b"\0"]
)
@pytest.mark.parametrize("cut", [0, 1, 4])
def test_bytes_after_the_end_are_nobodys_and_end_the_connection(
    sent: bytes, to_head: bool, body: bytes, excess: bytes, cut: int
) -> None:
    sent += excess
    at = len(sent) - len(excess) - cut
    reader, got = read(sent[:at], sent[at:], to_head=to_head)
    assert reader.complete and got == body
    assert reader.has_excess and not is_kept(reader)
    assert all(name != b"Content-Length" for name, _ in reader.trailers)


def test_fields_come_as_they_were_sent() -> None:
    reader, _ = read(START + b"Set-Cookie: a=1\r\nX-B:  two words \t\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n")
    assert reader.head is not None
    assert reader.head.fields == [
        (b"Set-Cookie", b"a=1"),
        (b"X-B", b"two words"),
        (b"set-cookie", b"b"),
        (b"Content-Length", b"0"),
    ]


# what is refused ------------------------------------------------------------------------------------------------------

LINES = [
    b"HTTP/0.9 200 OK",
    b"HTTP/2.0 200 OK",
    b"HTTP/1.2 200 OK",
    b"RTSP/1.0 200 OK",
    b"ICE/1.0 200 OK",
    b"ICY 200 OK",
    b"http/1.1 200 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200\tOK",
    b" HTTP/1.1 200 OK",
    b"\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 099 Early",
    b"HTTP/1.1 000 Nothing",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 20x OK",
    b"HTTP/1.1 -20 OK",
    b"HTTP/1.1 200 O\0K",
    b"HTTP/1.1 200 O\x7fK",
    b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 O\nK",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade",
    b"HTTP/1.1 200 " + b"x" * response.LINE_BYTES_MAX,
]
FIELDS = [
    b"X: a\0b",
    b"X: a\x01b",
    b"X: a\x0bb",
    b"X: a\x7fb",
    b"X: a\rb",
    b"X: a\nY: b",
    b"X: a\r\n b",
    b"X: a\r\n\tb",
    b"X : a",
    b"X y: a",
    b"X(y): a",
    b'"X": a',
    b"X\xe9: a",
    b": a",
    b"X",
    b" X: a",
    b"Content-Length: ",
    b"Content-Length: x",
    b"Content-Length: +2",
    b"Content-Length: -2",
    b"Content-Length: 0x2",
    b"Content-Length: 2 2",
    b"Content-Length: 2, 2",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 2\r\nContent-Length: 2",
    b"Content-Length: 2\r\ncontent-length: 3",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 2",
    b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    b"Content-Length: 2\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: ",
    b"X: " + b"x" * response.FIELD_BYTES_MAX,
    b"\r\n".join([b"X: y"] * (response.FIELDS_MAX + 1)),
    b"\r\n".join([b"X: " + b"x" * 16_000] * 20),
]


@pytest.mark.parametrize("line", LINES)
def test_a_status_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(ResponseError):
        read(line + b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"304 Not Modified", b"103 Early Hints"])
def test_a_field_that_is_none_or_frames_a_body_twice_is_refused(field: bytes, status: bytes) -> None:
    with pytest.raises(ResponseError):
        read(b"HTTP/1.1 " + status + b"\r\n" + field + b"\r\n\r\n")
    with pytest.raises(ResponseError):
        read(b"HTTP/1.1 " + status + b"\r\n" + field + b"\r\n\r\n", to_head=True)


@pytest.mark.parametrize("framing", [b"Content-Length: 2", b"Transfer-Encoding: chunked"])
def test_an_interim_response_with_a_body_is_refused(framing: bytes) -> None:
    with pytest.raises(ResponseError):
        read(b"HTTP/1.1 103 Early Hints\r\n" + framing + b"\r\n\r\n")


CHUNKS = [
    b"2\nok\r\n0\r\n\r\n",
    b"2\r\nok\n0\r\n\r\n",
    b"2\r\nok\r0\r\n\r\n",
    b"2\r\nok0\r\n\r\n",
    b"2\r\nokX\r\n0\r\n\r\n",
    b"2\r\nok\r\n0\n\n",
    b"2\r\nok\r\n0\r\n\n",
    b"2 \r\nok\r\n0\r\n\r\n",
    b" 2\r\nok\r\n0\r\n\r\n",
    b"0x2\r\nok\r\n0\r\n\r\n",
    b"+2\r\nok\r\n0\r\n\r\n",
    b"-2\r\nok\r\n0\r\n\r\n",
    b"g\r\n",
    b"\r\n0\r\n\r\n",
    b";a\r\n",
    b"2;a\rb\r\nok\r\n0\r\n\r\n",
    b"2;a\nb\r\nok\r\n0\r\n\r\n",
    b"2;\0\r\nok\r\n0\r\n\r\n",
    b"10000000000000000\r\n",
    b"0\r\nX : a\r\n\r\n",
    b"0\r\nX: a\0\r\n\r\n",
    b"0\r\nX: a\nY: b\r\n\r\n",
    b"0\r\nX: a\r\n b\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\n" + b"X: y\r\n" * (response.FIELDS_MAX + 1) + b"\r\n",
    b"0\r\nX: " + b"x" * response.FIELD_BYTES_MAX + b"\r\n\r\n",
]


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("by_byte", [False, True])
def test_chunks_that_are_none_are_refused(chunks: bytes, by_byte: bool) -> None:
    pieces = [chunks[at : at + 1] for at in range(len(chunks))] if by_byte else [chunks]
    with pytest.raises(ResponseError):
        read(CHUNKED, *pieces)


@pytest.mark.parametrize(
    "half",
    [b"", b"HTTP", START, START + b"Content-Length: 2\r\n\r\no", CHUNKED, CHUNKED + b"2\r\nok\r\n0\r\n",
     CHUNKED + b"0\r\nX: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
)  # fmt: skip
def test_half_a_response_is_none(half: bytes) -> None:
    reader, _ = read(half)
    with pytest.raises(ResponseError):
        reader.end()


# bounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "more", "most"),
    [
        (START, b"a: b\r\n", response.HEAD_BYTES_MAX),
        (START + b"X: ", b"x", response.HEAD_BYTES_MAX),
        (b"HTTP/1.1 200 ", b"x", response.HEAD_BYTES_MAX),
        (CHUNKED, b"0", response.FRAMING_BYTES_MAX),
        (CHUNKED + b"2\r\nok\r\n2;", b"x", response.FRAMING_BYTES_MAX),
        (CHUNKED + b"0\r\nX: ", b"x", response.FRAMING_BYTES_MAX),
        (CHUNKED + b"0\r\n", b"X: y\r\n", response.FRAMING_BYTES_MAX),
    ],
)
def test_what_has_no_end_is_refused_at_its_limit(start: bytes, more: bytes, most: int) -> None:
    reader, _ = read(start)
    with pytest.raises(ResponseError):
        for _ in range(most // 500 + 2):
            reader.feed(more * (512 // len(more)))
            if more == b"a: b\r\n":
                assert len(reader._pending) <= most


@pytest.mark.parametrize("sent", [b"SSH-2.0-x", b"220 smtp", b"HTTP/2", b"\0\0\x12\4\0", START[:-2] + b"\n\n",
                                  START + b"a: b\n\n", START + b"a: b\r\n\n\r\nok"])  # fmt: skip
def test_what_will_never_be_a_head_is_refused_before_its_sender_closes(sent: bytes) -> None:
    with pytest.raises(ResponseError):
        read(sent)
    with pytest.raises(ResponseError):
        read(*[sent[at : at + 1] for at in range(len(sent))])


def test_as_many_and_as_long_fields_as_allowed_are_taken() -> None:
    field = b"X: " + b"x" * (response.FIELD_BYTES_MAX - 3) + b"\r\n"
    reader, _ = read(START + field + b"X: y\r\n" * (response.FIELDS_MAX - 2) + b"Content-Length: 0\r\n\r\n")
    assert reader.head is not None and len(reader.head.fields) == response.FIELDS_MAX


def test_a_flood_of_one_byte_chunks_is_one_piece() -> None:
    reader, _ = read(CHUNKED)
    assert reader.feed(b"1\r\nx\r\n" * 10_000) == b"x" * 10_000
    assert not reader._pieces


# trailers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 30))
def test_trailers_are_kept_apart_from_the_header(cut: int) -> None:
    sent = CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: abc \r\nSet-Cookie: x\r\n\r\n"
    reader, body = read(sent[:-cut], sent[-cut:])
    assert reader.head is not None and reader.head.fields == [(b"Transfer-Encoding", b"chunked")]
    assert reader.trailers == [(b"X-Sum", b"abc"), (b"Set-Cookie", b"x")]
    assert body == b"ok" and is_kept(reader)


# any bytes, cut anywhere ----------------------------------------------------------------------------------------------

TOKENS = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b";", b"0", b"2", b"\xe9", b"x", b"HTTP/1.1 200 OK\r\n\r\n",
     b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    sent = bytearray(draw(st.sampled_from([case[0] for case in WHOLE.values()])))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(sent)))
        sent[at : at + draw(st.integers(0, 2))] = draw(TOKENS)
    return bytes(sent)


def outcome(pieces: list[bytes], to_head: bool) -> object:
    """What a reader makes of it: the head, the body and the trailers of a whole response, or nothing."""
    reader, body = ResponseReader(to_head=to_head), b""
    try:
        for piece in pieces:
            body += reader.feed(piece)
        reader.end()
    except ResponseError:
        return None
    return reader.head, body, list(reader.trailers), reader.has_excess


@given(mutated(), st.booleans(), st.lists(st.integers(0, 300), max_size=3))
def test_where_packets_end_changes_nothing(sent: bytes, to_head: bool, cuts: list[int]) -> None:
    at = sorted({0, *(cut for cut in cuts if cut < len(sent)), len(sent)})
    pieces = [sent[start:end] for start, end in pairwise(at)]
    assert outcome(pieces, to_head) == outcome([sent], to_head)


class _Lone:
    """What llhttp alone says of one response."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.messages = self.heads = 0
        self.ended = False

    def on_message_begin(self) -> None:
        self.messages += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.heads == 0:
            self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.ended = True


@given(mutated())
def test_what_is_taken_llhttp_takes_too_and_reads_alike(sent: bytes) -> None:
    reader = ResponseReader()
    try:
        body = reader.feed(sent)
    except ResponseError:
        return
    if not reader.complete or reader.has_excess or sent.startswith((b"HTTP/1.1 10", b"HTTP/1.0 10")):
        return
    lone = _Lone()
    httptools.HttpResponseParser(lone).feed_data(sent)
    assert reader.head is not None
    assert (lone.fields, lone.body, lone.messages, lone.ended) == (reader.head.fields, body, 1, True)
