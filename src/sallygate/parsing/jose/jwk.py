"""Reader of public keys: JSON Web Keys and key sets (RFC 7517, 7518, 8037). The key alone fixes the algorithms it
verifies, never a token.

A set with a secret in it (symmetric or private) is refused whole: who publishes one has lost it, or was replaced. Weak
keys are left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from sallygate.parsing.jose.jws import KID_CHARS_MAX, base64url
from sallygate.parsing.json_text import JsonError, parse_json

KEYS_MAX = 100
"""Providers publish two to ten."""
KEY_SET_BYTES_MAX = 256 * 1024
"""A hundred keys with certificates take 250 KiB."""
RSA_BITS_MIN = 2048
"""NIST SP 800-131A; RFC 7518, section 3.3."""
RSA_BITS_MAX = 8192
"""A verification costs 0.3 ms there, and grows with the square."""
EXPONENT_MAX = 1 << 32
"""Honest ones are 65537; a larger one only makes verifying slow."""

_CURVES: dict[str, tuple[type[EllipticCurve], int, str]] = {
    "P-256": (SECP256R1, 32, "ES256"),
    "P-384": (SECP384R1, 48, "ES384"),
    "P-521": (SECP521R1, 66, "ES512"),
}
EDWARDS = frozenset(("EdDSA", "Ed25519"))
"""Two names of one algorithm: RFC 8037 and RFC 9864."""
RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_SECRET = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")

_ROCA = tuple(
    (prime, frozenset(pow(65537, power, prime) for power in range(prime)))
    for prime in range(11, 168)
    if all(prime % divisor for divisor in range(2, 13) if divisor < prime)
)
"""Primes, and the remainders that the moduli of one broken generator leave (CVE-2017-15361). By chance a modulus leaves
them all less than once in 2¹⁰⁰."""

Public = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey


class JwkError(ValueError):
    """Not a key, or not one that may be used. Says why, for the operator."""


class SecretInside(JwkError):
    """A secret where a public key should be."""


class VerifyingKey(Struct, frozen=True):
    """Public key with its id and the algorithms it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    """It verifies these, and no others."""
    public: Public


class PublishedKeys(Struct, frozen=True):
    """Keys of one published set, and the ids of keys that are too weak to count."""

    keys: tuple[VerifyingKey, ...]
    weak: tuple[str, ...] = ()
    """Why others of the set are not used, for the operator."""


class _NotForUs(Exception):
    """A key for something else than checking signatures, or of a kind unknown here: nothing is wrong with it."""


def read_key_set(data: bytes) -> PublishedKeys:
    """The usable keys of a set. Raises `JwkError` for a set that has none, or must not be used."""
    if len(data) > KEY_SET_BYTES_MAX:
        raise JwkError(f"larger than {KEY_SET_BYTES_MAX >> 10} KiB")
    try:
        tree = parse_json(data)
    except JsonError as error:
        raise JwkError(f"not a key set: {error.detail}") from None
    published = tree.get("keys") if type(tree) is dict else None
    if type(published) is not list:
        raise JwkError("not a key set: there is no list `keys`")
    if len(published) > KEYS_MAX:
        raise JwkError(f"more than {KEYS_MAX} keys")
    return key_set(published)


def key_set(published: Iterable[object]) -> PublishedKeys:
    """As `read_key_set`, from the set's entries."""
    keys: list[VerifyingKey] = []
    weak: list[str] = []
    for number, jwk in enumerate(published, 1):
        try:
            keys.append(_read(jwk))
        except _NotForUs:
            continue
        except SecretInside:
            raise
        except JwkError as error:
            kid = jwk.get("kid") if isinstance(jwk, dict) else None
            named = f" ({kid})" if isinstance(kid, str) and kid.isprintable() and len(kid) <= 64 else ""
            weak.append(f"key {number}{named}: {error}")
    keys, doubtful = _each_once(keys)
    weak += [f"two keys have the same `kid` ({kid[:64]}); neither is used" for kid in doubtful if kid.isprintable()]
    if not keys:
        raise JwkError("; ".join(weak) or "no key in it verifies signatures")
    return PublishedKeys(tuple(keys), tuple(weak))


def _each_once(keys: list[VerifyingKey]) -> tuple[list[VerifyingKey], list[str]]:
    """Keys without those that stand twice, or whose name another key has for the same algorithm; and those names."""
    kept: dict[tuple[str | None, frozenset[str], bytes], VerifyingKey] = {}
    for key in keys:
        kept.setdefault((key.kid, key.algorithms, _octets(key.public)), key)
    used: dict[tuple[str | None, str], int] = {}
    for kid, algorithms, _ in kept:
        for algorithm in algorithms if kid is not None else ():
            used[kid, algorithm] = used.get((kid, algorithm), 0) + 1
    doubtful = {kid for (kid, _), count in used.items() if count > 1 and kid is not None}
    return [key for key in kept.values() if key.kid not in doubtful], sorted(doubtful)


def _octets(public: Public) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_key(jwk: object) -> VerifyingKey:
    """One key. Raises `JwkError`."""
    try:
        return _read(jwk)
    except _NotForUs as error:
        raise JwkError(str(error)) from None


def _read(jwk: object) -> VerifyingKey:
    if not isinstance(jwk, Mapping):
        raise JwkError("not an object")
    kind = jwk.get("kty")
    if kind == "oct" or any(name in jwk for name in _SECRET):
        raise SecretInside("holds a secret key: publish public keys alone, and make new ones")
    operations = jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig" or (
        operations is not None and not (isinstance(operations, list) and "verify" in operations)
    ):
        raise _NotForUs("for other use than verifying")
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= KID_CHARS_MAX):
        raise JwkError("`kid` is not a text of at most 256 characters")
    try:
        public, algorithms = _public(jwk, kind)
    except (ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, JwkError):
            raise
        raise JwkError("is malformed or not a point of its curve") from None
    if (named := jwk.get("alg")) is not None:
        algorithms = algorithms if named in EDWARDS and algorithms == EDWARDS else algorithms & {str(named)}
        if not algorithms:
            raise JwkError("`alg` does not belong to its kind of key")
    return VerifyingKey(kid, algorithms, public)


def _public(jwk: Mapping[str, object], kind: object) -> tuple[Public, frozenset[str]]:
    if kind == "EC":
        found = _CURVES.get(str(jwk.get("crv")))
        if found is None:
            raise _NotForUs("of a curve that is not used")
        curve, size, algorithm = found
        x, y = _bytes(jwk, "x"), _bytes(jwk, "y")
        if len(x) != size or len(y) != size:  # RFC 7518, section 6.2.1.2
            raise JwkError("has a coordinate of a wrong length")
        numbers = EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve())
        return numbers.public_key(), frozenset((algorithm,))
    if kind == "OKP":
        if jwk.get("crv") != "Ed25519":
            raise _NotForUs("of a curve that is not used")
        return Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x")), EDWARDS
    if kind == "RSA":
        modulus, exponent = int.from_bytes(_bytes(jwk, "n"), "big"), int.from_bytes(_bytes(jwk, "e"), "big")
        if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX:
            bits = modulus.bit_length()
            raise JwkError(f"RSA of {bits} bits; between {RSA_BITS_MIN} and {RSA_BITS_MAX} are used")
        if exponent < 3 or not exponent & 1 or exponent > EXPONENT_MAX:
            raise JwkError("has a public exponent that is not used")
        if not modulus & 1 or all(modulus % prime in remainders for prime, remainders in _ROCA):
            raise JwkError("was made by a broken generator (CVE-2017-15361)")
        return RSAPublicNumbers(exponent, modulus).public_key(), RSA
    raise _NotForUs("of a kind that is not used")


def _bytes(jwk: Mapping[str, object], name: str) -> bytes:
    value = jwk.get(name)
    if type(value) is not str or not value:
        raise JwkError(f"has no `{name}`")
    return base64url(value)
