"""Waiting for a slot at the API, with a watch on the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from sallygate.guard.services import Message, Receive
from sallygate.state.load_shedding import Ticket

MESSAGES_MAX = 2
"""Events of the client while it waits: a body that it has sent already, and its end. A client that sends more is not
watched."""


async def wait_for_slot(
    ticket: Ticket, wait_s: float, receive: Receive, put_back: Callable[[list[Message]], None]
) -> Literal["taken", "refused", "gone"]:
    """Until the ticket is woken, the client has gone, or it took too long. What was received meanwhile is put back."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    ticket.wake = wake
    deadline = loop.time() + wait_s
    came: list[Message] = []
    try:
        while not woken.done() and (left_s := deadline - loop.time()) > 0:
            watcher = asyncio.ensure_future(receive()) if len(came) < MESSAGES_MAX else None
            waited: set[asyncio.Future[Any]] = {woken} if watcher is None else {woken, watcher}
            try:
                await asyncio.wait(waited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if watcher is not None and not watcher.done():
                    watcher.cancel()
            if watcher is not None and watcher.done() and not watcher.cancelled():
                came.append(watcher.result())
                if came[-1]["type"] == "http.disconnect":
                    return "gone"
        return "taken" if woken.done() else "refused"
    finally:
        ticket.wake = None
        if came:
            put_back(came)
