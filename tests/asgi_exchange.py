"""Client and application of one ASGI exchange, in memory, with a clock that goes by what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gatehouse import House, Request
from patience import patient
from sallygate.guard import Guard
from transcript import JSON

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Any]


class Client:
    """Both sides of one ASGI exchange; `reads_s` is how long each piece takes to leave, by the gate's clock."""

    def __init__(self, made: House, request: Request | None = None, *pieces: bytes, reads_s: float = 0.0) -> None:
        self.house, self.request = made, request or Request(key="large")
        self.messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
            for number, piece in enumerate(pieces or (b"",))
        ]
        self.leaves = True
        """Whether it leaves once it has sent all, or waits."""
        self.got: list[Message] = []
        self.extensions: dict[str, Any] = {}
        """Of ASGI, that the server offers."""
        self.tick, self.reads_s = 0, reads_s
        made.tick_us = lambda: self.tick  # type: ignore[method-assign]

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        if not self.leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        self.tick += int(self.reads_s * 1e6)
        self.got.append(message)

    async def run(self, app: App) -> None:
        async with asyncio.timeout(patient(5)):
            scope = {**self.request.scope(), "extensions": self.extensions}
            await Guard(app, self.house)(scope, self.receive, self.send)

    def call(self, app: App) -> BaseException | None:
        """What the server gets to see of it, besides messages."""
        try:
            asyncio.run(self.run(app))
        except Exception as error:
            return error
        return None

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)

    @property
    def event(self) -> tuple[int, list[tuple[str, str]]]:
        (exchange,) = self.house.exchanges
        return exchange.status, [(finding.code, finding.mode) for finding in exchange.decision.findings]


def answering(*pieces: bytes, header: tuple[bytes, bytes] = JSON, swallows: bool = False) -> App:
    """An application that sends these pieces; `swallows`: whatever sending raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [header]})
        for number, piece in enumerate(pieces):
            try:
                await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces) - 1})
            except ConnectionAbortedError:
                if not swallows:
                    raise

    return app
