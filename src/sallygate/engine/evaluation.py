"""Evaluation context of one exchange: control modes, findings so far, known facts, resulting decision.

The mode of each control is applied here, in one place for every phase. A control that raises has found
`control.failed`, which refuses unless the policy has it in shadow or says `on_error: allow` for it. Knows
no control and no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.json import decode
from msgspec.structs import replace

from sallygate.model.decision import ALLOW, Decision, HeaderList, Reply
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding, Mode
from sallygate.model.judgement import Facts, Judgement, Meter, Pace, ResponsePlan, Slot
from sallygate.model.operation import Match, Operation
from sallygate.model.outcome import Admission
from sallygate.model.principal import Principal
from sallygate.model.request import EMPTY_BODY, NO_BODY, Body, BodyPlan, RequestHead, Side
from sallygate.model.work import Charge, Work, WorkDone
from sallygate.parsing.edits import edit_body, edit_head, edit_text


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
    fail_open: bool = False
    may_offload: bool = False
    takes: Callable[[OpenEvaluation, Judge, Judgement], bool] = lambda evaluation, judge, judgement: False
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
    edited = False
    answer_at = 0.0
    spool: object = None
    side: Side = "client"
    message = b""
    response_body: bytes | None = None
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
                if judgement is None:
                    if self.trace is not None:
                        self.note(judge.control, judge.phase, "nothing found")
                elif self._take(judge, judgement):
                    return True
            except Exception as error:
                if self._failed(judge, error):
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
        if judgement.headers and judge.mode == "enforce":  # in shadow no client sees limits that are not enforced
            self.headers += judgement.headers
        if judgement.answer_at > self.answer_at and judge.mode == "enforce":
            self.answer_at = judgement.answer_at
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
        if self._take_work(judgement):
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
        """What was read, what of it is sent otherwise, and what has to be known first."""
        if judgement.parsed is not None:
            self.body = judgement.parsed
        if judgement.edits and judge.mode == "enforce":
            self.head, self.body = edit_head(self.head, judgement.edits), edit_body(self.body, judgement.edits)
            self.edited = True
        return self._take_work(judgement)

    def _take_work(self, judgement: Judgement) -> bool:
        if not judgement.work:
            return False
        self.asked, self.reserved = judgement.work, judgement.reserved
        return True

    def take_release(self, judge: Judge, judgement: Judgement) -> bool:
        """How a response leaves."""
        enforced = judge.mode == "enforce"
        if (meter := judgement.meter) is not None:
            over = meter.over
            self.meter = meter if enforced or over is None else replace(meter, over=replace(over, mode=judge.mode))
        if (pace := judgement.pace) is not None:
            self.pace = pace if enforced else _pace_as(pace, judge.mode)
        if (plan := judgement.response) is not None:
            plan = plan if enforced else _beside(plan)
            self.plan = plan if self.plan is None else _stronger(self.plan, plan)
        if enforced and judgement.drop_headers:
            self.drop_headers |= judgement.drop_headers
        return False

    def take_inspection(self, judge: Judge, judgement: Judgement) -> bool:
        """Facts, edits and work of a response."""
        if judgement.facts is not None:
            self.facts = (*self.facts, judgement.facts)
        if judgement.edits and judge.mode == "enforce" and self.response_body is not None:
            self.response_body = edit_text(self.response_body, judgement.edits)
            self.tree = decode(self.response_body) if self.tree is not None else None
            self.edited = True
        return self._take_work(judgement)

    def take_message(self, judge: Judge, judgement: Judgement) -> bool:
        """What of a message or record goes on otherwise."""
        if judgement.edits and judge.mode == "enforce":
            self.message = edit_text(self.message, judgement.edits)
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
        allowed = ", allowed by on_error" if judge.fail_open else ", in shadow" if judge.mode != "enforce" else ""
        self.note(judge.control, judge.phase, f"failed ({kind}){allowed}")
        if allowed:
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
    "message": OpenEvaluation.take_message,
}

_WORK = frozenset(("work", "reserved"))
_ADMISSION = _WORK | {"allowed", "principal", "reply"}
PARTS: dict[str, frozenset[str]] = {
    "address": frozenset(("allowed", "slots")),
    "admit": _ADMISSION | {"slots"},
    "caller": _ADMISSION | {"slots"},
    "plan": frozenset(("body", "pace", "slots")),
    "examine": _WORK | {"parsed", "edits"},
    "release": frozenset(("drop_headers", "meter", "pace", "response")),
    "inspect": _WORK | {"facts", "edits"},
    "message": frozenset(("edits",)),
}
"""What each phase takes of a judgement besides findings, charges, headers and the time of a refusal. Anything else has
no effect there; the tests refuse it."""


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
    mode = max(one.mode, other.mode, key=_STRENGTH.index)
    alike = [plan for plan in (one, other) if plan.mode == mode]
    enforced = next((plan for plan in alike if plan.over.mode == "enforce"), alike[0])
    return replace(
        enforced,
        copy_bytes_max=max(one.copy_bytes_max, other.copy_bytes_max),
        bytes_max=max(plan.bytes_max for plan in alike),
    )


def _beside(plan: ResponsePlan) -> ResponsePlan:
    """The plan of a control in shadow: what it would hold leaves at once, and is read beside its stream."""
    if plan.mode in ("hold", "spool"):
        return ResponsePlan(copy_bytes_max=max(plan.copy_bytes_max, plan.bytes_max if plan.mode == "hold" else 0))
    return replace(plan, over=replace(plan.over, mode="shadow"))


def _pace_as(pace: Pace, mode: Mode) -> Pace:
    late = pace.late
    return replace(pace, slow=replace(pace.slow, mode=mode), late=late and replace(late, mode=mode))
