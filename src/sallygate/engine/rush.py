"""At the door while there is more to do than can be borne: whoever would be shed anyway is turned away before the head
is read, at a tenth of what a decision costs. Only refuses, and only what `shedding` would.

What a caller says it is decides here whether it is worth a decision, nothing else: a key is taken for whose it says it
is, and proven when it comes to that. One that is a better caller's and does not prove right counts as ten refusals.
"""

from __future__ import annotations

from sallygate.controls.flood.shedding import SheddingControl, retry_s, shed
from sallygate.engine.early import Away, RawHead
from sallygate.state.load_shedding import UNKNOWN_RANK, Shedder
from sallygate.state.state import State


class Rush:
    """Of one policy."""

    def __init__(
        self, shedding: SheddingControl, state: State, key_header: bytes, own_paths: tuple[bytes, ...]
    ) -> None:
        """`own_paths`: beginnings of those the gate answers itself, which ask nothing of the API."""
        self._shedding = shedding
        self._shedder: Shedder = state.shedder
        self._key_header = key_header
        self._own_paths = own_paths

    def look(self, scope: RawHead, now: float) -> Away | None:
        """Why a request is not let in; None for all that need a closer look."""
        shedder = self._shedder
        shedder.arrived += 1
        if not shedder.crowded or scope["type"] != "http" or scope["method"] == "OPTIONS":
            return None  # what browsers ask first has no credential, the request after it may have the best
        key = b""
        for name, value in scope["headers"]:
            if name == self._key_header:
                key = value
            elif name == b"authorization":
                return None
        rank, source = self._shedding.claimed(key, now) if key else (UNKNOWN_RANK, "")
        reason = shedder.look(rank, source)
        path: bytes = scope.get("raw_path") or scope["path"].encode()  # the former is optional in ASGI
        if not reason or path.startswith(self._own_paths):
            return None
        finding = shed(rank, reason)
        return Away(finding, wait_s=lambda request_id: retry_s(finding.rule, request_id))
