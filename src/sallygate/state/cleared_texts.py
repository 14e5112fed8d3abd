"""Cache of texts without findings: callers send the same header fields and names again and again.

Only saves time. What is found of a text is found of it each time, so a decision is the same with and without it. One
instance belongs to one way of reading (the places of credentials that identity has checked), and to one process.
"""

from __future__ import annotations

from threading import Lock
from typing import ClassVar, Literal

Reading = Literal["plain", "cookie", "credential"]
"""How a field is read: more is read from one of cookies or credentials than from the same text elsewhere."""
TEXTS_MAX, CHARS_MAX, NEW_MAX = 4096, 512, 64
"""Texts of each reading, of so many characters: 18 MB at most; of requests that have so many new ones, not more."""


class ClearedTexts:
    """Bounded: a reading that is full is forgotten. Read and added to from any thread."""

    LOCAL: ClassVar[str] = "saves time only; TEXTS_MAX texts of each reading"

    def __init__(self, texts_max: int = TEXTS_MAX) -> None:
        """`texts_max`: of each reading; 0 remembers nothing."""
        self._texts_max = texts_max
        self._cleared: dict[Reading, set[str]] = {"plain": set(), "cookie": set(), "credential": set()}
        self._adding = Lock()

    def __getitem__(self, reading: Reading) -> set[str]:
        """Those cleared when read that way."""
        return self._cleared[reading]

    def add(self, new: dict[Reading, list[str]]) -> None:
        """Remember the texts of one request. Not of one that has very many: it is no caller's usual one."""
        if not 0 < sum(map(len, new.values())) <= NEW_MAX or not self._texts_max:
            return
        with self._adding:
            for reading, texts in new.items():
                if len(self._cleared[reading]) + len(texts) > self._texts_max:
                    self._cleared[reading] = set()
                self._cleared[reading].update(text for text in texts if len(text) <= CHARS_MAX)
