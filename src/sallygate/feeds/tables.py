"""A feed compiled for look-up, and its bytes.

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
from collections.abc import Iterable

import msgspec
from msgspec import Struct

VERSION = 1
"""Of the compiled form."""
MAGIC = b"sallygate feed\n"
HEADER_BYTES_MAX = 1 << 20
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


class Table:
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
        if self.bits == 32 or at < 0 or self.high[at] != high or self.low[at] <= number & LOW:
            return at
        # Others begin with the same 64 bits, and the last of them is above.
        return bisect_right(self.low, number & LOW, bisect_left(self.high, high, 0, at), at) - 1

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

    def __init__(self, about: About, tables: dict[int, Table]) -> None:
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
        if "".join(kind for kind, _ in sizes) != KINDS.get(bits):
            raise CompiledError("is not a compiled feed of this version")
        for kind, count in sizes:
            one: array[int] = array(kind)
            end = at + count * one.itemsize
            if end > len(data):
                raise CompiledError("is cut short")
            one.frombytes(view[at:end])
            arrays.append(one)
            at = end
        tables[bits] = Table(bits, shift, grains, arrays)
    return Compiled(head.about, tables)
