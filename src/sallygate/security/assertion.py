"""Signed assertion of the caller for the API: a JWT (RFC 7519) in `X-Sallygate-Assertion`.

A caller that reaches the API past the gate can forge headers, but not the assertion. The API verifies it with the
public key in `assertion.jwks.json` of the state directory. ES256 (RFC 7518, section 3.4), which every library verifies;
one signature serves a caller for `REUSE_S`, since signing costs 60 µs.
"""

from __future__ import annotations

from collections import OrderedDict

from joserfc import jwt
from msgspec.json import encode

from sallygate.model.decision import HeaderList
from sallygate.model.principal import Principal
from sallygate.security.signing import SigningKeys

ISSUER = "sallygate"
LIFE_S = 120
"""Enough for clocks that differ by a minute."""
REUSE_S = 30
KEPT_MAX = 10_000
"""About 12 MB; callers beyond it are signed for each time."""


class Assertions:
    """Signer of assertions, with a cache of those still valid."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._kept: OrderedDict[str, tuple[Principal, float, HeaderList]] = OrderedDict()

    def follow(self, keys: SigningKeys) -> None:
        """Other keys. What is kept was signed with one that may count no more."""
        if [key.kid for key in keys.all] != [key.kid for key in self._keys.all]:
            self._kept.clear()
        self._keys = keys

    def jwks(self, now: float) -> bytes:
        """The public key set, as `assertion.jwks.json`."""
        return encode(self._keys.jwks(now))

    def headers(self, principal: Principal, now: float, *, signed: bool) -> HeaderList:
        """`X-Sallygate-*` for the API, with the signed assertion where it is wanted; kept for the next request."""
        kept = self._kept.get(principal.id)
        # The identity control hands out one object a caller while nothing about it changes.
        if kept is not None and kept[0] is principal and 0 <= now - kept[1] < REUSE_S:
            return kept[2]
        headers: HeaderList = (
            (b"x-sallygate-account", principal.account.encode()),
            (b"x-sallygate-plan", principal.plan.encode()),
            (b"x-sallygate-scopes", " ".join(sorted(principal.scopes)).encode()),
            (b"x-sallygate-key", principal.id.removeprefix("key:").encode()),
        )
        if signed:
            headers += ((b"x-sallygate-assertion", self.sign(principal, now)),)
        self._kept[principal.id] = (principal, now, headers)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return headers

    def sign(self, principal: Principal, now: float) -> bytes:
        """Signed assertion of a principal, as a JWT that expires `LIFE_S` seconds after `now`."""
        claims = {
            "iss": ISSUER,
            "sub": principal.id,
            "iat": int(now),
            "exp": int(now) + LIFE_S,
            "account": principal.account,
            "plan": principal.plan,
            "scope": " ".join(sorted(principal.scopes)),
        }
        key = self._keys.signing(now)
        header = {"alg": "ES256", "typ": "JWT", "kid": key.kid}
        return jwt.encode(header, claims, key.key, algorithms=["ES256"]).encode("ascii")
