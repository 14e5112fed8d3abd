"""What feeds of threat intelligence say of an address, compiled for look-up. Part of `state`; filled by others.

A compiled feed is the sorted prefixes of a family in flat arrays, each with a link to the prefix around it: the entry
with the largest start not above an address is either around it, or a link or two away from the one that is. So nested
and overlapping entries are all kept as they are, and when the surest of them has ended the next one speaks. In front
stand a filter, which ends the look-up of nearly every address that nobody named, and a directory of the starts' leading
bits, which leaves the search its last few steps.

An entry takes 16 bytes for IPv4, 28 for IPv6, 4 more where entries are nested. Addresses that are nobody's on the
Internet match nothing, whatever a feed says.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from sallygate.parsing.addresses import Address
from sallygate.parsing.indicators.blocks import block_text
from sallygate.parsing.indicators.reading import Entry
from sallygate.parsing.reserved import PUBLIC_ADDRESSES, is_reserved, is_wholly_reserved

VERSION = 1
"""Of the compiled form."""
MAGIC = b"sallygate feed\n"
HEADER_BYTES_MAX = 1 << 20
DIRECTORY_MAX = 16_384
"""Leading parts of the starts that are distinguished: 2 MB, and the last six steps of a million are left to search."""
SECONDS_MAX = 0xFFFFFFFF
AHEAD_S = 300.0
"""A clock that is ahead by less is no reason to wait with an indicator."""
_LOW = (1 << 64) - 1


class CompiledError(ValueError):
    """The bytes are not a compiled feed of this version."""


class About(Struct, frozen=True):
    """A feed's account of itself. Times in seconds since the epoch."""

    source: str
    """Where it is from, as one name; what was compiled from elsewhere does not count."""
    reading: str
    """How it was read: confidence, column and the like. Read otherwise it is to be fetched anew."""
    compiled_at: float
    indicators: int
    """Prefixes in it."""
    read: int
    """Lines or objects looked at."""
    bad: int = 0
    said: tuple[str, ...] = ()
    unused: dict[str, int] = {}
    shares: tuple[float, float] = (0.0, 0.0)
    """Of all public addresses of IPv4 and IPv6, what it covers."""
    anew_at: float = 0.0
    """When an indicator begins to count that did not yet; 0 when there is none."""
    etag: str = ""
    modified: str = ""
    """What its server said, for asking whether it has changed."""
    added_after: str = ""
    """Of a TAXII collection: how far it has been read."""
    objects: str = ""
    """Of collections and MISP feeds: the SHA-256 of the objects it was compiled from."""


class Match(Struct, frozen=True, gc=False):
    """One feed names the address."""

    feed: str
    table: _Table
    at: int

    @property
    def indicator(self) -> str:
        """The prefix that was named; an address alone without its length."""
        return block_text(self.table.bits, self.table.start(self.at), self.table.lengths[self.at])

    @property
    def confidence(self) -> int:
        """0 to 100."""
        return self.table.confidence[self.at]

    @property
    def since(self) -> float:
        """When it began to be said, in seconds since the epoch."""
        return float(self.table.since[self.at])


class _Table:
    """The entries of one family."""

    __slots__ = (
        "_part",
        "around",
        "begins",
        "bits",
        "confidence",
        "grains",
        "high",
        "keys",
        "lengths",
        "low",
        "near",
        "shift",
        "since",
        "until",
    )

    def __init__(self, bits: int, shift: int, grains: tuple[int, ...], arrays: Iterable[array[int]]) -> None:
        self.bits = bits
        self.shift = shift
        """By which a start becomes a key of the directory."""
        self.grains = grains
        """By which an address becomes a key of the filter, one after the other; none where there is no filter."""
        (self.high, self.low, self.lengths, self.around, self.since, self.until, self.confidence, self.keys,
         self.begins, self.near) = arrays  # fmt: skip
        self._part = dict(zip(self.keys, range(len(self.keys)), strict=True)).get

    def arrays(self) -> tuple[array[int], ...]:
        return (self.high, self.low, self.lengths, self.around, self.since, self.until, self.confidence, self.keys,
                self.begins, self.near)  # fmt: skip

    def last_from(self, number: int) -> int:
        """The last entry whose start is not above `number`; -1 when all are."""
        high = number >> 64 if self.bits == 128 else number
        part = self._part(high >> self.shift)
        if part is None:
            return self.begins[bisect_right(self.keys, high >> self.shift)] - 1
        begins = self.begins
        at = bisect_right(self.high, high, begins[part], begins[part + 1]) - 1
        if self.bits == 32 or at < 0 or self.high[at] != high or self.low[at] <= number & _LOW:
            return at
        # Others begin with the same 64 bits, and the last of them is above.
        return bisect_right(self.low, number & _LOW, bisect_left(self.high, high, 0, at), at) - 1

    def start(self, at: int) -> int:
        return self.high[at] << 64 | self.low[at] if self.bits == 128 else self.high[at]

    def innermost(self, number: int) -> int:
        """The narrowest entry around `number`; -1 when there is none."""
        if self.grains:
            near = self.near
            filter_bits = len(near) << 3
            for grain in self.grains:
                bit = (number >> grain) % filter_bits
                if near[bit >> 3] >> (bit & 7) & 1:
                    break
            else:
                return -1
        at = self.last_from(number)
        while at >= 0 and (number ^ self.start(at)) >> (self.bits - self.lengths[at]):
            at = self.around[at] if self.around else -1
        return at

    def surest(self, at: int, now: float, good_until: float, confidence_min: int) -> int:
        """Of `at` and the entries around it the surest that counts at `now`; -1 when none does."""
        best = -1
        while at >= 0:
            sure = self.confidence[at]
            if sure >= confidence_min and now < (self.until[at] or good_until):
                best, confidence_min = at, sure + 1
            at = self.around[at] if self.around else -1
        return best

    def since_of(self, number: int, length: int) -> int:
        """When an entry began that is there already; 0 when it is not."""
        at = self.last_from(number)
        while at >= 0 and self.start(at) == number:
            if self.lengths[at] == length:
                return self.since[at]
            at -= 1
        return 0


class Compiled:
    """A feed's entries, and its account of itself."""

    __slots__ = ("about", "tables")

    def __init__(self, about: About, tables: dict[int, _Table]) -> None:
        self.about = about
        self.tables = tables

    def to_bytes(self) -> bytes:
        head = _Head(VERSION, sys.byteorder, self.about, [
            (bits, table.shift, table.grains, [(one.typecode, len(one)) for one in table.arrays()])
            for bits, table in self.tables.items()
        ])  # fmt: skip
        header = msgspec.json.encode(head)
        arrays = (one.tobytes() for table in self.tables.values() for one in table.arrays())
        return b"".join((MAGIC, len(header).to_bytes(4, "big"), header, *arrays))


class _Head(Struct, frozen=True):
    version: int
    byteorder: str
    about: About
    tables: list[tuple[int, int, tuple[int, ...], list[tuple[str, int]]]]


def about_of(data: bytes) -> tuple[About, int]:
    """The account in the first `HEADER_BYTES_MAX` bytes of a compiled feed, and where its arrays begin. Raises
    `CompiledError`."""
    head, at = _head(data)
    return head.about, at


def _head(data: bytes) -> tuple[_Head, int]:
    at = len(MAGIC) + 4
    size = int.from_bytes(data[len(MAGIC) : at], "big")
    if not data.startswith(MAGIC) or size > HEADER_BYTES_MAX - at:
        raise CompiledError("is not a compiled feed")
    try:
        head = msgspec.json.decode(data[at : at + size], type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CompiledError("is not a compiled feed of this version") from None
    if head.version != VERSION or head.byteorder != sys.byteorder:
        raise CompiledError("is a compiled feed of another version or machine")
    return head, at + size


def from_bytes(data: bytes) -> Compiled:
    """What `to_bytes` wrote. Whoever reads it from a file has proved that it is whole. Raises `CompiledError`."""
    head, at = _head(data)
    view, tables = memoryview(data), {}
    for bits, shift, grains, sizes in head.tables:
        arrays = []
        for kind, count in sizes:
            if kind not in ("I", "i", "Q", "B"):
                raise CompiledError("is not a compiled feed of this version")
            one: array[int] = array(kind)
            end = at + count * one.itemsize
            if end > len(data):
                raise CompiledError("is cut short")
            one.frombytes(view[at:end])
            arrays.append(one)
            at = end
        if len(arrays) != len(_KINDS[bits]):
            raise CompiledError("is not a compiled feed of this version")
        tables[bits] = _Table(bits, shift, grains, arrays)
    return Compiled(head.about, tables)


_KINDS = {32: "IQBiIIBIIB", 128: "QQBiIIBQIB"}
"""Of the arrays of a table, in their order; `low` is empty for IPv4."""


FILTER_BYTES_AN_ENTRY = 2
"""One in sixteen addresses that nobody named passes a filter, and costs a search."""
_GRAINS = {32: (24, 16), 128: (64, 48, 32)}
"""Prefix lengths that the filter knows. Each in use costs a look-up 0.1 µs."""
_WIDEST = {32: 8, 128: 20}
"""One such prefix is 256 networks of the widest grain, or 4,096."""


class Counted(Struct):
    """What compiling made of the entries."""

    dropped: Counter[str]
    anew_at: float = 0.0
    covered: tuple[int, int] = (0, 0)


def compile_entries(
    entries: Iterable[Entry], now: float, confidence_min: int = 0, earlier: Compiled | None = None
) -> tuple[dict[int, _Table], Counted]:
    """Tables of what counts now. An entry without a beginning began when the `earlier` compiled feed says, or now. What
    is past, not yet true, not sure enough or nobody's address is left out and counted."""
    counted = Counted(Counter())
    sorted_out: dict[int, list[tuple[int, int, int, int, int]]] = {32: [], 128: []}
    for bits, number, length, since, until, confidence in entries:
        if reason := _unfit(bits, number, length, since, until, confidence, now, confidence_min):
            counted.dropped[reason] += 1
            if reason == "not yet true" and (not counted.anew_at or since < counted.anew_at):
                counted.anew_at = since
            continue
        if not since:
            before = earlier.tables[bits].since_of(number, length) if earlier is not None else 0
            since = before or now
        ends = min(int(until), SECONDS_MAX)
        sorted_out[bits].append((number, length, -confidence, -(ends or SECONDS_MAX), int(min(since, SECONDS_MAX))))
    tables, covered = {}, []
    for bits, rows in sorted_out.items():
        rows.sort()
        tables[bits], sum_ = _table(bits, rows, counted.dropped)
        covered.append(sum_)
    counted.covered = (covered[0], covered[1])
    return tables, counted


def _unfit(bits: int, number: int, length: int, since: float, until: float, confidence: int, now: float,
           confidence_min: int) -> str:  # fmt: skip
    if confidence < confidence_min:
        return "below `confidence_min`"
    if until and until <= now:
        return "past"
    if since > now + AHEAD_S:
        return "not yet true"
    if is_wholly_reserved(bits, number, length):
        return "private or reserved addresses"
    return ""


def _table(bits: int, rows: list[tuple[int, int, int, int, int]], dropped: Counter[str]) -> tuple[_Table, int]:
    """Of sorted (number, length, -confidence, -end, since); and how many addresses they cover."""
    kinds = _KINDS[bits]
    high, low, lengths, around, since, until, confidence = (array(kind) for kind in kinds[:7])
    open_: list[tuple[int, int]] = []
    """The entries around the present one: their last address and their place."""
    covered, nested = 0, False
    before: tuple[int, int] | None = None
    latest = 0
    for number, length, doubt, ends, began in rows:
        if before == (number, length):
            if -ends <= latest:  # one at least as sure says the same for as long
                dropped["said twice"] += 1
                continue
        else:
            before, latest = (number, length), 0
        latest = -ends
        while open_ and open_[-1][0] < number:
            open_.pop()
        last = number + (1 << (bits - length)) - 1
        at = len(lengths)
        if open_:
            nested = True
            around.append(open_[-1][1])
        else:
            covered += last - number + 1
            around.append(-1)
        open_.append((last, at))
        high.append(number >> 64 if bits == 128 else number)
        if bits == 128:
            low.append(number & _LOW)
        lengths.append(length)
        since.append(began)
        until.append(0 if -ends == SECONDS_MAX else -ends)
        confidence.append(-doubt)
    if not nested:
        around = array("i")
    shift, keys, begins = _directory(high, kinds[7])
    grains, near = _filter(bits, high, lengths)
    arrays = (high, low, lengths, around, since, until, confidence, keys, begins, near)
    return _Table(bits, shift, grains, arrays), covered


def _filter(bits: int, high: array[int], lengths: array[int]) -> tuple[tuple[int, ...], array[int]]:
    """Which bits are set for the networks that entries are in or are made of: each at the finest grain not finer than
    itself. No filter for prefixes so wide that they would fill it."""
    if not high or min(lengths) < _WIDEST[bits]:
        return (), array("B")
    near = bytearray(FILTER_BYTES_AN_ENTRY * len(high) | 1)
    filter_bits, used, within = len(near) << 3, set(), 64 if bits == 128 else 32
    for start, length in zip(high, lengths, strict=True):
        grain = next((one for one in _GRAINS[bits] if one <= length), _GRAINS[bits][-1])
        used.add(bits - grain)
        first = start >> (within - grain)
        for key in range(first, first + (1 << max(grain - length, 0))):
            bit = key % filter_bits
            near[bit >> 3] |= 1 << (bit & 7)
    return tuple(sorted(used)), array("B", near)


def _directory(high: array[int], kind: str) -> tuple[int, array[int], array[int]]:
    """The finest leading bits of which there are few enough; each that occurs, and where its entries begin."""
    shift = 0
    while True:
        keys, begins = array(kind), array("I")
        before = -1
        for at, start in enumerate(high):
            if (key := start >> shift) != before:
                if len(keys) == DIRECTORY_MAX:
                    break
                keys.append(key)
                begins.append(at)
                before = key
        else:
            begins.append(len(high))
            return shift, keys, begins
        shift += 1 if len(high) < 4 * DIRECTORY_MAX else 2


def shares(covered: tuple[int, int]) -> tuple[float, float]:
    """Of the public addresses of each family."""
    return covered[0] / PUBLIC_ADDRESSES[32], covered[1] / PUBLIC_ADDRESSES[128]


class Feed:
    """A compiled feed in force."""

    __slots__ = ("compiled", "confidence_min", "confirmed_at", "expiry_s", "name")

    def __init__(
        self, name: str, compiled: Compiled, confirmed_at: float, expiry_s: float, confidence_min: int = 0
    ) -> None:
        self.name = name
        self.compiled = compiled
        self.confirmed_at = confirmed_at
        """When its source last had all that is in it. Entries without an end of their own count for `expiry_s`
        after."""
        self.expiry_s = expiry_s
        self.confidence_min = confidence_min

    def match(self, table: _Table, at: int, number: int, now: float) -> Match | None:
        """What is said of the address `number`, `at` being the narrowest entry around it."""
        at = table.surest(at, now, self.confirmed_at + self.expiry_s, self.confidence_min)
        if at < 0 or is_reserved(table.bits, number):
            return None
        return Match(self.name, table, at)


class Feeds:
    """All feeds, by name. Replaced one by one, each as a whole."""

    def __init__(self) -> None:
        self._all: dict[str, Feed] = {}
        self._by_bits: dict[int, list[tuple[Feed, _Table]]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Feed]:
        return iter(tuple(self._all.values()))

    def get(self, name: str) -> Feed | None:
        return self._all.get(name)

    def put(self, feed: Feed) -> None:
        self._all[feed.name] = feed
        self._index()

    def drop(self, name: str) -> None:
        self._all.pop(name, None)
        self._index()

    def _index(self) -> None:
        by_bits: dict[int, list[tuple[Feed, _Table]]] = {}
        for feed in self._all.values():
            for bits, table in feed.compiled.tables.items():
                if table.lengths:
                    by_bits.setdefault(bits, []).append((feed, table))
        self._by_bits = by_bits

    def find(self, address: Address, now: float) -> tuple[Match, ...]:
        """What each feed says of an address, at most one match a feed."""
        found: tuple[Match, ...] = ()
        if (tables := self._by_bits.get(address.bits)) is None:
            return found
        number = address.number
        for feed, table in tables:
            if (at := table.innermost(number)) >= 0 and (match := feed.match(table, at, number, now)) is not None:
                found = (*found, match)
        return found
