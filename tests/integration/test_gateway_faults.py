"""Faults put under a running Runtime: clocks that jump, stores that die, threads that end, a log that cannot be written.
The gate goes on or refuses, never opens, and says so."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog

from patience import patient
from sallygate.guard import Guard
from sallygate.runtime import runtime as core
from sallygate.runtime.runtime import Runtime
from sallygate.services.clock import Clock
from sallygate.stores.sqlite.store import SqliteStore
from sallygate.telemetry.log import Unfailing
from support import administration, make_key, write_policy

POLICY = """
plans:
  large: {rate: 1000/s burst 1000, quota: {hour: 3}, scopes: ["*"]}
  free: {rate: 1000/s burst 1000, scopes: ["*"]}
operations: {}
"""
NOON = 1_900_000_000.0 // 86400 * 86400 + 43200


class Times:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON, 1000.0

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Bench:
    def __init__(self, policy: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self.times = Times()

        def keep(logger: object, name: str, line: Any) -> Any:
            self.lines.append({"level": name, **line})
            raise structlog.DropEvent

        log = structlog.wrap_logger(structlog.PrintLogger(), processors=[keep])
        self.runtime = Runtime(policy, "gateway", log, Clock(lambda: self.times.wall, lambda: self.times.steady))
        self.guard = Guard(self.app, self.runtime)
        self.reached = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def get(self, key: str | None = None) -> int:
        headers = [(b"host", b"a"), *([(b"x-api-key", key.encode())] if key else [])]
        got: list[Any] = []
        scope = {"type": "http", "method": "GET", "scheme": "https", "path": "/things", "raw_path": b"/things",
                 "query_string": b"", "headers": headers, "http_version": "1.1", "client": ("192.0.2.1", 1)}  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            got.append(message)

        await self.guard(scope, receive, send)
        return int(got[0]["status"])

    def said(self, *parts: str) -> bool:
        return any(all(part in json.dumps(line) for part in parts) for line in self.lines)


Story = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    monkeypatch.setattr(core, "FLUSH_S", 0.02)
    monkeypatch.setattr(core, "SYNC_S", 0.02)
    monkeypatch.setattr(core, "CLOCK_S", 0.02)
    monkeypatch.setattr(core, "WATCH_S", 0.02)

    def run(story: Story) -> None:
        async def main() -> None:
            bench = Bench(tmp_path / "sallygate.yaml")
            await bench.runtime.start()
            try:
                await story(bench)
            finally:
                await bench.runtime.stop()

        write_policy(tmp_path, POLICY)
        asyncio.run(main())

    return run


async def soon(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(patient(5)):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_clock_set_ahead_and_back_frees_nobody_for_good(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        key, blocked = make_key(tmp_path / "sallygate.yaml"), make_key(tmp_path / "sallygate.yaml", "free", "blocked")
        with administration(tmp_path / "sallygate.yaml") as admin:
            admin._now = lambda: bench.times.wall
            admin.restrict({"account": "blocked"}, "deny", "test", 3600)
        await soon(lambda: bench.runtime.state.restrictions.all)
        assert [await bench.get(key) for _ in range(4)] == [200, 200, 200, 429]
        assert await bench.get(blocked) == 403
        bench.times.wall += 400 * 86400
        await soon(lambda: bench.said("clock jumped", "34560000"))
        await soon(lambda: not bench.runtime.state.restrictions.all)  # by that clock it is long over
        assert [await bench.get(key) for _ in range(4)] == [200, 200, 200, 429]
        bench.times.wall -= 400 * 86400
        await soon(lambda: bench.said("clock jumped", "-34560000"))
        await soon(lambda: bench.runtime.state.restrictions.all)
        assert await bench.get(blocked) == 403
        assert await bench.get(key) == 429, "what was used is not given back"
        bench.times.pass_s(3601)  # the next hour by the right clock, not 400 days later
        await asyncio.sleep(0.05)
        assert await bench.get(key) == 200

    play(story)


def test_time_goes_on_steadily_between_two_looks_at_the_clock() -> None:
    times = Times()
    clock = Clock(lambda: times.wall, lambda: times.steady)
    times.wall -= 5000
    times.steady += 1
    assert clock.now() == NOON + 1
    assert clock.check() == pytest.approx(-5001)
    assert clock.now() == NOON - 5000
    times.pass_s(10)
    assert clock.check() is None and clock.jumps == 1


def test_a_store_that_dies_while_the_gate_runs(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        key = make_key(tmp_path / "sallygate.yaml")
        await soon(lambda: len(bench.runtime.state.credentials))
        assert await bench.get(key) == 200
        bench.runtime.store._database._connection.close()
        late = make_key(tmp_path / "sallygate.yaml", "free", "late")
        assert await bench.get(late) == 503  # nobody knows this key: refused, not guessed
        assert [await bench.get(key) for _ in range(3)] == [200, 200, 429]
        assert await bench.get() == 401
        for what in ("sync", "counters", "credentials"):
            await soon(lambda what=what: bench.said(what, "closed database"))
        assert bench.reached == 3

    play(story)


def test_a_store_that_turns_read_only(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        key = make_key(tmp_path / "sallygate.yaml")
        bench.runtime.store._database._connection.execute("PRAGMA query_only=ON")
        assert [await bench.get(key) for _ in range(4)] == [200, 200, 200, 429]
        await soon(lambda: bench.said("counters", "readonly", "make the state directory writable"))
        late = make_key(tmp_path / "sallygate.yaml", "free", "late")
        assert await bench.get(late) == 200  # it can still be read
        bench.runtime.store._database._connection.execute("PRAGMA query_only=OFF")
        other = SqliteStore(tmp_path / "state" / "sallygate.db")  # a connection of the test's own
        await soon(lambda: [row[2] for row in other.counters() if row[0] == "plan:large:hour"] == [3.0])
        other.close()

    play(story)


def test_a_store_thread_that_is_gone(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        key = make_key(tmp_path / "sallygate.yaml")
        await soon(lambda: len(bench.runtime.state.credentials))
        bench.runtime.in_store.close()
        late = make_key(tmp_path / "sallygate.yaml", "free", "late")
        assert await bench.get(late) == 503
        assert await bench.get(key) == 200
        await soon(lambda: bench.said("shutdown"))
        bench.runtime.in_store._executor = ThreadPoolExecutor(1)

    play(story)


def test_a_database_that_was_replaced_is_told(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        os.replace(tmp_path / "state" / "sallygate.db", tmp_path / "state" / "old.db")
        await soon(lambda: bench.said("removed or replaced", "restart"))

    play(story)


def test_events_that_cannot_be_kept_are_counted_and_told(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        def fail(events: object) -> None:
            raise RuntimeError("no")

        bench.runtime.events._append = fail  # type: ignore[assignment]
        for _ in range(3):
            assert await bench.get() == 401
        await soon(lambda: bench.said("events are lost", "RuntimeError"))
        await soon(lambda: bench.runtime.events.dropped == 3)
        del bench.runtime.events._append
        assert await bench.get() == 401
        await soon(lambda: bench.runtime.events.waiting == 0)
        assert bench.runtime.events._thread.is_alive()

    play(story)


def test_a_log_that_cannot_be_written_counts_its_lines() -> None:
    class Full:
        full = True
        text = ""

        def write(self, text: str) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            self.text += text

        def flush(self) -> None: ...

    disk = Full()
    log = Unfailing(disk)  # type: ignore[arg-type]
    log.write("a\n")
    log.write("b\n")
    log.drain(5.0)
    disk.full = False
    log.write("c\n")
    log.drain(5.0)
    assert disk.text == '{"event": "log lines could not be written", "lines": 2}\nc\n'
