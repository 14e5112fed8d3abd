"""Call of the application for one exchange: its ASGI messages become events, and commands become messages to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.response import Commands
from sallygate.guard.connection import ClientConnection, cut
from sallygate.guard.services import App, Message, Receive
from sallygate.guard.spooling import SpoolFile, pieces
from sallygate.guard.work import do_work
from sallygate.model import driver as d
from sallygate.model.request import Side
from sallygate.parsing.http.records import RecordSplitter

UNMETERED = frozenset(f"http.response.{name}" for name in ("pathsend", "zerocopysend", "push", "early_hint"))
"""ASGI extensions by which something would leave unseen: the application is not offered them."""


class Stopped(Exception):
    """A request body that streams to the API, or a response, is not let through to its end."""


class ApiCall:
    """The application, called by one exchange."""

    # Defaults stand on the class: a call sets only what it comes to.
    _deadline_s: float | None = None
    """For the next piece of the request."""
    _splitters: Mapping[Side, RecordSplitter] = {}
    _records: Mapping[Side, deque[d.RecordRead]] = {}
    """Still to be fed, of each side that is split."""
    _spool: SpoolFile | None = None
    """Where the response goes."""
    _trailers = False
    """Whether fields follow the response's body."""
    _task: asyncio.Task[Any] | None = None
    _ending: Commands = ()
    """What a restriction ended it with."""

    def __init__(self, client: ClientConnection, driver: ExchangeDriver, app: App) -> None:
        self._client, self._driver, self._app = client, driver, app

    async def run(self, command: d.CallApi) -> d.Event:
        """Call it; an error is raised again after the driver has got its event."""
        client, driver, services = self._client, self._driver, self._client.services
        scope = client.api_scope()
        scope["headers"], scope["sallygate"] = list(command.headers), command.principal
        if command.raw_query is not None:
            scope["query_string"] = command.raw_query
        app = self._app
        if command.own is not None:
            app, scope["sallygate.auth"] = services.own, command.own
        if extensions := client.scope.get("extensions"):
            # Not offered, so not used: a `FileResponse` under Granian would hand its path past the gate.
            scope["extensions"] = {name: extensions[name] for name in extensions if name not in UNMETERED}
        self._task = task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        services.live.add(self)
        try:
            try:
                await app(scope, self._receive_of(command), self._send_through)
            finally:
                services.live.discard(self)
                if command.own is not None and command.own.findings:
                    driver.feed(d.Reported(*client.at(), tuple(command.own.findings)))
        except Stopped:
            if not self._ending:
                return d.ApiFailed(*client.at())
        except asyncio.CancelledError:
            if not self._ending:
                raise
        except Exception:
            if not self._ending:
                await self._carry_out(driver.feed(d.ApiFailed(*client.at())))
                raise
        if self._ending:  # whatever the application made of the cancellation
            if task.uncancel() > before:  # the server wants it ended, too
                raise asyncio.CancelledError
            return await self._end_interrupted()
        return d.End(*client.at())

    def set_deadline(self, command: d.Deadline) -> None:
        """For the next piece of the request."""
        self._deadline_s = command.after_s

    def read_records(self, command: d.ReadRecord) -> None:
        """From now on, a side's body comes by records."""
        self._splitters = {**self._splitters, command.side: RecordSplitter(command.framing, command.bytes_max)}
        self._records = {**self._records, command.side: deque()}

    # restrictions ----------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Restrictions have changed: end what one of them does not let go on, whatever it waits for."""
        if self._ending or self._task is None:
            return
        self._ending = self._driver.feed(d.Interrupted(*self._client.at()))
        if self._ending:
            self._task.cancel()

    async def _end_interrupted(self) -> d.Event:
        try:
            await self._respond(self._ending)
        except ConnectionAbortedError:
            await self._carry_out(self._driver.feed(d.ApiFailed(*self._client.at())))
            raise
        return d.ApiFailed(*self._client.at())

    async def _carry_out(self, commands: Commands) -> None:
        """What is left to do of an exchange that ends with an exception."""
        client = self._client
        for command in commands:
            if isinstance(command, d.Record):
                client.services.record(command.exchange, client.gate)
            elif isinstance(command, d.ReleaseSlot):
                client.release_slot(command)
            elif isinstance(command, d.Reply):
                await client.reply(command)

    # what the application receives -----------------------------------------------------------------------------------

    def _receive_of(self, command: d.CallApi) -> Receive:
        if command.spool is not None:
            return self._receive_spooled(pieces(command.spool))
        return self._receive_streamed if command.body is None else self._receive_whole(command.body)

    def _receive_whole(self, body: bytes) -> Receive:
        whole = [body]

        async def buffered() -> Message:
            if whole:
                return {"type": "http.request", "body": whole.pop(), "more_body": False}
            return await self._disconnected()

        return buffered

    def _receive_spooled(self, body: AsyncIterator[bytes]) -> Receive:
        ended = False

        async def spooled() -> Message:
            nonlocal ended
            if ended:
                return await self._disconnected()
            piece = await anext(body, b"")
            ended = not piece
            return {"type": "http.request", "body": piece, "more_body": not ended}

        return spooled

    async def _disconnected(self) -> Message:
        message = await self._client.receive()
        while message["type"] != "http.disconnect":
            message = await self._client.receive()
        self._driver.feed(d.ClientGone(*self._client.at()))
        return message

    async def _receive_streamed(self) -> Message:
        event: d.Event = await self._next_piece()
        while True:
            for command in self._driver.feed(event):
                if isinstance(command, d.SendToApi):
                    return {"type": "http.request", "body": command.data, "more_body": command.more}
                if isinstance(command, d.EndToApi):
                    return {"type": "http.disconnect"}
                if isinstance(command, d.Cut):
                    raise Stopped
                if isinstance(command, d.TakeSlot):
                    event = await self._client.wait_for_slot(command)
                    break
                assert isinstance(command, d.Deadline)
                self.set_deadline(command)
            else:
                return {"type": "http.disconnect"}

    async def _next_piece(self) -> d.Event:
        splitter = self._splitters.get("client")
        if splitter is None:
            return await self._next_chunk()
        records = self._records["client"]
        while not records:
            event = await self._next_chunk()
            if not isinstance(event, d.Chunk):
                return event
            self._split(splitter, event)
        return records.popleft()

    def _split(self, splitter: RecordSplitter, event: d.Chunk) -> None:
        waited_s = event.waited_s
        records: list[bytes | None] = [*splitter.add(event.data)]
        if not event.more:
            records += [rest, None] if (rest := splitter.end()) else [None]
        for number, record in enumerate(records):
            large = splitter.large and record is not None and number == len(records) - 1 - (not event.more)
            made = d.RecordRead(event.now, event.tick, event.side, record, large, waited_s)
            self._records[event.side].append(made)
            waited_s = 0.0

    async def _next_chunk(self) -> d.Event:
        client = self._client
        began_us = client.services.tick_us()
        if self._deadline_s is None:
            message = await client.receive()
        else:
            try:
                async with asyncio.timeout(self._deadline_s):
                    message = await client.receive()
            except TimeoutError:
                client.unread = False  # a slow sender is not waited for again
                return d.Expired(*client.at(), "client")
        now, tick = client.at()
        if message["type"] == "http.disconnect":
            return d.ClientGone(now, tick)
        body, more = message.get("body", b""), message.get("more_body", False)
        client.unread = more
        return d.Chunk(now, tick, "client", body, more, tick - began_us / 1e6)

    # what the application sends --------------------------------------------------------------------------------------

    async def _send_through(self, message: Message) -> None:
        kind, services = message["type"], self._client.services
        now, tick = services.now(), services.tick_us() / 1e6
        if kind == "http.response.body":
            data, more = message.get("body", b""), message.get("more_body", False)
            if self._spool is not None:
                await self._add_to_spool(self._spool, data, more)
            elif self._splitters and (splitter := self._splitters.get("api")) is not None:
                await self._send_records(splitter, d.Chunk(now, tick, "api", data, more))
            else:
                await self._respond(self._driver.feed(d.Chunk(now, tick, "api", data, more)))
        elif kind == "http.response.start":
            if message.get("trailers"):
                self._trailers = "http.response.trailers" in (self._client.scope.get("extensions") or {})
            headers = tuple([(name.lower(), value) for name, value in message.get("headers", ())])
            await self._respond(self._driver.feed(d.ResponseHead(now, tick, message["status"], headers)))
        elif kind == "http.response.trailers" and kind in (self._client.scope.get("extensions") or {}):
            headers = tuple([(name.lower(), value) for name, value in message.get("headers", ())])
            self._trailers = bool(message.get("more_trailers"))
            await self._respond(self._driver.feed(d.Trailers(now, tick, "api", headers)))
        elif kind != "http.response.debug":
            # Path sends, early hints and the like would leave unmetered.
            raise RuntimeError(f"the application sent {kind!r}, which the gate does not let through")

    async def _send_records(self, splitter: RecordSplitter, chunk: d.Chunk) -> None:
        self._split(splitter, chunk)
        records = self._records["api"]
        while records:
            await self._respond(self._driver.feed(records.popleft()))

    async def _add_to_spool(self, spool: SpoolFile, data: bytes, more: bool) -> None:
        client = self._client
        event: d.Event | None = None
        try:
            if not await spool.add(data):
                event = d.BodyRead(*client.at(), outcome="large")
            elif not more:
                event = d.Spooled(*client.at(), await spool.end(), spool.size)
        except OSError as error:
            client.services.failed("spool", error)
            event = d.BodyRead(*client.at(), outcome="failed")
        if event is not None:
            await self._respond(self._driver.feed(event))

    async def _respond(self, commands: Commands) -> None:
        client = self._client
        for command in commands:
            if isinstance(command, d.SendToClient):
                await self._send_body(command.data, command.more)
            elif isinstance(command, d.SendHead):
                start = {"type": "http.response.start", "status": command.status, "headers": list(command.headers)}
                if self._trailers:
                    start["trailers"] = True
                await client.send(start)
            elif isinstance(command, d.Reply):
                await client.reply(command)
            elif isinstance(command, d.Cut):
                cut(command)
                raise Stopped
            elif isinstance(command, d.Deadline):
                self.set_deadline(command)
            elif isinstance(command, d.SendTrailers):
                await client.send({"type": "http.response.trailers", "headers": list(command.headers),
                                   "more_trailers": self._trailers})  # fmt: skip
            elif isinstance(command, d.ReadRecord):
                self.read_records(command)
            elif isinstance(command, d.Spool):
                self._spool = SpoolFile(command.bytes_max)
            elif isinstance(command, d.SendSpool):
                await self._send_spool(command.file)
            elif isinstance(command, d.Work):
                await self._respond(self._driver.feed(await do_work(client, command, self._app)))
            elif isinstance(command, d.TakeSlot):
                await self._respond(self._driver.feed(await client.wait_for_slot(command)))
            elif not isinstance(command, d.HoldHead | d.EndToApi):  # a head is held by not sending it
                raise RuntimeError(f"this shell does not carry {type(command).__name__}")

    async def _send_body(self, data: bytes, more: bool) -> None:
        client = self._client
        body: dict[str, Any] = {"type": "http.response.body", "body": data, "more_body": more}
        if not more:
            await client.send(body)
            return
        began_us = client.services.tick_us()
        await client.send(body)
        now, tick = client.at()
        await self._respond(self._driver.feed(d.Sent(now, tick, tick - began_us / 1e6)))

    async def _send_spool(self, file: object) -> None:
        async for piece in pieces(file):
            await self._send_body(piece, True)
        await self._send_body(b"", False)
