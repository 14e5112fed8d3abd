"""Two counters of logins: failures after which the next attempt must wait longer and longer, and places from which a
login succeeded. Tables like those of `state`: bounded, persisted by others, with time as an argument.

A full `Backoff` never forgives: newcomers share buckets, which are stricter than an entry of their own. A full
`SeenPlaces` forgets the place unused for longest, which then counts as new: stricter too.
"""

from __future__ import annotations

from collections import OrderedDict

from sallygate.model.counting import Room, Row
from sallygate.state.counters import ENTRIES_MAX, EVICTION_STEPS, OVERFLOW_BUCKETS

STRIKES_MAX = 64
"""More would change nothing: the delay has long reached its most, and forgiving takes days as it is."""


class Backoff:
    """Failures by subject. The first `free` cost nothing; after each further one the next attempt waits twice as long,
    from `delay_s` to `delay_s_max`. One failure is forgiven for every `forgive_s` without another."""

    def __init__(self, name: str, free: int, delay_s: float, delay_s_max: float, forgive_s: float,
                 entries_max: int = ENTRIES_MAX) -> None:  # fmt: skip
        self.name = name
        self.spec: tuple[object, ...] = ("backoff", free, delay_s, delay_s_max, forgive_s, entries_max)
        self.dirty: set[str] = set()
        self._free, self._delay_s, self._delay_s_max, self._forgive_s = free, delay_s, delay_s_max, forgive_s
        self._entries_max = entries_max
        self._entries: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Strikes, and when the last came."""
        self._shared: dict[int, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def _strikes(self, entry: tuple[int, float] | None, now: float) -> tuple[int, float]:
        """(strikes not forgiven, seconds since the last)."""
        if entry is None:
            return 0, 0.0
        strikes, last = entry
        since_s = max(now - last, 0.0)  # a clock set back forgives nothing, and draws nothing out
        return max(strikes - int(since_s / self._forgive_s), 0), since_s

    def _entry(self, subject: str) -> tuple[int, float] | None:
        entry = self._entries.get(subject)
        if entry is None and self._shared:
            entry = self._shared.get(hash(subject) % OVERFLOW_BUCKETS)
        return entry

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
        strikes, _ = self._strikes(self._entry(subject), now)
        entry = (min(strikes + amount, self._free + STRIKES_MAX), now)
        entries = self._entries
        if subject in entries or len(entries) < self._entries_max or self._make_room(now):
            entries[subject] = entry
            entries.move_to_end(subject)
            self.dirty.add(subject)
        else:
            self._shared[hash(subject) % OVERFLOW_BUCKETS] = entry

    def _make_room(self, now: float) -> bool:
        entries = self._entries
        for _ in range(EVICTION_STEPS):
            subject = next(iter(entries))
            if not self._strikes(entries[subject], now)[0]:
                del entries[subject]
                self.dirty.discard(subject)
                return True
            entries.move_to_end(subject)
        return False

    def subjects(self) -> list[str]:
        return list(self._entries)

    def row(self, subject: str) -> Row | None:
        entry = self._entries.get(subject)
        return None if entry is None else (self.name, subject, float(entry[0]), entry[1])

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        entry = (min(int(a), self._free + STRIKES_MAX), min(b, now))
        if self._strikes(entry, now)[0] and len(self._entries) < self._entries_max:
            self._entries[subject] = entry

    def shift(self, seconds: float) -> None:
        for subject, (strikes, last) in self._entries.items():
            self._entries[subject] = (strikes, last + seconds)
        for bucket, (strikes, last) in self._shared.items():
            self._shared[bucket] = (strikes, last + seconds)
        self.dirty.update(self._entries)


class SeenNetworks:
    """Where logins succeeded, each for `for_s` from the last time."""

    def __init__(self, name: str, for_s: float, entries_max: int = ENTRIES_MAX) -> None:
        self.name = name
        self.spec: tuple[object, ...] = ("places", for_s, entries_max)
        self.dirty: set[str] = set()
        self._for_s = for_s
        self._entries_max = entries_max
        self._until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def knows(self, subject: str, now: float) -> bool:
        return now < self._until.get(subject, 0.0)

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        return Room(self.knows(subject, now), 0, 0.0)

    def take(self, subject: str, now: float, amount: int) -> None:
        self._until[subject] = now + self._for_s
        self._until.move_to_end(subject)
        self.dirty.add(subject)
        if len(self._until) > self._entries_max:
            gone, _ = self._until.popitem(last=False)
            self.dirty.discard(gone)

    def subjects(self) -> list[str]:
        return list(self._until)

    def row(self, subject: str) -> Row | None:
        until = self._until.get(subject)
        return None if until is None else (self.name, subject, until, 0.0)

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        if a > now and len(self._until) < self._entries_max:
            self._until[subject] = min(a, now + self._for_s)

    def shift(self, seconds: float) -> None:
        for subject, until in self._until.items():
            self._until[subject] = until + seconds
        self.dirty.update(self._until)
