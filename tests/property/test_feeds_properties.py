"""What a compiled feed says of an address is what its entries say, one by one; and readers raise nothing but their error."""

from __future__ import annotations

from io import BytesIO
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sallygate.parsing.addresses import parse_address
from sallygate.parsing.indicators import IndicatorError, Reading, Settings, read
from sallygate.parsing.indicators.blocks import block_text, blocks_of
from sallygate.parsing.indicators.pattern import Unused, blocks_of_pattern
from sallygate.parsing.reserved_addresses import is_reserved
from sallygate.state.feeds import Feed, Feeds
from sallygate.state.feeds.compiling import compile_entries
from sallygate.state.feeds.tables import About, Compiled, CompiledError, read_compiled

NOW = 1_795_000_000
GOOD_UNTIL = NOW + 1000


def from_bytes(data: bytes) -> Compiled:
    return read_compiled(BytesIO(data), lambda _: None)


@st.composite
def prefixes(draw: st.DrawFn) -> tuple[int, int, int]:
    """In a small world, so that they nest, touch and repeat."""
    bits, base = draw(
        st.sampled_from([(32, 0xC6336400), (32, 0x0A000000), (128, 0x20010DB8 << 96), (128, 0xFE80 << 112)])
    )
    length = draw(st.integers(bits - 10, bits)) if draw(st.booleans()) else draw(st.integers(0, bits))
    number = (base | draw(st.integers(0, 1023))) >> (bits - length) << (bits - length)
    return bits, number, length


entries = st.lists(
    st.tuples(prefixes(), st.sampled_from([0, NOW - 5, NOW + 100_000]), st.sampled_from([0, NOW - 1, NOW + 10, NOW + 20]), st.integers(0, 3))
    .map(lambda drawn: (*drawn[0], float(drawn[1]), float(drawn[2]), drawn[3])),
    max_size=40,
)  # fmt: skip


@given(entries, st.integers(0, 1023), st.sampled_from([NOW, NOW + 10, NOW + 20, GOOD_UNTIL]), st.integers(0, 2))
@settings(max_examples=400, deadline=None)
def test_a_compiled_feed_says_what_its_entries_say(found, low: int, now: int, confidence_min: int) -> None:
    tables, _ = compile_entries(found, NOW, confidence_min)
    feeds = Feeds()
    feeds.put(
        Feed(
            "a",
            from_bytes(Compiled(About("", "", NOW, 0, 0), tables).to_bytes()),
            NOW,
            GOOD_UNTIL - NOW,
            confidence_min,
        )
    )
    for bits, number in (
        (32, 0xC6336400 | low),
        (32, 0x0A000000 | low),
        (128, 0x20010DB8 << 96 | low),
        (128, 0xFE80 << 112 | low),
    ):
        address = parse_address(block_text(bits, number, bits))
        assert address is not None
        sure = [
            confidence
            for family, start, length, since, until, confidence in found
            if family == bits and number >> (bits - length) == start >> (bits - length) and confidence >= confidence_min
            and (until or GOOD_UNTIL) > now and since <= NOW
        ]  # fmt: skip
        expected = max(sure, default=None) if not is_reserved(bits, number) else None
        matches = feeds.find(address, now)
        assert [match.confidence for match in matches] == ([] if expected is None else [expected])
        for match in matches:
            assert ip_address(address.text) in _network(match.indicator)


def _network(text: str):
    from ipaddress import ip_network

    return ip_network(text)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_range_is_its_prefixes(a: int, b: int) -> None:
    first, last = sorted((a, b))
    blocks = blocks_of(f"{ip_address(first)}-{ip_address(last)}")
    at = first
    for _, number, length in blocks:
        assert number == at
        at += 1 << (32 - length)
    assert at == last + 1


_texts = st.one_of(
    st.binary(max_size=300),
    st.lists(
        st.sampled_from([b"198.51.100.1", b"/24", b"-", b"\n", b",", b";", b"#", b'"', b"'", b"{", b"}", b"[", b"]", b":", b"ip", b"\\", b" ",
                         b'"objects"', b'"type"', b'"indicator"', b'"Event"', b'"Attribute"', b"1", b"null", b"true", b"\xff", b"\0", b"\x1b"]),
        max_size=60,
    ).map(b"".join),
)  # fmt: skip


@pytest.mark.parametrize("format", ["plain", "csv", "stix", "misp"])
@given(_texts)
@settings(max_examples=300, deadline=None)
def test_readers_raise_nothing_but_their_error_and_repeat_nothing(format, data: bytes) -> None:
    reading = Reading()
    try:
        read(data, format, Settings(), reading)
    except IndicatorError as error:
        assert str(error).isprintable()
    assert all(said.isprintable() for said in reading.said) and reading.bad <= reading.read


@given(st.lists(st.sampled_from(["[", "]", "(", ")", "ipv4-addr:value", "ipv6-addr:value", "=", "'198.51.100.1'", "'x", " OR ", " AND ", "IN", ",",
                                 "ISSUBSET", "!=", "t'", "5", "\\"]), max_size=40).map("".join))  # fmt: skip
@settings(max_examples=500)
def test_patterns_raise_nothing_but_what_they_say(pattern: str) -> None:
    try:
        blocks = blocks_of_pattern(pattern)
    except (ValueError, Unused):
        return
    assert blocks and " AND " not in pattern


@given(st.binary(max_size=400), st.integers(0, 400))
def test_bytes_that_are_not_compiled_are_refused(data: bytes, at: int) -> None:
    tables, _ = compile_entries([(32, 0xC6336401, 32, 0.0, 0.0, 50)], NOW)
    good = Compiled(About("", "", NOW, 0, 0), tables).to_bytes()
    for wrong in (data, good[:at] + data if at < len(good) else data):
        if wrong != good:
            try:
                assert isinstance(from_bytes(wrong), Compiled)
            except CompiledError:
                continue
