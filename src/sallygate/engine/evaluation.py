"""Evaluation context of one exchange: control modes, findings so far, what is known, and what it adds up to.

The mode of each control is applied here, in one place for every phase. A control that raises has found
`control.failed`, which refuses unless the policy says `on_error: allow` for it. Knows no control and no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from sallygate.model.decision import ALLOW, Decision, Edit, HeaderList, Reply
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding, Mode
from sallygate.model.judgement import Facts, Judgement, Meter, Pace, ResponsePlan, Slot
from sallygate.model.operation import Match, Operation
from sallygate.model.outcome import Admission
from sallygate.model.principal import Principal
from sallygate.model.request import EMPTY_BODY, NO_BODY, Body, BodyPlan, RequestHead
from sallygate.model.work import Charge, Work, WorkDone


class Step(Struct, frozen=True):
    """One control's part in a decision, for `explain`."""

    control: str
    phase: str
    outcome: str


class Judge(Struct, frozen=True):
    """One control's method in one phase, with how the policy wants it run."""

    judge: Callable[[Evaluation], Judgement | None]
    control: str
    phase: str
    mode: Mode
    fail_open: bool
    takes: Callable[[OpenEvaluation, Judge, Judgement], bool]
    """What the phase takes of a judgement besides findings, charges, slots and headers."""


class OpenEvaluation:
    """Evaluation that judgements are added to. Lives for one phase or several of one exchange."""

    # Defaults stand on the class: of some thirty values a phase sets a handful.
    done: tuple[WorkDone, ...] = ()
    trace: list[Step] | None = None
    findings: tuple[Finding, ...] = ()
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()
    slots: tuple[Slot, ...] = ()
    match: Match | None = None
    operation: Operation | None = None
    path_values: tuple[tuple[str, str], ...] = ()
    own = routed = location_allowed = refused = unread = False
    principal: Principal | None = None
    asked: tuple[Work, ...] = ()
    reserved: tuple[Charge, ...] = ()
    reply: Reply | None = None
    body_plan: BodyPlan = NO_BODY
    raw: bytes | None = None
    body: Body = EMPTY_BODY
    edit: Edit | None = None
    pace: Pace | None = None
    meter: Meter | None = None
    plan: ResponsePlan | None = None
    drop_headers: frozenset[bytes] = frozenset()
    facts: tuple[Facts, ...] = ()
    status = 0
    response_headers: HeaderList = ()
    tree: object = None
    partial = b""

    def __init__(self, head: RequestHead, now: float) -> None:
        self.head = head
        self.now = now

    @classmethod
    def resumed(
        cls, admission: Admission, head: RequestHead, now: float, trace: list[Step] | None = None
    ) -> OpenEvaluation:
        """One that goes on after `admission`, with no findings of its own yet."""
        made = cls(head, now)
        if trace is not None:
            made.trace = trace
        made.operation, made.path_values, made.own = admission.operation, admission.path_values, admission.own
        made.principal, made.body_plan = admission.principal, admission.body
        return made

    def note(self, control: str, phase: str, outcome: str) -> None:
        """For `explain`."""
        if self.trace is not None:
            self.trace.append(Step(control, phase, outcome))

    def run(self, judges: Iterable[Judge]) -> bool:
        """Run judges in order. True: the request is refused, answered, or something has to be known first."""
        for judge in judges:
            try:
                judgement = judge.judge(self)
            except Exception as error:
                if self._failed(judge, error):
                    return True
                continue
            if judgement is None:
                if self.trace is not None:
                    self.note(judge.control, judge.phase, "nothing found")
            elif self._take(judge, judgement):
                return True
        return False

    def find(self, finding: Finding) -> None:
        """A finding of the engine's own, which no mode changes."""
        self.findings += (finding,)
        self.refused = True

    def _take(self, judge: Judge, judgement: Judgement) -> bool:
        """Add one judgement, as the control's mode has it. True: nothing more is asked."""
        if judgement.findings:
            self._take_findings(judge, judgement.findings)
        elif self.trace is not None:
            self.note(judge.control, judge.phase, "nothing found")
        if judgement.charges:
            self.charges += judgement.charges
        if judgement.slots:
            self.slots += judgement.slots
        if judgement.headers and judge.mode == "enforce":  # in shadow nobody is told of limits that do not hold
            self.headers += judgement.headers
        return judge.takes(self, judge, judgement) or self.refused

    def take_address(self, judge: Judge, judgement: Judgement) -> bool:
        """Whether the address is let in whatever is said of locations. Nothing is asked for before there is a route."""
        if judgement.allowed:
            self.location_allowed = True
        return False

    def take_admission(self, judge: Judge, judgement: Judgement) -> bool:
        """Who calls, from where, what has to be known first, and what the gate answers by itself."""
        if judgement.principal is not None:
            self.principal = judgement.principal
        if judgement.allowed:
            self.location_allowed = True
        if judgement.work:
            self.asked, self.reserved = judgement.work, judgement.reserved
            return True
        if judgement.reply is not None:
            self.note(judge.control, judge.phase, f"answered by the gate: {judgement.reply.status}")
            self.reply = judgement.reply
            return True
        return False

    def take_plan(self, judge: Judge, judgement: Judgement) -> bool:
        """How the body is read."""
        if judgement.body is not None:
            self.body_plan = judgement.body
        if (pace := judgement.pace) is not None:
            self.pace = pace if judge.mode == "enforce" else _pace_as(pace, judge.mode)
        return False

    def take_examination(self, judge: Judge, judgement: Judgement) -> bool:
        """What was read, and what of it is sent otherwise."""
        if judgement.parsed is not None:
            self.body = judgement.parsed
        if judgement.edit is not None and judge.mode == "enforce":
            self.edit = judgement.edit
        return False

    def take_release(self, judge: Judge, judgement: Judgement) -> bool:
        """How a response leaves."""
        enforced = judge.mode == "enforce"
        if (meter := judgement.meter) is not None:
            over = meter.over
            self.meter = meter if enforced or over is None else replace(meter, over=replace(over, mode=judge.mode))
        if (pace := judgement.pace) is not None:
            self.pace = pace if enforced else _pace_as(pace, judge.mode)
        if (plan := judgement.response) is not None:
            self.plan = plan if self.plan is None else _stronger(self.plan, plan)
        if enforced and judgement.drop_headers:
            self.drop_headers |= judgement.drop_headers
        return False

    def take_inspection(self, judge: Judge, judgement: Judgement) -> bool:
        """What a response told."""
        if judgement.facts is not None:
            self.facts = (*self.facts, judgement.facts)
        return False

    def _take_findings(self, judge: Judge, findings: tuple[Finding, ...]) -> None:
        if judge.mode != "enforce":
            findings = tuple([replace(finding, mode=judge.mode) for finding in findings])
        self.findings += findings
        if any(finding.mode == "enforce" for finding in findings):
            self.refused = True
        if self.trace is not None:
            first = findings[0]
            self.note(judge.control, judge.phase, f"{first.code}{' (shadow)' if first.mode == 'shadow' else ''}")

    def _failed(self, judge: Judge, error: Exception) -> bool:
        detail, kind = "The request cannot be checked at present.", type(error).__name__
        finding = Finding("control.failed", detail, 503, rule=judge.control, evidence=kind)
        self.note(judge.control, judge.phase, f"failed ({kind}){', allowed by on_error' if judge.fail_open else ''}")
        if judge.fail_open:
            self.findings += (replace(finding, mode="shadow"),)
            return False
        self.find(finding)
        return True

    @property
    def decision(self) -> Decision:
        """What the findings add up to."""
        return decide(self.findings)


TAKES: dict[str, Callable[[OpenEvaluation, Judge, Judgement], bool]] = {
    "address": OpenEvaluation.take_address,
    "admit": OpenEvaluation.take_admission,
    "caller": OpenEvaluation.take_admission,
    "plan": OpenEvaluation.take_plan,
    "examine": OpenEvaluation.take_examination,
    "release": OpenEvaluation.take_release,
    "inspect": OpenEvaluation.take_inspection,
}


def decide(findings: tuple[Finding, ...]) -> Decision:
    """The first enforced finding decides: controls run cheapest and most certain first."""
    if not findings:
        return ALLOW
    for finding in findings:
        if finding.mode == "enforce":
            return Decision(finding.verdict, finding.status, findings)
    return Decision("allow", 200, findings)


_STRENGTH = ("stream", "records", "hold", "spool")


def _stronger(one: ResponsePlan, other: ResponsePlan) -> ResponsePlan:
    """What satisfies both: the later mode of the list, the larger bounds."""
    return ResponsePlan(
        max(one.mode, other.mode, key=_STRENGTH.index),
        max(one.copy_bytes_max, other.copy_bytes_max),
        bytes_max=max(one.bytes_max, other.bytes_max),
    )


def _pace_as(pace: Pace, mode: Mode) -> Pace:
    late = pace.late
    return replace(pace, slow=replace(pace.slow, mode=mode), late=late and replace(late, mode=mode))
