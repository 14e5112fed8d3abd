"""One request on its way through: admitted, charged, read, examined, passed on; or refused, at any of these."""

from __future__ import annotations

from typing import Any

from sallygate.engine.case import decide
from sallygate.engine.overload import come_back, price
from sallygate.engine.problem import problem_body, problem_headers
from sallygate.guard.answer import ApiAnswer, Stopped, refusal
from sallygate.guard.body import put_before, read_body
from sallygate.guard.door import HASTY
from sallygate.guard.services import App, Message, Receive, Scope, Send, Services
from sallygate.guard.turn import ClientLeft, Turn, note_shed
from sallygate.model.access import AuthCall
from sallygate.model.decision import Admission, Answer, Ask, Decision, Refuse, Reply
from sallygate.model.event import Place
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.model.request import Body, RequestHead
from sallygate.model.work import ROUNDS_MAX, Charge, WorkDone

ASIDE_BYTES = 64 * 1024
"""Larger bodies are examined off the event loop, where they make nobody wait."""
_SCHEMES = {"https": "https", "wss": "https"}
"""Anything else is not HTTPS."""
_VERSIONS = {"1": "1.0"}
"""Granian's name for HTTP/1.0."""
IDENTITY_PREFIX = b"x-sallygate-"
REQUEST_ID = b"x-request-id"
OVERRIDES = frozenset(
    (b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url")
)
"""By these, frameworks and IIS run another operation than the request line's, which is the one that was judged. Honest
pages send them too (0.4% of recorded requests, to services that do without), so they are taken off, not refused."""
UNMETERED = frozenset(
    f"http.response.{name}" for name in ("pathsend", "zerocopysend", "trailers", "push", "early_hint")
)
"""ASGI extensions by which an answer would leave unseen."""
SERVER = (b"server", b"sallygate")
"""Said in place of the server's or the upstream's own name."""


class _Refused(Exception):
    """Unwinds to where the problem document is sent."""

    def __init__(self, refuse: Refuse) -> None:
        self.refuse = refuse


class Call:
    """One request on its way through."""

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

    async def run(self) -> None:
        try:
            outcome = await self._admit()
        except Exception as error:  # the engine itself failed: nobody passes
            self.services.failed("engine", error)
            outcome = Refuse(_failed("The request cannot be checked at present."), self.reserved)
        except BaseException:  # who leaves before the answer has tried all the same
            self.apply(self.reserved)
            self._give_back()
            raise
        self.admit_us = self.services.tick_us() - self.started_us
        self.charge(outcome.charges)
        self._give_back()
        note_shed(self.gate.state.shedder, outcome.decision)
        if isinstance(outcome, Refuse):
            await self._refuse(outcome)
        elif isinstance(outcome, Answer):
            await self._reply(outcome)
        else:
            await self._admitted(outcome)

    async def _admit(self) -> Refuse | Answer | Admission:
        done: tuple[WorkDone, ...] = ()
        for _ in range(ROUNDS_MAX + 1):
            # The first time at the very moment the event will tell, so that it can be decided again from there.
            now = self.services.now() if done else self.head.received_at
            outcome = self.gate.engine.admit(self.head, now, done)
            if not isinstance(outcome, Ask):
                return outcome
            self._give_back()
            self.reserved = outcome.reserved
            for charge in self.reserved:
                self.gate.state.held.take(charge.table, charge.subject)
            done = (*done, await self.services.work(outcome.work))
        return Refuse(_failed("The request cannot be decided."), self.reserved)

    def _give_back(self) -> None:
        for charge in self.reserved:
            self.gate.state.held.give_back(charge.table, charge.subject)
        self.reserved = ()

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

    # the gate's own answers --------------------------------------------------------------------------------------

    async def _refuse(self, refuse: Refuse, request_bytes: int = 0) -> None:
        self.price(refuse)
        if refuse.decision.status == 429 and not HASTY.isdisjoint(refuse.decision.reasons):
            self.gate.door.expect_haste(self.services.now())
        body = problem_body(refuse.decision, self.head.request_id)
        headers = problem_headers(b"" if self.head.method == "HEAD" else body, refuse.headers)
        if refuse.decision.verdict == "terminate" and self.head.http_version[:1] == "1":
            headers = [*headers, (b"connection", b"close")]
        await self.send_whole(refuse.decision.status, [*headers, *self.common_headers()], body)
        self.record(refuse.decision, refuse.decision.status, operation=refuse.operation, principal=refuse.principal,
                     response_bytes=len(body), request_bytes=request_bytes)  # fmt: skip

    def price(self, refuse: Refuse) -> None:
        """Charge what being refused costs."""
        try:
            self.charge(price(self.gate.engine.controls.flood, refuse.decision, self.head, refuse.principal))
        except Exception as error:  # whoever counts must not turn a refusal into an error
            self.services.failed("flood", error)

    async def _reply(self, answer: Answer) -> None:
        reply: Reply = answer.reply
        await self.send_whole(reply.status, [*reply.headers, *self.common_headers()], reply.body)
        self.record(answer.decision, reply.status, response_bytes=len(reply.body))

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

    # the API's answers -------------------------------------------------------------------------------------------

    async def _admitted(self, admission: Admission) -> None:
        held = self.gate.state.held
        for table, subject, _ in admission.held:
            held.take(table, subject)
        try:
            await self._pass_on(admission)
        except _Refused as refused:
            await self._refuse(refused.refuse)
        finally:
            for table, subject, _ in admission.held:
                held.give_back(table, subject)

    async def _pass_on(self, admission: Admission) -> None:
        raw = None
        if admission.body.mode == "whole":
            read = await read_body(self, admission)
            if isinstance(read, Finding):
                raise _Refused(refusal(read, admission))
            raw = read
        engine = self.gate.engine
        try:
            if raw is not None and len(raw) > ASIDE_BYTES:
                examined = await self.services.aside(lambda: engine.examine(admission, self.head, raw))
            else:
                examined = engine.examine(admission, self.head, raw)
        except Exception as error:
            self.services.failed("engine", error)
            raise _Refused(Refuse(_failed("The request cannot be checked at present."))) from None
        if isinstance(examined, Refuse):
            await self._refuse(examined, len(raw or b""))
            return
        passed, body = examined
        edit = passed.edit
        if edit is not None and edit.body is not None:
            body = Body(edit.body, body.kind, body.media, body.tree, body.declared)
        remade = admission.body.coding or (edit is not None and edit.body is not None)
        scope = {
            **self.scope,
            "headers": self._upstream_headers(admission, body if remade else None),
        }
        if edit is not None and edit.raw_query is not None:
            scope["query_string"] = edit.raw_query
        scope["sallygate"] = admission.principal
        app, own = self.app, None
        if admission.own and admission.operation is not None:
            own = AuthCall(admission.operation.id, self.head, admission.principal, [])
            app, scope["sallygate.auth"] = self.services.own, own
        if extensions := self.scope.get("extensions"):
            # Not offered, so not used: a `FileResponse` under Granian would hand its path past the gate.
            scope["extensions"] = {name: extensions[name] for name in extensions if name not in UNMETERED}
        upstream = ApiAnswer(self, admission, passed.decision)
        receive = upstream.receive_from(raw if raw is not None else None, body, admission.body)
        turn = Turn.of(self, admission)
        self.gate_us = self.services.tick_us() - self.started_us
        try:
            if turn is not None:
                await self._turn(turn, upstream, admission)
            await app(scope, receive, upstream.send)
            if own is not None and own.findings:
                upstream.decision = decide([*passed.decision.findings, *own.findings])
        except _Refused:
            raise
        except ClientLeft:
            upstream.gone = True
        except Stopped as stopped:
            if not upstream.status:
                raise _Refused(refusal(stopped.finding, admission)) from None
            upstream.finish(body)
            raise
        except BaseException:
            upstream.finish(body)
            raise
        finally:
            if turn is not None:
                turn.end(gone=upstream.gone)
        upstream.finish(body)
        if not upstream.done and not upstream.gone:
            # Whoever swallowed the error: an answer that is not whole must not look whole. The server cuts it.
            raise ConnectionAbortedError("the answer was not finished")

    async def _turn(self, turn: Turn, upstream: ApiAnswer, admission: Admission) -> None:
        """A connection to the API, and a place at it; a body that streams takes its place when it is all there."""
        finding = turn.open()
        upstream.turn = turn
        if finding is None and admission.body.mode != "stream":
            finding = await turn.take()
        if finding is not None:
            raise _Refused(refusal(finding, admission, come_back(finding, self.head)))

    def put_back(self, messages: list[Message]) -> None:
        """What was received while waiting is received again."""
        self.receive = put_before(messages, self.receive)

    def _upstream_headers(self, admission: Admission, body: Body | None) -> list[tuple[bytes, bytes]]:
        """The caller's headers without credentials and claims of identity, then the gate's own."""
        dropped = self.gate.dropped_headers
        if self.gate.state.restrictions.names_methods:
            dropped |= OVERRIDES
        headers = [
            pair
            for pair in self.head.headers
            if pair[0] not in dropped
            and pair[0] != REQUEST_ID
            and not pair[0].startswith(IDENTITY_PREFIX)
            and (b"_" not in pair[0] or not self._protected(pair[0]))
        ]
        operation = admission.operation
        if operation is not None and operation.id in self.gate.counted_operations:
            accepts_gzip = "gzip" in self.head.fields.get("accept-encoding", "")
            headers = [pair for pair in headers if pair[0] != b"accept-encoding"]
            headers.append((b"accept-encoding", b"gzip" if accepts_gzip else b"identity"))
        if body is not None and body.kind != "none":  # its coding was undone: the API gets what was inspected
            headers = [pair for pair in headers if pair[0] not in (b"content-encoding", b"content-length")]
            headers.append((b"content-length", b"%d" % len(body.raw)))
        elif admission.body.mode != "none" and self.head.unframed:
            headers.append((b"transfer-encoding", b"chunked"))  # HTTP/1.1 needs to be told that there is a body
        headers.append((REQUEST_ID, self.head.request_id.encode()))
        if (trace := self.services.traceparent(self.head)) is not None:
            headers = [pair for pair in headers if pair[0] != b"traceparent"]
            headers.append((b"traceparent", trace))
        if admission.principal is not None:
            headers += self.services.identity_headers(admission.principal, self.services.now())
        return headers

    def _protected(self, name: bytes) -> bool:
        """CGI-like servers read `X_Sallygate_Account` as `X-Sallygate-Account`, and `X_Role` as the `X-Role` that the
        contract would have judged."""
        dashed, gate = name.replace(b"_", b"-"), self.gate
        return (
            dashed in gate.dropped_headers
            or dashed in gate.declared_headers
            or dashed == REQUEST_ID
            or dashed.startswith(IDENTITY_PREFIX)
        )

    def _place(self) -> Place:
        origin = self.gate.state.geography.of(self.head.client_address)
        return Place(self.head.client_network, origin.country, origin.asn)

    def record(self, decision: Decision, status: int, **known: Any) -> None:  # Any: Exchange's own fields
        took_us = self.services.tick_us() - self.started_us
        exchange = Exchange(
            self.head, decision, status, charges=self.charges, took_us=took_us,
            admit_us=self.admit_us, gate_us=self.gate_us or took_us, place=self._place(), **known,
        )  # fmt: skip
        self.services.record(exchange, self.gate)


def _failed(detail: str) -> Decision:
    return Decision("deny", 503, (Finding("control.failed", detail, 503, rule="engine"),))
