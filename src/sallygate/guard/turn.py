"""One request's turn at the API: whether it is given a place, how long it waits for one, and when the place is free
again. Whose turn it is, `shedding` decides; here is only the waiting.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sallygate.controls.flood import FloodControl, shed
from sallygate.guard.context import Context
from sallygate.guard.services import Message
from sallygate.model.decision import Admission, Decision
from sallygate.model.finding import Finding
from sallygate.state.load_shedding import Shedder, Ticket

OVERLOADED = frozenset((502, 503, 504))
"""Answers that say the API cannot keep up, or that it was not reached."""


MESSAGES_MAX = 2
"""Of the client while it waits: a body it has sent already, and its end. Whoever sends more is not watched."""


class ClientLeft(Exception):
    """The client went while its request waited."""


class Turn:
    """Lives for one request. `open`, then `take` when the API would have all of the request, `answered` at the head of
    its answer, and `end`, whatever happens."""

    __slots__ = ("_call", "_enforced", "_long", "_shedder", "_ticket")

    def __init__(self, call: Context, admission: Admission, flood: FloodControl) -> None:
        self._call = call
        self._shedder: Shedder = call.gate.state.shedder
        self._enforced = call.gate.engine.controls.how["shedding"].mode == "enforce"
        operation = admission.operation.id if admission.operation is not None else ""
        self._long = operation in flood.long_polls
        rank = flood.rank(admission.principal, call.services.now())
        self._ticket = Ticket(rank, flood.source(call.head, admission.principal), operation)

    @classmethod
    def of(cls, call: Context, admission: Admission) -> Turn | None:
        """None where nothing is shed, or the gate answers itself."""
        controls = call.gate.engine.controls
        if admission.own or controls.flood is None or "shedding" not in controls.how:
            return None
        return cls(call, admission, controls.flood)

    def _now(self) -> float:
        return self._call.services.tick_us() / 1e6

    def open(self) -> Finding | None:
        """A connection to the API is about to be taken."""
        self._shedder.open(self._ticket, enforced=self._enforced)
        return self._refusal()

    async def take(self) -> Finding | None:
        """A place at the API, waited for as long as the policy lets one wait; a finding when there is none. Raises
        `ClientLeft`."""
        ticket = self._ticket
        if self._long or ticket.state != "open":
            return None
        self._shedder.enter(ticket, self._now(), enforced=self._enforced)
        if ticket.waits:
            await self._wait()
        return self._refusal()

    def _refusal(self) -> Finding | None:
        return shed(self._ticket.rank, self._ticket.reason) if self._ticket.state == "shed" else None

    async def _wait(self) -> None:
        """Until the place is there, the client has gone, or it took too long."""
        ticket, loop, receive = self._ticket, asyncio.get_running_loop(), self._call.receive
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        ticket.wake = wake
        deadline = loop.time() + self._shedder.wait_s
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
                        self._leave()  # now: what unwinds may take a while, or answer for the API
                        raise ClientLeft
        finally:
            ticket.wake = None
            if came:
                self._call.put_back(came)
        self._shedder.give_up(ticket)  # does nothing to one that has its place

    def answered(self, status: int) -> None:
        """The head of the answer is there."""
        self._shedder.answered(self._ticket, self._now(), failed=status in OVERLOADED)

    def end(self, *, gone: bool = False) -> None:
        """`gone`: because its client went."""
        left_s = self._shedder.abandon(self._ticket, self._now()) if gone else 0.0
        if left_s:
            asyncio.get_running_loop().call_later(left_s, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        self._shedder.leave(self._ticket, self._now())


def note_shed(shedder: Shedder, decision: Decision) -> None:
    """Count one that was refused, or would have been in shadow, before it came to its turn."""
    for finding in decision.findings:
        if finding.code == "flood.shed":
            shedder.count(finding.rule, finding.evidence, finding.mode == "enforce")
