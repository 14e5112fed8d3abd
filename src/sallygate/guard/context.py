"""Context of one call: its scope and head, its gate and charges, and how it is answered and recorded."""

from __future__ import annotations

from typing import Any

from sallygate.engine.overload import price
from sallygate.engine.problem import SERVER
from sallygate.guard.services import App, Message, Receive, Scope, Send, Services
from sallygate.model.decision import Decision, Refuse
from sallygate.model.event import Location
from sallygate.model.exchange import Exchange
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge

_SCHEMES = {"https": "https", "wss": "https"}
"""Anything else is not HTTPS."""
_VERSIONS = {"1": "1.0"}
"""Granian's name for HTTP/1.0."""
REQUEST_ID = b"x-request-id"


class Context:
    """One call: its scope, its head, the gate it meets, and what it has been charged."""

    __slots__ = (
        "admit_us",
        "app",
        "charges",
        "gate",
        "gate_us",
        "head",
        "receive",
        "reserved",
        "scope",
        "send",
        "services",
        "started_us",
    )

    def __init__(self, services: Services, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self.services = services
        self.app = app
        self.scope = scope
        self.receive = receive
        self.send = send
        self.gate = services.gate
        self.started_us = services.tick_us()
        self.admit_us = 0
        self.gate_us = 0
        self.charges: tuple[Charge, ...] = ()
        self.reserved: tuple[Charge, ...] = ()
        """Held while work is done; see `Ask`."""
        self.head = self._read_head()

    def _read_head(self) -> RequestHead:
        scope = self.scope
        websocket = scope["type"] == "websocket"
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
            request_id=self.services.new_request_id(),
            now=self.services.now(),
            websocket=websocket,
        )

    def charge(self, charges: tuple[Charge, ...]) -> None:
        """Apply what a decision costs; called once for each, right after it, without waiting in between."""
        if charges:
            self.charges += charges
            self.apply(charges)

    def apply(self, charges: tuple[Charge, ...]) -> None:
        tables, now = self.gate.state.tables, self.services.now()
        for charge in charges:
            if (table := tables.get(charge.table)) is not None:
                table.take(charge.subject, now, charge.amount)

    def price(self, refuse: Refuse) -> None:
        """Charge what being refused costs."""
        try:
            self.charge(price(self.gate.engine.controls.flood, refuse.decision, self.head, refuse.principal))
        except Exception as error:  # whoever counts must not turn a refusal into an error
            self.services.failed("flood", error)

    def common_headers(self) -> list[tuple[bytes, bytes]]:
        clients = self.gate.engine.controls.clients
        cors = clients.cors_headers(self.head) if clients is not None else ()
        return [*self.gate.answer_headers, (REQUEST_ID, self.head.request_id.encode()), SERVER, *cors]

    async def send_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        try:
            if self.scope["type"] == "websocket":
                await self.receive()  # `websocket.connect`
                await self._deny_websocket(status, headers, body)
                return
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({"type": "http.response.body", "body": b"" if self.head.method == "HEAD" else body})
        except OSError:
            pass  # the client has gone; the event is recorded all the same

    async def _deny_websocket(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """The denial response extension where the server has it; a close, which is a 403, where not."""
        if "websocket.http.response" in (self.scope.get("extensions") or {}):
            await self.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await self.send({"type": "websocket.http.response.body", "body": body})
        else:
            await self.send({"type": "websocket.close", "code": 1008})

    def put_back(self, messages: list[Message]) -> None:
        """What was received while waiting is received again."""
        self.receive = put_before(messages, self.receive)

    def _location(self) -> Location:
        origin = self.gate.state.geography.of(self.head.client_address)
        return Location(self.head.client_network, origin.country, origin.asn)

    def record(self, decision: Decision, status: int, **known: Any) -> None:  # Any: Exchange's own fields
        took_us = self.services.tick_us() - self.started_us
        exchange = Exchange(
            self.head, decision, status, charges=self.charges, took_us=took_us,
            admit_us=self.admit_us, gate_us=self.gate_us or took_us, location=self._location(), **known,
        )  # fmt: skip
        self.services.record(exchange, self.gate)


def put_before(messages: list[Message], receive: Receive) -> Receive:
    """`receive`, after `messages`."""
    waiting = list(reversed(messages))

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
