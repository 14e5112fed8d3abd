"""The API's side of one exchange: hands it the body, meters and reads what it answers, and sees that it is whole."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from msgspec import DecodeError
from msgspec.json import decode

from sallygate.engine.overload import come_back
from sallygate.engine.problem import problem_body, problem_headers
from sallygate.guard.body import allowed_s, pace_of, slow_body
from sallygate.guard.context import Context
from sallygate.guard.services import Message, Receive
from sallygate.guard.turn import ClientLeft, Turn
from sallygate.model.decision import Admission, Decision, HeaderList, Learned, Refuse
from sallygate.model.exchange import CUT, GONE, NOTHING_LEARNED
from sallygate.model.finding import Finding
from sallygate.model.request import Body, BodyPlan
from sallygate.parsing.http.codings import CodingError, undo_coding, undo_partial

CHARGED_EVERY_BYTES = 64 * 1024
"""At most so much of each answer under way is not charged yet."""


class Stopped(Exception):
    """A request body that streams to the API is not let through to its end: too large, too slow, or too much else is
    under way."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


class ApiAnswer:
    """The API's side of one exchange: hands it the body, meters and reads what it answers."""

    __slots__ = (
        "admission",
        "call",
        "charged",
        "copied",
        "copy",
        "decision",
        "done",
        "gone",
        "received",
        "refused",
        "release",
        "restrictions",
        "sent",
        "status",
        "stopped",
        "turn",
        "unread",
        "waited_s",
    )  # fmt: skip

    def __init__(self, call: Context, admission: Admission, decision: Decision) -> None:
        self.call = call
        self.admission = admission
        self.decision = decision
        self.status = 0
        self.sent = 0
        self.received = 0
        self.copy: list[bytes] = []
        self.copied = 0
        self.restrictions = call.gate.state.restrictions
        """Those in force when this was looked at last."""
        self.release: Any = None  # Release, once the answer has begun
        self.unread = False
        self.done = False
        self.gone = False
        self.charged = 0
        """Of the bytes sent, those the caller has paid for."""
        self.refused: Finding | None = None
        self.stopped: Finding | None = None
        """Why its body was not let through; whatever the application makes of that, this is what is said."""
        self.turn: Turn | None = None
        self.waited_s = 0.0
        """For the reader of the answer."""

    def receive_from(self, raw: bytes | None, body: Body, plan: BodyPlan) -> Receive:
        if raw is not None:
            self.received = len(raw)
            whole = [body.raw if body.kind != "none" else raw]

            async def buffered() -> Message:
                if whole:
                    return {"type": "http.request", "body": whole.pop(), "more_body": False}
                return await self._next()

            return buffered

        pace, waited_s = pace_of(self.call), 0.0
        length = self.call.head.fields.get("content-length", "")

        async def metered() -> Message:
            nonlocal waited_s
            sending = plan.mode == "stream" and not self.status
            if not sending:
                message = await self._next()
            else:
                loop = asyncio.get_running_loop()
                began = loop.time()
                try:
                    # What counts is the sender's time, not that of an API that takes its time to read.
                    async with asyncio.timeout(allowed_s(pace, self.received) - waited_s):
                        message = await self._next()
                except TimeoutError:
                    self._stop(slow_body(pace))
                waited_s += loop.time() - began
            self.received += len(message.get("body", b""))
            if self.received > plan.bytes_max:
                self._stop(Finding(plan.over, f"The body is larger than {plan.bytes_max} bytes.", 413, owasp="API4"))
            whole = not message.get("more_body") or length == str(self.received)
            if sending and whole and message["type"] == "http.request":
                try:
                    await self._take_turn()
                except ClientLeft:  # as if the last piece had never come
                    self.gone = True
                    return {"type": "http.disconnect"}
            return message

        return metered

    async def _take_turn(self) -> None:
        """The last piece of a body goes on when the API has a place for the whole."""
        if self.turn is not None and (finding := await self.turn.take()) is not None:
            self._stop(finding)

    def _stop(self, finding: Finding) -> NoReturn:
        self.stopped = finding
        raise Stopped(finding)

    async def _next(self) -> Message:
        message = await self.call.receive()
        if message["type"] == "http.disconnect":
            self.gone = not self.done
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif kind == "http.response.body":
            await self._body(message)
        elif kind != "http.response.debug":
            # Path sends, trailers and the like would leave unmetered.
            raise RuntimeError(f"the application sent {kind!r}, which the gate does not let through")

    async def _start(self, message: Message) -> None:
        call, status = self.call, message["status"]
        self.status = status
        if self.turn is not None and self.stopped is None:
            self.turn.answered(status)
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        release = self.stopped or call.gate.engine.release(self.admission, status, tuple(headers))
        if isinstance(release, Finding):
            self.refused = release
            refuse = refusal(release, self.admission, come_back(release, call.head))
            call.price(refuse)
            body = problem_body(refuse.decision, call.head.request_id)
            self.decision = refuse.decision
            self.sent = len(body)
            await call.send_whole(
                release.status, [*problem_headers(body, refuse.headers), *call.common_headers()], body
            )
            return
        self.release = release
        ours = (*self.admission.headers, *call.common_headers())
        names = {name for name, _ in ours if name != b"vary"}
        out = [pair for pair in headers if pair[0] not in names]
        out += ours
        await call.send({"type": "http.response.start", "status": status, "headers": out})

    async def _body(self, message: Message) -> None:
        if self.refused is not None:
            self.done = True
            return
        data: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        release = self.release
        if release is None:
            raise RuntimeError("the application sent a body before its head")
        if (in_force := self.call.gate.state.restrictions) is not self.restrictions:
            self.restrictions = in_force
            if self.call.gate.engine.is_terminated(self.admission, self.call.head, self.call.services.now()):
                raise ConnectionAbortedError("a restriction terminates what is under way")
        if release.cut:
            # Asked each time: other answers of the same caller take from the budget at the same time.
            left = self.call.gate.engine.bytes_left(self.admission, self.call.services.now())
            if left is not None and len(data) > left:
                raise ConnectionAbortedError("the answer went over the caller's data budget")
        self.sent += len(data)
        if release.cut or self.sent - self.charged >= CHARGED_EVERY_BYTES:
            self._pay()
        if release.read_bytes_max and data and not self.unread:
            self.copied += len(data)
            self.copy.append(data)
            if self.copied > release.read_bytes_max:
                self.unread = True
                self.copy = []
        if not more:
            self.done = True
        if not more:
            await self.call.send({"type": "http.response.body", "body": data, "more_body": False})
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.call.send({"type": "http.response.body", "body": data, "more_body": True})
        self.waited_s += loop.time() - began
        self._mind_pace()

    def _mind_pace(self) -> None:
        """Whoever reads too slowly keeps a connection to the API from others."""
        flood = self.call.gate.engine.controls.flood
        if flood is None or not flood.answer.rate or self.waited_s <= flood.answer.after:
            return
        if self.sent < (self.waited_s - flood.answer.after) * flood.answer.rate:
            raise ConnectionAbortedError("the answer was read too slowly")

    def _pay(self) -> None:
        """Charge what has been sent since the last time, so that a long answer counts while it leaves."""
        self.call.apply(self.call.gate.engine.bytes_charges(self.admission, self.sent - self.charged))
        self.charged = self.sent

    def finish(self, body: Body) -> None:
        """Learn, charge, record; whatever ended the exchange."""
        call, status = self.call, self.refused.status if self.refused else self.status
        learned = NOTHING_LEARNED
        try:
            learned = self._learn()
        except Exception as error:
            call.services.failed("learn", error)
        if not self.done:
            status = GONE if self.gone else CUT if self.status else 500
        self._pay()
        call.charge(learned.charges)
        call.charges += call.gate.engine.bytes_charges(self.admission, self.sent)  # for the event: paid already
        ids, more = call.gate.engine.named_ids(self.admission, body)
        admission = self.admission
        call.record(
            self.decision, status, upstream_status=0 if admission.own else self.status, operation=admission.operation,
            principal=admission.principal, path_values=admission.path_values, body_ids=ids,
            body_ids_truncated=more, request_bytes=self.received, response_bytes=self.sent, learned=learned,
        )  # fmt: skip

    def _learn(self) -> Learned:
        call, release = self.call, self.release
        tree: object = None
        reads = release is not None and release.read_bytes_max and call.head.method != "HEAD"
        unread = bool(reads) and self.unread
        partial = b""
        if reads and not unread and self.copy:
            data = b"".join(self.copy)
            if not self.done:
                unread = True
                partial = undo_partial(data, release.coding, release.read_bytes_max) if release.coding else data
            else:
                try:
                    plain = undo_coding(data, release.coding, release.read_bytes_max) if release.coding else data
                    tree = decode(plain)
                except (CodingError, DecodeError, RecursionError):
                    unread = True
        return call.gate.engine.learn(self.admission, self.status, tree, unread=unread, partial=partial)


def refusal(finding: Finding, admission: Admission, headers: HeaderList = ()) -> Refuse:
    """`headers` go with it, beside those the admission has."""
    findings = (*admission.decision.findings, finding)
    return Refuse(Decision(finding.verdict, finding.status, findings), (), (*admission.headers, *headers),
                  admission.operation, admission.principal)  # fmt: skip
