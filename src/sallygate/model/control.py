"""Protocols of controls: one small one a phase, each from an `Evaluation` to a `Judgement`.

A control is one class: `name`, `section` (the policy's section that says how it runs), and the methods of the phases
it takes part in. Which phases, and in what order, is the table in `engine.order`.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation

Phase = Literal["early", "address", "admit", "caller", "plan", "examine", "release", "inspect", "message"]
"""In the order of an exchange: before the head is read; by the client address alone; by what is asked and who asks; by
who the caller is; how the body is read; the body; the head of the API's response; its body; and each record or message
of a body, or of a connection, that is judged piece by piece."""


class Control(Protocol):
    """What every control has."""

    name: ClassVar[str]
    section: ClassVar[str]
    """Name of its section in the policy, `flood.shedding` for one within another."""

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """Whether it has anything to say of an operation in a phase; asked once, when the gate is composed."""
        ...


FULL_PATH = Judgement()
"""Said early: this request has to be read."""


class JudgesEarly(Control, Protocol):
    def early(self, request: EarlyRequest) -> Judgement | None:
        """Refuses nothing that the full path would let pass, and nothing otherwise than it does. A finding that is not
        enforced leaves the request to the full path."""
        ...

    def idle(self, limited: bool) -> bool:
        """Whether there is nothing at present that it could refuse early. `limited`: whether a limit by client
        address has just refused somebody."""
        ...


class JudgesAddress(Control, Protocol):
    def address(self, evaluation: Evaluation) -> Judgement | None: ...


class Admits(Control, Protocol):
    def admit(self, evaluation: Evaluation) -> Judgement | None: ...


class JudgesCaller(Control, Protocol):
    def caller(self, evaluation: Evaluation) -> Judgement | None: ...


class PlansBody(Control, Protocol):
    def plan(self, evaluation: Evaluation) -> Judgement | None: ...


class Examines(Control, Protocol):
    def examine(self, evaluation: Evaluation) -> Judgement | None: ...


class Releases(Control, Protocol):
    def release(self, evaluation: Evaluation) -> Judgement | None: ...


class Inspects(Control, Protocol):
    def inspect(self, evaluation: Evaluation) -> Judgement | None: ...


class JudgesMessages(Control, Protocol):
    def message(self, evaluation: Evaluation) -> Judgement | None:
        """One record or message, in either direction."""
        ...


class Everywhere:
    """A control that has something to say of every operation."""

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """Always."""
        return True
