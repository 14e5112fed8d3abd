"""Credentials in memory: keys by id, and the ids known to be missing."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from sallygate.model.principal import Credential

CREDENTIALS_MAX = 250_000
"""About 150 MB when full; a key beyond it is fetched when it is used."""
MISSING_MAX = 10_000
"""Ids the store is known not to have. They carry valid check digits, so only deleted keys get here."""
MISSING_S = 30.0


class Credentials:
    """Keys by id, and the ids known to be missing."""

    LOCAL: ClassVar[str] = "a copy of the store's records; CREDENTIALS_MAX keys and MISSING_MAX ids"

    def __init__(self, entries_max: int = CREDENTIALS_MAX) -> None:
        self._entries_max = entries_max
        self._known: OrderedDict[str, Credential] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key_id: str) -> Credential | None:
        """Record by id; None if memory does not have it."""
        return self._known.get(key_id)

    def is_missing(self, key_id: str, now: float) -> bool:
        """Whether the store was asked lately and has no such id."""
        until = self._missing.get(key_id)
        return until is not None and now < until <= now + MISSING_S

    def put(self, credential: Credential) -> None:
        """Keep a record, unless memory has a newer revision."""
        self._missing.pop(credential.id, None)
        known = self._known.get(credential.id)
        if known is not None and known.revision > credential.revision:
            return
        self._known[credential.id] = credential
        if len(self._known) > self._entries_max:
            self._known.popitem(last=False)

    def put_missing(self, key_id: str, now: float) -> None:
        """Remember for `MISSING_S` seconds that there is no such id."""
        self._missing[key_id] = now + MISSING_S
        if len(self._missing) > MISSING_MAX:
            self._missing.popitem(last=False)
