"""Outcomes of the engine's phases: refuse, find something out first, answer, or go on, and how."""

from __future__ import annotations

from msgspec import Struct

from sallygate.model.decision import Decision, Edit, HeaderList, Reply
from sallygate.model.finding import Finding
from sallygate.model.judgement import Meter, Pace, ResponsePlan, Slot
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import NO_BODY, BodyPlan
from sallygate.model.work import Charge, Work

STREAM = ResponsePlan()


class Ask(Struct, frozen=True, gc=False):
    """The engine needs `work` done before it can say."""

    work: tuple[Work, ...]
    reserved: tuple[Charge, ...] = ()
    """Held while the work is done, so that many at once do not pass a limit together; given back when the request is
    decided, and charged when it ends undecided."""


class Refuse(Struct, frozen=True, gc=False):
    """The request ends here."""

    decision: Decision
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()
    """To add to the problem document's own: `Retry-After`, `Allow`, `RateLimit`."""
    operation: Operation | None = None
    principal: Principal | None = None


class Answer(Struct, frozen=True, gc=False):
    """The gate answers by itself."""

    decision: Decision
    reply: Reply
    charges: tuple[Charge, ...] = ()


class Admission(Struct, frozen=True, gc=False):
    """The request may go on: read the body as planned, then `examine`."""

    decision: Decision
    operation: Operation | None
    """None only under a policy that runs without a contract."""
    path_values: tuple[tuple[str, str], ...]
    principal: Principal | None
    body: BodyPlan = NO_BODY
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()
    """For the API's answer: `RateLimit` and its policy."""
    slots: tuple[Slot, ...] = ()
    """Taken for the exchange, and given back at its end."""
    own: bool = False
    """For `/auth`, which the gate answers itself."""
    pace: Pace | None = None
    """Of the request's body; None: however slow."""


class Pass(Struct, frozen=True, gc=False):
    """The request goes to the API, changed by nothing but `edit`."""

    decision: Decision
    edit: Edit | None = None


class Release(Struct, frozen=True, gc=False):
    """How a response leaves, or why it does not."""

    decision: Decision
    """Of the response: refused, it is replaced by a problem document."""
    headers: HeaderList = ()
    """To add, or to send with the refusal."""
    drop_headers: frozenset[bytes] = frozenset()
    plan: ResponsePlan = STREAM
    meter: Meter | None = None
    """What its bytes are charged to as they leave."""
    pace: Pace | None = None
    """How slowly it may be read; None: however slowly."""
    charges: tuple[Charge, ...] = ()


class Inspection(Struct, frozen=True, gc=False):
    """What a response told: how many records left, which ids, what they cost, and what was found."""

    records: int | None = None
    issued_ids: tuple[int, ...] = ()
    issued_truncated: bool = False
    charges: tuple[Charge, ...] = ()
    findings: tuple[Finding, ...] = ()
