"""The ASGI shell of one exchange: translates between ASGI's messages and the driver's events and commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.response import Commands
from sallygate.guard.body import read_body
from sallygate.guard.services import App, Message, Receive, Scope, Send, Services
from sallygate.guard.slots import wait_for_slot
from sallygate.model import driver as d
from sallygate.model.request import RequestHead
from sallygate.state.load_shedding import Ticket

_SCHEMES = {"https": "https", "wss": "https"}
"""Anything else is not HTTPS."""
_VERSIONS = {"1": "1.0"}
"""Granian's name for HTTP/1.0."""
UNMETERED = frozenset(
    f"http.response.{name}" for name in ("pathsend", "zerocopysend", "trailers", "push", "early_hint")
)
"""ASGI extensions by which a response would leave unseen."""


class Stopped(Exception):
    """A request body that streams to the API is not let through to its end."""


class Shell:
    """One exchange over ASGI."""

    __slots__ = ("_app", "_deadline_s", "_driver", "_gate", "_head", "_receive", "_scope", "_send", "_services")

    def __init__(self, services: Services, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self._services, self._app, self._scope = services, app, scope
        self._receive, self._send = receive, send
        self._gate = services.gate
        tick = services.tick_us() / 1e6
        self._head = self._read_head()
        self._driver = ExchangeDriver(self._gate, self._head, services, tick)
        self._deadline_s: float | None = None
        """For the next piece of the request."""

    def _read_head(self) -> RequestHead:
        scope = self._scope
        websocket = scope["type"] == "websocket"
        headers = tuple(scope["headers"])
        if headers and type(headers[0]) is not tuple:  # ASGI promises no more than pairs
            headers = tuple([(name, value) for name, value in headers])
        version: str = scope.get("http_version", "1.1")
        peer = scope.get("client")
        raw_path = scope.get("raw_path")
        if raw_path is None:  # optional in ASGI; every server we know gives it
            raw_path = scope["path"].encode("utf-8")
        return self._gate.reader.read(
            method=scope.get("method", "GET"),
            scheme=_SCHEMES.get(scope["scheme"], "http"),
            raw_path=raw_path,
            raw_query=scope["query_string"],
            headers=headers,
            http_version=_VERSIONS.get(version, version),
            peer=peer[0] if peer else "",
            request_id=self._services.new_request_id(),
            now=self._services.now(),
            websocket=websocket,
        )

    async def run(self) -> None:
        """The exchange, to its end."""
        driver = self._driver
        try:
            commands = driver.start()
            while commands:
                event = await self._carry_out(commands)
                if event is None:
                    break
                commands = driver.feed(event)
        finally:
            if not driver.ended:
                await self._carry_out(driver.close(*self._at()))

    def _at(self) -> tuple[float, float]:
        services = self._services
        return services.now(), services.tick_us() / 1e6

    async def _carry_out(self, commands: Commands) -> d.Event | None:
        """Carry out a batch; the event its last command asks for."""
        event: d.Event | None = None
        for command in commands:
            if (do := _AT_ONCE.get(type(command))) is not None:
                do(self, command)
            else:
                event = await _WAITING[type(command)](self, command)
        return event

    def _record(self, command: d.Record) -> None:
        self._services.record(command.exchange, self._gate)

    def _set_deadline(self, command: d.Deadline) -> None:
        self._deadline_s = command.after_s

    def _release_slot(self, command: d.ReleaseSlot) -> None:
        services, leave = self._services, command.leave
        asyncio.get_running_loop().call_later(command.after_s, lambda: leave(services.tick_us() / 1e6))

    def _cut(self, command: d.Cut) -> None:
        if command.side == "client":
            raise ConnectionAbortedError("the response ends before it is whole")

    async def _work(self, command: d.Work) -> d.Event:
        try:
            answers = tuple([await self._services.work(item) for item in command.items])
        except Exception as error:
            return d.WorkFailed(*self._at(), error)
        return d.WorkDone(*self._at(), answers)

    async def _read_body(self, command: d.ReadBody) -> d.Event:
        length = self._head.fields.get("content-length", "")
        data, outcome, waited_s = await read_body(self._receive, length, command.bytes_max, command.pace)
        return d.BodyRead(*self._at(), data, outcome, waited_s)

    async def _offload(self, command: d.Offload) -> d.Event:
        try:
            result = await self._services.aside(command.call)
        except Exception as error:
            return d.Offloaded(*self._at(), error=error)
        return d.Offloaded(*self._at(), result)

    async def _wait(self, command: d.TakeSlot) -> d.Event:
        ticket = command.ticket
        assert isinstance(ticket, Ticket)
        outcome = await wait_for_slot(ticket, command.wait_s, self._receive, self._put_back)
        kind = {"taken": d.SlotTaken, "refused": d.SlotRefused, "gone": d.ClientGone}[outcome]
        return kind(*self._at())

    def _put_back(self, messages: list[Message]) -> None:
        """What was received while waiting is received again."""
        waiting, receive = list(reversed(messages)), self._receive

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        self._receive = again

    async def _reply(self, command: d.Reply) -> d.Event:
        await self._send_reply(command)
        return d.Sent(*self._at())

    async def _send_reply(self, command: d.Reply) -> None:
        if (early_s := command.not_before - self._services.now()) > 0:
            await asyncio.sleep(early_s)
        body = b"" if self._head.method == "HEAD" else command.body
        headers = list(command.headers)
        try:
            if self._scope["type"] == "websocket":
                await self._deny_websocket(command.status, headers, command.body)
                return
            await self._send({"type": "http.response.start", "status": command.status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
        except OSError:
            pass  # the client has gone; the event is recorded all the same

    async def _deny_websocket(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """The denial response extension where the server has it; a close, which is a 403, where not."""
        await self._receive()  # `websocket.connect`
        if "websocket.http.response" in (self._scope.get("extensions") or {}):
            await self._send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await self._send({"type": "websocket.http.response.body", "body": body})
        else:
            await self._send({"type": "websocket.close", "code": 1008})

    # the API's part --------------------------------------------------------------------------------------------------

    async def _call(self, command: d.CallApi) -> d.Event | None:
        """Call the application; whatever it raises is raised again, once the driver has been told."""
        scope = {**self._scope, "headers": list(command.headers), "sallygate": command.principal}
        if command.raw_query is not None:
            scope["query_string"] = command.raw_query
        app = self._app
        if command.own is not None:
            app, scope["sallygate.auth"] = self._services.own, command.own
        if extensions := self._scope.get("extensions"):
            # Not offered, so not used: a `FileResponse` under Granian would hand its path past the gate.
            scope["extensions"] = {name: extensions[name] for name in extensions if name not in UNMETERED}
        receive = self._receive_streamed if command.body is None else self._receive_whole(command.body)
        driver = self._driver
        try:
            try:
                await app(scope, receive, self._send_through)
            finally:
                if command.own is not None and command.own.findings:
                    driver.feed(d.Reported(*self._at(), tuple(command.own.findings)))
        except Stopped:
            return d.ApiFailed(*self._at())
        except Exception:
            await self._carry_out(driver.feed(d.ApiFailed(*self._at())))
            raise
        return d.End(*self._at())

    def _receive_whole(self, body: bytes) -> Receive:
        whole = [body]

        async def buffered() -> Message:
            if whole:
                return {"type": "http.request", "body": whole.pop(), "more_body": False}
            message = await self._receive()
            while message["type"] != "http.disconnect":
                message = await self._receive()
            self._driver.feed(d.ClientGone(*self._at()))
            return message

        return buffered

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
                    event = await self._wait(command)
                    break
                self._set_deadline(command)  # type: ignore[arg-type]  # the only other one on the way to the API
            else:
                return {"type": "http.disconnect"}

    async def _next_piece(self) -> d.Event:
        began_us = self._services.tick_us()
        if self._deadline_s is None:
            message = await self._receive()
        else:
            try:
                async with asyncio.timeout(self._deadline_s):
                    message = await self._receive()
            except TimeoutError:
                return d.Expired(*self._at(), "client")
        now, tick = self._at()
        if message["type"] == "http.disconnect":
            return d.ClientGone(now, tick)
        body, more = message.get("body", b""), message.get("more_body", False)
        return d.Chunk(now, tick, "client", body, more, tick - began_us / 1e6)

    async def _send_through(self, message: Message) -> None:
        kind, services = message["type"], self._services
        now, tick = services.now(), services.tick_us() / 1e6
        if kind == "http.response.start":
            headers = tuple([(name.lower(), value) for name, value in message.get("headers", ())])
            await self._respond(self._driver.feed(d.ResponseHead(now, tick, message["status"], headers)))
        elif kind == "http.response.body":
            data, more = message.get("body", b""), message.get("more_body", False)
            await self._respond(self._driver.feed(d.Chunk(now, tick, "api", data, more)))
        elif kind != "http.response.debug":
            # Path sends, trailers and the like would leave unmetered.
            raise RuntimeError(f"the application sent {kind!r}, which the gate does not let through")

    async def _respond(self, commands: Commands) -> None:
        for command in commands:
            if isinstance(command, d.SendToClient):
                await self._send_body(command)
            elif isinstance(command, d.SendHead):
                start = {"type": "http.response.start", "status": command.status, "headers": list(command.headers)}
                await self._send(start)
            elif isinstance(command, d.Reply):
                await self._send_reply(command)
            elif isinstance(command, d.Cut):
                self._cut(command)
            elif isinstance(command, d.Deadline):
                self._set_deadline(command)

    async def _send_body(self, command: d.SendToClient) -> None:
        body: dict[str, Any] = {"type": "http.response.body", "body": command.data, "more_body": command.more}
        if not command.more:
            await self._send(body)
            return
        began_us = self._services.tick_us()
        await self._send(body)
        now, tick = self._at()
        await self._respond(self._driver.feed(d.Sent(now, tick, tick - began_us / 1e6)))


_AT_ONCE: dict[type[Any], Callable[[Shell, Any], None]] = {
    d.Record: Shell._record,
    d.Deadline: Shell._set_deadline,
    d.ReleaseSlot: Shell._release_slot,
    d.Cut: Shell._cut,
}
_WAITING: dict[type[Any], Callable[[Shell, Any], Awaitable[d.Event | None]]] = {
    d.Work: Shell._work,
    d.ReadBody: Shell._read_body,
    d.Offload: Shell._offload,
    d.TakeSlot: Shell._wait,
    d.CallApi: Shell._call,
    d.Reply: Shell._reply,
}
"""Commands outside the API's part, and how they are carried out."""
