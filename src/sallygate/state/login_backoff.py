"""Login backoff: failures that delay the next attempt more and more, and networks of successful logins. Bounded tables,
persisted by services; time is an argument.

A full `Backoff` never forgives: newcomers share buckets, which are stricter than an entry of their own. A full
`SeenNetworks` forgets the network unused for longest, which then counts as new: stricter too.
"""

from __future__ import annotations

from sallygate.model.counting import Room, Row
from sallygate.state.bounded_table import ENTRIES_MAX, BoundedTable

STRIKES_MAX = 64
"""More would change nothing: the delay has long reached its most, and forgiving takes days as it is."""


class Backoff(BoundedTable[tuple[int, float]]):
    """Failures by subject: an entry is the strikes, and when the last came. The first `free` cost nothing; after each
    further one the next attempt waits twice as long, from `delay_s` to `delay_s_max`. One failure is forgiven for every
    `forgive_s` without another."""

    def __init__(self, name: str, free: int, delay_s: float, delay_s_max: float, forgive_s: float,
                 entries_max: int = ENTRIES_MAX) -> None:  # fmt: skip
        spec = ("backoff", free, delay_s, delay_s_max, forgive_s, entries_max)
        super().__init__(name, spec, entries_max)
        self._free, self._delay_s, self._delay_s_max, self._forgive_s = free, delay_s, delay_s_max, forgive_s

    def _strikes(self, entry: tuple[int, float] | None, now: float) -> tuple[int, float]:
        """(strikes not forgiven, seconds since the last)."""
        if entry is None:
            return 0, 0.0
        strikes, last = entry
        since_s = max(now - last, 0.0)  # a clock set back forgives nothing, and draws nothing out
        return max(strikes - int(since_s / self._forgive_s), 0), since_s

    def _is_free(self, entry: tuple[int, float], now: float) -> bool:
        return not self._strikes(entry, now)[0]

    def _sum(self, entry: tuple[int, float] | None, now: float, amount: int) -> tuple[int, float]:
        strikes, _ = self._strikes(entry, now)
        return min(strikes + amount, self._free + STRIKES_MAX), now

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        """Whether `amount` attempts may fail from here without passing the limit: those under way count as failed."""
        strikes, since_s = self._strikes(self._entry(subject), now)
        left = self._free - strikes - amount
        if left >= 0:
            return Room(True, left, 0.0)
        wait_s = 0.0
        if strikes >= self._free:
            over = min(strikes - self._free, STRIKES_MAX)
            wait_s = min(self._delay_s * 2.0**over, self._delay_s_max) - since_s
        if wait_s > 0:
            return Room(False, 0, wait_s)
        # Its wait is over: one attempt at a time.
        return Room(amount <= 1, 0, self._delay_s)

    def take(self, subject: str, now: float, amount: int) -> None:
        """Count `amount` failures."""
        self._put(subject, self._sum(self._entry(subject), now, amount), now, amount)

    def row(self, subject: str) -> Row | None:
        """Stored form: failures and the time of the last one."""
        entry = self._entries.get(subject)
        return None if entry is None else (self.name, subject, float(entry[0]), entry[1])

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        """Restore failures that still count."""
        entry = (min(int(a), self._free + STRIKES_MAX), min(b, now))
        if self._strikes(entry, now)[0] and len(self._entries) < self._entries_max:
            self._entries[subject] = entry

    def shift(self, seconds: float) -> None:
        """Move all times by a jump of the clock, in seconds."""
        for subject, (strikes, last) in self._entries.items():
            self._entries[subject] = (strikes, last + seconds)
        for bucket, (strikes, last) in self._buckets.items():
            self._buckets[bucket] = (strikes, last + seconds)
        self._changed()


class SeenNetworks(BoundedTable[float]):
    """Networks from which logins succeeded: an entry is until when, `for_s` from the last time. A full table forgets
    the network unused for longest."""

    def __init__(self, name: str, for_s: float, entries_max: int = ENTRIES_MAX) -> None:
        super().__init__(name, ("places", for_s, entries_max), entries_max)
        self._for_s = for_s

    def _is_free(self, entry: float, now: float) -> bool:
        return True

    def _sum(self, entry: float | None, now: float, amount: int) -> float:
        return now + self._for_s

    def knows(self, subject: str, now: float) -> bool:
        """Whether a login from the network succeeded lately."""
        return now < self._entries.get(subject, 0.0)

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        """Room: allowed if the network is known."""
        return Room(self.knows(subject, now), 0, 0.0)

    def take(self, subject: str, now: float, amount: int) -> None:
        """Record a successful login."""
        self._put(subject, now + self._for_s, now, amount)

    def row(self, subject: str) -> Row | None:
        """Stored form: the end of the entry, in seconds since the epoch."""
        until = self._entries.get(subject)
        return None if until is None else (self.name, subject, until, 0.0)

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        """Restore an entry that has not ended."""
        if a > now and len(self._entries) < self._entries_max:
            self._entries[subject] = min(a, now + self._for_s)

    def shift(self, seconds: float) -> None:
        """Move all times by a jump of the clock, in seconds."""
        for subject, until in self._entries.items():
            self._entries[subject] = until + seconds
        self._changed()
