"""At the door while there is more to do than can be borne: whoever would be shed anyway is turned away before the head
is read, at a tenth of what a decision costs. Only refuses, and only what `shedding` would.

What a caller says it is decides here whether it is worth a decision, nothing else: a key is taken for whose it says it
is, and proven when it comes to that. One that is a better caller's and does not prove right counts as ten refusals.
"""

from __future__ import annotations

from msgspec.json import encode

from sallygate.controls.flood import FloodControl, retry_s, shed
from sallygate.guard.services import Scope, Send, Services
from sallygate.model.finding import Finding
from sallygate.problem import problem_headers
from sallygate.shedding import UNKNOWN_RANK, Shedder
from sallygate.state import State


class Rush:
    """Of one policy."""

    def __init__(self, flood: FloodControl, state: State, key_header: bytes, own_paths: tuple[bytes, ...]) -> None:
        """`own_paths`: beginnings of those the gate answers itself, which ask nothing of the API."""
        self._flood = flood
        self._shedder: Shedder = state.shedder
        self._key_header = key_header
        self._own_paths = own_paths

    def look(self, scope: Scope, now: float) -> Finding | None:
        """Why a request is not let in; None for all that need a closer look."""
        shedder = self._shedder
        shedder.arrived += 1
        if not shedder.crowded or scope["type"] != "http":
            return None
        key = b""
        for name, value in scope["headers"]:
            if name == self._key_header:
                key = value
            elif name == b"authorization":
                return None
        rank, source = self._flood.claimed(key, now) if key else (UNKNOWN_RANK, "")
        reason = shedder.look(rank, source)
        if not reason or scope["raw_path"].startswith(self._own_paths):
            return None
        return shed(rank, reason)


async def turn_away(services: Services, scope: Scope, send: Send, finding: Finding) -> None:
    """Says so, and has it counted. It becomes one event with many others."""
    began_us = services.tick_us()
    request_id = services.new_request_id()
    body = encode({"type": "about:blank", "title": "Service Unavailable", "status": finding.status,
                   "code": finding.code, "detail": finding.detail, "request_id": request_id})  # fmt: skip
    headers = [
        *problem_headers(body, services.gate.answer_headers),
        (b"retry-after", b"%d" % retry_s(finding.rule, request_id)),
        (b"x-request-id", request_id.encode()),
        (b"server", b"sallygate"),
    ]
    head = scope["method"] == "HEAD"
    try:
        await send({"type": "http.response.start", "status": finding.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})
    except OSError:
        pass  # the client has gone
    services.turned_away(scope["method"], finding, len(body), services.tick_us() - began_us)
