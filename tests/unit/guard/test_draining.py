"""What is still being sent after an early answer is read on, within bounds, once the exchange is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_exchange import Client, Message, answering
from gatehouse import NOW, Request
from sallygate.guard.draining import drain, has_body
from sallygate.model.restriction import Restriction
from sallygate.services.restriction_tables import add_restrictions
from transcript import UPLOAD, house, slots

LENGTH = (b"content-length", b"30")


class Sender:
    """Pieces of a body, as a server hands them over; `ends`: how it goes on after the last."""

    def __init__(self, *pieces: bytes, ends: str = "waits") -> None:
        self.left, self.ends = list(pieces), ends

    async def __call__(self) -> Message:
        if self.left:
            return {
                "type": "http.request",
                "body": self.left.pop(0),
                "more_body": bool(self.left) or self.ends != "ends",
            }
        if self.ends == "leaves":
            return {"type": "http.disconnect"}
        if self.ends == "breaks":
            raise ConnectionResetError
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(("ends", "left"), [("ends", 0), ("leaves", 0), ("breaks", 0), ("waits", 0)])
def test_it_ends_with_the_body_the_client_or_its_time(ends: str, left: int) -> None:
    sender = Sender(b"a", b"b", ends=ends)
    asyncio.run(drain(sender, seconds_max=0.01))
    assert len(sender.left) == left


def test_it_reads_no_more_than_its_bound() -> None:
    sender = Sender(*[b"x" * 100] * 50)
    asyncio.run(drain(sender, bytes_max=1000))
    assert len(sender.left) == 40


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), False),
        ((LENGTH,), True),
        (((b"content-length", b"0"),), False),
        (((b"transfer-encoding", b"chunked"),), True),
        ((LENGTH, (b"expect", b"100-continue")), False),
    ],
)
def test_which_requests_have_a_body(headers: Any, body: bool) -> None:
    assert has_body(headers) == body


def test_the_answer_leaves_and_the_exchange_ends_before_more_is_read() -> None:
    client = Client(made := house(), Request("POST", headers=(LENGTH,)), b"x" * 10, b"x" * 10, b"x" * 10)
    receive, seen = client.receive, []

    async def watched() -> Message:
        seen.append((client.got[-1:], len(made.exchanges), slots(made)))
        return await receive()

    client.receive = watched  # type: ignore[method-assign]
    assert client.call(answering(b"{}")) is None
    assert client.status == 401 and len(seen) == 3 and not client.messages
    assert all(got and recorded == 1 and not held for got, recorded, held in seen)


def test_an_upload_that_is_stopped_is_read_on() -> None:
    client = Client(house(contract="upload: 1KB"), UPLOAD, b"x" * 1100, b"x" * 10, b"x" * 10)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            await receive()

    assert client.call(app) is None
    assert client.status == 413 and not client.messages


def test_an_application_that_answers_before_it_has_read_all() -> None:
    client = Client(house(), UPLOAD, b"x" * 10, b"x" * 10, b"x" * 10)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    assert client.call(app) is None
    assert client.status == 400 and not client.messages


def test_who_is_refused_before_the_head_is_read_is_read_on_too() -> None:
    made = house()
    made.watched = False
    one = Restriction("r1", (("address", "192.0.2.1"),), "deny", "test", "me", 0.0, NOW + 1e6, "")
    add_restrictions(made.state, [one], NOW)
    client = Client(made, Request("POST", headers=(LENGTH,)), b"x" * 10, b"x" * 10, b"x" * 10)
    assert client.call(answering(b"{}")) is None
    assert client.status == 403 and not client.messages and not made.exchanges
