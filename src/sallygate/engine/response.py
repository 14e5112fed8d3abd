"""The response of one exchange on its way: released, metered, kept beside its stream, cut, and inspected at its end."""

from __future__ import annotations

from sallygate.engine.answers import common_headers
from sallygate.engine.gate import Gate
from sallygate.engine.ledger import Ledger
from sallygate.engine.response_copy import ResponseCopy
from sallygate.model import driver as d
from sallygate.model.exchange import CUT, GONE
from sallygate.model.finding import Finding
from sallygate.model.outcome import Admission, Inspection, Release
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge

CHARGED_EVERY_BYTES = 64 * 1024
"""At most so much of each response under way is not charged yet."""

Commands = tuple[d.Command, ...]


class Response:
    """Lives from the admission to the end. `findings` are those of the response; the driver decides what they mean."""

    _release: Release | None = None
    _copy: ResponseCopy | None = None
    _charged = 0
    _waited_s = 0.0
    findings: tuple[Finding, ...] = ()
    status = sent = 0
    done = False
    refused: Finding | None = None
    """Why it was replaced."""
    cut: Commands = ()
    """What ended it before it was whole; an application that swallows that gets it again."""

    def __init__(self, gate: Gate, head: RequestHead, admission: Admission, ledger: Ledger) -> None:
        self._gate, self._head, self._admission, self._ledger = gate, head, admission, ledger
        self._in_force = gate.state.restrictions

    def find(self, *findings: Finding) -> None:
        """Add those that are not there yet."""
        for finding in findings:
            if finding not in self.findings:
                self.findings += (finding,)

    def release(self, event: d.ResponseHead) -> tuple[Finding | None, Release]:
        """How it leaves, and what refuses it."""
        release = self._gate.engine.release(self._admission, self._head, event.status, event.headers, event.now)
        self._ledger.charge(release.charges, event.now)
        self.findings += release.decision.findings
        if release.decision.verdict != "allow":
            return next(one for one in release.decision.findings if one.mode == "enforce"), release
        return None, release

    def head(self, event: d.ResponseHead, release: Release) -> d.SendHead:
        """Its head as it leaves."""
        self._release = release
        if release.plan.copy_bytes_max and self._head.method != "HEAD":
            self._copy = ResponseCopy(release.plan)
        ours = (*self._admission.headers, *release.headers, *common_headers(self._gate, self._head))
        names = {name for name, _ in ours if name != b"vary"} | release.drop_headers
        return d.SendHead(event.status, (*[pair for pair in event.headers if pair[0] not in names], *ours))

    def chunk(self, event: d.Chunk) -> Commands:
        """A piece of its body."""
        if self.refused is not None or self.cut:
            return self.cut
        if self.done:
            raise RuntimeError("the application sent a body after its end")
        release, data = self._release, event.data
        if release is None:
            raise RuntimeError("the application sent a body before its head")
        if cut := self.interrupted(event.now):
            return cut
        meter = release.meter
        if meter is not None and meter.over is not None:
            # Asked each time: other responses of the same caller take from the budget at the same time.
            left = self._gate.state.tables[meter.table].look(meter.subject, event.now, 0).remaining
            if len(data) > left and (cut := self._cut(meter.over)):
                return cut
        self.sent += len(data)
        if meter is not None and (meter.over is not None or self.sent - self._charged >= CHARGED_EVERY_BYTES):
            self._pay(event.now)
        if self._copy is not None:
            self._copy.add(data)
        self.done = not event.more
        return (d.SendToClient(data, event.more),)

    def read(self, event: d.Sent) -> Commands:
        """The client has taken a piece: whoever reads too slowly keeps a connection to the API from others."""
        release = self._release
        if release is None or (pace := release.pace) is None:
            return ()
        self._waited_s += event.waited_s
        if self._waited_s <= pace.after_s or self.sent >= (self._waited_s - pace.after_s) * pace.bytes_per_s:
            return ()
        return self._cut(pace.slow)

    def interrupted(self, now: float) -> Commands:
        """What a restriction made since says of what is under way."""
        in_force = self._gate.state.restrictions
        if in_force is self._in_force:
            return ()
        self._in_force = in_force
        finding = self._gate.engine.ends(self._admission, self._head, now)
        return self._cut(finding) if finding is not None else ()

    def _cut(self, finding: Finding) -> Commands:
        """It ends here, where the finding is enforced."""
        self.find(finding)
        if finding.mode == "enforce":
            self.cut = (d.Cut("client", "reset"),)
        return self.cut

    def answered(self, *, gone: bool) -> int:
        """Status that the client was answered; `gone`: it left before that was whole."""
        if not self.done:
            return GONE if gone else CUT if self.status or self.cut else 500
        return self.refused.status if self.refused is not None else self.status

    def inspect(self, now: float) -> Inspection:
        """What it told, charged."""
        copy = self._copy
        tree, unread, partial = copy.read(self.done) if copy is not None else (None, False, b"")
        learned = self._gate.engine.inspect(
            self._admission, self._head, self.status, tree, now, unread=unread, partial=partial
        )
        self.findings += learned.findings
        self._ledger.charge(learned.charges, now)
        return learned

    def settle(self, now: float) -> None:
        """Charge the rest of its bytes."""
        self._pay(now)
        if (meter := self._release.meter if self._release is not None else None) is not None and self.sent:
            self._ledger.note(Charge(meter.table, meter.subject, self.sent))

    def _pay(self, now: float) -> None:
        """Charge what has been sent since the last time, so that a long response counts while it leaves."""
        meter = self._release.meter if self._release is not None else None
        if meter is not None and self.sent > self._charged:
            self._ledger.pay(Charge(meter.table, meter.subject, self.sent - self._charged), now)
        self._charged = self.sent
