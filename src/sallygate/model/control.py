"""Protocols of controls: one for each phase, from an `Evaluation` to a `Judgement`.

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
    """Control with the phase `early`: refuses requests before their head is read."""

    def early(self, request: EarlyRequest) -> Judgement | None:
        """Refuses nothing that the full path would let pass, and nothing otherwise than it does. A finding that is not
        enforced leaves the request to the full path."""
        ...

    def idle(self, limited: bool) -> bool:
        """Whether there is nothing at present that it could refuse early. `limited`: whether a limit by client
        address has just refused somebody."""
        ...


class JudgesAddress(Control, Protocol):
    """Control with the phase `address`: the head is read, the route is not known."""

    def address(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the client address and the transport."""


class Admits(Control, Protocol):
    """Control with the phase `admit`: the operation is known, the principal is not."""

    def admit(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the operation and the credential; the identity control sets the principal here."""


class JudgesCaller(Control, Protocol):
    """Control with the phase `caller`: the principal is known."""

    def caller(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the principal: restrictions, load shedding, limits, scopes."""


class PlansBody(Control, Protocol):
    """Control with the phase `plan`: says how the request body has to be read."""

    def plan(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the head of an admitted request and return a body plan."""


class Examines(Control, Protocol):
    """Control with the phase `examine`: the request body is read as the plan says."""

    def examine(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the request body; may return edits."""


class Releases(Control, Protocol):
    """Control with the phase `release`: the head of the response is known."""

    def release(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the head of the response and return a response plan."""


class Inspects(Control, Protocol):
    """Control with the phase `inspect`: the response body is whole, or was streamed."""

    def inspect(self, evaluation: Evaluation) -> Judgement | None:
        """Judge the response body; may return charges, facts and edits."""


class JudgesMessages(Control, Protocol):
    """Control with the phase `message`: records and messages, one at a time."""

    def message(self, evaluation: Evaluation) -> Judgement | None:
        """One record or message, in either direction."""
        ...


class Everywhere:
    """A control that has something to say of every operation."""

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """Always."""
        return True
