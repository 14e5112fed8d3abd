"""Result of reading a feed: entries, and counts of everything that became none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

INDICATORS_MAX = 2_000_000
"""Of one feed: twice what is promised. Large public collections have 0.2 to 1 million addresses."""
SAID_MAX = 5
"""Most bad lines whose numbers are reported: enough to find the fault."""

Entry = tuple[int, int, int, float, float, int]
"""Bits of the family, network number, prefix length, since and until in seconds since the epoch (0: not said),
confidence (0 to 100)."""


class IndicatorError(ValueError):
    """The bytes are no feed of this format. The message holds none of them."""


class Settings(Struct, frozen=True):
    """How the policy wants a feed read."""

    confidence: int = 50
    """Of indicators that name none."""
    confidence_min: int = 0
    expiry_s: float = 30 * 86400.0
    """For dated indicators that name no end: so long after their date."""
    column: str = ""
    """Of a table: the name in its header, or the number from 1; found when empty."""
    confidence_column: str = ""


class Group(Struct, frozen=True, array_like=True, gc=False):
    """What one object of the feed names; a later version takes its place."""

    version: float
    """Seconds since the epoch."""
    entries: tuple[Entry, ...]


class Reading:
    """Filled by the readers of one feed, several documents in turn."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.groups: dict[str, Group] = {}
        """By the id of an object that has versions."""
        self.read = 0
        """Lines or objects looked at."""
        self.bad = 0
        self.said: list[str] = []
        """Where the first bad ones are, and what is wrong with them."""
        self.unused: Counter[str] = Counter()
        """Good ones that say nothing about addresses, or should not be used, by reason."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Add entries without versions. Raises `IndicatorError` above the limit of entries."""
        self.entries.extend(entries)
        self._check(len(self.entries))

    def put(self, key: str, group: Group) -> None:
        """The latest version counts, whatever the order they come in."""
        before = self.groups.get(key)
        if before is None or before.version <= group.version:
            self.groups[key] = group
            self._check(len(self.groups))

    def wrong(self, where: str, why: str) -> None:
        """Count a bad line or object; `where` is its position, `why` the fault."""
        self.bad += 1
        if len(self.said) < SAID_MAX:
            self.said.append(f"{where}: {why}")

    def all(self) -> list[Entry]:
        """Every entry; a new list when there are groups."""
        if not self.groups:
            return self.entries
        found = [*self.entries, *(entry for group in self.groups.values() for entry in group.entries)]
        self._check(len(found))
        return found

    def _check(self, count: int) -> None:
        if count > INDICATORS_MAX:
            raise IndicatorError(f"has more than {INDICATORS_MAX:,} indicators; split it, or take a smaller one")


def seconds(moment: datetime | None) -> float:
    """Since the epoch; 0 for none. `ValueError` for a time that names no zone."""
    if moment is None:
        return 0.0
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return max(moment.timestamp(), 0.0)
