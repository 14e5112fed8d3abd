"""Request bodies as they arrive: whole, or not in time."""

from __future__ import annotations

import asyncio

from sallygate.guard.context import Context
from sallygate.model.decision import Admission
from sallygate.model.finding import Finding
from sallygate.policy.flood import SlowBodies

NEVER_S = 10.0 * 365 * 86400
UNHURRIED = SlowBodies()
"""Where a policy has no section on floods in force: a minute for a whole body (a megabyte at 17 KiB/s; slower is a
held place, not an upload)."""


def pace_of(call: Context) -> SlowBodies:
    flood = call.gate.engine.controls.flood
    return flood.body if flood is not None else UNHURRIED


def allowed_s(pace: SlowBodies, received_bytes: int) -> float:
    """How long a sender may have taken for so many bytes."""
    return pace.after + received_bytes / pace.rate if pace.rate else NEVER_S


def slow_body(pace: SlowBodies) -> Finding:
    return Finding("flood.slow_body", f"The body arrives at less than {pace.rate} bytes a second.", 408,
                   owasp="API4", attack="T1499")  # fmt: skip


async def read_body(call: Context, admission: Admission) -> bytes | Finding:
    """The whole body, as long as it is no larger, no longer and no slower than it may be."""
    most, pace = admission.body.bytes_max, pace_of(call)
    loop = asyncio.get_running_loop()
    began = loop.time()
    parts, size = [], 0
    limit = _Limit(loop, began + min(pace.time, allowed_s(pace, 0)))  # for the first part too
    try:
        while True:
            message = await call.receive()
            if message["type"] != "http.request":
                return Finding("request.body_cut", "The body ended before it was whole.", 400)
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > most:
                return Finding(admission.body.over, f"The body is larger than {most} bytes.", 413, owasp="API4")
            if not message.get("more_body") or call.head.fields.get("content-length") == str(size):
                return parts[0] if len(parts) == 1 else b"".join(parts)
            limit.move(began + min(pace.time, allowed_s(pace, size)))
    except asyncio.CancelledError:
        if not limit.ended_it():
            raise
        if loop.time() - began < pace.time:
            return slow_body(pace)
        return Finding("request.body_time", f"The body did not arrive within {pace.time:.0f} s.", 408)
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
        self._handle.cancel()
        self._handle = self._loop.call_at(at, self._end)

    def ended_it(self) -> bool:
        """Whether a cancellation is this one's, which then is taken back, and nobody else's."""
        if not self._ended:
            return False
        self._ended = False
        return self._task.uncancel() <= self._before

    def close(self) -> None:
        self._handle.cancel()
        if self._ended:  # somebody took it for something else
            self._ended = False
            self._task.uncancel()
