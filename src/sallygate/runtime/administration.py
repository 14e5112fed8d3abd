"""What an operator does to an installation: keys and restrictions. Durable, with the act on record, before it returns.

Works on the store alone, so a gate may run or not; a running one takes changes over within 300 ms.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from msgspec.structs import replace

from sallygate.controls.identity import ALPHABET, KeyRing
from sallygate.model.event import Event, Place
from sallygate.model.principal import Credential
from sallygate.model.restriction import Act, Restriction, ScopeKind
from sallygate.parsing.addresses import parse_address, parse_prefix
from sallygate.parsing.tokens import KEY_ID_CHARS, parse_api_key
from sallygate.policy.units import read_rate
from sallygate.stores.sqlite import SqliteStore

RESTRICTION_S_MAX = 366 * 86400.0
"""A year: every restriction ends, and one that should not is a rule for the policy."""
WIDE_PREFIX = {32: 8, 128: 16}
"""Prefixes shorter than this cover so much that they are asked about twice."""


def act_of(act: str, subject: str, actor: str, note: str, now: float) -> Event:
    """The event of an administrative act."""
    return Event(
        version=1,
        at=now, request_id=secrets.token_hex(16), trace_id="", decision="allow", status=0, method="", path="",
        client_address="", place=Place(""), kind="act", act=act, subject=subject, actor=actor, note=note,
    )  # fmt: skip


class Administration:
    """Raises `StoreError` for what the store refuses, `ValueError` for what makes no sense."""

    def __init__(self, store: SqliteStore, ring: KeyRing, actor: str, now: Callable[[], float] = time.time) -> None:
        self._store, self._ring, self._actor, self._now = store, ring, actor, now

    def _act(self, act: str, subject: str, note: str, now: float) -> Event:
        return act_of(act, subject, self._actor, note, now)

    # keys ----------------------------------------------------------------------------------------------------------

    def create_key(
        self,
        account: str,
        plan: str,
        scopes: tuple[str, ...] | None = None,
        for_s: float | None = None,
        note: str = "",
    ) -> tuple[Credential, str]:
        """The record, and the key's text: the only time it exists outside its owner's hands."""
        if not account or len(account) > 128 or not account.isprintable() or not account.isascii():
            raise ValueError("an account is named by 1 to 128 printable ASCII characters")
        now = self._now()
        credential, text = self._mint(account, plan, scopes, now, None if for_s is None else now + for_s, note)
        act = self._act("key.create", credential.id, f"account {account}, plan {plan}", now)
        self._store.put_credentials([credential], act)
        return credential, text

    def _mint(
        self,
        account: str,
        plan: str,
        scopes: tuple[str, ...] | None,
        now: float,
        until: float | None,
        note: str,
    ) -> tuple[Credential, str]:
        key_id = "".join(secrets.choice(ALPHABET) for _ in range(KEY_ID_CHARS))
        text = self._ring.compose(key_id, secrets.token_bytes(32))
        return Credential(key_id, self._ring.digest_of(text), account, plan, scopes, now, until, note=note,
                          pepper=self._ring.mark), text  # fmt: skip

    def key(self, name: str) -> Credential:
        """By id, or by `key:<id>` as events write it."""
        key_id = name.removeprefix("key:")
        if (whole := parse_api_key(key_id)) is not None:
            key_id = whole.id
        credential = self._store.credential(key_id)
        if credential is None:
            raise ValueError(f"there is no key {key_id!r}; `sallygate keys list` shows those there are")
        return credential

    def all_keys(self) -> list[Credential]:
        return sorted(self._store.credentials(), key=lambda credential: credential.created_at)

    def rotate_key(self, name: str, keep_s: float) -> tuple[Credential, Credential, str]:
        """(the old record, the new one, the new key's text). The old key works for `keep_s` more seconds."""
        old, now = self.key(name), self._now()
        if not old.alive(now):
            raise ValueError(f"key {old.id} is revoked or expired; create a new one")
        lasts = None if old.expires_at is None else old.expires_at
        new, text = self._mint(old.account, old.plan, old.scopes, now, lasts, old.note)
        ends = now + keep_s if old.expires_at is None else min(now + keep_s, old.expires_at)
        old = replace(old, expires_at=ends, replaced_by=new.id)
        act = self._act("key.rotate", old.id, f"replaced by {new.id}, kept for {keep_s:.0f} s", now)
        self._store.put_credentials([old, new], act)
        return old, new, text

    def revoke_key(self, name: str) -> Credential:
        credential, now = self.key(name), self._now()
        if credential.revoked_at is None:
            credential = replace(credential, revoked_at=now)
            self._store.put_credentials([credential], self._act("key.revoke", credential.id, "", now))
        return credential

    # restrictions --------------------------------------------------------------------------------------------------

    def restrict(
        self,
        scope: dict[ScopeKind, str],
        act: Act,
        reason: str,
        for_s: float,
        rate: str = "",
        *,
        wide: bool = False,
    ) -> Restriction:
        if not scope:
            raise ValueError("say what to restrict: an address, a prefix, a key, an account or an operation")
        if not reason.strip():
            raise ValueError("say why: a restriction without a reason cannot be judged by the next person")
        if not 0 < for_s <= RESTRICTION_S_MAX:
            raise ValueError("a restriction lasts up to 366d")
        if act == "throttle":
            read_rate(rate)
        elif rate:
            raise ValueError("a rate belongs to a throttle")
        clean = tuple((kind, self._clean(kind, value, wide)) for kind, value in scope.items())
        now = self._now()
        made = Restriction(secrets.token_hex(4), clean, act, reason.strip(), self._actor, now, now + for_s, rate)
        note = f"{act} {', '.join(f'{kind} {value}' for kind, value in clean)} for {for_s:.0f} s: {reason}"
        return self._store.put_restriction(made, self._act("restriction.add", made.id, note, now))

    def _clean(self, kind: ScopeKind, value: str, wide: bool) -> str:
        if kind == "address":
            address = parse_address(value)
            if address is None:
                raise ValueError(f"{value!r} is not an address; write for example 203.0.113.7 or 2001:db8::1")
            return address.text
        if kind == "prefix":
            try:
                bits, length, _ = parse_prefix(value)
            except ValueError as error:
                raise ValueError(f"not a prefix ({error}); write for example 203.0.113.0/24") from None
            if length < WIDE_PREFIX[bits] and not wide:
                raise ValueError(f"{value} covers a very large part of the internet; confirm with --wide")
            return value.strip()
        return self.key(value).id if kind == "key" else value

    def restrictions(self, *, ended: bool = False) -> list[Restriction]:
        now = self._now()
        return [found for found in self._store.restrictions() if ended or found.active(now)]

    def restriction(self, restriction_id: str) -> Restriction:
        for found in self._store.restrictions():
            if found.id == restriction_id:
                return found
        raise ValueError(f"there is no restriction {restriction_id!r}; `sallygate restrict list` shows those there are")

    def lift(self, restriction_id: str) -> Restriction:
        found, now = self.restriction(restriction_id), self._now()
        if not found.active(now):
            return found
        lifted = replace(found, lifted_at=now, lifted_by=self._actor)
        return self._store.put_restriction(lifted, self._act("restriction.lift", found.id, "", now))
