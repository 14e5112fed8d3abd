"""Slot at the API of one exchange: opened, entered, waited for, answered and left; load shedding decides."""

from __future__ import annotations

from sallygate.controls.flood import SheddingControl, shed
from sallygate.engine.engine import Engine
from sallygate.model import driver as d
from sallygate.model.decision import Decision
from sallygate.model.finding import Finding
from sallygate.model.outcome import Admission
from sallygate.model.request import RequestHead
from sallygate.state.load_shedding import Shedder, Ticket

OVERLOADED = frozenset((502, 503, 504))
"""Statuses that say the API cannot keep up, or that it was not reached."""


def count_shed(shedder: Shedder, decision: Decision) -> None:
    """Count one that was refused, or would have been in shadow, before it came to its turn."""
    for finding in decision.findings:
        if finding.code == "flood.shed":
            shedder.count(finding.rule, finding.evidence, finding.mode == "enforce")


class ApiSlot:
    """One of the requests that the API is given at once. Ticks are seconds of a clock that never goes back."""

    __slots__ = ("_enforced", "_long", "_shedder", "ticket")

    def __init__(
        self, shedding: SheddingControl, shedder: Shedder, head: RequestHead, admission: Admission, now: float,
        *, enforced: bool,
    ) -> None:  # fmt: skip
        operation = admission.operation.id if admission.operation is not None else ""
        rank = shedding.rank(admission.principal, now)
        self._enforced, self._shedder = enforced, shedder
        self._long = operation in shedding.long_polls
        self.ticket = Ticket(rank, shedding.source(head, admission.principal), operation)

    @classmethod
    def of(
        cls, engine: Engine, shedder: Shedder, head: RequestHead, admission: Admission, now: float
    ) -> ApiSlot | None:
        """None where nothing is shed, or the gate answers itself."""
        shedding = engine.controls.get(SheddingControl)
        if admission.own or shedding is None:
            return None
        return cls(shedding, shedder, head, admission, now, enforced=engine.controls.enforces(SheddingControl))

    @property
    def wait_s(self) -> float:
        """For how long it may be waited for."""
        return self._shedder.wait_s

    def open(self) -> None:
        """A connection to the API is about to be taken."""
        self._shedder.open(self.ticket, enforced=self._enforced)

    def enter(self, tick: float) -> bool:
        """The API would have the whole of the request now. Whether the slot has to be waited for."""
        if self._long or self.ticket.state != "open":
            return False
        self._shedder.enter(self.ticket, tick, enforced=self._enforced)
        return self.ticket.waits

    def give_up(self) -> None:
        """It was waited for, and did not come; nothing to one that did."""
        self._shedder.give_up(self.ticket)

    def refusal(self) -> Finding | None:
        """What is found where there is no slot."""
        ticket = self.ticket
        return shed(ticket.rank, ticket.reason) if ticket.state == "shed" else None

    def answered(self, tick: float, status: int) -> None:
        """The head of the response is there."""
        self._shedder.answered(self.ticket, tick, failed=status in OVERLOADED)

    def end(self, tick: float, *, gone: bool) -> tuple[d.Command, ...]:
        """The exchange ends; where its client has `gone`, the API is taken to work on for a while."""
        after_s = self._shedder.abandon(self.ticket, tick) if gone else 0.0
        if after_s:
            return (d.ReleaseSlot(after_s, self.leave),)
        self.leave(tick)
        return ()

    def leave(self, tick: float) -> None:
        """The exchange has ended, however. May be said more than once."""
        self._shedder.leave(self.ticket, tick)
