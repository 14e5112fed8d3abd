"""Formats of own tokens: access tokens (RFC 9068), and opaque refresh tokens that count once.

A refresh token is `sgr_<grant>_<secret><check>`: like an API key, its check digits tell an invented one from one that
was made here, so that only one that was made here and has been used can mean that it was stolen.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Sequence

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from sallygate.security.key_ring import KeptHmac, base62
from sallygate.security.signing import SigningKeys

GRANT_CHARS = 16
SECRET_CHARS = 43
CHECK_CHARS = 8
REFRESH = "sgr_"
_CHECK_AT = len(REFRESH) + GRANT_CHARS + 1 + SECRET_CHARS


class Issued(Struct, frozen=True):
    """Access token with its id and its end."""

    text: str
    jti: str
    expires_at: int


class TokenText:
    """The first of `peppers` keys the check digits and digests of new refresh tokens; old ones may be of the others."""

    def __init__(self, peppers: Sequence[bytes], issuer: str, audience: str) -> None:
        self._keyed = [
            (
                KeptHmac(hmac.digest(pepper, b"sallygate refresh token check", "sha256")),
                KeptHmac(hmac.digest(pepper, b"sallygate refresh token digest", "sha256")),
            )
            for pepper in peppers
        ]
        self.issuer, self.audience = issuer, audience

    # access ----------------------------------------------------------------------------------------------------------

    def access(
        self, keys: SigningKeys, subject: str, client: str, scopes: Collection[str], life_s: float, now: float,
        grant: str = "",
    ) -> Issued:  # fmt: skip
        """Signed access token (RFC 9068, ES256) that lives `life_s` seconds from `now`."""
        key, jti, until = keys.signing(now), secrets.token_urlsafe(16), int(now + life_s)
        claims = {
            "iss": self.issuer, "aud": self.audience, "sub": subject, "client_id": client, "iat": int(now),
            "exp": until, "jti": jti, "scope": " ".join(sorted(scopes)),
        }  # fmt: skip
        if grant:
            claims["grant"] = grant
        header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
        return Issued(jwt.encode(header, claims, key.key, algorithms=["ES256"]), jti, until)

    def read_access(self, text: str, keys: SigningKeys, now: float) -> dict[str, object] | None:
        """The claims of a token of ours that has not expired; None for any other text."""
        token = self.signed(text, keys, now)
        return self.claims_of(token, now) if token is not None else None

    def signed(self, text: str, keys: SigningKeys, now: float) -> jwt.Token | None:
        """What one of our keys has signed, whatever it says."""
        if text.count(".") != 2 or len(text) > 8192:
            return None
        known = KeySet([key.key for key in keys.published(now)])
        try:
            return jwt.decode(text, known, algorithms=["ES256"])
        except (JoseError, ValueError, TypeError, KeyError, UnicodeError, RecursionError):
            return None

    def claims_of(self, token: jwt.Token, now: float) -> dict[str, object] | None:
        """Those of an access token that has not expired."""
        claims = token.claims
        until = claims.get("exp")
        ours = (
            token.header.get("typ") == "at+jwt"
            and claims.get("iss") == self.issuer
            and type(until) is int
            and now < until
            and all(type(claims.get(name)) is str for name in ("sub", "client_id", "jti", "scope"))
        )
        return dict(claims) if ours else None

    # refresh ---------------------------------------------------------------------------------------------------------

    def refresh(self, grant: str) -> str:
        """New refresh token of a grant: opaque, with a secret of 256 bits and check digits."""
        checked = f"{REFRESH}{grant}_{base62(secrets.token_bytes(32), SECRET_CHARS)}"
        return checked + _check_digits(self._keyed[0][0], checked)

    def read_refresh(self, text: str) -> tuple[str, bytes] | None:
        """(grant, digest) of a refresh token that was made here, used or not."""
        if len(text) != _CHECK_AT + CHECK_CHARS or not text.isascii() or not text.startswith(REFRESH):
            return None
        for check, digest in self._keyed:
            if hmac.compare_digest(_check_digits(check, text[:_CHECK_AT]), text[_CHECK_AT:]):
                return text[len(REFRESH) : len(REFRESH) + GRANT_CHARS], digest(text.encode("ascii"))
        return None

    def digest(self, text: str) -> bytes:
        """Of one just made."""
        return self._keyed[0][1](text.encode("ascii"))


def _check_digits(check: KeptHmac, checked: str) -> str:
    return base62(check(checked.encode("ascii"))[:6], CHECK_CHARS)


def new_grant_id() -> str:
    """New random id of a grant, in base 62."""
    return base62(secrets.token_bytes(12), GRANT_CHARS + 1)[-GRANT_CHARS:]
