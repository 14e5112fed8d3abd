"""Wycheproof's vectors of JSON Web Signatures, Keys and Encryption against the verification core, every one of them counted.

Supported are ES256/384/512, EdDSA and RS/PS256/384/512: what others can sign and this gate can only check. Of the valid vectors the
rest is refused on purpose, and counted by reason:

- `shared secret`: HS256/384/512. Whoever can check such a token can make one.
- `the key says another algorithm`: four of RFC 7520's examples, whose keys carry an `alg` that is none (ES521) or is not the
  token's (PS256 for a token of PS384). RFC 7517, section 4.4, has such a key used for nothing else.
- `encrypted`: a JWE proves no sender; for identity none is accepted.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sallygate.controls.identity.signatures import is_signed_by
from sallygate.parsing.jose.jwk import JwkError, key_set, read_key
from sallygate.parsing.jose.jws import JwsError, read_jws
from sallygate.state.key_sets import KeySet
from support import DATA
from tokens import CURVES, Key, token
from tokens import key_set as published

VECTORS = DATA / "jwt"
ALGORITHMS = (*CURVES, "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def accepts(keys: Any, text: Any) -> bool:
    """As the tokens control does with the keys of an issuer and a token, its claims apart."""
    if not isinstance(text, str):
        return False  # the JSON serialisations are no bearer tokens
    try:
        found = KeySet(key_set(keys["keys"]).keys if "keys" in keys else (read_key(keys),))
        made = read_jws(text)
    except (JwkError, JwsError):
        return False
    key = found.find(made.kid, made.algorithm)
    return key is not None and is_signed_by(key, made)


def vectors(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    file = VECTORS / f"json_web_{name}_test.json"
    if not file.exists():
        pytest.skip(f"the vectors are not here: {file.name}")
    groups = json.loads(file.read_text())["testGroups"]
    return [(group.get("public") or group.get("private"), test) for group in groups for test in group["tests"]]


def why_refused(keys: dict[str, Any], test: dict[str, Any]) -> str:
    entries = keys.get("keys", [keys])
    if "jwe" in test:
        return "encrypted"
    if any(key.get("kty") == "oct" for key in entries):
        return "shared secret"
    if {key.get("alg") for key in entries} <= {"ES521", "PS256"}:
        return "the key says another algorithm"
    return "no reason"


def counted(name: str) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for keys, test in vectors(name):
        accepted = accepts(keys, test.get("jws", test.get("jwe")))
        outcome = "accepted" if accepted else "refused"
        if test["result"] == "valid" and not accepted:
            outcome = f"refused: {why_refused(keys, test)}"
        counts[test["result"], outcome] += 1
    return counts


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("signature", {("valid", "accepted"): 32, ("valid", "refused: shared secret"): 10,
                       ("valid", "refused: the key says another algorithm"): 4, ("invalid", "refused"): 355}),
        ("key", {("valid", "accepted"): 1, ("valid", "refused: shared secret"): 4, ("invalid", "refused"): 21}),
        ("encryption", {("valid", "refused: encrypted"): 65, ("invalid", "refused"): 74}),
        ("crypto", {("valid", "accepted"): 2, ("valid", "refused: shared secret"): 2, ("valid", "refused: encrypted"): 2,
                    ("invalid", "refused"): 77}),
    ],
)  # fmt: skip
def test_every_vector_is_judged_as_it_should_be(name: str, table: dict[tuple[str, str], int]) -> None:
    assert dict(counted(name)) == table


# Where the vectors are not: the same mistakes, made here. ------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_own_vectors(algorithm: str) -> None:
    key = Key(algorithm, f"key-{algorithm}")
    text = token(b"foo", key)
    assert accepts(key.jwk(), text)
    assert accepts({"keys": [key.jwk(), Key("ES256", "another").jwk()]}, text)
    head, payload, signature = text.split(".")
    changed = [
        f"{head}.{payload}.", f"{head}.{payload}", f"{head}..{signature}", f".{payload}.{signature}", f"{head}.{payload}.{signature}.",
        f"{head}.WG9v.{signature}", f"{head}.{payload}.{signature[:-4]}", f"{head}.{payload}.{signature}AAAA",
        f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}", f"{head}.{payload}=.{signature}",
        token(b"foo", key, {"alg": "none"}), token(b"foo", key, {"alg": "HS256"}), token(b"foo", key, {"kid": "key-other"}),
        token(b"foo", key, signature=bytes(len(signature) * 3 // 4)),
        token(b"foo", Key(algorithm, key.kid, "another")), {"payload": payload, "protected": head, "signature": signature},
    ]  # fmt: skip
    assert [text for text in changed if accepts(key.jwk(), text)] == []
    keys = [
        key.jwk(use="enc"),
        key.jwk(key_ops=["encrypt"]),
        key.jwk(alg="ES224"),
        key.jwk(kty="oct"),
        key.jwk(k="AAAA"),
        key.jwk(d="AAAA"),
    ]
    assert [jwk for jwk in keys if accepts(jwk, text)] == []
    assert accepts({"keys": [key.jwk(), key.jwk()]}, text), "one key that stands twice is one key"
    assert not accepts({"keys": [key.jwk(), Key(algorithm, key.kid, "another").jwk()]}, text), "two keys of one name"


def test_what_another_algorithm_of_the_same_key_signed_is_refused() -> None:
    for one, other in (("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("PS384", "PS256")):
        text = token(b"foo", Key(other, "k", "rsa"))
        assert not accepts(Key(one, "k", "rsa").jwk(), text)
    assert json.loads(published(Key()))["keys"]


def test_a_key_of_the_broken_generator_is_told() -> None:
    """CVE-2017-15361: moduli that are a power of 65537 modulo each of the small primes."""
    primorial = 1
    for prime in (2, 3, 5, *range(7, 168)):
        if all(prime % divisor for divisor in range(2, prime)):
            primorial *= prime
    multiple = (1 << 2047) // primorial + 1
    modulus = multiple * primorial + pow(65537, 12345, primorial)
    from tokens import number

    jwk = {"kty": "RSA", "n": number(modulus), "e": "AQAB", "kid": "k"}
    with pytest.raises(JwkError, match="broken generator"):
        read_key(jwk)
    assert read_key({**jwk, "n": Key("RS256").jwk()["n"]})
