"""Operators' acts on secrets: list, rotate, retire. The audit event in the database is also what makes a running gate
load the change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.model.event import Event
from sallygate.model.principal import Credential
from sallygate.ports import StateStore
from sallygate.security.signing import AHEAD_S, SigningKeys
from sallygate.security.state_directory import Installation, pepper_mark

Name = Literal["pepper", "signing", "assertion"]
SHOWN = 5


class Secret(Struct, frozen=True):
    """Record of one secret: its name, public mark, time (seconds since the epoch) and state."""

    name: Name
    id: str
    """Public mark of the secret, which does not reveal it."""
    made_at: float
    """0 where it is not known."""
    state: str


class Secrets:
    """Raises `StoreError` for what cannot be read or written, `ValueError` for what makes no sense."""

    def __init__(
        self, installation: Installation, store: StateStore, actor: str, now: Callable[[], float] = time.time
    ) -> None:
        self._installation, self._store, self._actor, self._now = installation, store, actor, now

    def all(self) -> list[Secret]:
        """Records of all secrets, without the secrets. Raises `StoreError`."""
        found = [
            Secret("pepper", pepper_mark(pepper).decode(), 0.0, "former, still counts" if number else "present")
            for number, pepper in enumerate(self._installation.peppers())
        ]
        names: tuple[Literal["signing", "assertion"], ...] = ("signing", "assertion")
        for name in names:
            made = self._installation.signing_keys(name, make=False)  # listing creates none
            if not made:
                continue
            keys = SigningKeys(made)
            signing, counting = keys.signing(self._now()), keys.published(self._now())
            for key in keys.all:
                state = "signs" if key is signing else "counts" if key in counting else "over"
                if key.made_at > signing.made_at:
                    state = "published, signs soon"
                found.append(Secret(name, key.kid, key.made_at, state))
        return found

    def rotate(self, name: Name, *, at_once: bool = False) -> str:
        """Create a new secret; with `at_once` the old one stops counting. Returns a message. Raises `ValueError` or
        `StoreError`."""
        now = self._now()
        if name == "pepper":
            if at_once:
                raise ValueError(
                    "a pepper has no --now; `sallygate secrets retire pepper --revoke` ends the keys under it"
                )
            # In the act's transaction: of two at once the second would lose the first one's pepper, and its keys.
            self._store.put_act(self._act("secret.rotate", name, ""), self._installation.rotate_pepper)
            return "there is a new pepper; keys made before count until `sallygate secrets retire pepper`"
        # Made after the act is on record, a key would sign before anybody can read why.
        self._record("secret.rotate", name, "at once" if at_once else "")

        def follow() -> None:
            # After all there are, also after one that was made while the clock was ahead.
            newest = max(made_at for made_at, _ in self._installation.signing_keys(name))
            made_at = max(float(int(now)), newest + 1)
            self._installation.add_signing_key(name, made_at)
            if at_once:
                self._installation.drop_signing_keys(name, made_at)

        self._store.put_act(self._act("secret.rotated", name, ""), follow)
        if at_once:
            return "there is a new key; what was signed with the former ones counts no more"
        return (
            f"there is a new key; it signs in {AHEAD_S / 60:.0f} minutes, and the former one counts while it is needed"
        )

    def retire(self, name: Name, *, revoke: bool = False) -> str:
        """Remove former secrets; with `revoke` also the keys under former peppers. Returns a message. Raises
        `ValueError` or `StoreError`."""
        if name != "pepper":
            keys = SigningKeys(self._installation.signing_keys(name))
            first = keys.published(self._now())[0].made_at
            gone = self._installation.drop_signing_keys(name, first)
            self._record("secret.retire", name, f"{gone} keys")
            return f"{gone} keys that no longer counted are removed"
        under = self._under_former()
        if under and not revoke:
            shown = ", ".join(f"{one.id} of {one.account}" for one in under[:SHOWN])
            raise ValueError(
                f"{len(under)} keys made under a former pepper still work: {shown}; rotate them, or say --revoke"
            )
        if under:
            now = self._now()
            act = act_of("key.revoke", f"{len(under)} keys", self._actor, "made under a former pepper", now)
            self._store.put_credentials([replace(one, revoked_at=now) for one in under], act)
        gone = self._installation.retire_peppers()
        self._record("secret.retire", name, f"{gone} former")
        return f"{gone} former peppers are retired; sign-ins under them have ended"

    def _under_former(self) -> list[Credential]:
        """Keys that work and were made under a former pepper, or before there were marks."""
        peppers = self._installation.peppers()
        if len(peppers) == 1:
            return []
        present, now = pepper_mark(peppers[0]).decode(), self._now()
        return [one for one in self._store.credentials() if one.alive(now) and one.pepper != present]

    def _record(self, act: str, subject: str, note: str) -> None:
        self._store.put_act(self._act(act, subject, note))

    def _act(self, act: str, subject: str, note: str) -> Event:
        return act_of(act, subject, self._actor, note, self._now())
