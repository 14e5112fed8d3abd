"""Outcomes of the engine's phases: refuse, do work first, reply, or continue, and how."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sallygate.model.decision import Decision, HeaderList, Reply
from sallygate.model.finding import Finding
from sallygate.model.judgement import Meter, Pace, ResponsePlan, Slot
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import EMPTY_BODY, NO_BODY, Body, BodyPlan
from sallygate.model.work import Charge, Work, WorkDone

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
    answer_at: float = 0.0
    """Time before which the refusal is not sent, in seconds since the epoch."""


class Rest(Struct, frozen=True):
    """What is left of a phase after the part that ran off the event loop: it reads state, so it runs on the loop."""

    run: Callable[[tuple[WorkDone, ...]], object]
    """Gives the phase's outcome; takes the answers to work, which the first part has had already."""


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
    """The request goes to the API, with the edits of its controls applied."""

    decision: Decision
    body: Body = EMPTY_BODY
    """As it is forwarded."""
    edited: bool = False
    """Whether `body` is another one than was sent."""
    raw_query: bytes | None = None
    """Where it is another one than was sent."""
    charges: tuple[Charge, ...] = ()


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


class ResponseBody(Struct, frozen=True, gc=False):
    """The body of a response, as far as its plan had it kept."""

    tree: object = None
    """Its JSON; None where it was not read."""
    raw: bytes | None = None
    """Of one that is held, its coding undone."""
    spool: object = None
    """File that one that is spooled can be read from."""
    unread: bool = False
    """Whether one that was to be read was too large, garbled or cut short."""
    partial: bytes = b""
    """What a client had of one that it did not wait for."""


NO_RESPONSE_BODY = ResponseBody()


class Inspection(Struct, frozen=True, gc=False):
    """Result of inspecting a response: number of records, ids, charges and findings."""

    records: int | None = None
    issued_ids: tuple[int, ...] = ()
    """Keyed hashes."""
    issued_truncated: bool = False
    charges: tuple[Charge, ...] = ()
    findings: tuple[Finding, ...] = ()
    headers: HeaderList = ()
    """For a refusal of a response that is held."""
    edited: bytes | None = None
    """What leaves in the place of a response that is held."""


class Passed(Struct, frozen=True, gc=False):
    """One message or record, judged."""

    data: bytes
    """As it goes on."""
    refused: Finding | None = None
    findings: tuple[Finding, ...] = ()
    charges: tuple[Charge, ...] = ()
