"""What operators are told of a flood: log lines, events that stand for many, numbers."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

import pytest
from rich.console import Console

from sallygate.cli import status
from sallygate.controls.flood.shedding import retry_s, shed
from sallygate.events.aggregation import ALIKE_KEPT, SPREAD_KEPT, aggregate, condense
from sallygate.events.record import Pending, Source
from sallygate.model.decision import Decision
from sallygate.model.event import Event, Location
from sallygate.model.exchange import MANY, Exchange
from sallygate.model.finding import Finding
from sallygate.parsing.http.head import HeadReader
from sallygate.parsing.identifiers import IdHasher
from sallygate.services.early_rejections import EarlyRejections
from sallygate.services.load_watch import QUIET_S, REPORTED_EVERY_S, LoadWatch
from sallygate.state.load_shedding import RANKS, UNKNOWN_RANK
from sallygate.state.state import State
from sallygate.telemetry.metrics import Metrics
from sallygate.telemetry.status import EventsState, FloodState, SheddingState, Status

NOW = 1_790_000_000.0


class Lines(list[tuple[str, dict[str, Any]]]):
    """A log that keeps its warnings."""

    def warning(self, said: str, **fields: Any) -> None:
        self.append((said, fields))


SOURCE = Source("abc", "shop", "gateway", IdHasher(b"k" * 32))


def test_shedding_is_told_when_it_begins_goes_on_and_ends() -> None:
    state, lines, at = State(), Lines(), NOW
    flooding = LoadWatch(state, lambda: at, lines)  # type: ignore[arg-type]

    def beat(after_s: float, shed_now: int) -> None:
        nonlocal at
        at += after_s
        state.shedder.shed["unknown", "queue"] += shed_now
        asyncio.run(flooding.step())

    beat(1, 0)
    assert not lines and not flooding.since
    beat(1, 5)
    for _ in range(int(REPORTED_EVERY_S) // 5):
        beat(5, 1)
    beat(QUIET_S - 1, 0)
    assert [said for said, _ in lines] == [
        "shedding load: the API is overloaded", "load is being shed still",
    ]  # fmt: skip
    beat(1, 0)
    said, fields = lines[-1]
    assert said == "no more load is shed" and fields["shed"] == 17 and not flooding.since
    beat(1, 1)
    assert len(lines) == 4, "and begins anew"


def test_those_turned_away_are_one_event_with_their_exact_number() -> None:
    state, put, metrics = State(), list[Event](), Metrics()
    early = EarlyRejections(state, put.append, metrics, lambda finding, times: None, lambda: SOURCE)
    for number in range(1000):
        scope = {"method": "GET" if number % 4 else f"XYZZY{number}", "raw_path": b"/a"}
        early.counts.add(shed(UNKNOWN_RANK, "queue"), None, scope, f"{number:032x}", NOW, 100).took_us += 9
    asyncio.run(early.step())
    asyncio.run(early.step())
    assert sorted((event.method, event.count, event.response_bytes) for event in put) == [
        ("GET", 750, 75_000), ("_OTHER", 250, 25_000),
    ]  # fmt: skip
    assert {(event.decision, event.status, event.client_address) for event in put} == {("throttle", 503, MANY)}
    taken = metrics.snapshot()
    assert taken.decisions == {("throttle", "flood.shed"): 1000} and taken.findings == {("enforce", "flood.shed"): 1000}
    assert sum(one.count for one in taken.requests.values()) == 1000
    assert state.shedder.shed == {("unknown", "queue"): 1000}


@pytest.mark.parametrize("rank", RANKS)
def test_who_is_shed_is_asked_to_come_back_at_different_times(rank: str) -> None:
    waits = {retry_s(rank, f"{number:032x}") for number in range(500)}
    least = min(waits)
    assert len(waits) >= 2 and max(waits) <= 2 * least
    assert retry_s(rank, "a" * 32) == retry_s(rank, "a" * 32), "the same for the same request: it can be replayed"


def pending(address: str, code: str = "clients.path", status: int = 404) -> Pending:
    head = HeadReader().read(
        method="GET", scheme="https", raw_path=b"/a", raw_query=b"", headers=((b"host", b"a"),), http_version="1.1",
        peer=address, request_id="0" * 32, now=NOW,
    )  # fmt: skip
    decision = Decision("deny", status, (Finding(code, "", status),))
    return Pending(
        Exchange(head, decision, status, request_bytes=1, response_bytes=10, location=Location(address)),
        SOURCE,
    )


def test_a_flood_from_many_sources_becomes_few_events_with_exact_counts() -> None:
    batch = [pending(f"198.51.{number % 100}.{number // 100}") for number in range(5000)]
    kept = aggregate(condense([*batch, pending("192.0.2.1", "clients.method", 405)]))
    assert len(kept) <= SPREAD_KEPT + 2
    assert sum(event.count for event in kept) == 5001
    assert sum(event.request_bytes for event in kept) == 5001
    assert sum(event.response_bytes for event in kept) == 50_010
    (spread,) = [event for event in kept if event.client_address == MANY]
    assert spread.location.network == MANY and spread.count == 5000 - SPREAD_KEPT
    assert [event.count for event in kept if event.findings[0].code == "clients.method"] == [1]


def test_a_flood_from_one_source_is_still_its_own() -> None:
    kept = aggregate(condense([pending("198.51.100.7") for _ in range(3000)]))
    assert {event.client_address for event in kept} == {"198.51.100.7"}
    assert sum(event.count for event in kept) == 3000 and len(kept) <= ALIKE_KEPT + 1


def test_what_passed_is_never_merged() -> None:
    one = pending("198.51.100.7")
    passed = Pending(Exchange(one.exchange.head, Decision("allow", 200), 200), SOURCE)
    assert len(condense([passed] * 500)) == 500


@pytest.mark.parametrize(("requests", "late"), [(0, False), (20_000, True)])
def test_a_loop_that_is_late_for_other_reasons_sheds_nobody(requests: int, late: bool) -> None:
    """Blocked for a moment, with and without many requests meanwhile; so many that a busy machine changes nothing."""
    state = State()
    shedder = state.shedder

    async def blocked() -> None:
        watch = asyncio.create_task(LoadWatch(state, time.time, Lines()).watch_lateness())
        await asyncio.sleep(0.03)
        for _ in range(4):
            loop = asyncio.get_running_loop()
            until = loop.time() + 0.1
            while loop.time() < until:
                pass
            shedder.arrived += requests
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (shedder.late_s > 0.025) is late
        watch.cancel()

    asyncio.run(blocked())


def test_status_says_what_is_shed_and_who_is_boxed(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    monkeypatch.setattr(status, "out", console)
    shedding = SheddingState("enforce", 12, {"high": 3, "unknown": 1}, {"unknown": 4}, {"unknown.queue": 70_000}, {},
                             time.time() - 30)  # fmt: skip
    found = Status(
        version="1", pid=1, shell="gateway", ready=True, draining=False, checks=(), started_at=1.0, policy="abc",
        policy_file="p", policy_at=2.0, reloads=0, reloads_refused=0, listeners=(), upstreams=(), stores=(),
        events=EventsState(0, 1, 0, 0, 0, False), under_way=0, credentials=0, restrictions=0, counters={}, failures={},
        clock_jumps=0, log_lines_lost=0, memory_bytes=1, flood=FloodState(5, 100_000, 2, shedding),
    )  # fmt: skip
    status.print_status(found)
    said = " ".join(console.export_text().split())
    for part in (
        "4 of 12 slots taken, 4 waiting; sheds for 30 s",
        "70,000 unknown.queue",
        "5 of 100,000 sources, too full",
    ):
        assert part in said, said
