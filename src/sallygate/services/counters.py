"""Writing what was counted: rates, quotas, budgets; in batches, off the request path."""

from __future__ import annotations

from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.ports import StoreError
from sallygate.services.store_sync import Runs

_OF_RESTRICTIONS = ("restriction", "challenge")
FORGET_S = 3600.0
"""Rates free for so long are removed from the store."""
FORGET_EVERY_S = 60.0
"""Looking for them reads every counter there is."""


class Counters:
    def __init__(self, runtime: Runs) -> None:
        self._runtime = runtime
        self._forget_at = 0.0
        self._hits: dict[str, int] = {}

    async def flush(self) -> None:
        """Write the counters that changed, but for rates that are free again: of a flood from a million addresses
        nothing needs to be known after a restart but who is in penalty."""
        now = self._runtime.now()
        rows, marked = [], []
        for table in self._runtime.state.tables.values():
            dirty, table.dirty = table.dirty, set()
            marked.append((table, dirty))
            kept = (row for subject in dirty if (row := table.row(subject)) is not None)
            rows += [row for row in kept if row[3] or row[2] > now]
        await self._write_hits()
        if not rows:
            return
        forget = now >= self._forget_at
        try:
            await self._runtime.in_store(
                lambda: self._runtime.store.put_counters(rows, now - FORGET_S if forget else None)
            )
        except StoreError:
            for table, dirty in marked:
                table.dirty |= dirty
            raise
        if forget:
            self._forget_at = now + FORGET_EVERY_S

    def observe(self, exchange: Exchange) -> None:
        """Count what a restriction met."""
        for finding in exchange.decision.findings:
            self.met(finding, 1)

    def met(self, finding: Finding, times: int) -> None:
        if finding.control in _OF_RESTRICTIONS:
            self._hits[finding.rule] = self._hits.get(finding.rule, 0) + times

    async def _write_hits(self) -> None:
        hits, self._hits = self._hits, {}
        if not hits:
            return
        try:
            await self._runtime.in_store(lambda: self._runtime.store.add_hits(hits))
        except StoreError:
            for restriction, times in hits.items():
                self._hits[restriction] = self._hits.get(restriction, 0) + times
            raise
