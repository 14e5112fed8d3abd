"""Signatures by themselves: one algorithm, one length, one key."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sallygate.controls.identity.signatures import is_signed_by
from sallygate.parsing.jose.jwk import read_key
from sallygate.parsing.jose.jws import read_jws
from tokens import Key, token


@pytest.mark.parametrize(
    ("mine", "other"), [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("PS512", "PS256")]
)
def test_a_key_verifies_its_own_algorithm_alone(mine: str, other: str) -> None:
    made = read_jws(token(key=Key(other, "k", "one rsa key")))
    assert is_signed_by(read_key(Key(other, "k", "one rsa key").jwk()), made)
    assert not is_signed_by(read_key(Key(mine, "k", "one rsa key").jwk()), made)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"])
def test_a_signature_has_one_length(algorithm: str) -> None:
    """Zeros put before a number leave it the number it was: the same token would have many texts."""
    key = Key(algorithm, f"k-{algorithm}")
    made, public = read_jws(token(key=key)), read_key(key.jwk())
    signature = made.signature
    half = len(signature) // 2
    assert is_signed_by(public, made)
    for other in (
        b"\0" + signature,
        signature + b"\0",
        signature[:half] + b"\0" + signature[half:],
        signature[:-1],
        b"",
    ):
        assert not is_signed_by(public, replace(made, signature=other))
