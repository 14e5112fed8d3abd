"""Memory budget: one bound for all bodies that a process holds at once, whichever exchanges they are of."""

from __future__ import annotations

from typing import ClassVar

HELD_BYTES_MAX = 256 << 20
"""Where a policy says nothing: 256 JSON bodies of the largest size that operations have by default."""


class MemoryBudget:
    """Bytes of bodies that are held in memory. Bytes count as they come, so that nobody holds what he does not send."""

    LOCAL: ClassVar[str] = "memory of this process; the policy says how much, and a request gives back all it took"

    def __init__(self) -> None:
        self.bytes_max = HELD_BYTES_MAX
        self.held = 0

    def take(self, size: int) -> bool:
        """Hold `size` bytes more. Whether there is room for them; without, nothing is taken."""
        if self.held + size > self.bytes_max:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """Bytes that are held no longer."""
        self.held -= size
