"""Counters wait in memory until the store has them, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytest

from sallygate.model.counting import Row
from sallygate.model.finding import Finding
from sallygate.ports import StoreError
from sallygate.services.counter_writer import CounterWriter
from sallygate.state.counters import RateTable
from sallygate.state.state import State

NOW = 1_790_000_000.0


class FailingStore:
    """A store of counters that fails where it is said to."""

    def __init__(self) -> None:
        self.fails: set[str] = set()
        self.rows: dict[tuple[str, str], tuple[float, float]] = {}
        self.hits: dict[str, int] = {}

    def put_counters(self, rows: Iterable[Row], forget_before: float | None) -> None:
        if "rows" in self.fails:
            raise StoreError("full")
        self.rows |= {row[:2]: row[2:] for row in rows}

    def add_hits(self, hits: Mapping[str, int]) -> None:
        if "hits" in self.fails:
            raise StoreError("full")
        for name, times in hits.items():
            self.hits[name] = self.hits.get(name, 0) + times


async def at_once(call: Callable[[], Any]) -> Any:
    return call()


@pytest.mark.parametrize("failing", [{"hits"}, {"rows"}, {"hits", "rows"}])
def test_nothing_is_forgotten_when_the_store_fails_while_a_restriction_is_met(failing: set[str]) -> None:
    store, state = FailingStore(), State()
    writer = CounterWriter(state, cast("Any", store), cast("Any", at_once), lambda: NOW)
    state.table(RateTable("t", 1.0, 10), NOW).take("a", NOW, 5)
    writer.met(Finding("restriction.denied", "test", rule="r1"), 3)

    async def story() -> None:
        store.fails = set(failing)
        with pytest.raises(StoreError):
            await writer.flush()
        store.fails = set()
        await writer.flush()
        await writer.flush()

    asyncio.run(story())
    assert store.rows == {("t", "a"): (NOW + 5, 0.0)} and store.hits == {"r1": 3}


def test_a_flush_that_is_cancelled_forgets_nothing() -> None:
    store, state = FailingStore(), State()
    hang = asyncio.Event()

    async def never(call: Callable[[], Any]) -> Any:
        await hang.wait()

    writer = CounterWriter(state, cast("Any", store), cast("Any", never), lambda: NOW)
    table = state.table(RateTable("t", 1.0, 10), NOW)
    table.take("a", NOW, 5)

    async def story() -> None:
        task = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert set(table._deltas) == {"a"}
