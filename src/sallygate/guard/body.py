"""Reader of whole request bodies, within limits of size, pace and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from msgspec.structs import replace

from sallygate.guard.services import Receive
from sallygate.guard.spooling import SpoolFile
from sallygate.model.finding import Finding
from sallygate.model.judgement import Pace

Outcome = Literal["whole", "cut", "large", "slow", "late", "full", "failed"]
READ_S_MAX = 300.0
"""For a whole body where no pace is enforced: one that never comes must not be held for ever."""
_UNPACED = Pace(0.0, 0, Finding("request.body_time", "", 408), READ_S_MAX)


async def read_body(
    receive: Receive,
    length: str,
    bytes_max: int,
    pace: Pace | None,
    *,
    keep: Callable[[int], bool] | None = None,
    spool: SpoolFile | None = None,
) -> tuple[bytes, Outcome, float]:
    """The body, how far it came, and how many seconds that took. `length` is what `Content-Length` says; `keep` is
    asked before a piece is kept in memory; with `spool` the body goes there instead. Raises `OSError` where its disk
    refuses."""
    if pace is None or not pace.whole_s:
        pace = replace(pace or _UNPACED, whole_s=READ_S_MAX)
    loop = asyncio.get_running_loop()
    began = loop.time()
    parts, size = [], 0
    limit = _Limit(loop, began + min(pace.whole_s, pace.sent_within_s(0)))
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"", "cut", loop.time() - began
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > bytes_max:
                return b"", "large", loop.time() - began
            if keep is not None and not keep(len(part)):
                return b"", "full", loop.time() - began
            if spool is None:
                parts.append(part)
            else:
                await spool.add(part)
            if not message.get("more_body") or length == str(size):
                return parts[0] if len(parts) == 1 else b"".join(parts), "whole", loop.time() - began
            limit.move(began + min(pace.whole_within_s(size), pace.sent_within_s(size)))
    except asyncio.CancelledError:
        if not limit.ended_it():
            raise
        took_s = loop.time() - began
        return b"", "slow" if took_s < pace.whole_within_s(size) else "late", took_s
    finally:
        limit.close()


class _Limit:
    """What `asyncio.timeout_at` does, at a third of its cost: every body has one, and hardly any needs it."""

    __slots__ = ("_before", "_ended", "_handle", "_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._loop, self._task, self._before, self._ended = loop, task, task.cancelling(), False
        self._handle = loop.call_at(at, self._end)

    def _end(self) -> None:
        self._ended = True
        self._task.cancel()

    def move(self, at: float) -> None:
        """Move the deadline, in seconds of the event loop's clock."""
        self._handle.cancel()
        self._handle = self._loop.call_at(at, self._end)

    def ended_it(self) -> bool:
        """Whether a cancellation is this one's, which then is taken back, and nobody else's."""
        if not self._ended:
            return False
        self._ended = False
        return self._task.uncancel() <= self._before

    def close(self) -> None:
        """Cancel the timer; a cancellation that it has caused is taken back."""
        self._handle.cancel()
        if self._ended:  # somebody took it for something else
            self._ended = False
            self._task.uncancel()
