"""Slots of each subject: the number of concurrent requests it holds; never persisted."""

from __future__ import annotations

from typing import ClassVar


class Slots:
    """Places among concurrent requests: taken at admission, given back at the end, never persisted."""

    LOCAL: ClassVar[str] = "requests under way end with their process; at most one entry for each of them"

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], int] = {}

    def count(self, table: str, subject: str) -> int:
        """Slots that a subject holds."""
        return self._taken.get((table, subject), 0)

    def take(self, table: str, subject: str) -> None:
        """Take one slot."""
        self._taken[table, subject] = self._taken.get((table, subject), 0) + 1

    def give_back(self, table: str, subject: str) -> None:
        """Release one slot."""
        left = self._taken.get((table, subject), 0) - 1
        if left > 0:
            self._taken[table, subject] = left
        else:
            self._taken.pop((table, subject), None)
