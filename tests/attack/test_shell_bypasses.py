"""Streams, refusals and ends by which the ASGI shell was meant to mix up, hold or lose what the driver decided."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_exchange import Client, answering
from gatehouse import NOW, Request
from sallygate.engine.response import DISCARDED_MAX
from sallygate.guard import draining
from sallygate.guard.draining import drain
from sallygate.guard.spooling import SpoolFile
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement, ResponsePlan
from sallygate.model.request import BodyPlan
from sallygate.model.restriction import Restriction
from sallygate.services.restriction_tables import add_restrictions
from transcript import JSON, NDJSON, UPLOAD, add, house, recorded, slots


def test_records_of_both_directions_at_once_are_not_mixed_up() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [NDJSON]})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    seen: list[tuple[str, bytes]] = []
    made = recorded(lambda at: seen.append((at.side, at.message)))
    client = Client(made, UPLOAD, b'{"a":1}\n{"a":2}\n{"a":3}\n', b'{"a":4}\n')
    assert client.call(echo) is None
    sent = [b'{"a":%d}\n' % number for number in (1, 2, 3, 4)]
    assert client.body == b"".join(sent)
    assert [text for side, text in seen if side == "client"] == [text for side, text in seen if side == "api"] == sent


@pytest.mark.parametrize("what", ["upload", "response"])
def test_a_process_without_files_left_refuses_what_it_would_spool(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("sallygate.guard.spooling.tempfile.TemporaryFile", none_left)
    made = house()
    if what == "upload":
        spool = BodyPlan("spool", bytes_max=1000)
        add(made, "plan", lambda at: Judgement(body=spool) if at.body_plan.mode == "stream" else None)
        client = Client(made, UPLOAD, b"x", b"y")
        code, status = "control.failed", 503
    else:
        add(made, "release", lambda at: Judgement(response=ResponsePlan("spool", bytes_max=1000)))
        client = Client(made)
        code, status = "response.too_large", 502
    assert client.call(answering(b"ab")) is None
    assert client.status == status and client.event == (status, [(code, "enforce")]) and not slots(made)
    SpoolFile(10).close()


@pytest.mark.parametrize("swallows", [False, True])
def test_an_endless_response_that_was_refused_is_not_read_for_ever(swallows: bool) -> None:
    made, sent = house(), 0
    add(made, "release", lambda at: Judgement((Finding("own.seen", "Not this.", 403),)))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        while sent < 10_000:
            try:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                sent += 1
            except Exception:
                if swallows:
                    return
                raise

    client = Client(made)
    assert client.call(app) is None
    assert sent == DISCARDED_MAX and client.status == 403 and b"xx" not in client.body
    assert client.event == (403, [("own.seen", "enforce")]) and not slots(made)


def test_refusals_do_not_hold_connections_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAINS_MAX", 2)
    asked = 0

    async def trickle() -> Any:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    async def run() -> None:
        held = [asyncio.create_task(drain(trickle)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asked == 2 and sum(task.done() for task in held) == 3
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    asyncio.run(run())
    assert draining.Drains.under_way == 0


def test_who_waits_to_be_asked_for_a_body_is_not_asked_after_a_refusal() -> None:
    expects = Request("POST", headers=((b"content-length", b"30"), (b"expect", b"100-continue")))
    client = Client(house(), expects, b"x" * 30)
    assert client.call(answering(b"{}")) is None
    assert client.status == 401 and client.messages, "receiving would say `100 Continue` after the answer"


def test_a_sender_who_was_too_slow_is_not_waited_for_again() -> None:
    made = house(flood="body: {rate: 500, after: 1ms}")
    client = Client(made, UPLOAD, b"x", b"y")
    receive, pieces = client.receive, []

    async def slowly() -> Any:
        pieces.append(1)
        if len(pieces) > 1:
            await asyncio.Event().wait()
        return await receive()

    client.receive = slowly  # type: ignore[method-assign]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            await receive()

    assert client.call(app) is None
    assert client.status == 408 and len(pieces) == 2


@pytest.mark.parametrize("makes", ["nothing", "an answer", "an error"])
def test_an_application_that_swallows_its_end_does_not_keep_the_refusal_from_the_client(makes: str) -> None:
    made = house()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if makes == "an answer":
                await send({"type": "http.response.body", "body": b"a secret"})
            if makes == "an error":
                raise LookupError from None

    add(made, "release", lambda at: Judgement(response=ResponsePlan("hold", bytes_max=100)))
    client = Client(made)

    async def run() -> None:
        task = asyncio.create_task(client.run(app))
        while not made.live:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        one = Restriction("r1", (("account", "acme"),), "terminate", "test", "me", 0.0, NOW + 1e6, "")
        add_restrictions(made.state, [one], NOW)
        for exchange in list(made.live):
            exchange.interrupt()
        await task

    asyncio.run(run())
    assert client.status == 403 and b"secret" not in client.body
    assert client.event[0] == 403 and not slots(made)
