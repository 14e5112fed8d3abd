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

from msgspec.structs import replace

from sallygate.controls.flood.shedding import come_back
from sallygate.engine.answers import common_headers, failed, pay_price, problem_reply, refusal, with_findings
from sallygate.engine.api_request import Ports, api_call, asking_headers
from sallygate.engine.api_slot import count_shed
from sallygate.engine.early import LIMITS
from sallygate.engine.evaluation import Step
from sallygate.engine.gate import Gate
from sallygate.engine.ledger import Ledger
from sallygate.engine.request_body import RequestBody
from sallygate.engine.response import GOING_AWAY, NORMAL, Commands, Response
from sallygate.model import driver as d
from sallygate.model.decision import ALLOW, Decision
from sallygate.model.event import Location
from sallygate.model.exchange import GONE, NOTHING_LEARNED, Exchange
from sallygate.model.outcome import Admission, Answer, Ask, Inspection, Pass, Refuse, Rest
from sallygate.model.request import EMPTY_BODY, Body, RequestHead
from sallygate.model.work import ROUNDS_MAX, ApiAnswered, AskApi, Work, WorkDone

Judge = Callable[[tuple[WorkDone, ...]], Any]
"""A phase, with what was found out for it."""
Flow = Generator[Commands, d.Event, Commands]
"""Yields batches of commands; returns the last one."""


class ExchangeDriver:
    """One exchange. `start`, then `feed` with what came of the commands, until `ended`; or `close`."""

    # Defaults stand on the class: an exchange sets only what it comes to.
    ended = False
    _admit_us = 0
    _call_us = 0
    _admission: Admission | None = None
    _refusal: Refuse | None = None
    _decision: Decision | None = None
    """Of the request."""
    _replied = 0
    """Status of an answer that the gate gave in the API's place."""
    _sent = 0
    """Its bytes."""
    _request: RequestBody | None = None
    _response: Response | None = None
    _body: Body | None = None
    _gone = False
    _live = False
    """Whether the API is being asked."""
    _inspecting: Flow | None = None
    """The inspection of a held response, while it waits for work."""
    _asked: tuple[tuple[bytes, int], ...] = ()
    """What the API was asked on the gate's own account: target and status, 0 where it failed."""

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
            if isinstance(event, d.ClientGone) and (self._request is None or self._request.slot is None):
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
        gate, head, ledger = self._gate, self._head, self._ledger
        # The first time at the very moment the event will tell, so that it can be decided again from there.
        admitted = self._judged(self._admit)
        if isinstance(admitted, Ask):
            admitted = yield from self._answered(self._admit, admitted)
        self._admit_us = self._ports.tick_us()
        ledger.charge(admitted.charges, self.now)
        if ledger.reserved:
            ledger.give_reserved_back()
        if admitted.decision.findings:
            count_shed(gate.state.shedder, admitted.decision)
        if isinstance(admitted, Refuse):
            return (yield from self._refuse(admitted))
        if isinstance(admitted, Answer):
            reply = admitted.reply
            self._sent, self._decision, self._replied = len(reply.body), admitted.decision, reply.status
            yield (d.Reply(reply.status, (*reply.headers, *common_headers(gate, head)), reply.body),)
            return self._finish()
        admission = self._admission = admitted
        ledger.hold(admission.slots)
        response = self._response = Response(gate, head, admission, ledger, self._ports, self._trace)
        request = self._request = RequestBody(gate, head, admission, ledger)
        if read := request.read():
            event = yield read
            if (finding := request.whole(event)) is not None:
                return (yield from self._refuse(refusal(finding, admission, come_back(finding, head))))
        aside = request.is_large and gate.engine.may_offload(admission)
        examine = partial(self._examine, aside)
        examined = (yield from self._aside(examine)) if aside else self._judged(examine)
        if isinstance(examined, Ask):
            examined = yield from self._answered(examine, examined, aside)
        if examined.charges or ledger.reserved:
            ledger.charge(examined.charges, self.now)
            ledger.give_reserved_back()
        if self._gone:
            return self._finish()
        if isinstance(examined, Refuse):
            return (yield from self._refuse(examined))
        self._body, self._decision, self._call_us = examined.body, examined.decision, self._ports.tick_us()
        whole = None if request.sending or request.spool is not None else request.raw or b""
        call = api_call(gate, head, admission, examined, whole, request.spool, self._ports, self.now)
        if request.open_slot(self.now) is not None and not request.sending and (wait := request.take_slot(self.tick)):
            self._gone = request.waited((yield wait), self.tick)
        if self._gone:
            return self._finish()
        finding = request.shed() or response.restricted(self.now)
        if finding is not None and finding.mode == "enforce":
            return (yield from self._refuse(refusal(finding, admission, come_back(finding, head))))
        if finding is not None:
            response.find(finding)
        self._live = True
        return (*request.begin(), call)

    def _judged(self, judge: Judge, done: tuple[WorkDone, ...] = ()) -> Any:
        """The outcome of a phase; one that raises refuses."""
        try:
            return judge(done)
        except Exception as error:
            return self._unchecked(error)

    def _aside(self, judge: Judge, done: tuple[WorkDone, ...] = ()) -> Generator[Commands, d.Event, Any]:
        """The same, off the event loop, but for what has to run on it."""
        event = yield (d.Offload(partial(judge, done)),)
        if not isinstance(event, d.Offloaded) or event.result is None:
            return self._unchecked(event.error if isinstance(event, d.Offloaded) else None)
        return self._judged(event.result.run) if isinstance(event.result, Rest) else event.result

    def _answered(self, judge: Judge, outcome: Ask, aside: bool = False) -> Generator[Commands, d.Event, Any]:
        """The outcome of a phase that asks: after at most three rounds of finding out."""
        done: tuple[WorkDone, ...] = ()
        for _ in range(ROUNDS_MAX):
            self._ledger.reserve(outcome.reserved)
            event = yield from self._find_out(outcome.work)
            if isinstance(event, Refuse):
                return event
            if not isinstance(event, d.WorkDone):
                return self._unchecked(event.error if isinstance(event, d.WorkFailed) else None)
            done = (*done, *event.answers)
            outcome = (yield from self._aside(judge, done)) if aside else self._judged(judge, done)
            if not isinstance(outcome, Ask):
                return outcome
        return Refuse(failed("The request cannot be decided."), self._ledger.reserved)

    def _find_out(self, work: tuple[Work, ...]) -> Generator[Commands, d.Event, d.Event | Refuse]:
        """Have `work` done. What is asked of the API takes a slot there, as a request does."""
        admission, request = self._admission, self._request
        if admission is None or request is None or not any(isinstance(item, AskApi) for item in work):
            return (yield (d.Work(work),))
        headers = asking_headers(self._gate, self._head, admission, self._ports, self.now)
        items = tuple([replace(item, headers=headers) if isinstance(item, AskApi) else item for item in work])
        if request.slot is not None:  # of the request itself, which the API has answered
            request.slot.leave(self.tick)
        slot = request.open_slot(self.now)
        if wait := request.take_slot(self.tick):
            self._gone = request.waited((yield wait), self.tick)
        if self._gone:
            return Refuse(failed("The client has gone."), self._ledger.reserved)
        if (finding := request.shed()) is not None:
            return refusal(finding, admission, come_back(finding, self._head))
        event = yield (d.Work(items),)
        if slot is not None:
            slot.leave(self.tick)
            request.slot = None
        for answer in event.answers if isinstance(event, d.WorkDone) else ():
            if isinstance(answer, ApiAnswered):
                self._asked += ((answer.asked.raw_path, 0 if answer.failed else answer.status),)
        return event

    def _admit(self, done: tuple[WorkDone, ...]) -> Ask | Refuse | Answer | Admission:
        return self._gate.engine.admit(self._head, self.now, done, self._trace)

    def _examine(self, aside: bool, done: tuple[WorkDone, ...]) -> Ask | Refuse | Pass | Rest:
        admission, request = self._admission, self._request
        assert admission is not None and request is not None
        return self._gate.engine.examine(admission, self._head, request.raw, done, self._trace, request.spool, aside)

    def _unchecked(self, error: BaseException | None) -> Refuse:
        """The engine itself failed: nobody passes."""
        self._ports.failed("engine", error or ConnectionError("the shell ended early"))
        return Refuse(failed("The request cannot be checked at present."), self._ledger.reserved)

    # both directions, while the API is being asked -------------------------------------------------------------------

    def _on_chunk(self, event: d.Chunk) -> Commands:
        request, response = self._request, self._response
        assert request is not None and response is not None
        if event.side == "client":
            return request.chunk(event, self.tick)
        commands = response.chunk(event)
        return commands or self._whole(response) if response.held and not event.more else commands

    def _on_record(self, event: d.RecordRead) -> Commands:
        request, response = self._request, self._response
        assert request is not None and response is not None
        return request.record(event, self.tick) if event.side == "client" else response.record(event)

    def _on_spooled(self, event: d.Event) -> Commands:
        response = self._response
        assert response is not None
        return response.spooled(event) or (self._whole(response) if isinstance(event, d.Spooled) else ())

    def _on_message(self, event: d.Message) -> Commands:
        return self._response.message(event) if self._response is not None else ()

    def _on_trailers(self, event: d.Trailers) -> Commands:
        return self._response.trailers(event) if event.side == "api" and self._response is not None else ()

    def _on_head(self, event: d.ResponseHead) -> Commands:
        request, response = self._request, self._response
        assert request is not None and response is not None
        if response.replaced or response.cut:
            return response.cut
        if response.status:
            raise RuntimeError("the application sent a second head")
        if request.stopped is None and request.slot is not None:
            request.slot.answered(self.tick, event.status)
        try:
            commands = response.head(event, request.stopped, request.retry_headers())
        except Exception as error:
            return response.refuse(self._unchecked(error).decision.findings[0])
        return commands if response.replaced else (*request.answered(), *commands)

    def _whole(self, response: Response) -> Commands:
        """A response that was held is all there: inspect it, and let it go."""
        self._inspecting = self._let_go(response)
        return self._inspect_on(None)

    def _let_go(self, response: Response) -> Flow:
        judge = partial(response.inspect, response.body(), self.now)
        outcome = self._judged(judge)
        if isinstance(outcome, Ask):
            outcome = yield from self._answered(judge, outcome)
        if not isinstance(outcome, Refuse):  # without an answer, what is held is charged at the end
            self._ledger.give_reserved_back()
        if response.replaced or response.cut:  # meanwhile
            return response.cut
        if isinstance(outcome, Refuse):
            return response.refuse(outcome.decision.findings[-1], outcome.headers)
        return response.let_go(outcome, self.now)

    def _inspect_on(self, event: d.Event | None) -> Commands:
        flow = self._inspecting
        if flow is None:
            return ()
        try:
            return next(flow) if event is None else flow.send(event)
        except StopIteration as stop:
            self._inspecting = None
            last: Commands = stop.value
            return last

    def _on_slot(self, event: d.Event) -> Commands:
        request = self._request
        assert request is not None
        return request.slot_came(event, self.tick) if request.waits else self._inspect_on(event)

    def _on_gone(self, event: d.ClientGone) -> Commands:
        request, response = self._request, self._response
        assert request is not None and response is not None
        if self._inspecting is not None:
            self._inspecting.close()
            self._inspecting = None
        request.leave(event, self.tick)
        self._gone = not response.done
        return (d.Close("api", GOING_AWAY),) if response.accepted else (d.EndToApi(),)

    def _on_expired(self, event: d.Expired) -> Commands:
        return self._request.late() if self._request is not None else ()

    def _on_sent(self, event: d.Sent) -> Commands:
        if self._replied:  # the refusal of a body that was stopped has left
            return self._finish()
        return self._response.read(event) if self._response is not None else ()

    def _on_interrupted(self, event: d.Interrupted) -> Commands:
        return self._response.interrupted(self.now) if self._response is not None else ()

    def _on_reported(self, event: d.Reported) -> Commands:
        if self._response is not None:
            self._response.findings += event.findings
        return ()

    def _on_end(self, event: d.Event) -> Commands:
        """The API is done, or failed; the exchange ends, after the refusal that a stopped body still gets."""
        admission, request, response = self._admission, self._request, self._response
        assert admission is not None and request is not None and response is not None
        stopped = request.stopped
        if stopped is not None and not response.status:
            return self._refuse_with(refusal(stopped, admission, request.retry_headers()))
        if response.accepted and not response.cut:
            response.done = not self._gone
            return (d.Close("client", NORMAL), *self._finish())
        if (stopped is not None or isinstance(event, d.End)) and not response.done and not self._gone:
            # The error was swallowed on the way: a response that is not whole must not look whole. The server cuts it.
            return (*self._finish(), d.Cut("client", "reset"))
        return self._finish()

    # refusals --------------------------------------------------------------------------------------------------------

    def _refuse(self, refuse: Refuse) -> Flow:
        yield self._refuse_with(refuse)
        return self._finish()

    def _refuse_with(self, refuse: Refuse) -> Commands:
        pay_price(self._gate, self._head, refuse, self._ledger, self.now, self._ports)
        decision = refuse.decision
        if decision.status == 429 and not LIMITS.isdisjoint(decision.reasons):
            self._gate.early.expect_more(self.now)
        reply = problem_reply(self._gate, self._head, refuse)
        self._refusal, self._replied = refuse, decision.status
        self._decision = with_findings(decision, (self._decision or ALLOW).findings)
        self._sent = len(reply.body)
        return (*self._leave_slot(), reply)

    # the end ---------------------------------------------------------------------------------------------------------

    def _finish(self) -> Commands:
        """Inspect, charge, give back, record; whatever ended the exchange."""
        self.ended = True
        commands = self._leave_slot()
        self._inspecting = None
        self._ledger.charge(self._ledger.reserved, self.now)  # who leaves before the answer has tried all the same
        self._ledger.give_back()
        decision, response, request, learned = self._decision or ALLOW, self._response, self._request, NOTHING_LEARNED
        status, sent = self._replied or GONE, self._sent
        if response is not None and not self._replied:
            learned = response.learned(self.now)
            response.settle(self.now)
            status, sent = response.answered(gone=self._gone), response.sent
        if response is not None and response.findings:
            decision = with_findings(decision, response.findings)
        if request is not None and request.findings:
            decision = with_findings(decision, request.findings)
        return (*commands, d.Record(self._exchange(decision, status, sent, learned)))

    def _leave_slot(self) -> Commands:
        """The API is done with the exchange, as far as the gate knows."""
        slot = self._request.slot if self._request is not None else None
        return slot.end(self.tick, gone=self._gone) if slot is not None else ()

    def _exchange(self, decision: Decision, status: int, sent: int, learned: Inspection) -> Exchange:
        head, admission, response, refuse = self._head, self._admission, self._response, self._refusal
        operation, principal = (refuse.operation, refuse.principal) if refuse is not None else (None, None)
        path_values: tuple[tuple[str, str], ...] = ()
        body_ids: tuple[int, ...] = ()
        more = False
        if admission is not None:
            operation, principal, path_values = admission.operation, admission.principal, admission.path_values
            body_ids, more = self._gate.engine.named_ids(admission, self._body or EMPTY_BODY)
        upstream_status = response.status if response is not None and admission and not admission.own else 0
        origin = self._gate.state.geography.of(head.client_address)
        location = Location(head.client_network, origin.country, origin.asn)
        received = self._request.received if self._request is not None else 0
        began_us, took_us = round(self._started_tick * 1e6), round((self.tick - self._started_tick) * 1e6)
        return Exchange(
            head, decision, status, upstream_status, operation, principal, path_values, body_ids, more, received, sent,
            learned, location, self._ledger.charges, took_us,
            self._admit_us - began_us if self._admit_us else 0, self._call_us - began_us if self._call_us else took_us,
            self._asked,
        )  # fmt: skip


_LIVE: dict[type[d.Event], Callable[[ExchangeDriver, Any], Commands]] = {
    d.Chunk: ExchangeDriver._on_chunk,
    d.RecordRead: ExchangeDriver._on_record,
    d.Spooled: ExchangeDriver._on_spooled,
    d.BodyRead: ExchangeDriver._on_spooled,
    d.Message: ExchangeDriver._on_message,
    d.Trailers: ExchangeDriver._on_trailers,
    d.ResponseHead: ExchangeDriver._on_head,
    d.Sent: ExchangeDriver._on_sent,
    d.WorkDone: ExchangeDriver._inspect_on,
    d.WorkFailed: ExchangeDriver._inspect_on,
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
