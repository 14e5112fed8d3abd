"""One request's examination: its body is read once, by whichever control comes first, and judged by each.

Knows no order but its callers'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

from msgspec.structs import replace

from sallygate.controls.contract import Contract
from sallygate.controls.injection import InjectionControl
from sallygate.engine.case import Case
from sallygate.model.decision import Admission, Edit
from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.request import EMPTY_BODY, BodyPlan, RequestHead
from sallygate.parsing.http.body import LIMITS, parse_body
from sallygate.parsing.http.codings import CodingError, undo_coding

Ts = TypeVarTuple("Ts")


class Examining:
    """Lives for one request."""

    __slots__ = ("_admission", "_case", "_head", "_raw", "body", "edit")

    def __init__(self, case: Case, admission: Admission, head: RequestHead, raw: bytes | None) -> None:
        self._case = case
        self._admission = admission
        self._head = head
        self._raw = raw
        self.body = EMPTY_BODY
        self.edit: Edit | None = None

    def contract(self, contract: Contract, operation: Operation) -> tuple[Finding, ...]:
        admission = self._admission
        if self._raw is not None:
            plain = _plain(admission.body, self._raw)
            parsed = plain if isinstance(plain, Finding) else parse_body(admission.body, plain, contract.limits)
            if isinstance(parsed, Finding):
                return (parsed,)
            self.body = parsed
        return contract.judge(operation, self._head, admission.path_values, self.body)

    def injection(self, injection: InjectionControl) -> tuple[Finding, ...]:
        admission = self._admission
        if self._raw is not None and self.body is EMPTY_BODY:
            plain = _plain(admission.body, self._raw)
            read = plain if isinstance(plain, Finding) else injection.read(self._head, admission.body, plain, LIMITS)
            if isinstance(read, Finding):
                return (read,)
            self.body = read
        operation = admission.operation.id if admission.operation is not None else ""
        findings, edit = injection.judge(operation, self._head, self.body)
        if self._case.how["injection"].mode == "enforce":
            self.edit = edit
        return findings

    def run(self, control: str, judge: Callable[[*Ts], tuple[Finding, ...]], *args: *Ts) -> None:
        """The first finding decides; the others follow it as evidence."""
        others: tuple[Finding, ...] = ()

        def first() -> Finding | None:
            nonlocal others
            found = judge(*args)
            others = found[1:]
            return found[0] if found else None

        self._case.run(control, "examine", first)
        self._case.findings.extend([self._case.as_run(control, finding) for finding in others])


def _plain(plan: BodyPlan, raw: bytes) -> bytes | Finding:
    """The body with its content coding undone."""
    if not plan.coding:
        return raw
    try:
        return undo_coding(raw, plan.coding, plan.bytes_max)
    except CodingError as error:
        return coded(Finding("body.coding", f"The body is {error.detail}.", 413 if error.too_large else 400))


def coded(finding: Finding) -> Finding:
    """About the content coding."""
    return replace(finding, where="header:content-encoding", owasp="API4")
