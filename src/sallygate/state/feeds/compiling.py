"""Compiler of a feed's entries into tables: the valid ones, sorted, linked, with filter and directory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from sallygate.parsing.indicators.reading import Entry
from sallygate.parsing.reserved_addresses import (
    LONGEST_RESERVED,
    PUBLIC_ADDRESSES,
    is_partly_reserved,
    is_wholly_reserved,
)
from sallygate.state.feeds.tables import KINDS, LOW, Compiled, Shape, Table

DIRECTORY_MAX = 16_384
"""Leading parts of the starts that are distinguished: 2 MB, and the last six steps of a million are left to search."""
SECONDS_MAX = 0xFFFFFFFF
"""What an array holds, the year 2106. Among rows: no end of its own."""
AHEAD_S = 300.0
"""A clock that is ahead by less is no reason to wait with an indicator."""
FILTER_BYTES_AN_ENTRY = 2
"""One in sixteen addresses that nobody named passes a filter, and costs a search."""
_GRAINS = {32: (32, 24, 16), 128: (64, 48, 32)}
"""Prefix lengths that the filter knows. Each in use costs a look-up 0.1 µs."""
_WIDEST = {32: 8, 128: 20}
"""One such prefix is 256 networks of the widest grain, or 4,096."""


class Counted(Struct):
    """What compiling made of the entries."""

    dropped: Counter[str]
    recheck_at: float = 0.0
    covered: tuple[int, int] = (0, 0)


def compile_entries(
    entries: Iterable[Entry], now: float, confidence_min: int = 0, earlier: Compiled | None = None
) -> tuple[dict[int, Table], Counted]:
    """Tables of what counts now. An entry without a beginning began when the `earlier` compiled feed says, or now. What
    is expired, not yet valid, below the confidence or not routed is omitted and counted."""
    counted = Counted(Counter())
    sorted_out: dict[int, list[tuple[int, int, int, int, int]]] = {32: [], 128: []}
    for bits, number, length, since, until, confidence in entries:
        if reason := _unfit(bits, number, length, since, until, confidence, now, confidence_min):
            counted.dropped[reason] += 1
            if reason == "not yet true" and (not counted.recheck_at or since < counted.recheck_at):
                counted.recheck_at = since
            continue
        if not since:
            before = earlier.tables[bits].since_of(number, length) if earlier is not None else 0
            since = before or now
        ends = min(int(until), SECONDS_MAX - 1)
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


def _table(bits: int, rows: list[tuple[int, int, int, int, int]], dropped: Counter[str]) -> tuple[Table, int]:
    """Of sorted (number, length, -confidence, -end, since); and how many addresses they cover."""
    kinds = KINDS[bits]
    high, low, lengths, around, since, until, confidence = (array(kind) for kind in kinds[:7])
    open_: list[tuple[int, int]] = []
    """The entries around the present one: their last address and their place."""
    covered, nested, mixed = 0, False, False
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
        mixed = mixed or (length < LONGEST_RESERVED and is_partly_reserved(bits, number, length))
        high.append(number >> 64 if bits == 128 else number)
        if bits == 128:
            low.append(number & LOW)
        lengths.append(length)
        since.append(began)
        until.append(0 if -ends == SECONDS_MAX else -ends)
        confidence.append(-doubt)
    if not nested:
        around = array("i")
    shift, keys, begins = _directory(high, kinds[7])
    grains, near = _filter(bits, high, lengths)
    arrays = (high, low, lengths, around, since, until, confidence, keys, begins, near)
    return Table(Shape(bits, shift, grains, mixed), arrays), covered


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
    """Of the public addresses of each family, 1 at most."""
    return min(covered[0] / PUBLIC_ADDRESSES[32], 1.0), min(covered[1] / PUBLIC_ADDRESSES[128], 1.0)
