"""The ASGI shell: odd applications, clients and servers; whatever they do, the exchange ends, once, and gives back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_exchange import Client, Message, answering
from gatehouse import Request
from patience import patient
from sallygate.guard import Guard
from sallygate.model.finding import Finding
from transcript import UPLOAD, house, one_slot, post, slots

CSV = (b"content-type", b"text/csv")
NAMED = b'{"name":"a"}'


# the response side in each mode ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_limits_that_are_not_enforced_change_no_response(mode: str) -> None:
    """`limits: {mode: shadow}` once refused with 502, was answered 500 by the server, or cut."""
    for app, data, own in (
        (answering(b"a,b\n", b"c,d\n", header=CSV), "records: 100/day", {}),
        (answering(b"x" * 600, b"y" * 600, b"z"), "bytes: 1000/day", {"limits": "on_exceed: cut"}),
    ):
        client = Client(house(modes={"limits": mode}, data=data, **own))
        assert client.call(app) is None and client.status == 200
        plain = Client(house(modes={"limits": "off"}, data=data))
        plain.call(app)
        assert client.got == plain.got
        status, found = client.event
        assert status == 200 and [one for _, one in found] == ([mode] if mode == "shadow" else [])


@pytest.mark.parametrize(("mode", "cut"), [("enforce", True), ("shadow", False), ("off", False)])
def test_slow_readers_are_cut_where_flood_is_enforced(mode: str, cut: bool) -> None:
    client = Client(house(modes={"flood": mode}), reads_s=20.0)
    error = client.call(answering(b"x" * 100, b"y" * 100, b"z"))
    assert isinstance(error, ConnectionAbortedError) == cut
    found = [] if mode == "off" else [("flood.slow_reader", mode)]
    assert client.event == (599 if cut else 200, found)
    assert client.body == b"x" * 100 if cut else b"x" * 100 + b"y" * 100 + b"z"


@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
def test_slow_bodies_are_refused_where_flood_is_enforced(mode: str) -> None:
    made = house(modes={"flood": mode}, flood="body: {time: 20ms}")
    client = Client(made, post(NAMED))

    async def slowly() -> Message:
        await asyncio.sleep(patient(0.05))
        return {"type": "http.request", "body": NAMED, "more_body": False}

    client.receive = slowly  # type: ignore[method-assign]
    assert client.call(answering(b"{}")) is None
    assert client.status == (408 if mode == "enforce" else 200)
    assert client.event[1] == ([] if mode == "off" else [("request.body_time", mode)])


@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
def test_slow_uploads_are_stopped_where_flood_is_enforced(mode: str) -> None:
    made = house(modes={"flood": mode}, flood="body: {after: 20ms, rate: 1}")
    client, told = Client(made, UPLOAD), []

    async def slowly() -> Message:
        await asyncio.sleep(patient(0.05))
        client.tick += 50_000
        return {"type": "http.request", "body": b"", "more_body": False}

    client.receive = slowly  # type: ignore[method-assign]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(await receive())
        await answering(b"{}")(scope, receive, send)

    assert client.call(app) is None
    assert client.status == (408 if mode == "enforce" else 200) and len(told) == (mode != "enforce")
    assert client.event[1] == ([] if mode == "off" else [("flood.slow_body", mode)])


# odd applications ------------------------------------------------------------------------------------------------------


def test_an_application_that_swallows_the_cut_sends_nothing_more() -> None:
    client = Client(house(limits="on_exceed: cut"))
    error = client.call(answering(b"x" * 900, b"y" * 200, b"z" * 50, swallows=True))
    assert isinstance(error, ConnectionAbortedError), "what is not whole must not look whole"
    assert client.body == b"x" * 900
    assert client.event == (599, [("limits.data.bytes", "enforce")])


def test_an_upload_stopped_under_an_early_response_cuts_it() -> None:
    """The server must be told: it would end the response as if it were whole."""
    client = Client(house(contract="upload: 1KB"), UPLOAD, b"x" * 600, b"x" * 600)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await receive()
        await receive()

    assert isinstance(client.call(app), ConnectionAbortedError)
    assert client.event == (599, [("contract.body_size", "enforce")])


@pytest.mark.parametrize("swallows", [True, False])
def test_an_upload_that_is_stopped_is_refused(swallows: bool) -> None:
    client = Client(house(contract="upload: 1KB"), UPLOAD, b"x" * 600, b"x" * 600, b"more")
    told: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            try:
                told.append(await receive())
            except Exception:
                if not swallows:
                    raise

    assert client.call(app) is None
    assert client.status == 413 and client.event == (413, [("contract.body_size", "enforce")])
    assert [len(message["body"]) for message in told] == [600]


def test_the_pace_of_a_body_holds_no_longer_once_the_api_answers() -> None:
    """Both directions may be live for as long as they like: only a response that waits for a body needs a bound."""
    client = Client(house(flood="body: {after: 20ms, rate: 1000}"), UPLOAD, b"x")
    client.messages[0]["more_body"] = True

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        slow = client.receive

        async def slowly() -> Message:
            await asyncio.sleep(patient(0.05))
            return await slow()

        client.receive = slowly  # type: ignore[method-assign]
        await receive()
        await send({"type": "http.response.body", "body": b"whole"})

    async def run() -> None:
        async def receive() -> Message:
            return await client.receive()

        await Guard(app, client.house)(client.request.scope(), receive, client.send)

    client.messages.append({"type": "http.request", "body": b"y", "more_body": False})
    asyncio.run(run())
    assert client.event == (200, []) and client.body == b"whole"


def test_an_application_that_answers_twice_gets_an_error() -> None:
    client = Client(house())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(b"{}")(scope, receive, send)
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.body", "body": b"more"})
        await answering(b"{}")(scope, receive, send)

    assert isinstance(client.call(app), RuntimeError)
    assert client.body == b"{}" and client.event == (200, [])


def test_work_that_raises_refuses() -> None:
    made = house(in_memory=False)
    failures: list[str] = []
    made.failed = lambda what, error: failures.append(str(error))  # type: ignore[method-assign]

    async def work(item: object) -> Any:
        raise OSError("no store")

    made.work = work  # type: ignore[method-assign]
    client = Client(made)
    assert client.call(answering(b"{}")) is None
    assert client.status == 503 and failures == ["no store"] and not slots(made)


# ended by the server ---------------------------------------------------------------------------------------------------

REQUESTS: dict[str, tuple[Request, tuple[bytes, ...], dict[str, Any]]] = {
    "a response": (Request(key="large"), (b"",), {}),
    "a whole body": (post(NAMED), (NAMED[:5], NAMED[5:]), {}),
    "an upload": (UPLOAD, (b"x" * 100, b"y"), {}),
    "a refusal": (Request(), (b"",), {}),
    "work": (Request(key="large"), (b"",), {"in_memory": False}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_cancelled_at_any_await_it_gives_back_and_records_once(name: str) -> None:
    """A server cancels the task of a client that has gone, wherever it waits."""
    request, pieces, more = REQUESTS[name]
    turns = 0
    while True:
        made = house(**more)
        work = made.work
        made.work = _slowly(work)  # type: ignore[method-assign]
        client = Client(made, request, *pieces)
        receive = client.receive
        client.receive = _slowly(receive)  # type: ignore[method-assign]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            await answering(b"a", b"b")(scope, receive, send)

        if not asyncio.run(_cancelled_after(client.run(app), turns)):
            break
        assert len(made.exchanges) == min(turns, 1), turns
        assert not slots(made) and made.under_way == 0, turns
        shedder = made.state.shedder
        assert not sum(shedder.waiting) and not sum(shedder._open), turns
        turns += 1
    assert turns > 2, "it was cancelled in the middle"


async def _cancelled_after(run: Any, turns: int) -> bool:
    """Whether it was still under way after so many turns of the loop."""
    task = asyncio.ensure_future(run)
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        await task
        return False
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return True


def _slowly(call: Any) -> Any:
    async def later(*args: Any) -> Any:
        await asyncio.sleep(0)
        return await call(*args)

    return later


def test_cancelled_while_it_waits_for_a_slot() -> None:
    made, _ = one_slot()
    client = Client(made)
    client.leaves = False

    async def run() -> None:
        task = asyncio.ensure_future(client.run(answering(b"{}")))
        while not sum(made.state.shedder.waiting):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert client.event == (499, []) and not slots(made) and not sum(made.state.shedder.waiting)


def test_a_client_that_leaves_while_it_waits_for_a_slot() -> None:
    made, _ = one_slot()
    client = Client(made)
    assert client.call(answering(b"{}")) is None
    assert client.got == [] and client.event == (499, [])
    assert not slots(made) and not sum(made.state.shedder.waiting)


# errors of the application ---------------------------------------------------------------------------------------------


def test_an_application_with_an_error_of_its_own_for_a_stopped_upload() -> None:
    """The client gets the refusal, the server the error, and the event is one."""
    client = Client(house(contract="upload: 1KB"), UPLOAD, b"x" * 1100)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await receive()
        except Exception as error:
            raise LookupError("no upload") from error

    assert isinstance(client.call(app), LookupError)
    assert client.status == 413 and client.event == (413, [("contract.body_size", "enforce")])
    assert not slots(client.house)


def test_what_auth_found_is_kept_where_it_then_fails() -> None:
    made = house(extra="auth: {issuer: 'https://id.example'}\n")

    async def own(scope: Any, receive: Any, send: Any) -> None:
        scope["sallygate.auth"].findings.append(Finding("login.wrong", "Wrong.", 401))
        raise LookupError("internal")

    made.own = own  # type: ignore[attr-defined]
    client = Client(made, Request("GET", "/auth/jwks.json"))
    assert isinstance(client.call(answering(b"{}")), LookupError)
    assert client.event == (500, [("login.wrong", "enforce")])


def test_an_application_learns_the_address_that_is_proven_through_trusted_hops() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"], scope["scheme"]))
        await answering(b"{}")(scope, receive, send)

    hop = (b"x-forwarded-for", b"198.51.100.9"), (b"x-forwarded-proto", b"https")
    for address, scheme in (("203.0.113.1", "http"), ("203.0.113.2", "https")):
        Client(house(), Request(key="large", address=address, scheme=scheme, headers=hop)).call(app)
    assert seen == [(("198.51.100.9", 0), "https"), (("203.0.113.2", 1), "https")]


@pytest.mark.parametrize(
    ("peer", "seen"),
    [
        ("::ffff:203.0.113.2", "203.0.113.2"),
        ("2001:DB8:0:0::2", "2001:db8::2"),
        ("", ""),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_a_peer_that_is_written_otherwise_keeps_its_port(peer: str, seen: str) -> None:
    clients: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clients.append(scope["client"])
        await answering(b"{}")(scope, receive, send)

    Client(house(), Request(key="large", address=peer)).call(app)
    assert clients == [(seen, 1)]
