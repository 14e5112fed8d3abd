"""Evaluation of one exchange, as controls read it: what is known so far, and the time."""

from __future__ import annotations

from typing import Protocol

from sallygate.model.decision import HeaderList
from sallygate.model.operation import Match, Operation
from sallygate.model.principal import Principal
from sallygate.model.request import Body, BodyPlan, RequestHead, Side
from sallygate.model.work import WorkDone


class Evaluation(Protocol):
    """Read-only. What a later phase knows is empty in an earlier one."""

    @property
    def head(self) -> RequestHead:
        """Head of the request."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    @property
    def done(self) -> tuple[WorkDone, ...]:
        """Answers to the work that was asked for, oldest first."""
        ...

    @property
    def own(self) -> bool:
        """Whether the request is for `/auth`, which the gate answers itself."""
        ...

    @property
    def routed(self) -> bool:
        """Whether a contract says which operations there are."""
        ...

    @property
    def match(self) -> Match | None:
        """Where method and path lead; None before routing and where they lead nowhere."""
        ...

    @property
    def operation(self) -> Operation | None:
        """Operation of the request; None where no contract describes it."""

    @property
    def path_values(self) -> tuple[tuple[str, str], ...]:
        """Names and decoded values of the path's parameters."""

    @property
    def location_allowed(self) -> bool:
        """Whether the client address is on the list that takes precedence over every denial by location."""
        ...

    @property
    def principal(self) -> Principal | None:
        """Principal of a verified credential; None before `caller` and for public calls without one."""

    @property
    def body_plan(self) -> BodyPlan:
        """How the request body is read, by all plans so far."""

    @property
    def raw(self) -> bytes | None:
        """The request's body, whole; None where it streams unread, and before `examine`."""
        ...

    @property
    def body(self) -> Body:
        """The body as an earlier control read it; empty before."""
        ...

    @property
    def spool(self) -> object:
        """File that a spooled body can be read from, the request's or, in `inspect`, the response's; None without."""
        ...

    @property
    def side(self) -> Side:
        """Who sent a message or record."""
        ...

    @property
    def message(self) -> bytes:
        """One message or record, as an earlier control left it; empty in other phases."""
        ...

    @property
    def status(self) -> int:
        """Of the API's response; 0 before `release`."""
        ...

    @property
    def response_headers(self) -> HeaderList:
        """Header fields of the API's response; empty before `release`."""

    @property
    def tree(self) -> object:
        """The response's JSON, where a plan kept it; None where it was not read."""
        ...

    @property
    def response_body(self) -> bytes | None:
        """The response's body, whole, its coding undone, as an earlier control left it; None where it is not held."""
        ...

    @property
    def unread(self) -> bool:
        """Whether a response that was to be read was too large, garbled or cut short."""
        ...

    @property
    def partial(self) -> bytes:
        """What a client had of a response that it did not wait for."""
        ...
