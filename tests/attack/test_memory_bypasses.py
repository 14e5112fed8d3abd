"""Bodies that are held in memory together, each below its own limit: one budget bounds them all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_exchange import Client, answering
from gatehouse import House, Request
from sallygate.engine.engine import IDS_READ_BYTES_MAX
from sallygate.model import driver as d
from sallygate.model.judgement import Judgement, ResponsePlan
from transcript import JSON, Transcript, add, house, post

BODY = b'{"name":"a"}'


def small(bytes_max: int = 20, **more: Any) -> House:
    """A gate that may hold so many bytes of bodies."""
    made = house(**more)
    made.state.memory.bytes_max = bytes_max
    return made


def test_many_slow_bodies_together_hold_no_more_than_the_budget() -> None:
    made = small()

    async def run() -> tuple[Client, Client]:
        slow, other = Client(made, post(BODY), BODY[:11], b"}"), Client(made, post(BODY), BODY)
        receive, waits = slow.receive, asyncio.Event()

        async def slowly() -> Any:
            if len(slow.messages) == 1:
                await waits.wait()
            return await receive()

        slow.receive = slowly  # type: ignore[method-assign]
        task = asyncio.create_task(slow.run(answering(b"{}")))
        while len(slow.messages) == 2:
            await asyncio.sleep(0)
        assert made.state.memory.held == 11
        await other.run(answering(b"{}"))
        waits.set()
        await task
        return slow, other

    slow, other = asyncio.run(run())
    assert slow.status == 200 and other.status == 503
    assert b"flood.memory" in other.body and dict(other.got[0]["headers"])[b"retry-after"] == b"1"
    assert [finding.code for one in made.exchanges for finding in one.decision.findings] == ["flood.memory"]
    assert made.state.memory.held == 0


def test_who_announces_a_large_body_and_sends_nothing_holds_nothing() -> None:
    told = Transcript(made := small(), post(b"x" * 1000))
    assert told.of(d.ReadBody) and made.state.memory.held == 0


@pytest.mark.parametrize("ends", ["answer", "close", "gone"])
def test_an_exchange_gives_back_what_it_held(ends: str) -> None:
    told = Transcript(made := small(), post(BODY))
    assert told.of(d.ReadBody)[0].keep(len(BODY)) and made.state.memory.held == 12
    assert not told.of(d.ReadBody)[0].keep(9), "what has no room takes none"
    if ends == "gone":
        told.feed(d.ClientGone)
    else:
        told.body(BODY)
        told.answer(b"{}") if ends == "answer" else told.close()
    assert made.state.memory.held == 0


def test_responses_held_at_once_share_the_budget() -> None:
    made = small()
    add(made, "release", lambda at: Judgement(response=ResponsePlan("hold", bytes_max=100)))
    first, second = Transcript(made), Transcript(made)
    for told in (first, second):
        told.head()
        told.chunk(b'{"items":', more=True)
    first.chunk(b"[]}")
    assert first.lines[-1].startswith("<< Reply 503 flood.memory") and not first.of(d.SendHead)
    first.feed(d.End)
    assert made.state.memory.held == 9
    second.chunk(b"[]}")
    second.feed(d.End)
    assert second.record.status == 200 and first.record.status == 503 and made.state.memory.held == 0


def test_a_caller_is_not_charged_for_records_that_memory_has_no_room_to_count() -> None:
    made = small(data="records: 100/day", extra="operations: {listThings: {records: /items}}\n")
    told = Transcript(made)
    told.head()
    told.chunk(b'{"items":[', more=True)
    told.chunk(b'{"id":1},{"id":2}', more=True)
    assert told.lines[-1] == "<< Cut client, reset", "an uncounted response does not leave whole"
    told.close()
    assert told.found == [("flood.memory", "enforce")]
    assert max(one.amount for one in told.record.charges) < 100


def test_in_shadow_of_limits_nothing_is_cut_and_ids_are_learned_while_there_is_room() -> None:
    counted = {"data": "records: 100/day", "extra": "operations: {listThings: {records: /items}}\n"}
    for more in ({**counted, "modes": {"limits": "shadow"}}, {}):
        made = small(**more)
        told = Transcript(made)
        told.answer(b'{"items":[{"id":1},{"id":2},{"id":3}]}')
        assert told.record.status == 200 and told.record.decision.verdict == "allow"
        assert made.state.memory.held == 0


def test_a_policy_sets_the_budget() -> None:
    made = house(flood="memory: 2MiB")
    assert made.state.memory.bytes_max == 2 << 20 > IDS_READ_BYTES_MAX
    assert Request("POST", headers=(JSON,)) and house().state.memory.bytes_max == 256 << 20
