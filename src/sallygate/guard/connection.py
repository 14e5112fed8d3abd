"""Client's side of one exchange over ASGI: its head, its body, and the response to it."""

from __future__ import annotations

import asyncio

from sallygate.guard.body import read_body
from sallygate.guard.draining import has_body
from sallygate.guard.services import Message, Receive, Scope, Send, Services
from sallygate.guard.slots import wait_for_slot
from sallygate.guard.spooling import SpoolFile
from sallygate.model import driver as d
from sallygate.model.request import RequestHead
from sallygate.parsing.addresses import parse_address
from sallygate.state.load_shedding import Ticket

_SCHEMES = {"https": "https", "wss": "https"}
"""Anything else is not HTTPS."""
_VERSIONS = {"1": "1.0"}
"""Granian's name for HTTP/1.0."""


class ClientConnection:
    """What the server gave for one exchange."""

    __slots__ = ("gate", "head", "receive", "scope", "send", "services", "unread")

    def __init__(self, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
        self.services, self.scope, self.receive, self.send = services, scope, receive, send
        self.gate = services.gate  # for the whole exchange, whatever is reloaded meanwhile
        self.head = self._read_head()
        self.unread = has_body(self.head.headers)
        """Whether more of the request's body may come."""

    def _read_head(self) -> RequestHead:
        scope, services = self.scope, self.services
        headers = tuple(scope["headers"])
        if headers and type(headers[0]) is not tuple:  # ASGI promises no more than pairs
            headers = tuple([(name, value) for name, value in headers])
        version: str = scope.get("http_version", "1.1")
        peer = scope.get("client")
        raw_path = scope.get("raw_path")
        if raw_path is None:  # optional in ASGI; every server we know gives it
            raw_path = scope["path"].encode("utf-8")
        return self.gate.reader.read(
            method=scope.get("method", "GET"),
            scheme=_SCHEMES.get(scope["scheme"], "http"),
            raw_path=raw_path,
            raw_query=scope["query_string"],
            headers=headers,
            http_version=_VERSIONS.get(version, version),
            peer=peer[0] if peer else "",
            request_id=services.new_request_id(),
            now=services.now(),
            websocket=scope["type"] == "websocket",
        )

    def api_scope(self) -> Scope:
        """The server's scope as the application gets it: with the client and scheme that are proven through trusted
        hops."""
        scope, head = dict(self.scope), self.head
        if scope["type"] == "http":
            scope["scheme"] = head.scheme
        if head.client_address != head.peer and (peer := parse_address(head.peer)) is not None:
            port = scope["client"][1] if peer.text == head.client_address else 0  # as written, or another's
            scope["client"] = (head.client_address, port)
        return scope

    def at(self) -> tuple[float, float]:
        """Now, and the tick: what every event begins with."""
        services = self.services
        return services.now(), services.tick_us() / 1e6

    # what is read ----------------------------------------------------------------------------------------------------

    async def read_body(self, command: d.ReadBody) -> d.Event:
        """The whole body."""
        length = self.head.fields.get("content-length", "")
        data, outcome, waited_s = await read_body(
            self.receive, length, command.bytes_max, command.pace, keep=command.keep
        )
        self.unread = outcome in ("large", "full")  # a slow sender is not waited for again
        return d.BodyRead(*self.at(), data, outcome, waited_s)

    async def spool(self, command: d.Spool) -> d.Event:
        """The whole body, in a file."""
        length, spool = self.head.fields.get("content-length", ""), SpoolFile(command.bytes_max)
        try:
            _, outcome, waited_s = await read_body(self.receive, length, command.bytes_max, command.pace, spool=spool)
            self.unread = outcome == "large"
            if outcome == "whole":
                return d.Spooled(*self.at(), await spool.end(), spool.size, waited_s)
        except OSError as error:
            self.services.failed("spool", error)
            outcome, waited_s = "failed", 0.0
        spool.close()
        return d.BodyRead(*self.at(), b"", outcome, waited_s)

    async def wait_for_slot(self, command: d.TakeSlot) -> d.Event:
        """The slot, or that the client has gone while it was waited for."""
        ticket = command.ticket
        assert isinstance(ticket, Ticket)
        outcome = await wait_for_slot(ticket, command.wait_s, self.receive, self._put_back)
        kind = {"taken": d.SlotTaken, "refused": d.SlotRefused, "gone": d.ClientGone}[outcome]
        return kind(*self.at())

    def _put_back(self, messages: list[Message]) -> None:
        """What was received while waiting is received again."""
        waiting, receive = list(reversed(messages)), self.receive

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        self.receive = again

    def release_slot(self, command: d.ReleaseSlot) -> None:
        """Leave the slot later."""
        services, leave = self.services, command.leave
        asyncio.get_running_loop().call_later(command.after_s, lambda: leave(services.tick_us() / 1e6))

    # what is answered ------------------------------------------------------------------------------------------------

    async def reply(self, command: d.Reply) -> None:
        """Answer in the API's place."""
        if (early_s := command.not_before - self.services.now()) > 0:
            await asyncio.sleep(early_s)
        body = b"" if self.head.method == "HEAD" else command.body
        headers = list(command.headers)
        try:
            if self.scope["type"] == "websocket":
                await self._deny_websocket(command.status, headers, command.body)
                return
            await self.send({"type": "http.response.start", "status": command.status, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except OSError:
            pass  # the client has gone; the event is recorded all the same

    async def _deny_websocket(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """The denial response extension where the server has it; a close, which is a 403, where not."""
        await self.receive()  # `websocket.connect`
        if "websocket.http.response" in (self.scope.get("extensions") or {}):
            await self.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await self.send({"type": "websocket.http.response.body", "body": body})
        else:
            await self.send({"type": "websocket.close", "code": 1008})


def cut(command: d.Cut) -> None:
    """End a response so that it does not look whole: the server resets what it cannot finish."""
    if command.side == "client":
        raise ConnectionAbortedError("the response ends before it is whole")
