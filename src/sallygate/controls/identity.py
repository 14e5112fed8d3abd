"""Who is calling: API keys, their plan and their scopes.

Threat: invented, guessed, stolen, expired and over-powerful credentials (OWASP API2, API5).
Evidence: `identity.missing`, `identity.invalid` (the client is told no more; `rule` says which check failed to the
operator), `identity.ambiguous`, `identity.scope`, `identity.plan`.
Known bypasses: a stolen key is a good key until it is revoked, or its new location is noticed.
Cost: 4 µs: one regular expression, one HMAC. An invented key costs one HMAC and no store look-up.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Credential, Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import CredentialLoaded, LoadCredential
from sallygate.parsing.tokens import (
    KEY_CHECK_CHARS,
    KEY_SECRET_CHARS,
    ApiKeyText,
    parse_api_key,
    parse_authorization,
)
from sallygate.policy.schema import Identity, Plan
from sallygate.state import State

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALL_SCOPES = "*"
PRINCIPALS_MAX = 50_000
"""Principals kept as made, each with the very record it was made of: about 15 MB."""


class KeptHmac:
    """HMAC-SHA-256 (RFC 2104) under one key, whose two first blocks are hashed once.

    `hmac.digest` looks its algorithm up in OpenSSL's tables each time: 14 µs amid other work, where this takes 1."""

    def __init__(self, key: bytes) -> None:
        """`key` is of 32 bytes: never longer than a block."""
        block = key.ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class KeyRing:
    """What keys are made and known by: two secrets derived from the installation's pepper (RFC 2104, HMAC-SHA-256)."""

    def __init__(self, pepper: bytes) -> None:
        self._digest = KeptHmac(hmac.digest(pepper, b"sallygate api key digest", "sha256"))
        self._check = KeptHmac(hmac.digest(pepper, b"sallygate api key check", "sha256"))

    def check_of(self, checked: str) -> str:
        return base62(self._check(checked.encode("ascii"))[:6], KEY_CHECK_CHARS)

    def digest_of(self, whole: str) -> bytes:
        return self._digest(whole.encode("ascii"))

    def compose(self, key_id: str, secret: bytes) -> str:
        """The key's text from an id and 32 bytes of chance."""
        checked = f"sg_{key_id}_{base62(secret, KEY_SECRET_CHARS)}"
        return checked + self.check_of(checked)


def base62(data: bytes, chars: int) -> str:
    number, text = int.from_bytes(data, "big"), ""
    for _ in range(chars):
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return text


class IdentityControl:
    def __init__(self, section: Identity, plans: dict[str, Plan], ring: KeyRing, state: State) -> None:
        self._header = section.api_keys.header.lower()
        self._schemes = {name for name in ("bearer", "basic") if getattr(section.api_keys, name)}
        self._public = frozenset(section.public)
        self._plan_scopes = {name: frozenset(plan.scopes) for name, plan in plans.items()}
        self._ring = ring
        self._state = state
        self._principals: dict[str, tuple[Credential, Principal]] = {}
        schemes = [scheme.capitalize() for scheme in sorted(self._schemes)] or ["ApiKey"]
        self.challenge = ", ".join(f'{scheme} realm="api"' for scheme in schemes).encode()
        self.credential_headers = {self._header.encode()} | ({b"authorization"} if self._schemes else set())
        """What must not travel on to the API."""

    def needs_identity(self, operation: Operation | None) -> bool:
        if operation is None or operation.security is None:
            return operation is None or operation.id not in self._public
        optional = not operation.security or any(not alternative for alternative in operation.security)
        return not optional and operation.id not in self._public

    def admit(
        self, head: RequestHead, operation: Operation | None, now: float, loaded: tuple[CredentialLoaded, ...]
    ) -> Principal | Finding | LoadCredential | None:
        """The principal; a finding; the record to load first; or None for a caller who need not say who it is."""
        sent = head.fields.get(self._header)
        if self._schemes and "authorization" in head.fields:
            authorization = parse_authorization(head.fields["authorization"])
            if authorization is None or authorization[0] not in self._schemes:
                return self._invalid("authorization is malformed or of a scheme that is not accepted")
            if sent is not None and sent != authorization[1]:
                return Finding("identity.ambiguous", "Two different credentials were sent.", 400, owasp="API2")
            sent = authorization[1]
        if sent is None:
            if not self.needs_identity(operation):
                return None
            return Finding("identity.missing", "This operation needs an API key.", 401, owasp="API2")
        key = parse_api_key(sent)
        if key is None:
            return self._invalid("malformed")
        return self._with_record(key, now, loaded)

    def _with_record(
        self, key: ApiKeyText, now: float, loaded: tuple[CredentialLoaded, ...]
    ) -> Principal | Finding | LoadCredential:
        credential = self._state.credentials.get(key.id)
        if credential is None:
            # Only a key this installation made is worth a look into the store.
            if not hmac.compare_digest(self._ring.check_of(key.checked), key.check):
                return self._invalid("check digits")
            answer = next((done for done in loaded if done.id == key.id), None)
            if answer is not None and answer.failed:
                return Finding("identity.unavailable", "Keys cannot be checked at present.", 503, owasp="API2")
            if answer is None and not self._state.credentials.is_missing(key.id, now):
                return LoadCredential(key.id)
            credential = answer.credential if answer is not None else None
        if credential is None:
            return self._invalid("unknown", key.id)
        if not hmac.compare_digest(self._ring.digest_of(key.whole), credential.digest):
            return self._invalid("digest", key.id)
        if not credential.alive(now):
            return self._invalid("revoked" if credential.revoked_at is not None else "expired", key.id)
        return self._principal_of(credential)

    def _principal_of(self, credential: Credential) -> Principal | Finding:
        made = self._principals.get(credential.id)
        if made is not None and made[0] is credential:
            return made[1]
        scopes = self._plan_scopes.get(credential.plan)
        if scopes is None:
            return Finding("identity.plan", "This key's plan is no longer offered.", 403,
                           evidence=f"plan {credential.plan} of key {credential.id}", owasp="API5")  # fmt: skip
        if credential.scopes is not None:
            own = frozenset(credential.scopes)
            scopes = own if ALL_SCOPES in scopes else scopes & own
        principal = Principal(
            f"key:{credential.id}",
            credential.account,
            credential.plan,
            scopes,
            "api_key",
            credential.expires_at,
        )
        if len(self._principals) >= PRINCIPALS_MAX:
            self._principals.clear()
        self._principals[credential.id] = (credential, principal)
        return principal

    def authorise(self, principal: Principal, operation: Operation | None) -> Finding | None:
        """Whether the principal's scopes allow the operation. Asked after limits, so that probing is paid for."""
        if operation is None or not operation.security or ALL_SCOPES in principal.scopes:
            return None
        wanted: list[str] = []
        for alternative in operation.security:
            wanted = [scope for scopes in alternative.values() for scope in scopes if scope not in principal.scopes]
            if not wanted:
                return None
        return Finding("identity.scope", f"This key does not have the scope {', '.join(wanted)}.", 403,
                       rule=wanted[0], evidence=principal.id, owasp="API5")  # fmt: skip

    def _invalid(self, why: str, key_id: str = "") -> Finding:
        evidence = f"key {key_id}" if key_id else ""
        return Finding("identity.invalid", "The credential is not valid.", 401, rule=why, evidence=evidence,
                       owasp="API2", attack="T1110")  # fmt: skip
