"""Counters per subject: rates (GCRA) and quotas of calendar windows, in bounded tables that never forgive.

A *rate* is GCRA (the virtual scheduling algorithm of ITU-T I.371): one number a subject, the theoretical arrival time.
A *quota* counts within a calendar window that all its subjects share, so that turning the window is dropping the table.

A full table never forgives: an entry still in penalty is kept, and newcomers share `OVERFLOW_BUCKETS` buckets, which
are stricter than an entry of their own, never looser. Every method takes the time it needs; none looks at a clock.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from sallygate.model.counting import Room, Row

ENTRIES_MAX = 100_000
"""Subjects a table holds: about 25 MB when full. Addresses beyond it share the overflow buckets."""
OVERFLOW_BUCKETS = 1024
EVICTION_STEPS = 8
"""Entries looked at to make room for a newcomer; bounds the work of one request on a full table."""
ROUNDING_S = 2e-6
"""Seconds since the epoch in a double are exact to 2.4e-7; a burst must not lose a request to a few of those."""

Window = Literal["hour", "day", "month"]


class Table(Protocol):
    name: str
    dirty: set[str]
    spec: tuple[object, ...]
    """What it was made for: an equal one need not be made anew."""

    def look(self, subject: str, now: float, amount: int = 1) -> Room: ...
    def take(self, subject: str, now: float, amount: int) -> None: ...
    def subjects(self) -> list[str]: ...
    def row(self, subject: str) -> Row | None: ...
    def load(self, subject: str, a: float, b: float, now: float) -> None: ...
    def shift(self, seconds: float) -> None:
        """The clock jumped by so much: what counts from now on moves along, and is neither forgiven nor drawn out."""
        ...


class RateTable:
    """A rate with a burst, per subject."""

    def __init__(self, name: str, rate_per_s: float, burst: int, entries_max: int = ENTRIES_MAX) -> None:
        self.name = name
        self.spec: tuple[object, ...] = ("rate", rate_per_s, burst, entries_max)
        self.burst = burst
        self.interval_s = 1.0 / rate_per_s
        self.tolerance_s = self.interval_s * burst
        self.dirty: set[str] = set()
        self._entries_max = entries_max
        self._due: OrderedDict[str, float] = OrderedDict()
        self._shared: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def _backlog_s(self, subject: str, now: float) -> float:
        due = self._due.get(subject)
        if due is None:
            due = self._shared.get(hash(subject) % OVERFLOW_BUCKETS, 0.0) if self._shared else 0.0
        if due <= now:
            return 0.0
        # A clock set back makes every entry look far in the future; none can truly be further than the tolerance.
        backlog_s = due - now
        return backlog_s if backlog_s < self.tolerance_s else self.tolerance_s

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        backlog_s = self._backlog_s(subject, now)
        wanted_s = self.interval_s * amount
        # A cost above the burst would never be allowed: it waits for the whole burst instead.
        free_s = self.tolerance_s - backlog_s
        short_s = min(wanted_s, self.tolerance_s) - free_s
        if short_s > ROUNDING_S:
            return Room(False, int((free_s + ROUNDING_S) / self.interval_s), short_s)
        return Room(True, max(int((free_s - wanted_s + ROUNDING_S) / self.interval_s), 0), backlog_s + wanted_s)

    def take(self, subject: str, now: float, amount: int) -> None:
        due = now + self._backlog_s(subject, now) + self.interval_s * amount
        entries = self._due
        if subject in entries:
            entries[subject] = due
            entries.move_to_end(subject)
        elif len(entries) < self._entries_max or self._make_room(now):
            entries[subject] = due
        else:
            self._shared[hash(subject) % OVERFLOW_BUCKETS] = due
            return
        self.dirty.add(subject)

    def _make_room(self, now: float) -> bool:
        entries = self._due
        for _ in range(EVICTION_STEPS):
            subject = next(iter(entries))
            if entries[subject] <= now:
                del entries[subject]
                self.dirty.discard(subject)
                return True
            entries.move_to_end(subject)
        return False

    def subjects(self) -> list[str]:
        return list(self._due)

    def row(self, subject: str) -> Row | None:
        due = self._due.get(subject)
        return None if due is None else (self.name, subject, due, 0.0)

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        if a > now and len(self._due) < self._entries_max:
            # Further than this it was written by a clock that was ahead, and would last until that time comes.
            self._due[subject] = min(a, now + self.tolerance_s)

    def shift(self, seconds: float) -> None:
        for subject, due in self._due.items():
            self._due[subject] = due + seconds
        for bucket, due in self._shared.items():
            self._shared[bucket] = due + seconds
        self.dirty.update(self._due)


class QuotaTable:
    """An amount per calendar window, per subject: requests, bytes or records."""

    def __init__(self, name: str, most: int, window: Window, zone: ZoneInfo, entries_max: int = ENTRIES_MAX) -> None:
        self.name = name
        self.spec: tuple[object, ...] = ("quota", most, window, zone.key, entries_max)
        self.most = most
        self.window = window
        self.dirty: set[str] = set()
        self._zone = zone
        self._entries_max = entries_max
        self._used: dict[str, int] = {}
        self._shared: dict[int, int] = {}
        self._start = self._end = self._floor = 0.0

    def __len__(self) -> int:
        return len(self._used)

    def _turn(self, now: float) -> None:
        """Begin the window `now` is in. A clock set back stays in the window it has seen: what was used is not given
        back. One set back by more than a window was ahead by mistake, and would stay there for so long: the window is
        the present one then, with what was used."""
        ahead = now < self._start
        self._start, self._end = window_of(self.window, self._zone, now)
        self._floor = 2 * self._start - self._end
        if ahead:
            self.dirty.update(self._used)
            return
        self._used.clear()
        self._shared.clear()
        self.dirty.clear()

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        if not self._floor <= now < self._end:
            self._turn(now)
        used = self._used.get(subject)
        if used is None:
            used = self._shared.get(hash(subject) % OVERFLOW_BUCKETS, 0) if self._shared else 0
        left = self.most - used
        if left >= amount:
            return Room(True, left - amount, self._end - now)
        return Room(False, left if left > 0 else 0, self._end - now)

    def take(self, subject: str, now: float, amount: int) -> None:
        if not self._floor <= now < self._end:
            self._turn(now)
        used = self._used.get(subject)
        if used is not None or len(self._used) < self._entries_max:
            self._used[subject] = (used or 0) + amount
            self.dirty.add(subject)
        else:
            bucket = hash(subject) % OVERFLOW_BUCKETS
            self._shared[bucket] = self._shared.get(bucket, 0) + amount

    def subjects(self) -> list[str]:
        return list(self._used)

    def row(self, subject: str) -> Row | None:
        used = self._used.get(subject)
        return None if used is None else (self.name, subject, float(used), self._start)

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        if not self._floor <= now < self._end:
            self._turn(now)
        # A window that starts in the future was counted before the clock was set back: it is this one.
        if b >= self._start and len(self._used) < self._entries_max:
            self._used[subject] = int(a)

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
