"""Operators' acts on API keys: create, rotate, revoke. Each is durable, with its audit event, before it returns.

Works on the store alone, so a gate may run or not; a running one takes changes over within 300 ms.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from msgspec.structs import replace

from sallygate.admin.restrictions import Restricting
from sallygate.model.principal import Credential
from sallygate.parsing.http.credentials import KEY_ID_CHARS, parse_api_key
from sallygate.ports import StateStore
from sallygate.security.key_ring import ALPHABET, KeyRing


class Administration(Restricting):
    """Raises `StoreError` for what the store refuses, `ValueError` for what makes no sense."""

    def __init__(self, store: StateStore, ring: KeyRing, actor: str, now: Callable[[], float] = time.time) -> None:
        super().__init__(store, actor, now)
        self._ring = ring

    def _key_id(self, name: str) -> str:
        return self.key(name).id

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
        """Records of all keys, oldest first. Raises `StoreError`."""
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
        """Revoke a key; no change if it is revoked. Raises `ValueError` if there is none, or `StoreError`."""
        credential, now = self.key(name), self._now()
        if credential.revoked_at is None:
            credential = replace(credential, revoked_at=now)
            self._store.put_credentials([credential], self._act("key.revoke", credential.id, "", now))
        return credential
