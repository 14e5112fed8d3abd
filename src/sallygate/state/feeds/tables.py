"""Compiled feed for look-up, and its bytes.

The sorted prefixes of a family lie in flat arrays, each with a link to the prefix around it: the entry with the largest
start not above an address is either around it, or a link or two away from the one that is. So nested and overlapping
entries are all kept as they are, and when the surest of them has ended the next one speaks. In front stand a filter,
which ends the look-up of nearly every address that nobody named, and a directory of the starts' leading bits, which
leaves the search its last few steps.

An entry takes 16 bytes for IPv4, 28 for IPv6, 4 more where entries are nested.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import BinaryIO

import msgspec
from msgspec import Struct

VERSION = 1
"""Of the compiled form."""
MAGIC = b"sallygate feed\n"
HEADER_BYTES_MAX = 1 << 20
CHUNK_BYTES = 1 << 20
"""Read at once: other threads run in between, and memory holds a feed once while it is loaded."""
LOW = (1 << 64) - 1
KINDS = {32: "IQBiIIBIIB", 128: "QQBiIIBQIB"}
"""Of the arrays of a table, in their order; `low` is empty for IPv4."""


class CompiledError(ValueError):
    """The bytes are not a compiled feed of this version."""


class About(Struct, frozen=True):
    """A feed's account of itself. Times in seconds since the epoch."""

    source: str
    """Where it is from, as one name; what was compiled from elsewhere does not count."""
    reading: str
    """How it was read: confidence, column and the like. With other settings it has to be fetched again."""
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
    recheck_at: float = 0.0
    """When an indicator begins to count that did not yet; 0 when there is none."""
    etag: str = ""
    modified: str = ""
    """What its server said, for asking whether it has changed."""
    added_after: str = ""
    """Of a TAXII collection: how far it has been read."""
    objects: str = ""
    """Of collections and MISP feeds: the SHA-256 of the objects it was compiled from."""


class Shape(Struct, frozen=True):
    """What of a table is no array."""

    bits: int
    shift: int
    """By which a start becomes a key of the directory."""
    grains: tuple[int, ...]
    """By which an address becomes a key of the filter, one after the other; none where there is no filter."""
    mixed: bool
    """An entry contains unrouted addresses, besides others."""


class Table:
    """The entries of one family."""

    __slots__ = (
        "_filter_bits",
        "_part",
        "around",
        "begins",
        "bits",
        "confidence",
        "grains",
        "high",
        "innermost",
        "keys",
        "lengths",
        "low",
        "mixed",
        "near",
        "shift",
        "since",
        "until",
    )

    def __init__(self, shape: Shape, arrays: Iterable[array[int]]) -> None:
        self.bits, self.shift, self.grains, self.mixed = shape.bits, shape.shift, shape.grains, shape.mixed
        (self.high, self.low, self.lengths, self.around, self.since, self.until, self.confidence, self.keys,
         self.begins, self.near) = arrays  # fmt: skip
        self._part = dict(zip(self.keys, range(len(self.keys)), strict=True)).get
        self._filter_bits = len(self.near) << 3
        self.innermost: Callable[[int], int] = self._innermost_v4 if self.bits == 32 else self._innermost_v6
        """The narrowest entry around a number; -1 when there is none."""

    @property
    def shape(self) -> Shape:
        """Shape of the table, for its stored form."""
        return Shape(self.bits, self.shift, self.grains, self.mixed)

    def arrays(self) -> tuple[array[int], ...]:
        """Arrays of the table, in the order of its stored form."""
        return (self.high, self.low, self.lengths, self.around, self.since, self.until, self.confidence, self.keys,
                self.begins, self.near)  # fmt: skip

    def start(self, at: int) -> int:
        """First address of an entry, as a number."""
        return self.high[at] << 64 | self.low[at] if self.bits == 128 else self.high[at]

    def last_from(self, number: int) -> int:
        """The last entry whose start is not above `number`; -1 when all are."""
        high = number if self.bits == 32 else number >> 64
        part = self._part(high >> self.shift)
        if part is None:
            return self.begins[bisect_right(self.keys, high >> self.shift)] - 1
        begins = self.begins
        at = bisect_right(self.high, high, begins[part], begins[part + 1]) - 1
        if self.bits == 32 or at < 0 or self.high[at] != high or self.low[at] <= number & LOW:
            return at
        # Others begin with the same 64 bits, and the last of them is above.
        return bisect_right(self.low, number & LOW, bisect_left(self.high, high, 0, at), at) - 1

    def _innermost_v4(self, number: int) -> int:
        if self.grains:
            near, filter_bits = self.near, self._filter_bits
            for grain in self.grains:
                bit = (number >> grain) % filter_bits
                if near[bit >> 3] >> (bit & 7) & 1:
                    break
            else:
                return -1
        at = self.last_from(number)
        while at >= 0 and (number ^ self.high[at]) >> (32 - self.lengths[at]):
            at = self.around[at] if self.around else -1
        return at

    def _innermost_v6(self, number: int) -> int:
        if self.grains:
            near, filter_bits = self.near, self._filter_bits
            for grain in self.grains:
                bit = (number >> grain) % filter_bits
                if near[bit >> 3] >> (bit & 7) & 1:
                    break
            else:
                return -1
        at = self.last_from(number)
        while at >= 0 and (number ^ (self.high[at] << 64 | self.low[at])) >> (128 - self.lengths[at]):
            at = self.around[at] if self.around else -1
        return at

    def surest(self, at: int, now: float, good_until: float, confidence_min: int) -> int:
        """Of `at` and the entries around it the surest that counts at `now`; -1 when none does."""
        best = -1
        while at >= 0:
            sure = self.confidence[at]
            if sure >= confidence_min and now < (self.until[at] or good_until):
                best, confidence_min = at, sure + 1
            if not self.around:
                break
            at = self.around[at]
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

    def __init__(self, about: About, tables: dict[int, Table]) -> None:
        self.about = about
        self.tables = tables

    def to_bytes(self) -> bytes:
        """Stored form of the feed."""
        head = _Head(VERSION, sys.byteorder, self.about, [
            (table.shape, [(one.typecode, len(one)) for one in table.arrays()]) for table in self.tables.values()
        ])  # fmt: skip
        header = msgspec.json.encode(head)
        arrays = (one.tobytes() for table in self.tables.values() for one in table.arrays())
        return b"".join((MAGIC, len(header).to_bytes(4, "big"), header, *arrays))


class _Head(Struct, frozen=True):
    version: int
    byteorder: str
    about: About
    tables: list[tuple[Shape, list[tuple[str, int]]]]


def about_of(stream: BinaryIO) -> About:
    """The account alone, from where a compiled feed begins. Raises `CompiledError`."""
    return _head(stream, _unhashed).about


def read_compiled(stream: BinaryIO, hashed: Callable[[bytes], None]) -> Compiled:
    """What `to_bytes` wrote, to the stream's end; `hashed` gets every byte of it, for a caller that verifies it
    before it is used. Raises `CompiledError`."""
    head, tables = _head(stream, hashed), {}
    for shape, sizes in head.tables:
        if "".join(kind for kind, _ in sizes) != KINDS.get(shape.bits):
            raise CompiledError("is not a compiled feed of this version")
        tables[shape.bits] = Table(shape, [_array(stream, kind, count, hashed) for kind, count in sizes])
    if set(tables) != set(KINDS) or stream.read(1):
        raise CompiledError("is not a compiled feed of this version")
    return Compiled(head.about, tables)


def _unhashed(_: bytes) -> None:
    pass


def _array(stream: BinaryIO, kind: str, count: int, hashed: Callable[[bytes], None]) -> array[int]:
    one: array[int] = array(kind)
    left = count * one.itemsize
    while left > 0:
        part = stream.read(min(left, CHUNK_BYTES))
        if not part or len(part) % one.itemsize:
            raise CompiledError("is cut short")
        one.frombytes(part)
        hashed(part)
        left -= len(part)
    return one


def _head(stream: BinaryIO, hashed: Callable[[bytes], None]) -> _Head:
    start = stream.read(len(MAGIC) + 4)
    size = int.from_bytes(start[len(MAGIC) :], "big")
    if not start.startswith(MAGIC) or size > HEADER_BYTES_MAX:
        raise CompiledError("is not a compiled feed")
    header = stream.read(size)
    try:
        head = msgspec.json.decode(header, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CompiledError("is not a compiled feed of this version") from None
    if head.version != VERSION or head.byteorder != sys.byteorder:
        raise CompiledError("is a compiled feed of another version or machine")
    hashed(start)
    hashed(header)
    return head
