"""Feeds compiled: what counts, what is found, and what becomes of bytes that are not as they were written."""

from __future__ import annotations

from array import array
from io import BytesIO
from typing import Any

import msgspec
import pytest

from sallygate.parsing.addresses import UNKNOWN, Address, parse_address
from sallygate.parsing.indicators.blocks import blocks_of
from sallygate.parsing.indicators.reading import Entry
from sallygate.state.feeds import Feed, Feeds
from sallygate.state.feeds.compiling import DIRECTORY_MAX, compile_entries, shares
from sallygate.state.feeds.tables import (
    HEADER_BYTES_MAX,
    MAGIC,
    About,
    Compiled,
    CompiledError,
    about_of,
    read_compiled,
)

NOW = 1_795_000_000.0
DAY = 86400.0


def from_bytes(data: bytes) -> Compiled:
    seen: list[bytes] = []
    found = read_compiled(BytesIO(data), seen.append)
    assert b"".join(seen) == data, "every byte is proved"
    return found


def entry(text: str, confidence: int = 50, *, since: float = NOW - DAY, until: float = 0.0) -> Entry:
    ((bits, number, length),) = blocks_of(text)
    return bits, number, length, since, until, confidence


def compiled(*entries: Entry, now: float = NOW, confidence_min: int = 0, earlier: Compiled | None = None) -> Compiled:
    tables, counted = compile_entries(entries, now, confidence_min, earlier)
    about = About("url a", "", now, sum(len(table.lengths) for table in tables.values()), len(entries),
                  unused=dict(counted.dropped), shares=shares(counted.covered), recheck_at=counted.recheck_at)  # fmt: skip
    return Compiled(about, tables)


def address(text: str) -> Address:
    found = parse_address(text)
    assert found is not None
    return found


def feeds(*entries: Entry, expiry_s: float = DAY, **more: Any) -> Feeds:
    found = Feeds()
    found.put(Feed("a", from_bytes(compiled(*entries).to_bytes()), NOW, expiry_s, **more))
    return found


def said(found: Feeds, text: str, now: float = NOW) -> list[tuple[str, int]]:
    return [(match.indicator, match.confidence) for match in found.find(address(text), now)]


def test_addresses_and_prefixes_of_both_families() -> None:
    found = feeds(
        entry("198.51.100.7"), entry("203.0.113.0/24", 80), entry("2001:db8:1::/48", 60), entry("2001:db8:2::1")
    )
    assert said(found, "198.51.100.7") == [("198.51.100.7", 50)] and said(found, "::ffff:198.51.100.7")
    assert said(found, "198.51.100.6") == said(found, "198.51.100.8") == []
    assert said(found, "203.0.113.0") == said(found, "203.0.113.255") == [("203.0.113.0/24", 80)]
    assert said(found, "203.0.112.255") == said(found, "203.0.114.0") == []
    assert said(found, "2001:db8:1:ffff::1") == [("2001:db8:1::/48", 60)] and said(found, "2001:db8:2::1")
    assert said(found, "2001:db8:2::") == said(found, "2001:db8:2::2") == said(found, "2001:db8:3::") == []
    assert found.find(UNKNOWN, NOW) == ()


def test_many_that_begin_with_the_same_64_bits() -> None:
    found = feeds(*[entry(f"2001:db8::{number:x}") for number in range(1, 40, 2)], entry("2001:db8:0:1::/64"))
    assert said(found, "2001:db8::3") and said(found, "2001:db8::27") and not said(found, "2001:db8::4")
    assert not said(found, "2001:db8::") and not said(found, "2001:db8::ffff") and said(found, "2001:db8:0:1::ffff")


def test_of_nested_ones_the_surest_speaks_and_the_next_when_it_has_ended() -> None:
    found = feeds(
        entry("198.51.0.0/16", 30),
        entry("198.51.100.0/24", 90, until=NOW + 100),
        entry("198.51.100.7", 60, until=NOW + 200),
    )
    assert said(found, "198.51.100.7") == [("198.51.100.0/24", 90)]
    assert said(found, "198.51.100.7", NOW + 100) == [("198.51.100.7", 60)]
    assert said(found, "198.51.100.7", NOW + 200) == [("198.51.0.0/16", 30)]
    assert said(found, "198.51.100.8", NOW + 100) == [("198.51.0.0/16", 30)]
    assert said(found, "198.51.100.7", NOW + DAY) == [], "without an end of its own, with its feed's expiry"


def test_of_the_same_prefix_what_says_less_for_no_longer_is_left_out() -> None:
    same = [
        entry("198.51.100.7", sure, until=NOW + ends)
        for sure, ends in ((50, 300), (90, 100), (40, 200), (60, 200), (60, 150))
    ]
    made = compiled(*same)
    assert made.about.unused == {"said twice": 2} and made.about.indicators == 3
    found = Feeds()
    found.put(Feed("a", made, NOW, DAY))
    assert [said(found, "198.51.100.7", NOW + at)[0][1] for at in (0, 100, 200)] == [90, 60, 50]


def test_what_is_past_not_yet_true_unsure_or_nobodys_is_left_out_and_counted() -> None:
    made = compiled(
        entry("198.51.100.1", until=NOW), entry("198.51.100.2", since=NOW + 9000), entry("198.51.100.3", since=NOW + 8000),
        entry("198.51.100.4", 9), entry("10.0.0.1"), entry("127.0.0.0/8"), entry("fe80::/10"), entry("::1"), entry("198.51.100.5"),
        confidence_min=10,
    )  # fmt: skip
    assert made.about.unused == {
        "past": 1,
        "not yet true": 2,
        "below `confidence_min`": 1,
        "private or reserved addresses": 4,
    }
    assert (made.about.indicators, made.about.recheck_at) == (1, NOW + 8000)


def test_a_prefix_around_private_addresses_does_not_cover_them() -> None:
    found = feeds(entry("0.0.0.0/0"), entry("::/0"))
    assert said(found, "8.8.8.8") and said(found, "2a00::1")
    for text in ("10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1", "fd00::1"):
        assert said(found, text) == [], text


def test_what_a_feed_covers_counts_each_address_once() -> None:
    v4, v6 = compiled(entry("8.0.0.0/8"), entry("8.8.0.0/16"), entry("8.0.0.0/9"), entry("2a00::/12")).about.shares
    assert v4 == pytest.approx(2**24 / 3_702_258_432, rel=0.01) and v6 == 1 / 8
    assert compiled(entry("0.0.0.0/0")).about.shares[0] == 1


def test_an_entry_without_a_date_is_as_old_as_when_it_was_first_seen() -> None:
    first = compiled(entry("198.51.100.7", since=0), entry("198.51.100.0/24", since=0), entry("2001:db8::1", since=0))
    later = compiled(
        entry("198.51.100.7", since=0),
        entry("198.51.100.0/25", since=0),
        entry("2001:db8::1", since=0),
        now=NOW + 50,
        earlier=first,
    )
    found = Feeds()
    found.put(Feed("a", later, NOW + 50, DAY))
    ages = {
        text: found.find(address(text), NOW + 50)[0].since for text in ("198.51.100.7", "198.51.100.8", "2001:db8::1")
    }
    assert ages == {"198.51.100.7": NOW, "198.51.100.8": NOW + 50, "2001:db8::1": NOW}


def test_ends_beyond_what_an_array_holds_are_far_away_and_not_the_feeds_own() -> None:
    found = feeds(entry("198.51.100.7", until=253402300799.0), expiry_s=60.0)
    assert said(found, "198.51.100.7", NOW + 600)


def test_several_feeds_each_say_theirs_and_are_replaced_one_by_one() -> None:
    found = feeds(entry("198.51.100.7", 30))
    found.put(Feed("b", compiled(entry("198.51.100.0/24", 90)), NOW, DAY))
    assert [match.feed for match in found.find(address("198.51.100.7"), NOW)] == ["a", "b"]
    found.put(Feed("a", compiled(), NOW, DAY))
    assert [match.feed for match in found.find(address("198.51.100.7"), NOW)] == ["b"] and len(found) == 2
    found.drop("b")
    assert found.find(address("198.51.100.7"), NOW) == ()


def test_more_than_the_directory_distinguishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sallygate.state.feeds.compiling.DIRECTORY_MAX", 16)
    texts = [f"198.51.{number}.{number * 7 % 256}" for number in range(200)]
    texts += [f"2001:db8:{number:x}::{number}" for number in range(1, 200)]
    made = compiled(*map(entry, texts))
    assert all(1 <= len(table.keys) <= 16 < len(table.lengths) for table in made.tables.values())
    found = Feeds()
    found.put(Feed("a", made, NOW, DAY))
    assert all(said(found, text) == [(text, 50)] for text in texts)
    assert not said(found, "198.51.100.1") and not said(found, "2001:db8:1::2") and not said(found, "1.1.1.1")
    assert DIRECTORY_MAX == 16_384


@pytest.mark.parametrize("cut", [0, 5, len(MAGIC) + 2, 200, -1, -100])
def test_bytes_that_were_cut_are_refused(cut: int) -> None:
    data = compiled(entry("198.51.100.7"), entry("2001:db8::1")).to_bytes()
    with pytest.raises(CompiledError):
        from_bytes(data[:cut])


def test_bytes_of_another_version_or_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = compiled(entry("198.51.100.7")).to_bytes()
    assert about_of(BytesIO(data)).indicators == 1
    for wrong in (data.replace(b'"version":1', b'"version":2'), data.replace(b'"little"', b'"bigger"'),
                  data.replace(b'"IQ', b'"QI'), data.replace(b'["B"', b'["f"'), b"\0" * 200,
                  MAGIC + (HEADER_BYTES_MAX + 1).to_bytes(4, "big") + data[len(MAGIC) + 4 :]):  # fmt: skip
        if wrong != data:
            with pytest.raises(CompiledError):
                from_bytes(wrong)


def test_an_entry_takes_what_is_promised() -> None:
    v4 = compiled(*[entry(f"1.{number >> 8}.{number & 255}.1") for number in range(20_000)])
    v6 = compiled(*[entry(f"2001:db8:{number:x}::1") for number in range(1, 20_001)])
    sizes = []
    for made in (v4, v6):
        arrays = [one for table in made.tables.values() for one in table.arrays()]
        directory = [one for table in made.tables.values() for one in (table.keys, table.begins)]
        sizes.append(sum(map(_bytes, arrays)) - sum(map(_bytes, directory)))
    assert sizes[0] <= 20_000 * 16 + 64 and sizes[1] <= 20_000 * 28 + 64


def _bytes(one: array[int]) -> int:
    return len(one) * one.itemsize


def test_an_account_is_told_as_it_is() -> None:
    about = compiled(entry("198.51.100.7")).about
    assert msgspec.json.decode(msgspec.json.encode(about), type=About) == about
