"""What Guard works with: ASGI's types, the gate of one policy, and what the composition root does for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from sallygate.engine.engine import Engine
from sallygate.model.decision import HeaderList
from sallygate.model.exchange import Exchange
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Work, WorkDone
from sallygate.parsing.head import HeadReader
from sallygate.state.state import State

if TYPE_CHECKING:
    from sallygate.guard.door import Door, Tally
    from sallygate.guard.rush import Rush

Scope = MutableMapping[str, Any]  # Any: ASGI's own types are open
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate(Struct, frozen=True):
    """One policy in force: everything a request needs, replaced as a whole by a reload."""

    engine: Engine
    reader: HeadReader
    door: Door
    state: State
    policy_hash: str
    dropped_headers: frozenset[bytes]
    """Credentials, and other names for operations, which the API does not get."""
    declared_headers: frozenset[bytes]
    """The contract's header parameters: other spellings of them do not travel."""
    answer_headers: HeaderList
    """On every answer: HSTS."""
    counted_operations: frozenset[str]
    """Whose answers must come in a coding that can be read."""
    rush: Rush | None = None
    """Where load is shed: who is turned away at the door."""


class Services(Protocol):
    """What Guard needs from the composition root."""

    under_way: int
    """Requests that have begun and not ended."""

    turned: Tally
    """Who was turned away at the door."""

    @property
    def gate(self) -> Gate: ...
    @property
    def own(self) -> App:
        """What answers at `/auth`."""
        ...

    @property
    def watched(self) -> bool:
        """Whether somebody wants to see every single exchange: then none is turned away at the door."""
        ...

    def now(self) -> float: ...
    def tick_us(self) -> int:
        """Microseconds of a clock that never goes back."""
        ...

    def new_request_id(self) -> str: ...
    async def work(self, work: Work) -> WorkDone: ...
    async def aside(self, call: Callable[[], T]) -> T:
        """What `call` returns, run off the event loop, one after another."""
        ...

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        """Who is calling, as the API is told."""
        ...

    def traceparent(self, head: RequestHead) -> bytes | None:
        """What the API is told of the trace; None: what the caller said."""
        ...

    def record(self, exchange: Exchange, gate: Gate) -> None: ...
    def failed(self, what: str, error: BaseException) -> None:
        """Tell the operator. Never raises."""
        ...

    async def lifespan(self, event: str) -> None: ...
