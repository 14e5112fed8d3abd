"""Failures of background work: each counted by its subject, and logged at a bounded rate."""

from __future__ import annotations

import time
from collections import Counter

from sallygate.telemetry.log import Log

LOGGED_EVERY_S = 10.0
"""The same failure is logged once in so long, with its count."""


class Failures:
    """Called with what failed and why. Never raises."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.counts: Counter[str] = Counter()
        """Failures by what failed, since the start."""
        self._logged: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, error: BaseException) -> None:
        self.counts[what] += 1
        last, times = self._logged.get(what, (-LOGGED_EVERY_S, 0))
        now = time.monotonic()
        if now - last < LOGGED_EVERY_S:
            self._logged[what] = (last, times + 1)
            return
        self._logged[what] = (now, 0)
        self._log.error("failed", what=what, error=f"{type(error).__name__}: {error}", times_before=times)
