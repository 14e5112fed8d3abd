"""Bounded copy of a response, kept beside its stream or in place of it, and read once it is whole."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import DecodeError
from msgspec.json import decode

from sallygate.model.judgement import ResponsePlan
from sallygate.model.outcome import NO_RESPONSE_BODY, ResponseBody
from sallygate.parsing.http.codings import CodingError, undo_coding, undo_partial

_UNREAD = ResponseBody(unread=True)


class ResponseCopy:
    """What of a response is kept, up to its plan's bound; a larger one is not read."""

    __slots__ = ("_bytes_max", "_keep", "_parts", "_plan", "full", "size")

    def __init__(self, plan: ResponsePlan, keep: Callable[[int], bool]) -> None:
        """`keep` is asked before a piece is kept."""
        self._plan, self._keep = plan, keep
        self.full = False
        """Whether memory had no room for it."""
        self._bytes_max = plan.bytes_max if plan.mode == "hold" else plan.copy_bytes_max
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> bool:
        """A piece. Whether the copy holds all that came."""
        if data and self.size <= self._bytes_max and not self.full:
            self.size += len(data)
            if self.size > self._bytes_max:
                self._parts = []
            elif self._keep(len(data)):
                self._parts.append(data)
            else:
                self.full = True
        return self.size <= self._bytes_max and not self.full

    def whole(self) -> bytes:
        """As it came."""
        return b"".join(self._parts)

    def read(self, whole: bool) -> ResponseBody:
        """What can be inspected; of one that was cut short, what the client had of it."""
        plan = self._plan
        if self.size > self._bytes_max:
            return _UNREAD
        data = self.whole()
        if not whole or self.full:
            partial = undo_partial(data, plan.coding, self._bytes_max) if plan.coding else data
            return ResponseBody(unread=True, partial=partial) if data else NO_RESPONSE_BODY
        if not data and plan.mode != "hold":
            return NO_RESPONSE_BODY
        try:
            plain = undo_coding(data, plan.coding, self._bytes_max) if plan.coding else data
        except CodingError:
            return _UNREAD
        raw = plain if plan.mode == "hold" else None
        try:
            return ResponseBody(decode(plain) if plan.is_json and plain else None, raw)
        except (DecodeError, RecursionError):
            return ResponseBody(None, raw, unread=True)
