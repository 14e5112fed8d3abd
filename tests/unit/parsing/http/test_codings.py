"""Content codings: undone within a limit, whole or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sallygate.parsing.http.codings import BUFFER_BYTES_MIN, READABLE, CodingError, undo_coding

CODE: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda data: bytes(cramjam.brotli.compress(data)),
    "deflate": zlib.compress,
    "gzip": gzip.compress,
    "lz4": lambda data: bytes(cramjam.lz4.compress(data)),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "x-gzip": gzip.compress,
    "x-snappy-framed": lambda data: bytes(cramjam.snappy.compress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
}
TEXTS = (b"", b"{}", b"hello world " * 500, b"a" * 5_000_000)


def test_every_readable_coding_is_tested() -> None:
    assert set(CODE) == READABLE


@pytest.mark.parametrize("coding", CODE)
class TestEachCoding:
    def test_is_undone(self, coding: str) -> None:
        for text in TEXTS:
            assert undo_coding(CODE[coding](text), coding, max(len(text), 1)) == text

    def test_is_undone_within_the_limit(self, coding: str) -> None:
        for text in TEXTS[1:]:
            with pytest.raises(CodingError, match="larger than") as found:
                undo_coding(CODE[coding](text), coding, len(text) - 1)
            assert found.value.too_large

    def test_that_is_cut_is_refused(self, coding: str) -> None:
        for text in TEXTS[1:]:
            with pytest.raises(CodingError) as found:
                undo_coding(CODE[coding](text)[:-1], coding, len(text))
            assert not found.value.too_large

    def test_that_is_something_else_is_refused(self, coding: str) -> None:
        with pytest.raises(CodingError, match="not "):
            undo_coding(b"\x0f\xff rubbish rubbish", coding, 1000)


def test_snappy_may_be_framed() -> None:
    assert undo_coding(CODE["x-snappy-framed"](b"hello"), "snappy", 5) == b"hello"


def test_what_expands_more_than_the_first_buffer_is_undone_all_the_same() -> None:
    text = b"\0" * (BUFFER_BYTES_MIN * 40)
    assert undo_coding(CODE["zstd"](text), "zstd", len(text)) == text


@given(
    st.sampled_from(sorted(CODE)),
    st.binary(max_size=200),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))),
)
def test_damaged_bytes_are_refused_or_read(coding: str, text: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(CODE[coding](text))
    for place, byte in changes:
        if place < len(data):
            data[place] = byte
    try:
        assert len(undo_coding(bytes(data), coding, 1000)) <= 1000
    except CodingError as error:
        assert error.detail
