"""Cache of accounts in memory: records, locked names, and recently verified passwords.

Bounded, filled by others, never from a decision. Nothing here looks at a clock, a store or a password's text.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from sallygate.model.account import Account

ACCOUNTS_MAX = 100_000
"""About 60 MB when full; an account beyond it is fetched when it is used."""
MISSING_MAX = 10_000
"""Names the store is known not to have. Callers invent them, so they push out one another, and nothing else."""
MISSING_S = 30.0
VERIFIED_MAX = 20_000
"""Pairs of account and password that were right: about 3 MB. The one unused for longest makes room, and costs a
hash."""
TAG_KEY_BYTES = 32


class Accounts:
    """Accounts by name. Locked ones are never let go for want of room: their keys must find them."""

    LOCAL: ClassVar[str] = "a copy of the store's records; ACCOUNTS_MAX accounts and MISSING_MAX names"

    def __init__(self, entries_max: int = ACCOUNTS_MAX) -> None:
        self._entries_max = entries_max
        self._known: OrderedDict[str, Account] = OrderedDict()
        self._locked: dict[str, Account] = {}
        self._missing: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known) + len(self._locked)

    def get(self, name: str) -> Account | None:
        """Account by name; None if memory does not have it."""
        return self._known.get(name) or self._locked.get(name)

    def is_locked(self, name: str) -> bool:
        """Whether no credential of the account counts. A name without a record is that of a key alone, and is not."""
        return name in self._locked

    def is_missing(self, name: str, now: float) -> bool:
        """Whether the store was asked lately and has no such account."""
        until = self._missing.get(name)
        return until is not None and now < until <= now + MISSING_S

    def put(self, account: Account) -> None:
        """Keep an account, unless memory has a newer revision."""
        name = account.name
        self._missing.pop(name, None)
        known = self.get(name)
        if known is not None and known.revision > account.revision:
            return
        self._known.pop(name, None)
        self._locked.pop(name, None)
        if account.locked_at is not None:
            self._locked[name] = account
            return
        self._known[name] = account
        if len(self._known) > self._entries_max:
            self._known.popitem(last=False)

    def put_missing(self, name: str, now: float) -> None:
        """Remember for `MISSING_S` seconds that there is no such account."""
        self._missing[name] = now + MISSING_S
        if len(self._missing) > MISSING_MAX:
            self._missing.popitem(last=False)


class VerifiedPasswords:
    """Tags of passwords that were right, so that each call does not cost a hash. A tag is a MAC under a key of this
    process alone over account, revision and password: from a copy of memory's tags nobody learns a password faster than
    from the key beside them, and a changed record is another tag."""

    LOCAL: ClassVar[str] = "saves time only; VERIFIED_MAX tags under a key of this process"

    def __init__(self, key: bytes = bytes(TAG_KEY_BYTES), entries_max: int = VERIFIED_MAX) -> None:
        self.key = key
        self._entries_max = entries_max
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def holds(self, tag: bytes, now: float, for_s: float) -> bool:
        """`for_s`: how long a tag counts at most; one that ends later was written under a clock that was ahead."""
        until = self._until.get(tag)
        return until is not None and now < until <= now + for_s

    def put(self, tag: bytes, until: float) -> None:
        """Remember the tag of a verified password until a time (seconds since the epoch)."""
        self._until[tag] = until
        self._until.move_to_end(tag)
        if len(self._until) > self._entries_max:
            self._until.popitem(last=False)
