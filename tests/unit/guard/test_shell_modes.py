"""The ASGI shell's part in what is held, spooled, judged by records, asked of the application, or ended while it waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_exchange import Client, answering
from gatehouse import NOW, House, Request
from patience import patient
from sallygate.guard import Guard
from sallygate.guard.spooling import PIECE_BYTES, SpoolFile
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement, ResponsePlan
from sallygate.model.request import BodyPlan
from sallygate.model.restriction import Restriction
from sallygate.model.work import AskApi
from sallygate.services.restriction_tables import add_restrictions
from transcript import UPLOAD, add, house, post, slots

OWN = Finding("own.seen", "The response holds a secret.", 403)
NDJSON = (b"content-type", b"application/x-ndjson")
NAMED = b'{"name":"a"}'


def leaving(plan: ResponsePlan, phase: Any = "inspect", secret: bytes = b"secret") -> House:
    """A gate whose responses leave by `plan`, unless they hold a secret."""

    def judge(at: Any) -> Judgement | None:
        text = at.spool.read() if at.spool is not None else at.response_body or at.message
        return Judgement((OWN,)) if secret in text else None

    made = house(data="bytes: 10000000/day")
    add(made, "release", lambda at: Judgement(response=plan))
    add(made, phase, judge)
    return made


@pytest.mark.parametrize(
    "plan", [ResponsePlan("hold", bytes_max=2_000_000), ResponsePlan("spool", bytes_max=2_000_000)]
)
def test_a_response_is_sent_or_refused_once_it_is_whole(plan: ResponsePlan) -> None:
    large = b"x" * (PIECE_BYTES + 10)
    client = Client(leaving(plan))
    assert client.call(answering(b"ab", large, b"cd")) is None
    assert client.status == 200 and client.body == b"ab" + large + b"cd"
    assert client.event == (200, []) and client.house.exchanges[0].response_bytes == len(client.body)
    bad = Client(leaving(plan))
    assert bad.call(answering(b"ab", b"secret")) is None
    assert bad.status == 403 and bad.event == (403, [("own.seen", "enforce")])
    too_large = Client(leaving(plan))
    too_large.call(answering(*[b"x" * 1_000_000] * 3))
    assert too_large.status == 502 and too_large.event == (502, [("response.too_large", "enforce")])


def test_an_application_that_fails_while_its_response_is_held() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        raise LookupError

    client = Client(made := leaving(ResponsePlan("hold", bytes_max=100)))
    assert isinstance(client.call(app), LookupError)
    assert not client.got and client.event == (500, []) and not slots(made)


def test_records_are_judged_whatever_pieces_they_come_in() -> None:
    plan = ResponsePlan("records", bytes_max=20)
    client = Client(leaving(plan, "message"))
    assert client.call(answering(b'{"a":1}\n{"a"', b':2}\n{"a":3}', header=NDJSON)) is None
    assert client.body == b'{"a":1}\n{"a":2}\n{"a":3}' and client.got[-1]["more_body"] is False
    bad = Client(leaving(plan, "message"))
    assert isinstance(
        bad.call(answering(b'{"a":1}\n{"sec', b'ret":2}\n', b"{}\n", header=NDJSON)), ConnectionAbortedError
    )
    assert bad.body == b'{"a":1}\n' and bad.event == (599, [("own.seen", "enforce")])
    large = Client(leaving(plan, "message"))
    large.call(answering(b"{}\n" + b"x" * 40, b"\n", header=NDJSON))
    assert large.body == b"{}\n" and large.event == (599, [("response.too_large", "enforce")])


def reading(plan: BodyPlan, phase: Any, judge: Any) -> House:
    """A gate that has uploads read by `plan`."""
    made = house()
    add(made, "plan", lambda at: Judgement(body=plan) if at.body_plan.mode == "stream" else None)
    add(made, phase, judge)
    return made


async def receiving(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with what it received."""
    got, more = b"", True
    while more:
        message = await receive()
        got, more = got + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": got})


def test_records_of_an_upload_reach_the_application_once_they_are_judged() -> None:
    plan = BodyPlan("records", bytes_max=1000, record_bytes_max=30)
    seen: list[bytes] = []

    def judge(at: Any) -> Judgement | None:
        seen.append(at.message)
        return Judgement((OWN,)) if b"secret" in at.message else None

    client = Client(reading(plan, "message", judge), UPLOAD, b"{}\n{}", b"\n", b"{")
    assert client.call(receiving) is None
    assert client.body == b"{}\n{}\n{" and seen == [b"{}\n", b"{}\n", b"{"]
    bad = Client(reading(plan, "message", judge), UPLOAD, b"{}\n{}", b"secret\n", b"{")
    bad.call(receiving)
    assert bad.status == 403 and bad.event == (403, [("own.seen", "enforce")])
    large = Client(reading(plan, "message", judge), UPLOAD, b"{}\n", b"x" * 40, b"\n")
    large.call(receiving)
    assert large.status == 413


def test_an_upload_in_a_file_reaches_the_application_from_there() -> None:
    seen: list[int] = []

    def judge(at: Any) -> Judgement | None:
        seen.append(len(at.spool.read()))
        return None

    pieces = [b"x" * 100_000] * 8
    client = Client(reading(BodyPlan("spool", bytes_max=1_000_000), "examine", judge), UPLOAD, *pieces)
    assert client.call(receiving) is None
    assert client.body == b"".join(pieces) and seen == [800_000]
    assert client.house.exchanges[0].request_bytes == 800_000
    large = Client(reading(BodyPlan("spool", bytes_max=1000), "examine", judge), UPLOAD, *pieces)
    large.call(receiving)
    assert large.status == 413


def test_a_disk_that_is_full_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SpoolFile, "add", full)
    upload = Client(reading(BodyPlan("spool", bytes_max=1000), "examine", lambda at: None), UPLOAD, b"x", b"y")
    upload.call(receiving)
    assert upload.event == (503, [("control.failed", "enforce")])
    response = Client(leaving(ResponsePlan("spool", bytes_max=1000)))
    response.call(answering(b"ab"))
    assert response.status == 502


def test_trailers_reach_a_client_through_the_gate() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ab"})
        await send({"type": "http.response.trailers", "headers": [(b"X-Sum", b"1"), (b"Server", b"secret")]})

    client = Client(house())
    client.extensions = {"http.response.trailers": {}}
    assert client.call(app) is None
    assert client.got[0]["trailers"] is True
    assert client.got[-1] == {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}


def test_early_hints_do_not_leave() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert "http.response.early_hint" not in scope.get("extensions", {})
        await send({"type": "http.response.early_hint", "links": [b"</secret>; rel=preload"]})

    client = Client(house())
    assert isinstance(client.call(app), RuntimeError) and not client.got


# what is asked of the application --------------------------------------------------------------------------------------


def owning(bytes_max: int = 100, deadline_s: float = 5.0) -> House:
    """A gate that asks for the object before it lets a write through."""

    def judge(at: Any) -> Judgement | None:
        if not at.done:
            return Judgement(work=(AskApi(b"/things/1", b"a=b", bytes_max, deadline_s),))
        (answer,) = at.done
        return None if not answer.failed and answer.body == b'{"owner":"acme"}' else Judgement((OWN,))

    made = house()
    add(made, "examine", judge)
    return made


class Things:
    """An application that has one thing, and records what it was asked."""

    def __init__(self, *parts: bytes, waits: bool = False, fails: bool = False) -> None:
        self.parts, self.waits, self.fails = parts, waits, fails
        self.asked: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        self.asked.append((scope["method"], scope["raw_path"], scope["query_string"], message["body"]))
        if scope["method"] == "GET":
            if self.fails:
                raise LookupError
            await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"a/b")]})
            for part in self.parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            if self.waits:
                await receive()
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": b""})


def test_the_application_is_asked_before_it_gets_a_write() -> None:
    client, app = Client(owning(), post(NAMED), NAMED), Things(b'{"owner":', b'"acme"}')
    assert client.call(app) is None
    assert client.status == 201
    assert app.asked == [("GET", b"/things/1", b"a=b", b""), ("POST", b"/things", b"", NAMED)]
    (exchange,) = client.house.exchanges
    assert exchange.asked == ((b"/things/1", 200),) and exchange.response_bytes == 0
    assert not client.house.state.shedder.under_way


@pytest.mark.parametrize(
    ("app", "own"),
    [
        (Things(b'{"owner":"bit"}'), {}),
        (Things(b'{"owner":"acme"}', b" " * 100), {}),
        (Things(b'{"owner":"acme"}', waits=True), {"deadline_s": 0.01}),
        (Things(fails=True), {}),
    ],
)
def test_whatever_else_it_says_the_write_is_refused(app: Things, own: dict[str, Any]) -> None:
    client = Client(made := owning(**own), post(NAMED), NAMED)
    assert client.call(app) is None
    assert client.status == 403 and [method for method, *_ in app.asked] == ["GET"]
    assert not slots(made) and not made.state.shedder.under_way


# restrictions that end what waits --------------------------------------------------------------------------------------


def terminate(made: House) -> None:
    one = Restriction("r1", (("account", "acme"),), "terminate", "test", "me", 0.0, NOW + 1e6, "")
    add_restrictions(made.state, [one], NOW)
    for exchange in tuple(made.live):
        exchange.interrupt()


class Stalling:
    """An application that sends its first piece, then nothing; `swallows`: whatever ends it."""

    def __init__(self, *, swallows: bool = False, heads: bool = True) -> None:
        self.stalls, self.swallows, self.heads = asyncio.Event(), swallows, heads
        self.ended = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.heads:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        self.stalls.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended = True
            if not self.swallows:
                raise


async def interrupted(client: Client, app: Stalling) -> BaseException | None:
    """What the server sees of an exchange that is restricted while its application stalls."""
    async with asyncio.timeout(patient(5)):
        request = client.request.scope()
        task = asyncio.create_task(Guard(app, client.house)(request, client.receive, client.send))
        await app.stalls.wait()
        terminate(client.house)
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert task.cancelling() == 0
        return outcome


@pytest.mark.parametrize("swallows", [False, True])
def test_a_stalled_response_ends_with_the_restriction(swallows: bool) -> None:
    client, app = Client(made := house()), Stalling(swallows=swallows)
    outcome = asyncio.run(interrupted(client, app))
    assert isinstance(outcome, ConnectionAbortedError) and app.ended
    assert client.event == (599, [("restriction.terminate", "enforce")])
    assert not made.live and not slots(made)


def test_a_held_response_is_refused_with_the_restriction() -> None:
    client, app = Client(made := leaving(ResponsePlan("hold", bytes_max=100))), Stalling()
    assert asyncio.run(interrupted(client, app)) is None
    assert client.status == 403 and client.event == (403, [("restriction.terminate", "enforce")])
    assert not made.live and not slots(made)


def test_a_restriction_of_another_ends_nothing() -> None:
    async def run() -> None:
        made = house()
        client, app = Client(made, Request(key="small")), Stalling()
        task = asyncio.create_task(Guard(app, made)(client.request.scope(), client.receive, client.send))
        async with asyncio.timeout(patient(5)):
            await app.stalls.wait()
            terminate(made)
            await asyncio.sleep(0)
            assert not task.done() and made.live
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError), "a server's own cancellation is not taken for ours"
        assert client.event[0] == 499 and not made.live

    asyncio.run(run())
