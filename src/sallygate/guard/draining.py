"""Reading on after an early answer, so that a client that is still sending its body gets to read that answer.

A server that closes a connection with unread data resets it, and the answer is lost with it (nginx's lingering close).
"""

from __future__ import annotations

import asyncio

from sallygate.guard.services import Receive
from sallygate.model.request import Headers

DRAINED_BYTES_MAX = 32 * 1024 * 1024
"""Twice the largest body that an upload may have by default."""
DRAINED_S_MAX = 10.0
"""For all of it."""
DRAINS_MAX = 100
"""At once in a process: what is read on counts for no slot, and refusals must not hold connections without bound. Who
comes beyond may find the connection reset in the place of the answer."""
IDLE_S_MAX = 2.0
"""For the next piece; nginx waits 5 s."""


def has_body(headers: Headers) -> bool:
    """Whether a body is announced and comes by itself. Who waits for `100 Continue` sends none after a refusal, and
    receiving would say it then."""
    if any(name == b"expect" for name, _ in headers):
        return False
    length = next((value for name, value in headers if name == b"content-length"), None)
    if length is not None:
        return length != b"0"
    return any(name == b"transfer-encoding" for name, _ in headers)


class Drains:
    """What is read on at once in this process."""

    under_way = 0


async def drain(receive: Receive, bytes_max: int = DRAINED_BYTES_MAX, seconds_max: float = DRAINED_S_MAX) -> None:
    """Receive what is left of a body, and forget it. Returns at its end, at a bound, or when the client leaves."""
    if Drains.under_way >= DRAINS_MAX:
        return
    left = bytes_max
    Drains.under_way += 1
    try:
        async with asyncio.timeout(seconds_max):
            while left > 0:
                async with asyncio.timeout(IDLE_S_MAX):
                    message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except (TimeoutError, OSError):
        return
    finally:
        Drains.under_way -= 1
