"""Tokens as they are written: what was made here is read, whatever else is not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sallygate.auth.tokens import GRANT_CHARS, TokenText, new_grant_id
from sallygate.security.signing import SigningKeys

NOW = 1_790_000_000.0
ISSUER = "https://api.example"
TEXT = TokenText([b"p" * 32], ISSUER, ISSUER)
KEYS = SigningKeys([(0.0, ec.generate_private_key(ec.SECP256R1()))])


def test_an_access_token_is_read_until_it_expires() -> None:
    issued = TEXT.access(KEYS, "account:alice", "account:alice", {"b", "a"}, 600, NOW, "g1")
    claims = TEXT.read_access(issued.text, KEYS, NOW)
    assert claims is not None and claims["scope"] == "a b" and claims["grant"] == "g1" and claims["exp"] == NOW + 600
    assert TEXT.read_access(issued.text, KEYS, NOW + 600) is None


def test_another_issuers_and_another_keys_tokens_are_not_ours() -> None:
    other = TokenText([b"p" * 32], "https://other.example", ISSUER).access(KEYS, "s", "c", (), 600, NOW)
    forged = TEXT.access(SigningKeys([(0.0, ec.generate_private_key(ec.SECP256R1()))]), "s", "c", (), 600, NOW)
    for text in (other.text, forged.text, "a.b.c", "", "x" * 9000, "..", "é.é.é"):
        assert TEXT.read_access(text, KEYS, NOW) is None


def test_a_refresh_token_names_its_grant_and_nobody_else_can_make_one() -> None:
    grant = new_grant_id()
    assert len(grant) == GRANT_CHARS
    text = TEXT.refresh(grant)
    assert TEXT.read_refresh(text) == (grant, TEXT.digest(text))
    assert TEXT.refresh(grant) != text
    invented = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]
    for other in (invented, text[:-1], text + "0", text.replace("sgr_", "sgx_"), text.upper(), "é" * len(text), ""):
        assert TEXT.read_refresh(other) is None


def test_refresh_tokens_outlive_a_rotation_of_the_pepper_until_it_is_retired() -> None:
    old = TEXT.refresh("g" * GRANT_CHARS)
    digest = TEXT.digest(old)
    both = TokenText([b"q" * 32, b"p" * 32], ISSUER, ISSUER)
    assert both.read_refresh(old) == ("g" * GRANT_CHARS, digest)
    assert both.read_refresh(both.refresh("h" * GRANT_CHARS)) is not None
    assert TokenText([b"q" * 32], ISSUER, ISSUER).read_refresh(old) is None


@pytest.mark.parametrize("number", range(50))
def test_grant_ids_are_all_of_one_length(number: int) -> None:
    assert len(new_grant_id()) == GRANT_CHARS
