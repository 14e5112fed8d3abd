"""Operators' acts on accounts: create, lock, set a password. Each is durable, with its audit event, before it returns.

Works on the store alone, so a gate may run or not; a running one takes changes over within 300 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.model.account import NAME_CHARS_MAX, Account, is_account_name
from sallygate.ports import StateStore
from sallygate.security import passwords

PASSWORD_CHARS_MIN = 8
"""NIST SP 800-63B-4, section 3.1.1.2: never fewer; 15 where nothing else proves who it is."""
IMPORTED_BYTES_MAX = 256 << 20
"""What verifying a hash made elsewhere may take, unless the policy's own profile takes more: `at_once` of them are
computed side by side."""
TEXT_CHARS_MAX = 500
"""Of a contact or a note."""


class Accounts:
    """Raises `StoreError` for what the store refuses, `ValueError` for what makes no sense."""

    def __init__(
        self,
        store: StateStore,
        actor: str,
        profile: passwords.Profile = passwords.LOW_MEMORY,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._actor, self._profile, self._now = store, actor, profile, now

    def _put(self, account: Account, act: str, note: str = "") -> Account:
        event = act_of(act, account.name, self._actor, note, self._now())
        return self._store.put_account(account, event, account.revision)

    def create(
        self,
        name: str,
        plan: str,
        scopes: tuple[str, ...] | None = None,
        contact: str = "",
        password: str | None = None,
        imported: str | None = None,
        note: str = "",
    ) -> Account:
        """`imported` is a password's hash as another system made it. Without either no password opens the account."""
        if not is_account_name(name):
            raise ValueError(
                f"an account is named by 1 to {NAME_CHARS_MAX} printable ASCII characters, without a colon, and "
                "without spaces at its ends"
            )
        for text in (contact, note):
            if len(text) > TEXT_CHARS_MAX or not text.isprintable():
                raise ValueError(f"a contact or note is one line of at most {TEXT_CHARS_MAX} characters")
        if (there := self._store.account_like(name)) is not None:
            alike = "" if there.name == name else ", which differs in case alone"
            raise ValueError(f"there is an account {there.name!r}{alike}; `sallygate accounts show` tells of it")
        stored = self._stored(password, imported)
        account = Account(name, plan, scopes, contact.strip(), stored, self._now(), note=note.strip())
        how = "with a password" if password is not None else "with an imported password" if imported else "no password"
        return self._put(account, "account.create", f"plan {plan}, {how}")

    def _stored(self, password: str | None, imported: str | None) -> str:
        if password is not None and imported is not None:
            raise ValueError("give a password or a hash of one, not both")
        if password is not None:
            if len(password) < PASSWORD_CHARS_MIN:
                raise ValueError(f"a password has at least {PASSWORD_CHARS_MIN} characters")
            return passwords.hash(password, self._profile)
        if imported is None:
            return ""
        passwords.check_hash(imported)
        own_bytes = passwords.PROFILES[self._profile].memory_kib << 10
        if passwords.memory_bytes(imported) > max(own_bytes, IMPORTED_BYTES_MAX):
            raise ValueError("verifying this hash takes more memory than the policy's own; set a password instead")
        return imported

    def account(self, name: str) -> Account:
        """By name, or by `account:<name>` as events write it."""
        account = self._store.account(name) or self._store.account(name.removeprefix("account:"))
        if account is None:
            raise ValueError(f"there is no account {name!r}; `sallygate accounts list` shows those there are")
        return account

    def all(self) -> list[Account]:
        """All accounts, oldest first. Raises `StoreError`."""
        return sorted(self._store.accounts(), key=lambda account: account.created_at)

    def lock(self, name: str, why: str = "") -> Account:
        """No credential of the account counts any more: neither its password nor its keys."""
        account = self.account(name)
        if account.locked_at is not None:
            return account
        return self._put(replace(account, locked_at=self._now()), "account.lock", why)

    def unlock(self, name: str) -> Account:
        """Unlock an account; no change if it is not locked. Raises `ValueError` if there is none, or `StoreError`."""
        account = self.account(name)
        if account.locked_at is None:
            return account
        return self._put(replace(account, locked_at=None), "account.unlock")

    def reset(self, name: str, password: str | None = None, imported: str | None = None) -> Account:
        """Another password; without one none opens the account until one is set."""
        account = self.account(name)
        stored = self._stored(password, imported)
        return self._put(replace(account, password=stored), "account.reset", "" if stored else "no password")
