"""Driver of one exchange: the whole flow, once, without input or output of its own.

A shell feeds events and carries out commands; it branches on no finding and no decision. The way to the API is
straight-line code (`_run`); from `CallApi` on both directions are live, and `_LIVE` says what is done about each event:

    Work* ─▶ ReadBody ─▶ Offload ─▶ TakeSlot ─▶ CallApi ─▶ SendToApi* | SendHead ─▶ SendToClient* ─▶ Record
      └────────┴────────────┴──────────┴─▶ Reply ─▶ Record

Charges and slots are applied to the state here, so that no shell can forget them. An exchange ends by `End`,
`ApiFailed`, a `Reply` that was sent, or `close`, which every shell calls.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from sallygate.controls.flood.shedding import come_back
from sallygate.engine.answers import common_headers, failed, price, problem_reply, refusal, with_findings
from sallygate.engine.api_request import Ports, api_headers
from sallygate.engine.api_slot import ApiSlot, count_shed
from sallygate.engine.early import LIMITS
from sallygate.engine.evaluation import Step
from sallygate.engine.gate import Gate
from sallygate.engine.ledger import Ledger
from sallygate.engine.request_body import RequestBody
from sallygate.engine.response import Commands, Response
from sallygate.model import driver as d
from sallygate.model.access import AuthCall
from sallygate.model.decision import ALLOW, Decision, HeaderList
from sallygate.model.event import Location
from sallygate.model.exchange import GONE, NOTHING_LEARNED, Exchange
from sallygate.model.finding import Finding
from sallygate.model.outcome import Admission, Answer, Ask, Inspection, Pass, Refuse
from sallygate.model.request import EMPTY_BODY, Body, RequestHead
from sallygate.model.work import ROUNDS_MAX, WorkDone

OFFLOADED_BYTES = 64 * 1024
"""Larger bodies are examined off the event loop, where they make nobody wait."""

Flow = Generator[Commands, d.Event, Commands]
"""Yields batches of commands; returns the last one."""


class ExchangeDriver:
    """One exchange. `start`, then `feed` with what came of the commands, until `ended`; or `close`."""

    # Defaults stand on the class: an exchange sets only what it comes to.
    ended = False
    _admit_us = _call_us = 0
    _admission: Admission | None = None
    _refusal: Refuse | None = None
    _decision: Decision | None = None
    """Of the request."""
    _replied = _sent = 0
    """Status and bytes of an answer that the gate gave in the API's place."""
    _request: RequestBody | None = None
    _response: Response | None = None
    _slot: ApiSlot | None = None
    _body: Body = EMPTY_BODY
    _pending: d.Chunk | None = None
    """The last piece of a streamed body, while it waits for a slot."""
    _streams = False
    """Whether the request's body streams, is not all there, and has to be before the API answers."""
    _stopped: Finding | None = None
    """Why a streamed body was not let through; whatever the API makes of that, this is what the client is told."""
    _gone = False
    _live = False
    """Whether the API is being asked."""

    def __init__(
        self, gate: Gate, head: RequestHead, ports: Ports, tick: float, trace: list[Step] | None = None
    ) -> None:
        """`tick`: seconds of a clock that never goes back, at the request's first byte. `trace` takes the steps of the
        decision, for `explain`."""
        self._gate, self._head, self._ports, self._trace = gate, head, ports, trace
        self._ledger = Ledger(gate.state)
        self.now, self.tick = head.received_at, tick
        self._started_tick = tick
        self._flow: Flow = self._run()

    # what shells call ------------------------------------------------------------------------------------------------

    def start(self) -> Commands:
        """The first commands."""
        return self._advance(None)

    def feed(self, event: d.Event) -> Commands:
        """What is to be done about `event`; nothing once the exchange has ended."""
        if self.ended:
            return ()
        self.now, self.tick = event.now, event.tick
        if not self._live:
            if isinstance(event, d.Interrupted):  # nothing of it is under way yet
                return ()
            if isinstance(event, d.ClientGone) and self._slot is None:
                return self.close(event.now, event.tick)
            return self._advance(event)
        on = _LIVE.get(type(event))
        return on(self, event) if on is not None else ()

    def close(self, now: float, tick: float) -> Commands:
        """The end, whatever the exchange waits for: what is to be done before it is forgotten."""
        if self.ended:
            return ()
        self.now, self.tick = now, tick
        self._flow.close()
        self._gone = self._response is None or not self._response.done
        self._ledger.charge(self._ledger.reserved, self.now)  # who leaves before the answer has tried all the same
        return self._finish()

    def _advance(self, event: d.Event | None) -> Commands:
        try:
            return next(self._flow) if event is None else self._flow.send(event)
        except StopIteration as stop:
            last: Commands = stop.value
            return last
        except Exception as error:
            if self.ended or self._replied:
                raise
            self._flow = self._refuse(self._unchecked(error))
            return next(self._flow)

    # the flow, up to the API -----------------------------------------------------------------------------------------

    def _run(self) -> Flow:
        outcome = yield from self._admit()
        self._admit_us = self._ports.tick_us()
        self._ledger.charge(outcome.charges, self.now)
        self._ledger.give_reserved_back()
        count_shed(self._gate.state.shedder, outcome.decision)
        if isinstance(outcome, Refuse):
            return (yield from self._refuse(outcome))
        if isinstance(outcome, Answer):
            reply = outcome.reply
            self._sent, self._decision, self._replied = len(reply.body), outcome.decision, reply.status
            yield (d.Reply(reply.status, (*reply.headers, *common_headers(self._gate, self._head)), reply.body),)
            return self._finish()
        self._admission = admission = outcome
        self._ledger.hold(admission.slots)
        response = self._response = Response(self._gate, self._head, admission, self._ledger)
        request = self._request = RequestBody(admission)
        raw = None
        if admission.body.mode == "whole":
            event = yield (d.ReadBody(admission.body.bytes_max, request.enforced_pace),)
            finding = request.whole(event)
            if finding is not None:
                return (yield from self._refuse(refusal(finding, admission)))
            assert isinstance(event, d.BodyRead)
            raw = event.data
        examined = yield from self._examine(admission, raw)
        if isinstance(examined, Refuse):
            return (yield from self._refuse(examined))
        call = self._call_of(admission, raw, *examined)
        finding = yield from self._take_slot(admission)
        if self._gone:
            return self._finish()
        if finding is None and response.interrupted(self.now):  # by a restriction made since it was admitted
            finding = response.findings[-1]
        if finding is not None:
            return (yield from self._refuse(refusal(finding, admission, come_back(finding, self._head))))
        self._live = True
        return (*request.deadline(), call) if self._streams else (call,)

    def _admit(self) -> Generator[Commands, d.Event, Refuse | Answer | Admission]:
        done: tuple[WorkDone, ...] = ()
        ledger = self._ledger
        for _ in range(ROUNDS_MAX + 1):
            try:
                # The first time at the very moment the event will tell, so that it can be decided again from there.
                outcome = self._gate.engine.admit(self._head, self.now, done, self._trace)
            except Exception as error:
                return self._unchecked(error)
            if not isinstance(outcome, Ask):
                return outcome
            ledger.reserve(outcome.reserved)
            event = yield (d.Work(outcome.work),)
            if not isinstance(event, d.WorkDone):
                return self._unchecked(event.error if isinstance(event, d.WorkFailed) else None)
            done = (*done, *event.answers)
        return Refuse(failed("The request cannot be decided."), ledger.reserved)

    def _examine(
        self, admission: Admission, raw: bytes | None
    ) -> Generator[Commands, d.Event, Refuse | tuple[Pass, Body]]:
        engine = self._gate.engine
        error: BaseException | None = None
        examined: object = None
        if raw is not None and len(raw) > OFFLOADED_BYTES:
            event = yield (d.Offload(partial(engine.examine, admission, self._head, raw, self._trace)),)
            if isinstance(event, d.Offloaded):
                examined, error = event.result, event.error
        else:
            try:
                examined = engine.examine(admission, self._head, raw, self._trace)
            except Exception as raised:
                error = raised
        if isinstance(examined, Refuse | tuple):
            return examined
        return self._unchecked(error)

    def _unchecked(self, error: BaseException | None) -> Refuse:
        """The engine itself failed: nobody passes."""
        self._ports.failed("engine", error or ConnectionError("the shell ended early"))
        return Refuse(failed("The request cannot be checked at present."), self._ledger.reserved)

    def _call_of(self, admission: Admission, raw: bytes | None, passed: Pass, body: Body) -> d.CallApi:
        edit, head = passed.edit, self._head
        edited = edit is not None and edit.body is not None
        if edit is not None and edit.body is not None:
            body = Body(edit.body, body.kind, body.media, body.tree, body.declared)
        self._body, self._decision, self._call_us = body, passed.decision, self._ports.tick_us()
        self._streams = raw is None and admission.body.mode == "stream"
        remade = body if admission.body.coding or edited else None
        headers = api_headers(self._gate, head, admission, remade, self._ports, self.now)
        # What is sent unannounced with a request that has no body is neither read nor passed on.
        whole = None if self._streams else body.raw if body.kind != "none" else raw or b""
        own = None
        if admission.own and admission.operation is not None:
            own = AuthCall(admission.operation.id, head, admission.principal, [])
        return d.CallApi(headers, edit.raw_query if edit is not None else None, whole, admission.principal, own)

    def _take_slot(self, admission: Admission) -> Generator[Commands, d.Event, Finding | None]:
        """A connection to the API, and a slot at it; a body that streams takes its slot when it is all there."""
        gate = self._gate
        slot = self._slot = ApiSlot.of(gate.engine, gate.state.shedder, self._head, admission, self.now)
        if slot is None:
            return None
        slot.open()
        if not self._streams and slot.refusal() is None and slot.enter(self.tick):
            event = yield (d.TakeSlot(slot.ticket, slot.wait_s),)
            self._waited(slot, event)
        return slot.refusal()

    def _waited(self, slot: ApiSlot, event: d.Event) -> None:
        if isinstance(event, d.ClientGone):
            self._gone = True
            slot.leave(self.tick)  # now: what unwinds may take a while, or answer for the API
        else:
            slot.give_up()

    # both directions, while the API is being asked -------------------------------------------------------------------

    def _on_chunk(self, event: d.Chunk) -> Commands:
        if event.side == "client":
            return self._on_request(event)
        response = self._response
        return response.chunk(event) if response is not None else ()

    def _on_request(self, event: d.Chunk) -> Commands:
        request, response = self._request, self._response
        assert request is not None and response is not None
        sending = self._streams
        finding = self._stopped or request.piece(event, sending=sending)
        if finding is not None:  # or stopped before, and asked for more all the same
            return self._stop(finding)
        if request.found is not None:
            response.find(request.found)
        if not sending:
            return (d.SendToApi(event.data, event.more),)
        if event.more and self._head.fields.get("content-length") != str(request.received):
            return (*request.deadline(), d.SendToApi(event.data, event.more))
        self._streams = False
        if (slot := self._slot) is not None:
            if slot.enter(self.tick):
                self._pending = event
                return (d.Deadline("client", None), d.TakeSlot(slot.ticket, slot.wait_s))
            if (finding := slot.refusal()) is not None:
                return self._stop(finding)
        return (d.Deadline("client", None), d.SendToApi(event.data, event.more))

    def _on_slot(self, event: d.Event) -> Commands:
        pending, self._pending = self._pending, None
        if (slot := self._slot) is not None:
            self._waited(slot, event)
            if (finding := slot.refusal()) is not None:
                return self._stop(finding)
        return (d.SendToApi(pending.data, pending.more),) if pending is not None else ()

    def _on_gone(self, event: d.ClientGone) -> Commands:
        if self._pending is not None and self._slot is not None:  # as if the last piece had never come
            self._pending = None
            self._waited(self._slot, event)
        self._gone = self._response is None or not self._response.done
        return (d.EndToApi(),)

    def _on_expired(self, event: d.Expired) -> Commands:
        slow = self._request.slow if self._request is not None else None
        return self._stop(slow) if slow is not None else ()

    def _stop(self, finding: Finding) -> Commands:
        """The rest of the request's body does not go to the API."""
        self._stopped = finding
        if self._response is not None:
            self._response.find(finding)
        return (d.Cut("api", "stop"),)

    def _on_head(self, event: d.ResponseHead) -> Commands:
        response, stopped = self._response, self._stopped
        assert response is not None
        if response.refused is not None or response.cut:
            return response.cut
        if response.status:
            raise RuntimeError("the application sent a second head")
        response.status = event.status
        if stopped is not None:
            return self._replace(response, stopped, come_back(stopped, self._head))
        if self._slot is not None:
            self._slot.answered(self.tick, event.status)
        try:
            refused, release = response.release(event)
        except Exception as error:
            return self._replace(response, self._unchecked(error).decision.findings[0], ())
        if refused is not None:
            return self._replace(response, refused, release.headers)
        streams, self._streams = self._streams, False
        return (*((d.Deadline("client", None),) if streams else ()), response.head(event, release))

    def _replace(self, response: Response, finding: Finding, headers: HeaderList) -> Commands:
        """A problem document in the place of the API's response."""
        assert self._admission is not None
        response.refused, response.done = finding, True
        response.find(finding)
        refuse = refusal(finding, self._admission, headers)
        self._price(refuse)
        reply = problem_reply(self._gate, self._head, refuse)
        response.sent = len(reply.body)
        return (reply,)

    def _on_sent(self, event: d.Sent) -> Commands:
        if self._replied:  # the refusal of a body that was stopped has left
            return self._finish()
        response = self._response
        return response.read(event) if response is not None else ()

    def _on_interrupted(self, event: d.Interrupted) -> Commands:
        return self._response.interrupted(self.now) if self._response is not None else ()

    def _on_reported(self, event: d.Reported) -> Commands:
        if self._response is not None:
            self._response.findings += event.findings
        return ()

    def _on_end(self, event: d.Event) -> Commands:
        """The API is done, or failed; the exchange ends, after the refusal that a stopped body still gets."""
        stopped, admission, response = self._stopped, self._admission, self._response
        assert admission is not None and response is not None
        if stopped is not None and not response.status:
            return self._refuse_with(refusal(stopped, admission, come_back(stopped, self._head)))
        if (stopped is not None or isinstance(event, d.End)) and not response.done and not self._gone:
            # Whoever swallowed the error: a response that is not whole must not look whole. The server cuts it.
            return (*self._finish(), d.Cut("client", "reset"))
        return self._finish()

    # refusals --------------------------------------------------------------------------------------------------------

    def _refuse(self, refuse: Refuse) -> Flow:
        yield self._refuse_with(refuse)
        return self._finish()

    def _refuse_with(self, refuse: Refuse) -> Commands:
        self._price(refuse)
        decision = refuse.decision
        if decision.status == 429 and not LIMITS.isdisjoint(decision.reasons):
            self._gate.early.expect_more(self.now)
        reply = problem_reply(self._gate, self._head, refuse)
        self._refusal, self._replied = refuse, decision.status
        self._decision = with_findings(decision, (self._decision or ALLOW).findings)
        self._sent = len(reply.body)
        return (*self._leave_slot(), reply)

    def _price(self, refuse: Refuse) -> None:
        try:
            self._ledger.charge(price(self._gate, self._head, refuse), self.now)
        except Exception as error:  # whoever counts must not turn a refusal into an error
            self._ports.failed("flood", error)

    # the end ---------------------------------------------------------------------------------------------------------

    def _finish(self) -> Commands:
        """Inspect, charge, give back, record; whatever ended the exchange."""
        self.ended = True
        commands = self._leave_slot()
        self._ledger.give_back()
        decision, response, learned = self._decision or ALLOW, self._response, NOTHING_LEARNED
        status, sent = self._replied or GONE, self._sent
        if response is not None and not self._replied:
            learned = self._inspect(response) if response.status else NOTHING_LEARNED
            response.settle(self.now)
            status, sent = response.answered(gone=self._gone), response.sent
        if response is not None:
            decision = with_findings(decision, response.findings)
        if self._request is not None and self._request.found is not None:
            decision = with_findings(decision, (self._request.found,))
        return (*commands, d.Record(self._exchange(decision, status, sent, learned)))

    def _leave_slot(self) -> Commands:
        """The API is done with the exchange, as far as the gate knows."""
        return self._slot.end(self.tick, gone=self._gone) if self._slot is not None else ()

    def _inspect(self, response: Response) -> Inspection:
        try:
            return response.inspect(self.now)
        except Exception as error:
            self._ports.failed("inspect", error)
            return NOTHING_LEARNED

    def _exchange(self, decision: Decision, status: int, sent: int, learned: Inspection) -> Exchange:
        head, admission, response, refuse = self._head, self._admission, self._response, self._refusal
        operation, principal = (refuse.operation, refuse.principal) if refuse is not None else (None, None)
        path_values: tuple[tuple[str, str], ...] = ()
        body_ids: tuple[int, ...] = ()
        more = False
        if admission is not None:
            operation, principal, path_values = admission.operation, admission.principal, admission.path_values
            body_ids, more = self._gate.engine.named_ids(admission, self._body)
        upstream_status = response.status if response is not None and admission and not admission.own else 0
        origin = self._gate.state.geography.of(head.client_address)
        location = Location(head.client_network, origin.country, origin.asn)
        received = self._request.received if self._request is not None else 0
        began_us, took_us = _us(self._started_tick), _us(self.tick - self._started_tick)
        return Exchange(
            head, decision, status, upstream_status, operation, principal, path_values, body_ids, more, received, sent,
            learned, location, self._ledger.charges, took_us,
            self._admit_us - began_us if self._admit_us else 0, self._call_us - began_us if self._call_us else took_us,
        )  # fmt: skip


_LIVE: dict[type[d.Event], Callable[[ExchangeDriver, Any], Commands]] = {
    d.Chunk: ExchangeDriver._on_chunk,
    d.ResponseHead: ExchangeDriver._on_head,
    d.Sent: ExchangeDriver._on_sent,
    d.SlotTaken: ExchangeDriver._on_slot,
    d.SlotRefused: ExchangeDriver._on_slot,
    d.ClientGone: ExchangeDriver._on_gone,
    d.Expired: ExchangeDriver._on_expired,
    d.Interrupted: ExchangeDriver._on_interrupted,
    d.Reported: ExchangeDriver._on_reported,
    d.End: ExchangeDriver._on_end,
    d.ApiFailed: ExchangeDriver._on_end,
}
"""What is done about events once the API is being asked: both directions are live at once."""


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
