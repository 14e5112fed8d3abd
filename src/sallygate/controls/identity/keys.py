"""API keys: how they are made and known, and who sends one.

Cost: 4 µs: one regular expression, one HMAC. An invented key costs one HMAC and no store look-up.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from sallygate.controls.identity.failure import invalid, plan_gone, unavailable
from sallygate.controls.identity.scopes import granted
from sallygate.model.finding import Finding
from sallygate.model.principal import Credential, Principal
from sallygate.model.work import CredentialLoaded, LoadCredential, WorkDone
from sallygate.parsing.tokens import KEY_CHECK_CHARS, KEY_SECRET_CHARS, ApiKeyText, parse_api_key
from sallygate.state.state import State

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
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

    def __init__(self, pepper: bytes, former: Sequence[bytes] = ()) -> None:
        """Keys are made under `pepper`, and known under those before it, too."""
        self._digest = KeptHmac(hmac.digest(pepper, b"sallygate api key digest", "sha256"))
        self._check = KeptHmac(hmac.digest(pepper, b"sallygate api key check", "sha256"))
        self._former = tuple(KeyRing(one) for one in former)
        self.mark = hmac.digest(pepper, b"sallygate pepper id", "sha256").hex()[:16]
        self._name = KeptHmac(hmac.digest(pepper, b"sallygate login name", "sha256"))

    def check_of(self, checked: str) -> str:
        return base62(self._check(checked.encode("ascii"))[:6], KEY_CHECK_CHARS)

    def digest_of(self, whole: str) -> bytes:
        return self._digest(whole.encode("ascii"))

    def made(self, key: ApiKeyText) -> bool:
        """Whether the key's check digits are ours. Only a key this installation made is worth a look into the store."""
        right = hmac.compare_digest(self.check_of(key.checked), key.check)
        return right or any(ring.made(key) for ring in self._former)

    def proves(self, whole: str, digest: bytes) -> bool:
        """Whether `digest` was made of this key."""
        right = hmac.compare_digest(self.digest_of(whole), digest)
        return right or any(ring.proves(whole, digest) for ring in self._former)

    def name_digest(self, name: str) -> str:
        """What failed logins are counted by: people type passwords where the name belongs, and counters are kept."""
        return self._name(name.encode("utf-8", "surrogatepass")).hex()[:24]

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


class ApiKeys:
    """Who sends a key."""

    def __init__(self, plan_scopes: Mapping[str, frozenset[str]], ring: KeyRing, state: State) -> None:
        self._plan_scopes = plan_scopes
        self._ring = ring
        self._state = state
        self._principals: dict[str, tuple[Credential, Principal]] = {}

    def admit(self, text: str, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | LoadCredential:
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
