"""Watch over the clock: after a jump, counters move along, and restrictions still end at their time."""

from __future__ import annotations

from sallygate.ports import Clock, RestrictionStore
from sallygate.services.restriction_tables import add_restrictions
from sallygate.services.store_thread import StoreThread
from sallygate.state.state import State
from sallygate.telemetry.log import Log


class ClockWatch:
    """Watch over the clock; call `step` once a second."""

    def __init__(self, clock: Clock, state: State, store: RestrictionStore, in_store: StoreThread, log: Log) -> None:
        self._clock, self._state, self._store, self._in_store, self._log = clock, state, store, in_store, log
        self._recheck = False

    async def step(self) -> None:
        """Look once. Raises `StoreError`."""
        state, now = self._state, self._clock.now
        if (jumped := self._clock.check()) is not None:
            self._log.warning("clock jumped", seconds=round(jumped, 3), jumps=self._clock.jumps)
            for table in state.tables.values():
                table.shift(jumped)
            self._recheck = True
        if self._recheck:
            # Those that had ended while the clock was ahead are in force again.
            kept = await self._in_store(lambda: list(self._store.restrictions()))
            add_restrictions(state, kept, now())
            self._recheck = False
        if any(not restriction.active(now()) for restriction in state.restrictions.all.values()):
            add_restrictions(state, [], now())
