"""The signed statement of who is calling that travels to the API: a JWT (RFC 7519) in `X-Sallygate-Assertion`.

Headers can be forged by whoever reaches the API past the gate; this cannot. The API verifies it with the public key
in `assertion.jwks.json` of the state directory. ES256 (RFC 7518, section 3.4), which every library
verifies; one signature serves a caller for `REUSE_S`, since signing costs 60 µs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec.json import encode

from sallygate.model.principal import Principal

ISSUER = "sallygate"
LIFE_S = 120
"""Enough for clocks that differ by a minute."""
REUSE_S = 30
CACHED_MAX = 10_000
"""About 6 MB; callers beyond it are signed for each time."""


class Assertions:
    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key = ECKey.import_key(key)
        self._key_id = str(self._key.thumbprint())
        self._cached: OrderedDict[str, tuple[Principal, float, bytes]] = OrderedDict()

    def jwks(self) -> bytes:
        """The public key set, as `assertion.jwks.json`."""
        public: dict[str, Any] = dict(self._key.as_dict(private=False))
        return encode({"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": "ES256"}]})

    def of(self, principal: Principal, now: float) -> bytes:
        cached = self._cached.get(principal.id)
        # The identity control hands out one object a caller while nothing about it changes.
        if cached is not None and cached[0] is principal and 0 <= now - cached[1] < REUSE_S:
            return cached[2]
        claims = {
            "iss": ISSUER,
            "sub": principal.id,
            "iat": int(now),
            "exp": int(now) + LIFE_S,
            "account": principal.account,
            "plan": principal.plan,
            "scope": " ".join(sorted(principal.scopes)),
        }
        header = {"alg": "ES256", "typ": "JWT", "kid": self._key_id}
        token = jwt.encode(header, claims, self._key, algorithms=["ES256"]).encode("ascii")
        self._cached[principal.id] = (principal, now, token)
        if len(self._cached) > CACHED_MAX:
            self._cached.popitem(last=False)
        return token
