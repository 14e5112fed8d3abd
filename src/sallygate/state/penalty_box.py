"""Penalty box: sources whose requests are refused too often are blocked for a while, longer each time.

In memory, bounded, stored as rows by services; time is an argument. `until` is one dictionary look-up. A full box never
releases a source early: refusals of further sources are counted in shared buckets, and these sources do not enter the
box, since a shared entry would block sources without refusals.
"""

from __future__ import annotations

from collections import OrderedDict

from sallygate.model.counting import Room, Row
from sallygate.state.bounded_table import ENTRIES_MAX, EVICTION_STEPS, BoundedTable, Deltas

UNITS = 10
"""A refusal counts so many: one for the source itself, a tenth of that for the site around it."""
FORGET_S = 86_400.0
"""A source without refusals for a day starts again without earlier penalties, in seconds."""
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
        self.overflowed = 0
        """How often the box was too full for another source."""
        self._interval_s = 1.0 / (rate_per_s * UNITS)
        self._tolerance_s = self._interval_s * burst * UNITS
        self._first_s, self._most_s = first_s, most_s
        self._penalties: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """End of the penalty (seconds since the epoch), and the number of penalties."""

    def __len__(self) -> int:
        return len(self._entries) + len(self._penalties)

    @property
    def holds_anybody(self) -> bool:
        """Whether the box has an entry."""
        return bool(self._penalties)

    def until(self, subject: str, now: float) -> float:
        """End of the penalty, in seconds since the epoch; 0 if the source has none."""
        penalty = self._penalties.get(subject)
        return penalty[0] if penalty is not None and now < penalty[0] else 0.0

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        """Room: not allowed while the source is in the box."""
        until = self.until(subject, now)
        return Room(not until, 0, until - now if until else 0.0)

    def count(self, now: float) -> int:
        """How many sources are in the box."""
        return sum(1 for until, _ in self._penalties.values() if now < until)

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
        penalties = self._penalties
        until, times = penalties.get(subject, (0.0, 0))
        if times and now - until > FORGET_S:
            until, times = 0.0, 0
        elif not times and len(penalties) >= self._entries_max and not self._room_in_box(now):
            self.overflowed += 1
            return False
        times = min(times + 1, TIMES_MAX)
        until = max(until, now + min(self._first_s * 2.0 ** (times - 1), self._most_s))
        penalties[subject] = (until, times)
        penalties.move_to_end(subject)
        return True

    def _room_in_box(self, now: float) -> bool:
        penalties = self._penalties
        for _ in range(EVICTION_STEPS):
            subject = next(iter(penalties))
            if penalties[subject][0] <= now:
                del penalties[subject]
                return True
            penalties.move_to_end(subject)
        return False

    # as a table: rows hold the sources in the box, not the counted refusals --------------------------------

    def subjects(self) -> list[str]:
        """Sources in the box."""
        return list(self._penalties)

    def row(self, subject: str) -> Row | None:
        """Stored form: the end of the penalty (seconds since the epoch) and the number of penalties."""
        penalty = self._penalties.get(subject)
        return None if penalty is None else (self.name, subject, penalty[0], float(penalty[1]))

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        """Restore a penalty that is not forgotten."""
        times = min(max(int(b), 1), TIMES_MAX)
        if now - a < FORGET_S and len(self._penalties) < self._entries_max:
            # Further than this it was written by a clock that was ahead.
            self._penalties[subject] = (min(a, now + self._most_s), times)

    def shift(self, seconds: float) -> None:
        """The clock jumped: neither forgiven nor drawn out."""
        for subject, due in self._entries.items():
            self._entries[subject] = due + seconds
        for bucket, due in self._buckets.items():
            self._buckets[bucket] = due + seconds
        for subject, (until, times) in self._penalties.items():
            self._penalties[subject] = (until + seconds, times)
        self._changed()
