"""Clock for decisions: seconds since the epoch, carried on by a monotonic clock.

Someone setting the machine's clock must neither free the penalised nor lock out the honest within a request. So time
runs on steadily from start, and `check` follows a jump once and logs it; the counters allow for it (see `state`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP_S = 2.0
"""A difference that no slewing makes between two checks a second apart (`adjtimex` slews by 0.5 ms a second)."""


class Clock:
    """Clock of decisions: the wall clock at start, carried on by the monotonic clock."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._offset = wall() - steady()
        self.jumps = 0

    def now(self) -> float:
        """Current time, in seconds since the epoch; it never goes back by itself."""
        return self._steady() + self._offset

    def check(self) -> float | None:
        """Follow the wall clock; the seconds it jumped by, or None when it ran steadily."""
        offset = self._wall() - self._steady()
        jumped = offset - self._offset
        self._offset = offset
        if abs(jumped) < JUMP_S:
            return None
        self.jumps += 1
        return jumped
