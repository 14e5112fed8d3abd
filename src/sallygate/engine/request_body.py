"""Request body of one exchange: received, metered, held or streamed, and the slot at the API that it needs.

read ─▶ whole ─▶ take_slot               a body that is read before the API is asked, or none
chunk* ─▶ (slot) ─▶ chunk                a body that streams takes its slot when it is all there
"""

from __future__ import annotations

from sallygate.controls.flood import NO_MEMORY
from sallygate.controls.flood.shedding import come_back
from sallygate.engine.answers import found_too
from sallygate.engine.api_slot import ApiSlot
from sallygate.engine.gate import Gate
from sallygate.engine.ledger import Ledger
from sallygate.model import driver as d
from sallygate.model.decision import HeaderList
from sallygate.model.finding import Finding
from sallygate.model.judgement import Pace
from sallygate.model.outcome import Admission
from sallygate.model.request import RequestHead

Commands = tuple[d.Command, ...]


OFFLOADED_BYTES = 64 * 1024
"""Larger bodies are examined off the event loop, where they make nobody wait."""


class RequestBody:
    """Lives from the admission on. `findings` are those of the body; the driver decides what they mean."""

    received = 0
    raw: bytes | None = None
    """Of one that was read whole."""
    spool: object = None
    """File of one that was spooled."""
    stopped: Finding | None = None
    """Why a streamed body was refused; the client gets this finding in every case."""
    findings: tuple[Finding, ...] = ()
    slot: ApiSlot | None = None
    _waited_s = 0.0
    _pending: d.Chunk | None = None
    """The last piece of a streamed body, while it waits for a slot."""

    def __init__(self, gate: Gate, head: RequestHead, admission: Admission, ledger: Ledger) -> None:
        self._gate, self._head, self._admission, self._ledger = gate, head, admission, ledger
        self._pace = admission.pace
        self.sending = admission.body.mode in ("stream", "records")
        """Whether it streams, is not all there, and has to be before the API answers."""

    # read before the API is asked ------------------------------------------------------------------------------------

    def read(self) -> Commands:
        """The command that reads it whole; none for one that streams."""
        plan = self._admission.body
        if plan.mode == "whole":
            return (d.ReadBody(plan.bytes_max, self._enforced_pace, self._ledger.keep),)
        return (d.Spool("client", plan.bytes_max, self._enforced_pace),) if plan.mode == "spool" else ()

    @property
    def is_large(self) -> bool:
        """Whether what is to be examined lies in a file, or is too large to be examined on the event loop."""
        return self.spool is not None or len(self.raw or b"") > OFFLOADED_BYTES

    def whole(self, event: d.Event) -> Finding | None:
        """What is wrong with how it came."""
        if isinstance(event, d.Spooled):
            self.spool, self.received, self._waited_s = event.file, event.size, event.waited_s
            self._watch(whole=True)
            return self._too_large() if event.size > self._admission.body.bytes_max else None
        if not isinstance(event, d.BodyRead) or event.outcome == "cut":
            return Finding("request.body_cut", "The body ended before it was complete.", 400)
        if event.outcome == "large":
            return self._too_large()
        if event.outcome == "full":
            return NO_MEMORY
        if event.outcome == "failed":
            return Finding("control.failed", "The request cannot be checked at present.", 503, rule="spool")
        pace = self._enforced_pace  # without one, a shell still waits no longer than it can
        if event.outcome == "slow" and pace is not None:
            return pace.slow
        if event.outcome in ("slow", "late"):
            late = pace.late if pace is not None else None
            return late or Finding("request.body_time", f"The body did not arrive within {event.waited_s:.0f} s.", 408)
        self.raw, self.received, self._waited_s = event.data, len(event.data), event.waited_s
        self._watch(whole=True)
        return None

    def begin(self) -> Commands:
        """What a shell has to know before it streams."""
        plan = self._admission.body
        if not self.sending:
            return ()
        records = (d.ReadRecord("client", plan.framing, plan.record_bytes_max),) if plan.mode == "records" else ()
        return (*records, *self._deadline())

    # the slot at the API ---------------------------------------------------------------------------------------------

    def open_slot(self, now: float) -> ApiSlot | None:
        """A connection to the API is about to be taken; None where nothing is shed."""
        gate = self._gate
        slot = self.slot = ApiSlot.of(gate.engine, gate.state.shedder, self._head, self._admission, now)
        if slot is not None:
            slot.open()
        return slot

    def take_slot(self, tick: float) -> Commands:
        """The API would have the whole request now: what waits for a slot, where it has to be waited for."""
        slot = self.slot
        if slot is None or slot.refusal() is not None or not slot.enter(tick):
            return ()
        return (d.TakeSlot(slot.ticket, slot.wait_s),)

    def shed(self) -> Finding | None:
        """What is found where there is no slot."""
        return self.slot.refusal() if self.slot is not None else None

    def waited(self, event: d.Event, tick: float) -> bool:
        """The slot was waited for. Whether the client has gone."""
        slot = self.slot
        if slot is None:
            return False
        if isinstance(event, d.ClientGone):
            slot.leave(tick)  # now: what unwinds may take a while, or answer for the API
            return True
        slot.give_up()
        return False

    def retry_headers(self) -> HeaderList:
        """What goes with a refusal of a body that was stopped: when to come back."""
        return come_back(self.stopped, self._head) if self.stopped is not None else ()

    # while it streams ------------------------------------------------------------------------------------------------

    def chunk(self, event: d.Chunk, tick: float) -> Commands:
        """A piece."""
        finding = self.stopped or self._wrong(event)
        if finding is not None:  # or stopped before, and asked for more all the same
            return self.stop(finding)
        if not self.sending:
            return (d.SendToApi(event.data, event.more),)
        if event.more and self._head.fields.get("content-length") != str(self.received):
            return (*self._deadline(), d.SendToApi(event.data, event.more))
        self.sending = False
        if wait := self.take_slot(tick):
            self._pending = event
            return (d.Deadline("client", None), *wait)
        if (finding := self.shed()) is not None:
            return self.stop(finding)
        return (d.Deadline("client", None), d.SendToApi(event.data, event.more))

    def record(self, event: d.RecordRead, tick: float) -> Commands:
        """One record, judged; None at the end of the body."""
        if event.data is None:
            return self.chunk(d.Chunk(event.now, event.tick, "client", b"", False, event.waited_s), tick)
        if event.large:
            return self.stop(self._too_large(self._admission.body.record_bytes_max))
        passed = self._gate.engine.message(self._admission, self._head, "client", event.data, event.now)
        self._ledger.charge(passed.charges, event.now)
        self.find(*passed.findings)
        if passed.refused is not None:
            return self.stop(passed.refused)
        return self.chunk(d.Chunk(event.now, event.tick, "client", passed.data, True, event.waited_s), tick)

    def slot_came(self, event: d.Event, tick: float) -> Commands:
        """The slot of the last piece was waited for."""
        pending, self._pending = self._pending, None
        self.waited(event, tick)
        if (finding := self.shed()) is not None:
            return self.stop(finding)
        return (d.SendToApi(pending.data, pending.more),) if pending is not None else ()

    @property
    def waits(self) -> bool:
        """Whether its last piece waits for a slot."""
        return self._pending is not None

    def leave(self, event: d.ClientGone, tick: float) -> None:
        """The client left: as if a piece that waits had never come."""
        if self._pending is not None:
            self._pending = None
            self.waited(event, tick)

    def late(self) -> Commands:
        """A deadline has passed."""
        return self.stop(self._pace.slow) if self._pace is not None else ()

    def answered(self) -> Commands:
        """The API has answered: whatever is still to come may come as it likes."""
        sending, self.sending = self.sending, False
        return (d.Deadline("client", None),) if sending else ()

    def stop(self, finding: Finding) -> Commands:
        """The rest does not go to the API."""
        self.stopped = finding
        self.find(finding)
        return (d.Cut("api", "stop"),)

    def find(self, *findings: Finding) -> None:
        """Add those that are not there yet."""
        self.findings = found_too(self.findings, findings)

    # what is wrong with it -------------------------------------------------------------------------------------------

    @property
    def _enforced_pace(self) -> Pace | None:
        """What a shell holds the sender to."""
        pace = self._pace
        return pace if pace is not None and pace.slow.mode == "enforce" else None

    def _wrong(self, event: d.Chunk) -> Finding | None:
        self.received += len(event.data)
        if self.received > self._admission.body.bytes_max:
            return self._too_large()
        self._waited_s += event.waited_s
        if self.sending:
            self._watch(whole=False)
        return None

    def _deadline(self) -> Commands:
        """How long the sender may take for its next piece."""
        pace = self._enforced_pace
        if pace is None or not pace.bytes_per_s:
            return ()
        return (d.Deadline("client", pace.after_s + self.received / pace.bytes_per_s - self._waited_s),)

    def _too_large(self, bytes_max: int = 0) -> Finding:
        plan = self._admission.body
        what = "A record of the body" if bytes_max else "The body"
        detail = f"{what} is larger than {bytes_max or plan.bytes_max} bytes."
        return Finding(plan.over, detail, 413, where="body:", rule=plan.limit, owasp="API4")

    def _watch(self, *, whole: bool) -> None:
        """Find what would have ended the body if its pace were enforced; one that streams has no time for all of it."""
        pace = self._pace
        if pace is None or pace.slow.mode == "enforce":
            return
        if self._waited_s > pace.sent_within_s(self.received):
            self.find(pace.slow)
        elif whole and pace.late is not None and self._waited_s > pace.whole_within_s(self.received):
            self.find(pace.late)
