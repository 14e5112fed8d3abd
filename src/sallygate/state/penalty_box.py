"""The penalty box: sources whose refused requests come too often are not listened to for a while, longer each time.

In memory, bounded, kept by others as rows; time is an argument. Asking whether a source is boxed is one dictionary
look-up (`until`). A full box never lets one out early: newcomers then have their refusals counted in shared buckets,
and are not boxed themselves, since a shared box would hold those who did nothing.
"""

from __future__ import annotations

from collections import OrderedDict

from sallygate.model.counting import Room, Row
from sallygate.state.bounded_table import ENTRIES_MAX, EVICTION_STEPS, BoundedTable, Deltas

UNITS = 10
"""A refusal counts so many: one for the source itself, a tenth of that for the site around it."""
FORGET_S = 86_400.0
"""A source that kept quiet for a day begins anew."""
TIMES_MAX = 32
"""Doubling has long reached the longest time."""


class Penalties(BoundedTable[float]):
    """Penalty box: by subject, what its refusals add up to (an entry), and until when it is in the box. About 15 MB of
    each when full.

    `rate_per_s` and `burst` are refusals; `first_s` is the first time in the box, `most_s` the longest."""

    NAME = "flood:penalty"

    def __init__(
        self,
        rate_per_s: float = 1.0,
        burst: int = 60,
        first_s: float = 60.0,
        most_s: float = 3600.0,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        spec = ("penalties", rate_per_s, burst, first_s, most_s, entries_max)
        super().__init__(self.NAME, spec, entries_max)
        self.not_boxed = 0
        """How often the box was too full for a newcomer."""
        self._interval_s = 1.0 / (rate_per_s * UNITS)
        self._tolerance_s = self._interval_s * burst * UNITS
        self._first_s, self._most_s = first_s, most_s
        self._boxed: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Until when, and the how many-th time."""

    def __len__(self) -> int:
        return len(self._entries) + len(self._boxed)

    @property
    def holds_anybody(self) -> bool:
        """Whether anybody was boxed and not forgotten since."""
        return bool(self._boxed)

    def until(self, subject: str, now: float) -> float:
        """When the source is listened to again, in seconds since the epoch; 0 when it is now."""
        boxed = self._boxed.get(subject)
        return boxed[0] if boxed is not None and now < boxed[0] else 0.0

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        until = self.until(subject, now)
        return Room(not until, 0, until - now if until else 0.0)

    def boxed(self, now: float) -> int:
        """How many sources are in the box."""
        return sum(1 for until, _ in self._boxed.values() if now < until)

    def take(self, subject: str, now: float, amount: int) -> None:
        """`amount` units of refusals. What is refused in the box itself does not count; what counts for more than one
        refusal does."""
        if amount <= UNITS and self.until(subject, now):
            return
        entry = self._entry(subject)
        backlog_s = min(max((entry or 0.0) - now, 0.0), self._tolerance_s) + self._interval_s * amount
        if backlog_s > self._tolerance_s and self._box(subject, now):
            self._entries.pop(subject, None)
            self._deltas[subject] = self._deltas.get(subject, 0) + amount
        else:
            self._put(subject, now + backlog_s, now, amount)

    def _is_free(self, entry: float, now: float) -> bool:
        return entry <= now

    def _sum(self, entry: float | None, now: float, amount: int) -> float:
        return min(max(entry or 0.0, now) + self._interval_s * amount, now + 2 * self._tolerance_s)

    def merge(self, deltas: Deltas, now: float) -> None:
        """Refusals of another gate; a source that they bring above the limit goes into this box, too."""
        super().merge(deltas, now)
        for subject in deltas:
            due = self._entries.get(subject)
            if due is not None and due - now > self._tolerance_s and self._box(subject, now):
                del self._entries[subject]
                self._deltas.setdefault(subject, 0)

    def _box(self, subject: str, now: float) -> bool:
        boxed = self._boxed
        until, times = boxed.get(subject, (0.0, 0))
        if times and now - until > FORGET_S:
            until, times = 0.0, 0
        elif not times and len(boxed) >= self._entries_max and not self._room_in_box(now):
            self.not_boxed += 1
            return False
        times = min(times + 1, TIMES_MAX)
        until = max(until, now + min(self._first_s * 2.0 ** (times - 1), self._most_s))
        boxed[subject] = (until, times)
        boxed.move_to_end(subject)
        return True

    def _room_in_box(self, now: float) -> bool:
        boxed = self._boxed
        for _ in range(EVICTION_STEPS):
            subject = next(iter(boxed))
            if boxed[subject][0] <= now:
                del boxed[subject]
                return True
            boxed.move_to_end(subject)
        return False

    # as a table: what is kept is who is boxed, not whose refusals are being counted --------------------------------

    def subjects(self) -> list[str]:
        return list(self._boxed)

    def row(self, subject: str) -> Row | None:
        boxed = self._boxed.get(subject)
        return None if boxed is None else (self.name, subject, boxed[0], float(boxed[1]))

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        times = min(max(int(b), 1), TIMES_MAX)
        if now - a < FORGET_S and len(self._boxed) < self._entries_max:
            # Further than this it was written by a clock that was ahead.
            self._boxed[subject] = (min(a, now + self._most_s), times)

    def shift(self, seconds: float) -> None:
        """The clock jumped: neither forgiven nor drawn out."""
        for subject, due in self._entries.items():
            self._entries[subject] = due + seconds
        for bucket, due in self._buckets.items():
            self._buckets[bucket] = due + seconds
        for subject, (until, times) in self._boxed.items():
            self._boxed[subject] = (until + seconds, times)
        self._changed()
