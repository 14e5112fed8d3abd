"""API keys: their creation, their verification, and the principal of a key.

Cost: 4 µs: one regular expression, one HMAC. An invented key costs one HMAC and no store look-up.
"""

from __future__ import annotations

from collections.abc import Mapping

from sallygate.controls.identity.failure import invalid, plan_gone, unavailable
from sallygate.controls.identity.scopes import granted
from sallygate.model.finding import Finding
from sallygate.model.principal import Credential, Principal
from sallygate.model.work import CredentialLoaded, LoadCredential, WorkDone
from sallygate.parsing.http.credentials import parse_api_key
from sallygate.security.key_ring import KeyRing
from sallygate.state.state import State

PRINCIPALS_MAX = 50_000
"""Principals kept as made, each with the very record it was made of: about 15 MB."""


class ApiKeys:
    """Who sends a key."""

    def __init__(self, plan_scopes: Mapping[str, frozenset[str]], ring: KeyRing, state: State) -> None:
        self._plan_scopes = plan_scopes
        self._ring = ring
        self._state = state
        self._principals: dict[str, tuple[Credential, Principal]] = {}

    def admit(self, text: str, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | LoadCredential:
        """Verify an API key at time `now` (seconds since the epoch): a principal, a finding, or the work to load the
        key."""
        key = parse_api_key(text)
        if key is None:
            return invalid("malformed")
        credential = self._state.credentials.get(key.id)
        if credential is None:
            if not self._ring.made(key):
                return invalid("check digits")
            found = self.record(key.id, now, done)
            if not isinstance(found, Credential):
                return found
            credential = found
        if not self._ring.proves(key.whole, credential.digest):
            return invalid("digest", f"key {key.id}")
        return self.principal_of(credential, now)

    def record(self, key_id: str, now: float, done: tuple[WorkDone, ...]) -> Credential | Finding | LoadCredential:
        """The key's record: from memory, from the work done for this request, or to be loaded first."""
        credential = self._state.credentials.get(key_id)
        if credential is not None:
            return credential
        answer = next((one for one in done if isinstance(one, CredentialLoaded) and one.id == key_id), None)
        if answer is not None and answer.failed:
            return unavailable("Keys")
        if answer is None and not self._state.credentials.is_missing(key_id, now):
            return LoadCredential(key_id)
        credential = answer.credential if answer is not None else None
        return invalid("unknown", f"key {key_id}") if credential is None else credential

    def principal_of(self, credential: Credential, now: float) -> Principal | Finding:
        """Whom a key stands for, while it is alive."""
        if not credential.alive(now):
            why = "revoked" if credential.revoked_at is not None else "expired"
            return invalid(why, f"key {credential.id}")
        if self._state.accounts.is_locked(credential.account):
            return invalid("locked", f"key {credential.id}")
        made = self._principals.get(credential.id)
        if made is not None and made[0] is credential:
            return made[1]
        offered = self._plan_scopes.get(credential.plan)
        if offered is None:
            return plan_gone(f"plan {credential.plan} of key {credential.id}")
        principal = Principal(
            f"key:{credential.id}",
            credential.account,
            credential.plan,
            granted(offered, credential.scopes),
            "api_key",
            credential.expires_at,
        )
        if len(self._principals) >= PRINCIPALS_MAX:
            self._principals.clear()
        self._principals[credential.id] = (credential, principal)
        return principal
