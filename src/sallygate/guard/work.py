"""Work that a decision asks for: done by the composition root, or by a request to the application itself."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

from sallygate.guard.connection import ClientConnection
from sallygate.guard.services import App, Message
from sallygate.model import driver as d
from sallygate.model.work import ApiAnswered, AskApi, Work, WorkDone


class TooLarge(Exception):
    """The answer is larger than was asked for."""


async def do_work(client: ClientConnection, command: d.Work, app: App) -> d.Event:
    """All of it at once. `app` answers what is asked of the API."""
    items = command.items
    try:
        if len(items) == 1:
            answers = [await _do(client, items[0], app)]
        else:
            answers = await asyncio.gather(*(_do(client, item, app) for item in items))
    except Exception as error:
        return d.WorkFailed(*client.at(), error)
    return d.WorkDone(*client.at(), tuple(answers))


async def _do(client: ClientConnection, item: Work, app: App) -> WorkDone:
    return await ask(client, item, app) if isinstance(item, AskApi) else await client.services.work(item)


async def ask(client: ClientConnection, item: AskApi, app: App) -> ApiAnswered:
    """A request of the gate's own, within its time and size."""
    answer = _Answer(item.bytes_max)
    scope = {
        **client.api_scope(), "method": "GET", "raw_path": item.raw_path, "query_string": item.raw_query,
        "path": unquote(item.raw_path.decode("latin-1")), "headers": list(item.headers), "extensions": {},
    }  # fmt: skip
    try:
        async with asyncio.timeout(item.deadline_s):
            await app(scope, answer.receive, answer.send)
    except Exception as error:
        client.services.failed("asking the API", error)
        return ApiAnswered(item, failed=True)
    if not answer.whole:
        return ApiAnswered(item, failed=True)
    return ApiAnswered(item, answer.status, answer.headers, b"".join(answer.parts))


class _Answer:
    """What the application says to a request without a body."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max
        self._asked = False
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.parts: list[bytes] = []
        self.whole = False

    async def receive(self) -> Message:
        """ASGI `receive` of a request without a body; it then waits until it is cancelled."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()  # it never leaves: the time ends it
        raise AssertionError

    async def send(self, message: Message) -> None:
        """ASGI `send`, which keeps the response within its limit."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple([(name.lower(), value) for name, value in message.get("headers", ())])
        elif message["type"] == "http.response.body":
            part = message.get("body", b"")
            self._left -= len(part)
            if self._left < 0:
                raise TooLarge(f"more than {len(part) - self._left} bytes")
            self.parts.append(part)
            self.whole = self.status > 0 and not message.get("more_body", False)
