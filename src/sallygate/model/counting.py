"""Values of counters: a counter's answer, and its stored row."""

from __future__ import annotations

from msgspec import Struct

Row = tuple[str, str, float, float]
"""Table, subject and two numbers, as persisted."""
WINDOW_S_MAX = 32 * 86_400.0
"""No window of a quota is longer, in seconds."""


class Room(Struct, frozen=True, gc=False):
    """What a counter says before anything is taken."""

    allowed: bool
    remaining: int
    reset_s: float
    """Until what is used is free again; for a refused request, until it would be allowed."""
