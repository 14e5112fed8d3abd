"""Compiled feeds of threat intelligence, by address. Part of `state`; filled by services.

`tables` is the compiled form, `compiling` how entries come into it. Addresses that are not routed on the Internet match
nothing, whatever a feed says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct

from sallygate.parsing.addresses import Address
from sallygate.parsing.indicators.blocks import block_text
from sallygate.parsing.reserved_addresses import is_reserved
from sallygate.state.feeds.tables import Compiled, Table


class Match(Struct, frozen=True, gc=False):
    """One feed names the address."""

    feed: str
    table: Table
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

    def match(self, table: Table, at: int, number: int, now: float) -> Match | None:
        """What is said of the address `number`, `at` being the narrowest entry around it."""
        at = table.surest(at, now, self.confirmed_at + self.expiry_s, self.confidence_min)
        if at < 0 or (table.mixed and is_reserved(table.bits, number)):
            return None
        return Match(self.name, table, at)


class Feeds:
    """All feeds, by name. Replaced one by one, each as a whole."""

    LOCAL: ClassVar[str] = "files that are read alike everywhere; each feed is bounded by its section of the policy"

    def __init__(self) -> None:
        self._all: dict[str, Feed] = {}
        self._by_bits: dict[int, list[tuple[Feed, Table]]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Feed]:
        return iter(tuple(self._all.values()))

    def get(self, name: str) -> Feed | None:
        """Feed by name; None if it is not in force."""
        return self._all.get(name)

    def put(self, feed: Feed) -> None:
        """Put a feed in force, in place of the former one of its name."""
        self._all[feed.name] = feed
        self._index()

    def drop(self, name: str) -> None:
        """Remove a feed."""
        self._all.pop(name, None)
        self._index()

    def _index(self) -> None:
        by_bits: dict[int, list[tuple[Feed, Table]]] = {}
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
