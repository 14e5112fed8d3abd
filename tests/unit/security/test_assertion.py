"""Assertions, and what is kept of them when their keys change."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec

from sallygate.model.principal import Principal
from sallygate.security.assertion import Assertions
from sallygate.security.signing import SigningKeys

NOW = 1_000_000.0
CALLER = Principal("key:one", "acme", "large", frozenset(), "api_key")


def keys() -> SigningKeys:
    return SigningKeys([(0.0, ec.generate_private_key(ec.SECP256R1()))])


def kid_of(assertions: Assertions) -> str:
    said = dict(assertions.headers(CALLER, NOW, signed=True))[b"x-sallygate-assertion"]
    head = said.split(b".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))["kid"])


def test_one_that_is_kept_does_not_outlive_the_key_it_was_signed_with() -> None:
    """After `secrets rotate assertion --now` the former key is published no more, and nobody could verify it."""
    first, second = keys(), keys()
    assertions = Assertions(first)
    assert kid_of(assertions) == first.all[0].kid
    assertions.follow(first)
    kept = assertions.headers(CALLER, NOW, signed=True)
    assertions.follow(SigningKeys([(0.0, first.all[0].key.private_key)]))
    assert assertions.headers(CALLER, NOW, signed=True) is kept, "the same key read anew signs nothing anew"
    assertions.follow(second)
    assert kid_of(assertions) == second.all[0].kid
