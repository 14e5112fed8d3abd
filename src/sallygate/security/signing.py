"""Signing keys of own tokens (ES256, RFC 7518, section 3.4), and their rotation.

Which key signs is a matter of time alone: a new one is published at once and signs `AHEAD_S` later, when all who keep
the key set have it; the one before stays published until the last token it signed has expired. So any process that
reads the same files signs and publishes alike, and a rotation is one more file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from joserfc.jwk import ECKey

AHEAD_S = 600.0
"""Key sets are kept for this long at most by those who verify (`Cache-Control` of ours says 5 minutes)."""
LASTS_S = 3600.0 + 120.0
"""The longest life of a token, and clocks that differ."""


class SigningKey:
    """Private key (ES256) with its id and its times, in seconds since the epoch."""

    def __init__(self, key: EllipticCurvePrivateKey, made_at: float) -> None:
        self.key = ECKey.import_key(key)
        self.kid = str(self.key.thumbprint())
        self.made_at = made_at

    def public(self) -> dict[str, Any]:
        """As a JWK (RFC 7517)."""
        return {**dict(self.key.as_dict(private=False)), "kid": self.kid, "use": "sig", "alg": "ES256"}


class SigningKeys:
    """Keys of one purpose, newest first: which one signs, and which ones are published."""

    def __init__(self, keys: Sequence[tuple[float, EllipticCurvePrivateKey]]) -> None:
        """`keys` with the time each was made at; at least one."""
        self.all = [SigningKey(key, made_at) for made_at, key in sorted(keys, key=lambda pair: pair[0])]

    def signing(self, now: float) -> SigningKey:
        """The newest that all know."""
        known = [key for key in self.all if key.made_at + AHEAD_S <= now]
        return known[-1] if known else self.all[0]

    def published(self, now: float) -> list[SigningKey]:
        """Those whose signatures count."""
        followed = zip(self.all, [*self.all[1:], None], strict=True)
        return [key for key, after in followed if after is None or now < after.made_at + AHEAD_S + LASTS_S]

    def jwks(self, now: float) -> dict[str, object]:
        """JSON Web Key Set of the keys published at time `now`."""
        return {"keys": [key.public() for key in self.published(now)]}
