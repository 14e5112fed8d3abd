"""Bodies split into records, whatever the pieces they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sallygate.parsing.http.records import Framing, RecordSplitter


def split(framing: Framing, *pieces: bytes, bytes_max: int = 1000) -> list[bytes]:
    splitter = RecordSplitter(framing, bytes_max)
    made = [record for piece in pieces for record in splitter.add(piece)]
    return [*made, *filter(None, [splitter.end()])]


@pytest.mark.parametrize(
    ("framing", "body", "records"),
    [
        ("lines", b'{"a":1}\n{"a":2}\n', [b'{"a":1}\n', b'{"a":2}\n']),
        ("lines", b'{"a":1}\r\n{"a":2}', [b'{"a":1}\r\n', b'{"a":2}']),
        ("lines", b"", []),
        ("events", b"data: 1\n\ndata: 2\n\n", [b"data: 1\n\n", b"data: 2\n\n"]),
        ("events", b"data: 1\ndata: 2\n\nid: 3", [b"data: 1\ndata: 2\n\n", b"id: 3"]),
        ("events", b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"]),
        ("events", b"data: 1\r\rdata: 2\r\r", [b"data: 1\r\r", b"data: 2\r\r"]),
        ("events", b"data: 1\n\r\ndata: 2", [b"data: 1\n\r\n", b"data: 2"]),
    ],
)
def test_the_same_records_in_any_pieces(framing: Framing, body: bytes, records: list[bytes]) -> None:
    assert split(framing, body) == records
    assert split(framing, *(body[at : at + 1] for at in range(len(body)))) == records


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"data: b"])), st.sampled_from(["lines", "events"]))
def test_nothing_is_lost(pieces: list[bytes], framing: Framing) -> None:
    assert b"".join(split(framing, *pieces)) == b"".join(pieces)
    assert split(framing, *pieces) == split(framing, b"".join(pieces))


def test_a_record_that_is_too_large_ends_the_splitting() -> None:
    splitter = RecordSplitter("lines", 10)
    assert splitter.add(b"short\n01234") == [b"short\n"] and not splitter.large
    assert splitter.add(b"567890123\nshort\n") == [b"01234567890123\nshort\n"] and splitter.large
    assert splitter.add(b"more\n") == [b"more\n"]
    assert splitter.end() == b""
    whole = RecordSplitter("lines", 5)
    assert whole.add(b"a\n012345\n") == [b"a\n", b"012345\n"] and whole.large
