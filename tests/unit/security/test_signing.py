"""Which key signs and which count is a matter of time: a new one is known before it signs, an old one outlives its last
token."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from sallygate.security.signing import AHEAD_S, LASTS_S, SigningKeys

NOW = 1_000_000.0


def key(made_at: float) -> tuple[float, ec.EllipticCurvePrivateKey]:
    return made_at, ec.generate_private_key(ec.SECP256R1())


def test_the_first_key_signs_at_once() -> None:
    keys = SigningKeys([key(NOW)])
    assert keys.signing(NOW).made_at == NOW
    assert [one.made_at for one in keys.published(NOW + 1e9)] == [NOW]


def test_a_new_key_is_published_at_once_and_signs_when_all_know_it() -> None:
    keys = SigningKeys([key(NOW), key(0.0)])  # in whatever order
    assert keys.signing(NOW + AHEAD_S - 1).made_at == 0.0
    assert keys.signing(NOW + AHEAD_S).made_at == NOW
    assert [one.made_at for one in keys.published(NOW)] == [0.0, NOW]


def test_an_old_key_counts_until_its_last_token_has_expired() -> None:
    keys = SigningKeys([key(0.0), key(NOW)])
    last = NOW + AHEAD_S + LASTS_S
    assert len(keys.published(last - 1)) == 2
    assert [one.made_at for one in keys.published(last)] == [NOW]


def test_of_several_new_keys_the_newest_that_is_known_signs() -> None:
    keys = SigningKeys([key(0.0), key(NOW), key(NOW + 60)])
    assert keys.signing(NOW + AHEAD_S).made_at == NOW
    assert keys.signing(NOW + 60 + AHEAD_S).made_at == NOW + 60


def test_nothing_private_is_published() -> None:
    (published,) = SigningKeys([key(NOW)]).jwks(NOW)["keys"]  # type: ignore[misc]  # one key
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
