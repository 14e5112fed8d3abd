"""The controls of one policy, each with how it is run, by phase and operation.

Knows the table of controls, and no request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from sallygate.engine.evaluation import TAKES, Judge
from sallygate.engine.order import ORDER, Row
from sallygate.model.control import Phase
from sallygate.model.early import EarlyRequest
from sallygate.model.finding import Mode
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation

C = TypeVar("C")


class Guarded(Struct, frozen=True):
    """How the policy wants one control run."""

    mode: Mode
    fail_open: bool


class EarlyJudge(Struct, frozen=True):
    """One control's `early` method."""

    judge: Callable[[EarlyRequest], Judgement | None]
    idle: Callable[[bool], bool]
    enforced: bool


class Controls:
    """The controls of one policy, each with how it is run; those that a policy leaves out are not among them."""

    def __init__(
        self, controls: Sequence[Any], how: Mapping[str, Guarded], own: Mapping[str, Mapping[str, Mode]] | None = None
    ) -> None:
        """`how` is by section; `own` are the modes of single operations, by section and operation."""
        self._by_class = {type(control): control for control in controls}
        self._how = dict(how)
        self._own = own or {}
        self._added: list[tuple[Phase, Judge]] = []

    def get(self, kind: type[C]) -> C | None:
        """The control of that class, where the policy has it."""
        return self._by_class.get(kind)

    def how(self, kind: type[Any]) -> Guarded | None:
        """How a control is run; None where the policy does not have it."""
        return self._how.get(kind.section) if kind in self._by_class else None

    @property
    def by_section(self) -> dict[str, Guarded]:
        """How the controls of each section are run."""
        return dict(self._how)

    def enforces(self, kind: type[Any]) -> bool:
        """Whether what it finds is enforced."""
        how = self.how(kind)
        return how is not None and how.mode == "enforce"

    def put(self, kind: type[Any], control: object) -> None:
        """One in the place of another, for what breaks or watches controls in tests."""
        self._by_class[kind] = control

    def add(self, phase: Phase, judge: Judge) -> None:
        """One that is in no policy, after those of the phase, for what decides recorded exchanges again."""
        self._added.append((phase, judge))

    def judges(self, phase: Phase, operation: Operation | None, *, own: bool = False) -> tuple[Judge, ...]:
        """What runs in a phase for an operation, in order. `own`: at `/auth`."""
        rows = [row for row in ORDER if row.phase == phase and self._takes_part(row, operation, own)]
        judged = [self.judge(row, operation) for row in rows]
        return (*judged, *(judge for added, judge in self._added if added == phase))

    def early(self, *, by_location: bool) -> tuple[EarlyJudge, ...]:
        """What may refuse before the head is read, in order: by client address and method alone, or otherwise."""
        rows = [row for row in ORDER if row.phase == "early" and row.by_location == by_location]
        found = [
            (self._by_class[row.control], self.enforces(row.control)) for row in rows if row.control in self._by_class
        ]
        return tuple(EarlyJudge(control.early, control.idle, enforced) for control, enforced in found)

    def _takes_part(self, row: Row, operation: Operation | None, own: bool) -> bool:
        control = self._by_class.get(row.control)
        if control is None or self._mode(row, operation) == "off":
            return False
        return (row.own or not own) and bool(control.applies(row.phase, operation))

    def _mode(self, row: Row, operation: Operation | None) -> Mode:
        own = self._own.get(row.control.section, {}).get(operation.id) if operation is not None else None
        return own or self._how[row.control.section].mode

    def judge(self, row: Row, operation: Operation | None = None) -> Judge:
        """The method of one row, with how the policy wants it run."""
        control, how = self._by_class[row.control], self._how[row.control.section]
        method, mode = getattr(control, row.phase), self._mode(row, operation)
        return Judge(method, control.name, row.phase, mode, how.fail_open, row.may_offload, TAKES[row.phase])
