"""Tokens as identity providers make them: without `aud`, bound to a key, from a set whose keys stand twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from sallygate.model.work import KeysFetched
from sallygate.parsing.jose.jwk import JwkError, read_key_set
from tokens import ISSUER, Bench, Key, claims, key_set, token

KEY, OTHER, THIRD = Key(), Key(label="other"), Key(kid="k3")


def test_access_tokens_of_cognito_name_their_client(tmp_path: Path) -> None:
    bench = Bench(tmp_path, KEY, issuer="audience_claim: client_id")
    assert bench.said(token(claims(aud=None, client_id="shop", token_use="access"))) == "ok"
    assert bench.said(token(claims(aud=None, client_id="another", token_use="access"))) == "identity.invalid: audience"
    assert bench.said(token(claims(aud=None, client_id="shop", token_use="id"))).startswith("identity.invalid: type")
    assert bench.said(token(claims())) == "identity.invalid: audience", "another claim is not looked for"


def test_a_token_bound_to_a_key_is_no_plain_bearer_token(tmp_path: Path) -> None:
    bound = token(claims(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))
    assert Bench(tmp_path / "a", KEY).said(bound).startswith("identity.invalid: bound to a key")
    assert Bench(tmp_path / "b", KEY, issuer="bound: accept").said(bound) == "ok"


def kids(*keys: Key) -> list[str | None]:
    return [key.kid for key in read_key_set(key_set(*keys)).keys]


def test_a_key_that_stands_twice_is_one_key() -> None:
    assert kids(KEY, KEY, THIRD) == ["k1", "k3"]


def test_two_keys_of_one_name_are_not_used_and_the_others_are() -> None:
    published = read_key_set(key_set(KEY, OTHER, THIRD))
    assert [key.kid for key in published.keys] == ["k3"]
    assert published.weak == ("two keys have the same `kid` (k1); neither is used",)
    with pytest.raises(JwkError, match="same `kid`"):
        read_key_set(key_set(KEY, OTHER))


def test_keys_of_one_name_for_different_algorithms_are_told_apart() -> None:
    assert kids(KEY, Key("RS256", "k1")) == ["k1", "k1"]


def test_an_issuer_that_is_down_says_when_to_come_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, issuer="jwks: https://id.example/keys.json")
    down = bench.bearer(token(), done=(KeysFetched(ISSUER, "k1", failed=True),))
    assert down.decision.status == 503 and dict(down.headers)[b"retry-after"] == b"5"
