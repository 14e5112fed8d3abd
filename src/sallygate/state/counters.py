"""Counters per subject: rates (GCRA) and quotas of calendar windows, in bounded tables that never forgive.

A *rate* is GCRA (the virtual scheduling algorithm of ITU-T I.371): one number a subject, the theoretical arrival time.
A *quota* counts within a calendar window that all its subjects share, so that a new window drops the table's entries.
Every method takes the time it needs; none looks at a clock.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sallygate.model.counting import Room, Row
from sallygate.state.bounded_table import ENTRIES_MAX, OVERFLOW_BUCKETS, BoundedTable, Deltas

ROUNDING_S = 2e-6
"""Seconds since the epoch in a double are exact to 2.4e-7; a burst must not lose a request to a few of those."""

Window = Literal["hour", "day", "month"]


class RateTable(BoundedTable[float]):
    """Rate with a burst, per subject: an entry is the theoretical arrival time."""

    def __init__(
        self, name: str, rate_per_s: float, burst: int, entries_max: int = ENTRIES_MAX, buckets: int = OVERFLOW_BUCKETS
    ) -> None:
        super().__init__(name, ("rate", rate_per_s, burst, entries_max), entries_max, buckets)
        self.burst = burst
        self.interval_s = 1.0 / rate_per_s
        self.tolerance_s = self.interval_s * burst

    def _is_free(self, entry: float, now: float) -> bool:
        return entry <= now

    def _sum(self, entry: float | None, now: float, amount: int) -> float:
        due = max(entry or 0.0, now) + self.interval_s * amount
        return min(due, now + 2 * self.tolerance_s)  # what is above the tolerance waits at most for it

    def _backlog_s(self, subject: str, now: float) -> float:
        due = self._entries.get(subject)
        if due is None:
            due = (self._entry(subject) or 0.0) if self._buckets else 0.0
        if due <= now:
            return 0.0
        # A clock set back makes every entry look far in the future; none can truly be further than the tolerance.
        backlog_s = due - now
        return backlog_s if backlog_s < self.tolerance_s else self.tolerance_s

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        """Room left under the rate (GCRA), without taking any."""
        backlog_s = self._backlog_s(subject, now)
        wanted_s = self.interval_s * amount
        # A cost above the burst would never be allowed: it waits for the whole burst instead.
        free_s = self.tolerance_s - backlog_s
        short_s = min(wanted_s, self.tolerance_s) - free_s
        if short_s > ROUNDING_S:
            return Room(False, int((free_s + ROUNDING_S) / self.interval_s), short_s)
        return Room(True, max(int((free_s - wanted_s + ROUNDING_S) / self.interval_s), 0), backlog_s + wanted_s)

    def take(self, subject: str, now: float, amount: int) -> None:
        """Take `amount` requests, also beyond the rate."""
        due = now + self._backlog_s(subject, now) + self.interval_s * amount
        entries = self._entries
        if subject in entries:  # here rather than in `_put`: of every request
            entries[subject] = due
            entries.move_to_end(subject)
            deltas = self._deltas
            deltas[subject] = deltas.get(subject, 0) + amount
        else:
            self._put(subject, due, now, amount)

    def row(self, subject: str) -> Row | None:
        """Stored form: the time at which the subject's backlog is zero."""
        due = self._entries.get(subject)
        return None if due is None else (self.name, subject, due, 0.0)

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        """Restore an entry whose backlog is not zero yet."""
        if a > now and len(self._entries) < self._entries_max:
            # Further than this it was written by a clock that was ahead, and would last until that time comes.
            self._entries[subject] = min(a, now + self.tolerance_s)

    def shift(self, seconds: float) -> None:
        """Move all times by a jump of the clock, in seconds."""
        for subject, due in self._entries.items():
            self._entries[subject] = due + seconds
        for bucket, due in self._buckets.items():
            self._buckets[bucket] = due + seconds
        self._changed()


class QuotaTable(BoundedTable[int]):
    """Amount per calendar window, per subject: requests, bytes or records. An entry is what was used."""

    def __init__(
        self,
        name: str,
        most: int,
        window: Window,
        zone: ZoneInfo,
        entries_max: int = ENTRIES_MAX,
        buckets: int = OVERFLOW_BUCKETS,
    ) -> None:
        super().__init__(name, ("quota", most, window, zone.key, entries_max), entries_max, buckets)
        self.most = most
        self.window = window
        self._zone = zone
        self._start = self._end = self._floor = 0.0
        self._before: tuple[float, float, OrderedDict[str, int], dict[int, int]] | None = None
        """The window before, until the next one begins."""

    def _is_free(self, entry: int, now: float) -> bool:
        return False

    def _sum(self, entry: int | None, now: float, amount: int) -> int:
        return (entry or 0) + amount

    def merge(self, deltas: Deltas, now: float) -> None:
        """What another gate took in the window before counts in this one, where the window has just begun: stricter."""
        if not self._floor <= now < self._end:
            self._turn(now)
        super().merge(deltas, now)

    def _turn(self, now: float) -> None:
        """Begin the window `now` is in.

        A clock that went ahead and comes back finds the window it left, with what was used in both. A clock set back
        otherwise stays in the window it has seen: what was used is not given back. One set back by more than a window
        was ahead by mistake, and would stay there for so long: the window is the present one then, with what was used.
        """
        before, self._before = self._before, None
        if now >= self._start:
            if self._end:
                self._before = (self._start, self._end, self._entries, self._buckets)
            self._start, self._end = window_of(self.window, self._zone, now)
            self._floor = self._start  # to be asked again where the clock comes back
            self._entries, self._buckets = OrderedDict(), {}
            self.take_deltas()
            return
        if before is not None and before[0] <= now < before[1]:
            self._start, self._end, entries, buckets = before
            for subject, used in entries.items():
                self._entries[subject] = self._entries.get(subject, 0) + used
            for bucket, used in buckets.items():
                self._buckets[bucket] = self._buckets.get(bucket, 0) + used
        elif now < 2 * self._start - self._end:
            self._start, self._end = window_of(self.window, self._zone, now)
        self._floor = 2 * self._start - self._end
        self._changed()

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        """Room left in the window, without taking any."""
        if not self._floor <= now < self._end:
            self._turn(now)
        used = self._entries.get(subject)
        if used is None:
            used = (self._entry(subject) or 0) if self._buckets else 0
        left = self.most - used
        if left >= amount:
            return Room(True, left - amount, self._end - now)
        return Room(False, left if left > 0 else 0, self._end - now)

    def take(self, subject: str, now: float, amount: int) -> None:
        """Take `amount` from the window."""
        if not self._floor <= now < self._end:
            self._turn(now)
        used = self._entries.get(subject)
        if used is not None:  # here rather than in `_put`: of every request
            self._entries[subject] = used + amount
            deltas = self._deltas
            deltas[subject] = deltas.get(subject, 0) + amount
        else:
            self._put(subject, (self._entry(subject) or 0) + amount, now, amount)

    def _make_room(self, now: float) -> bool:
        return False  # what was used counts until the window ends

    def row(self, subject: str) -> Row | None:
        """Stored form: the used amount and the start of the window."""
        used = self._entries.get(subject)
        return None if used is None else (self.name, subject, float(used), self._start)

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        """Restore an entry of the current window."""
        if not self._floor <= now < self._end:
            self._turn(now)
        # A window that starts in the future was counted before the clock was set back: it is this one.
        if b >= self._start and len(self._entries) < self._entries_max:
            self._entries[subject] = int(a)

    def shift(self, seconds: float) -> None:
        """Windows are the calendar's: see `_turn`."""


def window_of(window: Window, zone: ZoneInfo, now: float) -> tuple[float, float]:
    """Start and end of the calendar window `now` falls in, in seconds since the epoch."""
    local = datetime.fromtimestamp(now, zone)
    if window == "hour":
        # By the clock of the epoch, so that an hour repeated when summer ends is two windows.
        start = now - (local.minute * 60 + local.second + local.microsecond / 1e6)
        return round(start), round(start) + 3600.0
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if window == "day":
        end = (day + timedelta(days=1)).replace(fold=0)
    else:
        day = day.replace(day=1)
        end = (day + timedelta(days=32)).replace(day=1)
    return day.timestamp(), end.timestamp()
