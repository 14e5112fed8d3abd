"""Key sets of issuers and revocations of tokens, for the identity control. Part of `state`.

Key sets are replaced as a whole, so that a cache of verified tokens can see a change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from math import inf
from typing import ClassVar

from sallygate.parsing.jose.jwk import VerifyingKey

REFETCH_S = 10.0
"""Least seconds between two requests to an issuer for unknown keys, for any number of tokens."""
MISSING_S = 60.0
"""A key that an issuer did not have just now is not asked for again by its name for so long."""
MISSING_MAX = 1000
"""Names of such keys. Further ones push out the oldest: what they can cause is bounded by `REFETCH_S` all the same."""
REVOKED_MAX = 100_000
"""About 20 MB. At an hour's life of tokens: 27 revocations a second."""


class KeySet:
    """The keys of one issuer at one time. Compared by identity."""

    __slots__ = ("_by_kid", "_only", "fetched_at", "good_until", "keys")

    def __init__(self, keys: Iterable[VerifyingKey], fetched_at: float = 0.0, good_until: float = inf) -> None:
        self.keys = tuple(keys)
        self.fetched_at = fetched_at
        self.good_until = good_until
        """Without being renewed they do not count for longer."""
        self._by_kid: dict[tuple[str, str], VerifyingKey] = {}
        only: dict[str, list[VerifyingKey]] = {}
        for key in self.keys:
            for algorithm in key.algorithms:
                only.setdefault(algorithm, []).append(key)
                if key.kid is not None:
                    self._by_kid[key.kid, algorithm] = key
        self._only = {algorithm: keys[0] for algorithm, keys in only.items() if len(keys) == 1}

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key a token means; for a token that names none, the only one of its algorithm."""
        return self._only.get(algorithm) if kid is None else self._by_kid.get((kid, algorithm))


class KeySets:
    """Key sets by issuer, and when each may be asked again."""

    LOCAL: ClassVar[str] = "fetched by each process; the policy's issuers, MISSING_MAX names of missing keys"

    def __init__(self) -> None:
        self._sets: dict[str, KeySet] = {}
        self._again_at: dict[str, float] = {}
        self._failing: set[str] = set()
        self._missing: OrderedDict[tuple[str, str], float] = OrderedDict()

    def get(self, issuer: str) -> KeySet | None:
        """Key set of an issuer; None if there is none."""
        return self._sets.get(issuer)

    def put(self, issuer: str, keys: KeySet) -> None:
        """Replace the key set of an issuer."""
        self._sets[issuer] = keys

    def drop(self, issuer: str) -> None:
        """Forget an issuer: it is trusted no more, or its keys come from elsewhere now."""
        self._sets.pop(issuer, None)
        self._again_at.pop(issuer, None)
        self._failing.discard(issuer)

    def asked(self, issuer: str, now: float, *, failed: bool) -> None:
        """Record a request to an issuer for its keys, and whether it failed."""
        self._again_at[issuer] = now + REFETCH_S
        if failed:
            self._failing.add(issuer)
        else:
            self._failing.discard(issuer)

    def put_missing(self, issuer: str, kid: str, now: float) -> None:
        """Remember for `MISSING_S` seconds that an issuer has no such key."""
        self._missing[issuer, kid] = now + MISSING_S
        if len(self._missing) > MISSING_MAX:
            self._missing.popitem(last=False)

    def is_worth_asking(self, issuer: str, kid: str | None, now: float) -> bool:
        """Whether a request to the issuer may find the key, by earlier requests and their times."""
        again_at = self._again_at.get(issuer, 0.0)
        if now < again_at <= now + REFETCH_S:
            return False
        missing_until = self._missing.get((issuer, kid or ""), 0.0)
        return not now < missing_until <= now + MISSING_S

    def may_have_changed(self, issuer: str, now: float) -> bool:
        """Whether a request to the issuer may find other keys than those known. Files are watched instead."""
        keys = self._sets.get(issuer)
        fetched_at = keys.fetched_at if keys is not None else 0.0
        return 0.0 < fetched_at <= now - REFETCH_S and self.is_worth_asking(issuer, None, now)

    def is_failing(self, issuer: str) -> bool:
        """Whether it could not be asked the last time: what it would say now is not known."""
        return issuer in self._failing


class Revocations:
    """Tokens that count no more: by issuer and their own id (`jti`), or that of the family they are of (`grant`)."""

    LOCAL: ClassVar[str] = "a copy of the store's records; REVOKED_MAX tokens"

    def __init__(self, entries_max: int = REVOKED_MAX) -> None:
        self._entries_max = entries_max
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lost_before = self._lost_until = 0.0

    def __len__(self) -> int:
        return len(self._until)

    def put(self, issuer: str, token_id: str, until: float, now: float) -> None:
        """Revoked until `until`, when every token of that id has expired by itself."""
        self._until[issuer, token_id] = max(until, self._until.get((issuer, token_id), 0.0))
        if len(self._until) <= self._entries_max:
            return
        for key in [key for key, ends in self._until.items() if ends <= now]:
            del self._until[key]
        if len(self._until) > self._entries_max:
            # What does not fit must not count again: every token issued until now is refused in its place.
            _, ends = self._until.popitem(last=False)
            self._lost_before, self._lost_until = now, max(self._lost_until, ends)

    def covers(self, issuer: str, token_ids: Iterable[str], issued_at: float, now: float) -> bool:
        """Whether a token is revoked at time `now`, by its ids and its time of issue (seconds since the epoch)."""
        if now < self._lost_until and issued_at <= self._lost_before:
            return True
        until = self._until
        return bool(until) and any(now < until.get((issuer, token_id), 0.0) for token_id in token_ids)
