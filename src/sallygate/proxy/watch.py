"""Watch over one exchange: ends an exchange that runs out of time or that the client has left.

Ordinary exchanges finish within a few milliseconds and cost an entry in a set. A sweep every `SWEEP_S` looks
at those still there: it ends the ones past their deadline, and only for these does a task wait for the client
to go. Knows the ASGI `receive`, the loop and nothing else.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Literal

Message = MutableMapping[str, Any]  # Any: ASGI messages are dictionaries of mixed values
Receive = Callable[[], Awaitable[Message]]

SWEEP_S: Final = 0.05
"""How late a deadline may be kept and a vanished client be noticed. A sweep takes 0.1 µs per open exchange,
so that 10,000 event streams cost 2 % of a core."""

EMPTY_MESSAGES_MAX: Final = 16
"""A `receive` that goes on giving empty bodies, where it should wait, is no longer asked."""

Reason = Literal["gone", "late", "silent", "stalled"]
"""The client went; the response head did not come, or the upstream stopped reading; its body stopped coming;
the client stopped reading or sending."""


class UpstreamBroken(Exception):
    """The upstream broke off after the response had started: the server must cut the client's connection."""


class ClientStalled(Exception):
    """The client stopped reading its response: the server must cut its connection."""


class ClientGone(Exception):
    """The client left while its request body was still being read."""


class Exchange:
    """One request on its way: who runs it, until when it may wait, and why it was ended."""

    __slots__ = ("_deadline", "_receive", "_task", "_waiting", "_watcher", "answered", "reason", "uploading")

    def __init__(self, task: asyncio.Task[Any] | None, receive: Receive) -> None:
        self._task = task
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._deadline = math.inf
        self._waiting: Reason = "late"
        self.reason: Reason | None = None
        """Why it was ended."""
        self.answered = False
        """The response has started: no other can be given."""
        self.uploading = False
        """While the body is still being read, its reader is the one that sees the client go."""

    def wait(self, reason: Reason, deadline: float) -> None:
        """Says what is waited for now, and until when on the loop's clock."""
        self._waiting = reason
        self._deadline = deadline

    def end(self, reason: Reason) -> None:
        """Interrupts the exchange at the place where it waits, once."""
        if self.reason is None and self._task is not None:
            self.reason = reason
            self._task.cancel()

    def interrupted(self) -> bool:
        """To be asked on `CancelledError`: whether `end` was the cause. Then the cancellation is taken
        back."""
        if self.reason is None or self._task is None:
            return False
        return self._task.uncancel() == 0

    def look(self, now: float) -> None:
        """What a sweep does."""
        if now >= self._deadline:
            self.end(self._waiting)
        elif self._watcher is None and not self.uploading:
            self._watcher = asyncio.ensure_future(self._watch())

    def close(self) -> None:
        """Stop watching the client."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self) -> None:
        for _ in range(EMPTY_MESSAGES_MAX):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.end("gone")
                return


class Sweep:
    """The open exchanges, and the timer that looks at them while there are any."""

    def __init__(self) -> None:
        self._open: set[Exchange] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        """Watch the deadlines of an exchange."""
        self._open.add(exchange)
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_S, self._look, loop)

    def remove(self, exchange: Exchange) -> None:
        """Stop watching an exchange, and close it."""
        self._open.discard(exchange)
        exchange.close()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for exchange in tuple(self._open):
            exchange.look(now)
        self._timer = loop.call_later(SWEEP_S, self._look, loop) if self._open else None
