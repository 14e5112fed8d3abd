"""Copy of a JSON response beside its stream, bounded, read once it has left."""

from __future__ import annotations

from msgspec import DecodeError
from msgspec.json import decode

from sallygate.model.judgement import ResponsePlan
from sallygate.parsing.http.codings import CodingError, undo_coding, undo_partial


class ResponseCopy:
    """What of a response is kept, up to its plan's bound; a larger one is not read."""

    __slots__ = ("_parts", "_plan", "_size")

    def __init__(self, plan: ResponsePlan) -> None:
        self._plan = plan
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """A piece that leaves."""
        if not data or self._size > self._plan.copy_bytes_max:
            return
        self._size += len(data)
        if self._size > self._plan.copy_bytes_max:
            self._parts = []
        else:
            self._parts.append(data)

    def read(self, whole: bool) -> tuple[object, bool, bytes]:
        """The JSON, None without; whether it was too large, garbled or cut short; and of one that was cut short what
        the client had of it."""
        plan = self._plan
        if self._size > plan.copy_bytes_max:
            return None, True, b""
        if not self._parts:
            return None, False, b""
        data = b"".join(self._parts)
        if not whole:
            return None, True, undo_partial(data, plan.coding, plan.copy_bytes_max) if plan.coding else data
        try:
            return decode(undo_coding(data, plan.coding, plan.copy_bytes_max) if plan.coding else data), False, b""
        except (CodingError, DecodeError, RecursionError):
            return None, True, b""
