"""Watch over load: measures the delay of the event loop, and logs when shedding begins, continues and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sallygate.policy.flood import Flood
from sallygate.state.bounded_table import ENTRIES_MAX
from sallygate.state.load_shedding import RANKS
from sallygate.state.state import State
from sallygate.telemetry.log import Log
from sallygate.telemetry.status import FloodState, SheddingState

QUIET_S = 10.0
"""Without anything shed for so long it has ended; shorter pauses are part of it."""
REPORTED_EVERY_S = 60.0
"""While it goes on, a line with the numbers so far."""


LATE_EVERY_S = 0.02
LATE_STEP = 0.3
"""Of each measurement; a single pause is no overload."""
BUSY_PER_S = 500
"""Requests a second below which they are not what a loop is late for: on a slow machine a quarter of a core. An
application that blocks the loop, or a machine that is busy with something else, sheds nobody."""


class LoadWatch:
    """Watch over load; call `step` twice a second."""

    def __init__(self, state: State, now: Callable[[], float], log: Log) -> None:
        self._state, self._now, self._log = state, now, log
        self.since = 0.0
        self._last = self._reported_at = 0.0
        self._before = self._at_begin = 0

    async def watch_lateness(self) -> None:
        """How much later than asked for the loop does things, as far as requests are the reason."""
        loop, shedder = asyncio.get_running_loop(), self._state.shedder
        late_s = per_s = 0.0
        while True:
            began, arrived = loop.time(), shedder.arrived
            await asyncio.sleep(LATE_EVERY_S)
            took_s = loop.time() - began
            late_s += LATE_STEP * (took_s - LATE_EVERY_S - late_s)
            per_s += LATE_STEP * ((shedder.arrived - arrived) / took_s - per_s)
            shedder.late_s = late_s if per_s >= BUSY_PER_S else 0.0

    async def step(self) -> None:
        """Say it when shedding begins, goes on and ends."""
        shedder = self._state.shedder
        now, shed = self._now(), shedder.shed.total()
        if shed > self._before:
            self._last = now
            if not self.since:
                self.since, self._reported_at, self._at_begin = now, now, self._before
                self._log.warning("shedding load: the API is overloaded", shed=shed - self._before,
                                    limit=shedder.limit, under_way=shedder.under_way)  # fmt: skip
        if self.since and now - self._last >= QUIET_S:
            self._log.warning("no more load is shed", shed=shed - self._at_begin, limit=shedder.limit,
                                seconds=round(self._last - self.since))  # fmt: skip
            self.since = 0.0
        elif self.since and now - self._reported_at >= REPORTED_EVERY_S:
            self._reported_at = now
            by_rank = {rank: sum(n for (of, _), n in shedder.shed.items() if of == rank) for rank in RANKS}
            self._log.warning("load is being shed still", shed=shed - self._at_begin, limit=shedder.limit,
                                since_start_by_rank={rank: n for rank, n in by_rank.items() if n})  # fmt: skip
        self._before = shed

    def state(self, section: Flood) -> FloodState:
        """For `sallygate status` and the metrics; `section` of the policy in force."""
        shedder, box = self._state.shedder, self._state.penalties
        return FloodState(
            box.count(self._now()),
            ENTRIES_MAX,
            box.overflowed,
            SheddingState(
                section.shedding.mode,
                shedder.limit,
                dict(zip(RANKS, shedder.working, strict=True)),
                dict(zip(RANKS, shedder.waiting, strict=True)),
                {f"{rank}.{reason}": count for (rank, reason), count in shedder.shed.items()},
                {f"{rank}.{reason}": count for (rank, reason), count in shedder.would_shed.items()},
                self.since,
            ),
        )
