"""Response of one exchange: released, metered, held, judged record by record, cut, and inspected.

stream   head, then each piece as it comes; a JSON response may be kept beside it
records  head, then each record once it is judged
hold     everything is kept; head and body leave, or a refusal does, once it is inspected
spool    as `hold`, the body in a file
"""

from __future__ import annotations

from msgspec.structs import replace

from sallygate.controls.flood import NO_MEMORY
from sallygate.controls.flood.shedding import come_back
from sallygate.engine.answers import common_headers, found_too, pay_price, problem_reply, refusal
from sallygate.engine.api_request import OF_WHOLE, Ports
from sallygate.engine.engine import IDS_READ_BYTES_MAX
from sallygate.engine.evaluation import Step
from sallygate.engine.gate import Gate
from sallygate.engine.ledger import Ledger
from sallygate.engine.response_copy import ResponseCopy
from sallygate.model import driver as d
from sallygate.model.decision import HeaderList
from sallygate.model.exchange import CUT, GONE, NOTHING_LEARNED
from sallygate.model.finding import Finding
from sallygate.model.outcome import NO_RESPONSE_BODY, Admission, Ask, Inspection, Release, ResponseBody
from sallygate.model.request import RequestHead, Side
from sallygate.model.work import Charge, WorkDone
from sallygate.parsing.http.hop_fields import NOT_IN_TRAILERS

CHARGED_EVERY_BYTES = 64 * 1024
"""At most so much of each response under way is not charged yet."""
DISCARDED_MAX = 64
"""Pieces of a refused response that are read and forgotten: most applications end by themselves, one that does not is
cut, since nothing that leaves slows it down."""
SWITCHING = 101
"""Status by which the API accepts a connection for messages."""
POLICY_VIOLATION, GOING_AWAY, NORMAL = 1008, 1001, 1000
"""Codes that a connection for messages is closed with (RFC 6455, section 7.4.1)."""

Commands = tuple[d.Command, ...]
_BODYLESS = frozenset((204, 304))
_OF_EDITED = OF_WHOLE | {b"content-encoding", b"etag"}
"""Fields that are wrong for a body that was edited, and whose coding was undone."""


class Response:
    """Lives from the admission to the end. `findings` are those of the response; the driver decides what they mean."""

    _release: Release | None = None
    _copy: ResponseCopy | None = None
    _spool: d.Spooled | None = None
    _learned: Inspection | None = None
    """Inspection of a held response; a streamed one is inspected at its end."""
    _charged = 0
    _waited_s = 0.0
    _head_sent = False
    findings: tuple[Finding, ...] = ()
    headed: d.ResponseHead | None = None
    status = 0
    """What the API answered; 0 before."""
    sent = 0
    done = False
    _bodyless = False
    _discarded = 0
    """Pieces that came after it was refused."""
    held = False
    """Whether nothing of it leaves before it is inspected."""
    accepted = False
    """Whether it is a connection for messages."""
    refused: Finding | None = None
    """Why it was replaced."""
    cut: Commands = ()
    """What ended it before it was whole; an application that swallows that gets it again."""

    def __init__(
        self,
        gate: Gate,
        head: RequestHead,
        admission: Admission,
        ledger: Ledger,
        ports: Ports,
        trace: list[Step] | None,
    ) -> None:
        self._gate, self._head, self._admission, self._ledger = gate, head, admission, ledger
        self._ports, self._trace = ports, trace
        self._in_force = gate.state.restrictions

    @property
    def replaced(self) -> bool:
        """Whether a problem document has taken its place."""
        return self.refused is not None

    def find(self, *findings: Finding) -> None:
        """Add those that are not there yet."""
        self.findings = found_too(self.findings, findings)

    # its head --------------------------------------------------------------------------------------------------------

    def head(self, event: d.ResponseHead, stopped: Finding | None, headers: HeaderList) -> Commands:
        """Judge the head: how the response leaves, or what is sent in its place. `stopped`: why the request's body was
        not let through; the client gets the reason instead."""
        self.headed, self.status = event, event.status
        if stopped is not None:
            return self.refuse(stopped, headers)
        release = self._gate.engine.release(
            self._admission, self._head, event.status, event.headers, event.now, self._trace
        )
        if release.charges:
            self._ledger.charge(release.charges, event.now)
        if release.decision.findings:
            self.findings += release.decision.findings
        if release.decision.verdict != "allow":
            refused = next(one for one in release.decision.findings if one.mode == "enforce")
            return self.refuse(refused, release.headers)
        self._release = release
        return self._begin(event, release)

    def _begin(self, event: d.ResponseHead, release: Release) -> Commands:
        plan = release.plan
        if event.status == SWITCHING:
            self.accepted = self._head_sent = True
            return (d.Accept(self._headers(event, release)),)
        bodyless = self._bodyless = self._head.method == "HEAD" or event.status in _BODYLESS
        if bodyless or plan.mode in ("stream", "records"):
            if plan.copy_bytes_max and not bodyless:
                self._copy = ResponseCopy(plan, self._ledger.keep)
            records = plan.mode == "records" and not bodyless
            reads = (d.ReadRecord("api", plan.framing, plan.bytes_max),) if records else ()
            return (*reads, self._send_head())
        self.held = True
        if plan.mode == "spool":
            return (d.Spool("api", plan.bytes_max),)
        self._copy = ResponseCopy(plan, self._ledger.keep)
        return (d.HoldHead(plan.bytes_max),)

    def _send_head(self, edited: bytes | None = None) -> d.SendHead:
        event, release = self.headed, self._release
        assert event is not None and release is not None
        self._head_sent = True
        headers = self._headers(event, release)
        if edited is not None:
            headers = (
                *[pair for pair in headers if pair[0] not in _OF_EDITED],
                (b"content-length", b"%d" % len(edited)),
            )
        elif release.plan.mode == "records" and not self._bodyless and self._gate.engine.edits_records(self._admission):
            headers = tuple([pair for pair in headers if pair[0] not in OF_WHOLE])
        return d.SendHead(event.status, headers)

    def _headers(self, event: d.ResponseHead, release: Release) -> HeaderList:
        ours = (*self._admission.headers, *release.headers, *common_headers(self._gate, self._head))
        names = {name for name, _ in ours if name != b"vary"} | release.drop_headers
        return (*[pair for pair in event.headers if pair[0] not in names], *ours)

    # its body --------------------------------------------------------------------------------------------------------

    def chunk(self, event: d.Chunk) -> Commands:
        """A piece of its body."""
        if (ended := self._ended("a body", event.now)) is not None:
            return ended
        if not self.held:
            return self._send(event.data, event.more, event.now)
        if self._copy is not None and not self._copy.add(event.data):
            assert self._release is not None
            return self._end(NO_MEMORY if self._copy.full else self._release.plan.over, event.now)
        return ()

    def record(self, event: d.RecordRead) -> Commands:
        """One record of its body, judged; None at the end."""
        if (ended := self._ended("a record", event.now)) is not None:
            return ended
        if event.data is None:
            return self._send(b"", False, event.now)
        assert self._release is not None
        if event.large:
            if cut := self._end(self._release.plan.over, event.now):
                return cut
            return self._send(event.data, True, event.now)
        data, cut = self._judged(event.data, event.now)
        return cut or self._send(data, True, event.now)

    def message(self, event: d.Message) -> Commands:
        """One message, in either direction."""
        if self.cut or self.done:
            return self.cut
        if cut := self.interrupted(event.now):
            return cut
        data, cut = self._judged(event.data, event.now, event.side)
        if cut:
            return cut
        if event.side == "api":
            commands = self._send(data, True, event.now)
            return commands if self.cut else (d.SendMessage("client", data, event.text),)
        return (d.SendMessage("api", data, event.text),)

    def trailers(self, event: d.Trailers) -> Commands:
        """Fields after its body: without those that frame it, that the gate says itself, or that it takes away."""
        release = self._release
        if release is None or self.cut or self.refused is not None or not self._head_sent:
            return ()
        if not self.done:
            raise RuntimeError("the application sent trailers before the end of its body")
        ours = {name for name, _ in (*release.headers, *common_headers(self._gate, self._head))} | release.drop_headers
        kept = tuple([pair for pair in event.headers if pair[0] not in NOT_IN_TRAILERS and pair[0] not in ours])
        self.sent += sum(len(name) + len(value) for name, value in kept)
        return (d.SendTrailers("client", kept),)

    def spooled(self, event: d.Event) -> Commands:
        """It lies in a file, or it did not come whole."""
        if (ended := self._ended("a body", event.now)) is not None:
            return ended
        assert self._release is not None
        if isinstance(event, d.BodyRead):
            return self._end(self._release.plan.over, event.now) if event.outcome in ("large", "failed") else ()
        assert isinstance(event, d.Spooled)
        if event.size > self._release.plan.bytes_max:
            return self._end(self._release.plan.over, event.now)
        self._spool = event
        return ()

    def _ended(self, what: str, now: float) -> Commands | None:
        """What ends it now, or is said again once it was replaced or cut; None while it goes on."""
        if self.refused is not None:
            self._discarded += 1
            return (d.Cut("api", "stop"),) if self._discarded > DISCARDED_MAX else ()
        if self.cut:
            return self.cut
        if self.done:
            raise RuntimeError(f"the application sent {what} after its end")
        if self._release is None:
            raise RuntimeError(f"the application sent {what} before its head")
        return self.interrupted(now) or None if self._gate.state.restrictions is not self._in_force else None

    def _judged(self, data: bytes, now: float, side: Side = "api") -> tuple[bytes, Commands]:
        passed = self._gate.engine.message(self._admission, self._head, side, data, now, self._trace)
        self._ledger.charge(passed.charges, now)
        self.find(*passed.findings)
        return passed.data, self._end(passed.refused, now) if passed.refused is not None else ()

    def _send(self, data: bytes, more: bool, now: float) -> Commands:
        """A piece leaves, metered."""
        release = self._release
        assert release is not None
        if self._bodyless:
            data = b""
        meter = release.meter
        if meter is not None and meter.over is not None and (cut := self._budget(release, len(data), now)):
            return cut
        if self._copy is not None and not self._copy.add(data) and (cut := self._uncounted(release, now)):
            return cut
        self.sent += len(data)
        if meter is not None and (meter.over is not None or self.sent - self._charged >= CHARGED_EVERY_BYTES):
            self._pay(now)
        self.done = not more
        return (d.SendToClient(data, more),)

    def _uncounted(self, release: Release, now: float) -> Commands:
        """Its copy is not kept on. Memory without room must cost no caller what a response too large to count does."""
        if self._copy is None or not self._copy.full or release.plan.copy_bytes_max <= IDS_READ_BYTES_MAX:
            return ()
        return self._end(replace(NO_MEMORY, mode=release.plan.over.mode), now)

    def _budget(self, release: Release, size: int, now: float) -> Commands:
        meter = release.meter
        if meter is None or meter.over is None:
            return ()
        # Asked each time: other responses of the same caller take from the budget at the same time.
        left = self._gate.state.tables[meter.table].look(meter.subject, now, 0).remaining
        return self._end(meter.over, now) if size > left else ()

    def read(self, event: d.Sent) -> Commands:
        """The client has read a piece: a slow reader keeps a connection to the API from other callers."""
        release = self._release
        if release is None or (pace := release.pace) is None:
            return ()
        self._waited_s += event.waited_s
        if self._waited_s <= pace.after_s or self.sent >= (self._waited_s - pace.after_s) * pace.bytes_per_s:
            return ()
        return self._end(pace.slow, event.now)

    # what ends it ----------------------------------------------------------------------------------------------------

    def restricted(self, now: float) -> Finding | None:
        """What a restriction made since it was admitted says of it, said once."""
        in_force = self._gate.state.restrictions
        if in_force is self._in_force:
            return None
        self._in_force = in_force
        return self._gate.engine.ends(self._admission, self._head, now)

    def interrupted(self, now: float) -> Commands:
        """Restrictions may have changed: end what one of them does not let go on."""
        if self.cut or self.refused is not None or (finding := self.restricted(now)) is None:
            return self.cut
        return self._end(finding, now)

    def refuse(self, finding: Finding, headers: HeaderList = ()) -> Commands:
        """A problem document in the place of the API's response."""
        self.refused, self.done = finding, True
        self.find(finding)
        refuse = refusal(finding, self._admission, headers)
        assert self.headed is not None
        pay_price(self._gate, self._head, refuse, self._ledger, self.headed.now, self._ports)
        reply = problem_reply(self._gate, self._head, refuse)
        self.sent = len(reply.body)
        return (reply,)

    def _end(self, finding: Finding, now: float) -> Commands:
        """It ends here, where the finding is enforced."""
        self.find(finding)
        if finding.mode != "enforce":
            return ()
        if self.headed is not None and not self._head_sent:
            return self.refuse(finding, come_back(finding, self._head))
        pay_price(self._gate, self._head, refusal(finding, self._admission), self._ledger, now, self._ports)
        if self.accepted:
            self.cut = (d.Close("api", POLICY_VIOLATION), d.Close("client", POLICY_VIOLATION))
        else:
            self.cut = (d.Cut("client", "reset"),)
        return self.cut

    def answered(self, *, gone: bool) -> int:
        """Status that the client was answered; `gone`: it left before that was whole."""
        if not self.done:
            return GONE if gone else CUT if self._head_sent or self.cut else 500
        return self.refused.status if self.refused is not None else self.status

    # inspection ----------------------------------------------------------------------------------------------------

    def inspect(self, body: ResponseBody, now: float, done: tuple[WorkDone, ...] = ()) -> Ask | Inspection:
        """Result of the inspection."""
        assert self.headed is not None
        return self._gate.engine.inspect(self._admission, self._head, self.headed, body, now, done, self._trace)

    def body(self) -> ResponseBody:
        """What of it can be inspected."""
        if self._spool is not None:
            return ResponseBody(spool=self._spool.file)
        return self._copy.read(self.done or self.held) if self._copy is not None else NO_RESPONSE_BODY

    def let_go(self, learned: Inspection, now: float) -> Commands:
        """A held response that was inspected leaves, or is refused."""
        self._learn(learned, now)
        refused = next((one for one in learned.findings if one.mode == "enforce"), None)
        if refused is not None:
            return self.refuse(refused, learned.headers)
        release, copy, spool = self._release, self._copy, self._spool
        assert release is not None
        data = learned.edited if learned.edited is not None else copy.whole() if copy is not None else b""
        if ended := self._budget(release, spool.size if spool is not None else len(data), now):
            return ended
        self.held, self._copy = False, None
        if spool is not None:
            self.sent, self.done = spool.size, True
            return (self._send_head(), d.SendSpool(spool.file))
        return (self._send_head(learned.edited), *self._send(data, False, now))

    def learned(self, now: float) -> Inspection:
        """Inspect and charge a streamed response; a held one is inspected before."""
        if self._learned is not None:
            return self._learned
        if self.held or self.headed is None:
            return NOTHING_LEARNED
        try:
            outcome = self.inspect(self.body(), now)
            if isinstance(outcome, Ask):
                raise RuntimeError("a response that has left cannot wait for work: hold it")
            return self._learn(outcome, now)
        except Exception as error:
            self._ports.failed("inspect", error)
            return NOTHING_LEARNED

    def _learn(self, learned: Inspection, now: float) -> Inspection:
        self._learned = learned
        if learned.findings:
            self.find(*learned.findings)
        if learned.charges:
            self._ledger.charge(learned.charges, now)
        return learned

    def settle(self, now: float) -> None:
        """Charge the rest of its bytes."""
        meter = self._release.meter if self._release is not None else None
        if meter is None or not self.sent:
            return
        whole = Charge(meter.table, meter.subject, self.sent)
        if self._charged:
            self._pay(now)
            self._ledger.note(whole)
        else:
            self._ledger.charge((whole,), now)
            self._charged = self.sent

    def _pay(self, now: float) -> None:
        """Charge what has been sent since the last time, so that a long response counts while it leaves."""
        meter = self._release.meter if self._release is not None else None
        if meter is not None and self.sent > self._charged:
            self._ledger.pay(Charge(meter.table, meter.subject, self.sent - self._charged), now)
        self._charged = self.sent
