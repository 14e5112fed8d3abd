"""Writer of counters: rates, quotas, budgets and hits of restrictions; in batches, off the request path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.ports import CounterStore, RestrictionStore
from sallygate.services.store_thread import StoreThread
from sallygate.state.state import State

_OF_RESTRICTIONS = ("restriction", "challenge")
FORGET_S = 3600.0
"""Rates free for so long are removed from the store."""
FORGET_EVERY_S = 60.0
"""Looking for them reads every counter there is."""


class Store(CounterStore, RestrictionStore, Protocol):
    """What the writer needs of the store."""


class CounterWriter:
    """`flush` twice a second."""

    def __init__(self, state: State, store: Store, in_store: StoreThread, now: Callable[[], float]) -> None:
        self._state, self._store, self._in_store, self._now = state, store, in_store, now
        self._forget_at = 0.0
        self._hits: dict[str, int] = {}

    async def flush(self) -> None:
        """Write the counters that changed, but for rates that are free again: of a flood from a million addresses
        nothing needs to be known after a restart but who is in penalty. Raises `StoreError`."""
        await self._write_rows()
        await self._write_hits()

    async def _write_rows(self) -> None:
        now = self._now()
        rows, taken = [], []
        for table in self._state.tables.values():
            deltas = table.take_deltas()
            taken.append((table, deltas))
            kept = (row for subject in deltas if (row := table.row(subject)) is not None)
            rows += [row for row in kept if row[3] or row[2] > now]
        if not rows:
            return
        forget = now >= self._forget_at
        try:
            await self._in_store(lambda: self._store.put_counters(rows, now - FORGET_S if forget else None))
        except BaseException:  # a stop that cancels this, too: its own flush writes them
            for table, deltas in taken:
                table.give_back(deltas)
            raise
        if forget:
            self._forget_at = now + FORGET_EVERY_S

    def observe(self, exchange: Exchange) -> None:
        """Count what a restriction met."""
        for finding in exchange.decision.findings:
            self.met(finding, 1)

    def met(self, finding: Finding, times: int) -> None:
        """Count hits of the restriction that a finding names."""
        if finding.control in _OF_RESTRICTIONS:
            self._hits[finding.rule] = self._hits.get(finding.rule, 0) + times

    async def _write_hits(self) -> None:
        hits, self._hits = self._hits, {}
        if not hits:
            return
        try:
            await self._in_store(lambda: self._store.add_hits(hits))
        except Exception:  # a call that was cancelled is written all the same
            for restriction, times in hits.items():
                self._hits[restriction] = self._hits.get(restriction, 0) + times
            raise
