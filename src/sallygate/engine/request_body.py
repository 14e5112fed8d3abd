"""The body of one request on its way: how far and how fast it came, against the plan and the pace of its admission."""

from __future__ import annotations

from sallygate.model import driver as d
from sallygate.model.finding import Finding
from sallygate.model.judgement import Pace
from sallygate.model.outcome import Admission

_NEVER_S = 10.0 * 365 * 86400


class RequestBody:
    """Lives from the admission on. `found` are findings of a pace that is only watched."""

    __slots__ = ("_admission", "_pace", "_waited_s", "found", "received")

    def __init__(self, admission: Admission) -> None:
        self._admission, self._pace = admission, admission.pace
        self._waited_s = 0.0
        self.received = 0
        self.found: Finding | None = None

    @property
    def enforced_pace(self) -> Pace | None:
        """What a shell holds the sender to."""
        pace = self._pace
        return pace if pace is not None and pace.slow.mode == "enforce" else None

    def whole(self, event: d.Event) -> Finding | None:
        """What is wrong with how a whole body came."""
        if not isinstance(event, d.BodyRead) or event.outcome == "cut":
            return Finding("request.body_cut", "The body ended before it was whole.", 400)
        if event.outcome == "large":
            return self._too_large()
        pace = self.enforced_pace  # without one, a shell still waits no longer than it can
        if event.outcome == "slow" and pace is not None:
            return pace.slow
        if event.outcome in ("slow", "late"):
            late = pace.late if pace is not None else None
            return late or Finding("request.body_time", f"The body did not arrive within {event.waited_s:.0f} s.", 408)
        self.received, self._waited_s = len(event.data), event.waited_s
        self._watch(whole=True)
        return None

    def piece(self, event: d.Chunk, *, sending: bool) -> Finding | None:
        """What is wrong with one more piece of a streamed body; `sending` until the API has answered."""
        self.received += len(event.data)
        if self.received > self._admission.body.bytes_max:
            return self._too_large()
        self._waited_s += event.waited_s
        if sending:
            self._watch(whole=False)
        return None

    def deadline(self) -> tuple[d.Command, ...]:
        """How long the sender of a streamed body may take for its next piece."""
        pace = self.enforced_pace
        if pace is None or not pace.bytes_per_s:
            return ()
        return (d.Deadline("client", pace.after_s + self.received / pace.bytes_per_s - self._waited_s),)

    @property
    def slow(self) -> Finding | None:
        """What is found where a deadline has passed."""
        return self._pace.slow if self._pace is not None else None

    def _too_large(self) -> Finding:
        plan = self._admission.body
        return Finding(plan.over, f"The body is larger than {plan.bytes_max} bytes.", 413, owasp="API4")

    def _watch(self, *, whole: bool) -> None:
        """Find what would have ended the body if its pace were enforced; one that streams has no time for all of it."""
        pace = self._pace
        if pace is None or pace.slow.mode == "enforce":
            return
        allowed_s = pace.after_s + (self.received / pace.bytes_per_s if pace.bytes_per_s else _NEVER_S)
        if self._waited_s > allowed_s:
            self.found = pace.slow
        elif whole and pace.late is not None and pace.whole_s and self._waited_s > pace.whole_s:
            self.found = pace.late
