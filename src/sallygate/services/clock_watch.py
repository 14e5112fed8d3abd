"""The clock, watched: what counts from now on moves along when it jumps, and restrictions end when they should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sallygate.services.restriction_tables import add_restrictions

if TYPE_CHECKING:
    from sallygate.runtime.runtime import Runtime


class Jumps:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._recheck = False

    async def beat(self) -> None:
        runtime = self._runtime
        if (jumped := runtime.clock.check()) is not None:
            runtime.log.warning("clock jumped", seconds=round(jumped, 3), jumps=runtime.clock.jumps)
            for table in runtime.state.tables.values():
                table.shift(jumped)
            self._recheck = True
        if self._recheck:
            # Those that had ended while the clock was ahead are in force again.
            kept = await runtime.in_store(lambda: list(runtime.store.restrictions()))
            add_restrictions(runtime.state, kept, runtime.now())
            self._recheck = False
        now = runtime.now()
        if any(not restriction.active(now) for restriction in runtime.state.restrictions.all.values()):
            add_restrictions(runtime.state, [], now)
