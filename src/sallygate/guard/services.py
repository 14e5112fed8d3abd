"""Protocols of what Guard needs from the composition root, and ASGI's types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeVar

from sallygate.engine.gate import Gate
from sallygate.events.rejection_counts import RejectionCounts
from sallygate.model.decision import HeaderList
from sallygate.model.exchange import Exchange
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import OwnWork, WorkDone

Scope = MutableMapping[str, Any]  # Any: ASGI's own types are open
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Interruptible(Protocol):
    """An exchange under way, which restrictions may end."""

    def interrupt(self) -> None:
        """Restrictions have changed."""
        ...


class Services(Protocol):
    """What Guard needs from the composition root."""

    under_way: int
    """Requests that have begun and not ended."""

    live: set[Interruptible]
    """What is under way at the application."""

    rejections: RejectionCounts
    """Early rejections."""

    @property
    def gate(self) -> Gate:
        """Gate of the policy in force."""

    @property
    def own(self) -> App:
        """What answers at `/auth`."""
        ...

    @property
    def watched(self) -> bool:
        """Whether somebody wants to see every single exchange: then none is refused early."""
        ...

    def now(self) -> float:
        """Current time, in seconds since the epoch."""

    def tick_us(self) -> int:
        """Microseconds of a clock that never goes back."""
        ...

    def new_request_id(self) -> str:
        """New request id of 32 hexadecimal digits."""

    async def work(self, work: OwnWork) -> WorkDone:
        """Do the work that a decision asks for; a failed store is part of the answer."""

    async def aside(self, call: Callable[[], T]) -> T:
        """What `call` returns, run off the event loop, one after another."""
        ...

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        """Header fields that name the caller to the API."""
        ...

    def traceparent(self, head: RequestHead) -> bytes | None:
        """`traceparent` for the API; None keeps the caller's."""
        ...

    def record(self, exchange: Exchange, gate: Gate) -> None:
        """Give a finished exchange to every event sink."""

    def failed(self, what: str, error: BaseException) -> None:
        """Tell the operator. Never raises."""
        ...

    async def lifespan(self, event: str) -> None:
        """Start or stop with the application: `event` is `startup` or `shutdown`."""
