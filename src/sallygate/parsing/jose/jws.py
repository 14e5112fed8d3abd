"""Reader of signed tokens in the compact serialisation (RFC 7515), with one accepted spelling for each value.

Reads, proves nothing. What two readers could take differently is refused: padding, stray bits, duplicate members,
anything that would change what is signed (`b64`, RFC 7797) or needs understanding (`crit`). Where a token names a key
of its own (`jku`, `x5u`, `x5c`), nobody looks there; one that brings the key itself (`jwk`) is refused, since no honest
one does.
"""

from __future__ import annotations

import base64
import re

from msgspec import Struct

from sallygate.parsing.json_text import JsonError, parse_json

TOKEN_CHARS_MAX = 8192
"""As the largest header line of nginx and Apache. Tokens of identity providers are 500 to 2,500 long."""
HEADER_CHARS_MAX = 2048
"""Headers are 60 to 200 long; with a chain of certificates in them, which nobody reads, longer."""
KID_CHARS_MAX = 256
HEADER_DEPTH_MAX = 4
CLAIMS_DEPTH_MAX = 12
"""Keycloak nests roles three deep."""
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_LAST_OF_TWO = frozenset("AQgw")
_LAST_OF_THREE = frozenset("AEIMQUYcgkosw048")
"""The last characters of a group of two or three whose unused bits are zero (RFC 4648, section 3.5)."""
_REFUSED = ("crit", "b64", "zip", "enc", "jwk")


class JwsError(ValueError):
    """The text is not a token that reads one way. What it says is for the operator and holds nothing of the token."""


class Jws(Struct, frozen=True, gc=False):
    """What a token says of itself, unproven."""

    algorithm: str
    kid: str | None
    type: str
    """`typ` in lower case without `application/` (RFC 7515, section 4.1.9); empty when absent."""
    payload: bytes
    signed: bytes
    """What the signature is over."""
    signature: bytes


def base64url(text: str) -> bytes:
    """The bytes of unpadded base64url (RFC 7515, section 2), of which there is one spelling. Raises `ValueError`."""
    rest = len(text) % 4
    if rest == 1 or not _ALPHABET(text):
        raise ValueError("not base64url")
    if (rest == 2 and text[-1] not in _LAST_OF_TWO) or (rest == 3 and text[-1] not in _LAST_OF_THREE):
        raise ValueError("base64url with stray bits")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_jws(text: str) -> Jws:
    """Raises `JwsError`."""
    if len(text) > TOKEN_CHARS_MAX:
        raise JwsError(f"longer than {TOKEN_CHARS_MAX} characters")
    parts = text.split(".", 5)
    if len(parts) != 3:
        raise JwsError("encrypted" if len(parts) == 5 else "not three parts")
    if len(parts[0]) > HEADER_CHARS_MAX:
        raise JwsError(f"a header longer than {HEADER_CHARS_MAX} characters")
    try:
        header = parse_json(base64url(parts[0]), HEADER_DEPTH_MAX)
        payload = base64url(parts[1]) if parts[1] else b""
        signature = base64url(parts[2])
    except (JsonError, ValueError) as error:
        raise JwsError(str(error)) from None
    if type(header) is not dict:
        raise JwsError("a header that is not an object")
    algorithm, kid, kind, content = (header.get(name) for name in ("alg", "kid", "typ", "cty"))
    for name in _REFUSED:
        if name in header:
            raise JwsError(f"`{name}` in the header")
    if type(algorithm) is not str or not (kid is None or (type(kid) is str and len(kid) <= KID_CHARS_MAX)):
        raise JwsError("`alg` or `kid` of a wrong type")
    if not (kind is None or type(kind) is str) or not (content is None or type(content) is str):
        raise JwsError("`typ` or `cty` of a wrong type")
    if content is not None and media(content) == "jwt":
        raise JwsError("nested")
    signed = text[: len(parts[0]) + 1 + len(parts[1])].encode("ascii")
    return Jws(algorithm, kid, media(kind or ""), payload, signed, signature)


def media(name: str) -> str:
    """A `typ` or `cty` as it is compared."""
    return name.lower().removeprefix("application/")


def read_claims(payload: bytes) -> dict[str, object]:
    """Raises `JwsError`."""
    try:
        claims = parse_json(payload, CLAIMS_DEPTH_MAX)
    except JsonError as error:
        raise JwsError(f"claims: {error.detail}") from None
    if type(claims) is not dict:
        raise JwsError("claims that are not an object")
    return claims
