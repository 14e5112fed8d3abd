"""One request under judgement: how each control is to be run, what has been gathered, and what it adds up to.

Knows no control and no order; that is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVarTuple

from msgspec import Struct
from msgspec.structs import replace

from sallygate.model.decision import ALLOW, Decision
from sallygate.model.finding import Finding, Mode
from sallygate.model.operation import Match
from sallygate.model.principal import Principal
from sallygate.model.request import NO_BODY, BodyPlan
from sallygate.model.work import Charge, Work

Ts = TypeVarTuple("Ts")


class Step(Struct, frozen=True):
    """One control's part in a decision, for `explain`."""

    control: str
    phase: str
    outcome: str


class Guarded(Struct, frozen=True):
    """How the policy wants one control run."""

    mode: Mode
    fail_open: bool


class Case:
    """Lives for one phase of one request. A control that raises has found `control.failed`, which refuses unless the
    policy says `on_error: allow` for it."""

    __slots__ = (
        "asked",
        "body",
        "charges",
        "findings",
        "headers",
        "held",
        "how",
        "location_allowed",
        "match",
        "principal",
        "reserved",
        "trace",
    )

    def __init__(self, how: Mapping[str, Guarded], trace: list[Step] | None) -> None:
        self.how = how
        self.findings: list[Finding] = []
        self.charges: list[Charge] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.held: list[tuple[str, str, int]] = []
        self.match: Match | None = None
        self.location_allowed = False
        """The address is on the list that beats every denial of a place."""
        self.principal: Principal | None = None
        self.asked: Work | None = None
        self.reserved: tuple[Charge, ...] = ()
        self.body: BodyPlan = NO_BODY
        self.trace = trace

    def note(self, control: str, phase: str, outcome: str) -> None:
        if self.trace is not None:
            self.trace.append(Step(control, phase, outcome))

    def run(self, name: str, phase: str, judge: Callable[[*Ts], Finding | None], *args: *Ts) -> bool:
        """Run one control's judgement as the policy wants it run. True: it refuses."""
        try:
            finding = judge(*args)
        except Exception as error:
            return self._failed(name, phase, error)
        if finding is None:
            if self.trace is not None:
                self.note(name, phase, "nothing found")
            return False
        finding = self.as_run(name, finding)
        self.findings.append(finding)
        if self.trace is not None:
            self.note(name, phase, f"{finding.code}{' (shadow)' if finding.mode == 'shadow' else ''}")
        return finding.mode == "enforce"

    def as_run(self, name: str, finding: Finding) -> Finding:
        mode = self.how[name].mode
        return finding if mode == "enforce" else replace(finding, mode=mode)

    def _failed(self, name: str, phase: str, error: Exception) -> bool:
        detail, kind = "The request cannot be checked at present.", type(error).__name__
        finding = Finding("control.failed", detail, 503, rule=name, evidence=kind)
        allowed = self.how[name].fail_open
        self.findings.append(replace(finding, mode="shadow") if allowed else finding)
        self.note(name, phase, f"failed ({kind}){', allowed by on_error' if allowed else ''}")
        return not allowed

    @property
    def refused(self) -> bool:
        return bool(self.findings) and any(finding.mode == "enforce" for finding in self.findings)

    @property
    def decision(self) -> Decision:
        return decide(self.findings)


def decide(findings: list[Finding]) -> Decision:
    """The first enforced finding decides: controls run cheapest and most certain first."""
    if not findings:
        return ALLOW
    for finding in findings:
        if finding.mode == "enforce":
            return Decision(finding.verdict, finding.status, tuple(findings))
    return Decision("allow", 200, tuple(findings))
