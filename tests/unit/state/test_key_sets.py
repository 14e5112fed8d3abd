"""Key sets and revocations: what is remembered, for how long, and what happens when there is no more room."""

from __future__ import annotations

from sallygate.parsing.jose.jwk import read_key_set
from sallygate.state.key_sets import MISSING_MAX, KeySet, KeySets, Revocations
from tokens import KEY, NOW, Key, key_set


def test_a_key_is_found_by_name_and_algorithm_together() -> None:
    edwards = Key("EdDSA", "e")
    keys = KeySet(read_key_set(key_set(KEY, edwards)).keys)
    assert keys.find("k1", "ES256") is keys.keys[0]
    assert keys.find("e", "EdDSA") is keys.find("e", "Ed25519") is keys.keys[1]
    assert keys.find("k1", "EdDSA") is keys.find("K1", "ES256") is keys.find("", "ES256") is None
    assert keys.find(None, "ES256") is keys.keys[0]


def test_an_issuer_is_asked_at_a_bounded_rate_whatever_the_clock_does() -> None:
    sets = KeySets()
    assert sets.is_worth_asking("i", "k", NOW)
    sets.asked("i", NOW, failed=True)
    assert sets.is_failing("i")
    assert not sets.is_worth_asking("i", "k", NOW + 9.9)
    assert sets.is_worth_asking("i", "k", NOW + 10)
    assert sets.is_worth_asking("i", "k", NOW - 3600), "a clock set back does not shut it for an hour"
    assert sets.is_worth_asking("j", "k", NOW)
    sets.put_missing("i", "k", NOW)
    assert not sets.is_worth_asking("i", "k", NOW + 59) and sets.is_worth_asking("i", "k", NOW + 60)
    for number in range(2 * MISSING_MAX):
        sets.put_missing("i", str(number), NOW)
    assert len(sets._missing) == MISSING_MAX


def test_a_revoked_token_stays_so_until_it_has_expired() -> None:
    revoked = Revocations()
    assert not revoked.covers("i", ("t",), NOW, NOW)
    revoked.put("i", "t", NOW + 100, NOW)
    revoked.put("i", "t", NOW + 50, NOW)
    assert revoked.covers("i", ("other", "t"), NOW, NOW + 99)
    assert not revoked.covers("i", ("t",), NOW, NOW + 100)
    assert not revoked.covers("j", ("t",), NOW, NOW)
    assert not revoked.covers("i", (), NOW, NOW)


def test_a_full_table_forgives_nobody() -> None:
    revoked = Revocations(entries_max=10)
    for number in range(10):
        revoked.put("i", str(number), NOW + 10, NOW)
    for number in range(10, 20):
        revoked.put("i", str(number), NOW + 1000, NOW + 20)
    assert len(revoked) == 10 and not revoked.covers("i", ("new",), NOW, NOW + 20), "what had ended made room"
    revoked.put("i", "more", NOW + 1000, NOW + 30)
    assert len(revoked) == 10
    assert revoked.covers("i", ("10",), NOW, NOW + 31), "pushed out, and refused all the same"
    assert revoked.covers("i", ("innocent",), NOW + 30, NOW + 31), "as are all of that time"
    assert not revoked.covers("i", ("later",), NOW + 31, NOW + 32)
    assert not revoked.covers("i", ("innocent",), NOW + 30, NOW + 1000)
