"""Tokens on values alone: whose they are, what they may, what is remembered, and those of our own endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sallygate.auth.routes import auth_operations
from sallygate.controls.identity import IdentityControl
from sallygate.controls.identity.tokens import KEPT_MAX
from sallygate.engine.compose import compose
from sallygate.model.outcome import Admission, Ask
from sallygate.model.principal import Credential, Principal
from sallygate.model.work import CredentialLoaded, FetchKeys, KeysFetched, LoadCredential
from sallygate.parsing.jose.jwk import read_key_set
from sallygate.policy.auth import Auth
from sallygate.policy.auth import Tokens as AuthTokens
from sallygate.state.key_sets import KeySet
from support import make_key
from tokens import ISSUER, KEY, NOW, Bench, Key, claims, key_set, said, token


def who(outcome: Any) -> Principal:
    assert isinstance(outcome, Admission) and outcome.principal is not None, said(outcome)
    return outcome.principal


def test_who_a_token_stands_for(tmp_path: Path) -> None:
    found = who(Bench(tmp_path).bearer(token()))
    assert found == Principal("jwt:id.example:alice", "alice", "large", frozenset({"things:read"}), "jwt", NOW + 300)


def test_an_issuer_does_not_give_all_scopes(tmp_path: Path) -> None:
    assert who(Bench(tmp_path).bearer(token(claims(scope="* things:read")))).scopes == {"things:read"}


@pytest.mark.parametrize(
    "algorithm", ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
)
def test_every_algorithm_the_policy_may_name(tmp_path: Path, algorithm: str) -> None:
    key = Key(algorithm, f"k-{algorithm}")
    bench = Bench(tmp_path, key, issuer=f"algorithms: [{algorithm}]")
    assert bench.said(token(key=key)) == "ok"
    other = Bench(
        tmp_path / "other",
        key,
        issuer="algorithms: [ES256K]".replace("ES256K", "RS256" if algorithm != "RS256" else "ES256"),
    )
    assert other.said(token(key=key)) == "identity.invalid: algorithm"


@pytest.mark.parametrize(
    ("issuer", "said_claims", "account", "plan", "scopes"),
    [
        ("prefix: 'partner:'", {}, "partner:alice", "large", {"things:read"}),
        ("claims: {account: email}", {"email": "a@b.example"}, "a@b.example", "large", {"things:read"}),
        ("claims: {account: /org/id}", {"org": {"id": "o7"}}, "o7", "large", {"things:read"}),
        ("claims: {account: 'https://x.example/org'}", {"https://x.example/org": "o8"}, "o8", "large", {"things:read"}),
        (
            "claims: {scopes: scp}",
            {"scp": ["things:read", "things:write"]},
            "alice",
            "large",
            {"things:read", "things:write"},
        ),
        (
            "claims: {scopes: /realm_access/roles}",
            {"realm_access": {"roles": ["things:read"]}},
            "alice",
            "large",
            {"things:read"},
        ),
        ("claims: {scopes: null}", {"scope": None}, "alice", "large", {"*"}),
        ("plan: small, claims: {scopes: null}", {}, "alice", "small", {"things:read"}),
        ("plan: small", {"scope": "things:read things:write"}, "alice", "small", {"things:read"}),
        ("claims: {plan: tier}", {"tier": "small"}, "alice", "small", {"things:read"}),
        ("plan: large, claims: {plan: tier}", {}, "alice", "large", {"things:read"}),
        (
            "claims: {plan: groups}, plans: {gold: large, staff: small}",
            {"groups": ["x", "staff", "gold"]},
            "alice",
            "large",
            {"things:read"},
        ),
        (
            "claims: {plan: groups}, plans: {gold: large}, plan: small",
            {"groups": ["x"]},
            "alice",
            "small",
            {"things:read"},
        ),
    ],
)
def test_what_claims_mean(
    tmp_path: Path, issuer: str, said_claims: dict[str, Any], account: str, plan: str, scopes: set[str]
) -> None:
    bench = Bench(tmp_path, issuer=issuer)
    found = who(bench.bearer(token(claims(**said_claims))))
    assert (found.account, found.plan, found.scopes) == (account, plan, scopes)


@pytest.mark.parametrize(
    ("issuer", "said_claims", "expected"),
    [
        ("claims: {account: email}", {}, "identity.invalid: claims: no `sub`, or no account"),
        ("claims: {account: email}", {"email": {"a": 1}}, "identity.invalid: claims: no `sub`, or no account"),
        ("claims: {account: /org/id}", {"org": ["id"]}, "identity.invalid: claims: no `sub`, or no account"),
        ("claims: {plan: tier}", {"tier": "enterprise"}, "identity.plan"),
        ("claims: {plan: tier}", {"tier": ["large"]}, "identity.plan"),
        ("claims: {plan: tier}", {}, "identity.plan"),
        ("claims: {plan: groups}, plans: {gold: large}", {"groups": ["large"]}, "identity.plan"),
        ("plan: large", {"scope": None}, "identity.scope"),
        ("plan: large", {"scope": {"things:read": 1}}, "identity.scope"),
        ("plan: large", {"scope": ["x"] * 201 + ["things:read"]}, "identity.scope"),
        ("plan: large", {"scope": "*x things"}, "identity.scope"),
    ],
)
def test_what_claims_do_not_give(tmp_path: Path, issuer: str, said_claims: dict[str, Any], expected: str) -> None:
    assert Bench(tmp_path, issuer=issuer).said(token(claims(**said_claims))) == expected


def test_a_remembered_token_costs_no_signature_until_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sallygate.controls.identity import tokens

    verified: list[Any] = []
    is_signed_by = tokens.is_signed_by
    monkeypatch.setattr(tokens, "is_signed_by", lambda *args: verified.append(args) or is_signed_by(*args))
    bench, text = Bench(tmp_path), token()
    first = who(bench.bearer(text))
    assert all(who(bench.bearer(text, now=NOW + after)) is first for after in (0, 1, 300, 329.9))
    assert len(verified) == 1
    assert bench.said(text, now=NOW + 330) == "identity.invalid: expired"
    assert bench.said(text, now=NOW - 41, address="192.0.2.9") == "identity.invalid: not valid yet", "a clock set back"


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sallygate.controls.identity import tokens

    assert KEPT_MAX == 50_000
    monkeypatch.setattr(tokens, "KEPT_MAX", 3)
    bench = Bench(tmp_path)
    texts = [token(claims(jti=str(number))) for number in range(10)]
    for text in texts:
        assert bench.said(text) == "ok"
    kept = bench.engine.controls.get(IdentityControl)._tokens._kept
    assert len(kept) == 3 and all(text not in str(kept) for text in texts), "of a token its hash alone"


def test_an_unknown_key_is_asked_for_once_and_failure_is_no_answer(tmp_path: Path) -> None:
    bench, text = Bench(tmp_path), token(key=Key("ES256", "new"))
    assert bench.bearer(text) == Ask((FetchKeys(ISSUER, "new"),))
    assert bench.said(text, done=(KeysFetched(ISSUER, "new"),)) == "identity.invalid: key"
    assert bench.said(text, done=(KeysFetched(ISSUER, "new", failed=True),)) == "identity.unavailable"
    bench.state.issuers.put(ISSUER, KeySet(read_key_set(key_set(KEY, Key("ES256", "new"))).keys))
    assert bench.said(text, done=(KeysFetched(ISSUER, "new"),)) == "ok"


def test_a_new_key_under_an_old_name_is_asked_for_once(tmp_path: Path) -> None:
    bench, changed = Bench(tmp_path), Key("ES256", KEY.kid, "changed")
    text = token(key=changed)
    bench.state.issuers.put(ISSUER, KeySet(read_key_set(key_set(KEY)).keys, NOW - 60))
    assert bench.bearer(text) == Ask((FetchKeys(ISSUER, KEY.kid),))
    assert bench.said(text, done=(KeysFetched(ISSUER, KEY.kid),)) == "identity.invalid: signature"
    bench.state.issuers.asked(ISSUER, NOW, failed=False)
    refused = bench.bearer(text)
    assert said(refused) == "identity.invalid: signature", "a flood of forged tokens asks no more often"
    assert [charge.table for charge in refused.charges if charge.table == "identity:forged"] == ["identity:forged"]
    bench.state.issuers.put(ISSUER, KeySet(read_key_set(key_set(changed)).keys))
    assert bench.said(text) == "ok"


def test_without_keys_of_its_issuer_a_token_is_neither_good_nor_bad(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.state.issuers.drop(ISSUER)
    assert bench.said(token()) == "ask"
    refused = bench.bearer(token(), done=(KeysFetched(ISSUER, "k1", failed=True),))
    assert (said(refused), refused.decision.status) == ("identity.unavailable", 503)
    assert all(charge.table != "identity:forged" for charge in refused.charges)


def test_a_token_without_kid_needs_an_only_key(tmp_path: Path) -> None:
    assert Bench(tmp_path / "1").said(token(header={"kid": None})) == "ok"
    two = Bench(tmp_path / "2", KEY, Key("ES256", "k2"))
    assert two.said(token(header={"kid": None}), done=(KeysFetched(ISSUER, None),)) == "identity.invalid: key"


def test_keys_and_tokens_live_side_by_side(tmp_path: Path) -> None:
    bench = Bench(tmp_path, identity="api_keys: {bearer: true}")
    key = make_key(bench.policy)
    again = Bench(tmp_path, identity="api_keys: {bearer: true}")
    assert who(again.bearer(key)).credential == "api_key"
    assert who(again.admit(key=key)).credential == "api_key"
    assert who(again.bearer(token())).credential == "jwt"
    assert said(again.admit(f"Bearer {token()}", key=key)) == "identity.ambiguous"
    assert said(again.admit("Bearer nonsense")).startswith("identity.invalid: malformed")
    assert said(again.admit()) == "identity.missing"


def test_a_public_operation_with_a_bad_token_is_still_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert said(bench.admit(path="/status")) == "ok"
    assert said(bench.bearer("nonsense", path="/status")).startswith("identity.invalid")


# Our own endpoint's ---------------------------------------------------------------------------------------------------

OWN = "https://api.example/auth"
OWN_KEY = Key("ES256", "own1")


class Own(Bench):
    """A bench whose gate has a token endpoint of its own, and a key to give tokens for."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        gate = self.offline.gate
        ring = gate.engine.controls.get(IdentityControl)._keys._ring
        auth = Auth(issuer=OWN, audience="https://api.example", tokens=AuthTokens(access=3600.0))
        loaded = self.offline.loaded
        loaded = replace(loaded, policy=loaded.policy.model_copy(update={"auth": auth}))
        self.offline.gate = compose(loaded, self.state, ring, b"i" * 32, NOW, auth_operations)
        self.engine = self.offline.gate.engine
        self.state.issuers.put(OWN, KeySet(read_key_set(key_set(OWN_KEY)).keys))
        self.record = Credential("k" * 12, b"", "acme", "large", None, 0.0)
        self.state.credentials.put(self.record)

    def own(self, header: dict[str, Any] | None = None, **more: Any) -> str:
        said = {"iss": OWN, "aud": "https://api.example", "sub": "acme", "client_id": "k" * 12, "jti": "j1", "grant": "g1",
                "scope": "things:read", **more}  # fmt: skip
        return token(claims(**said), OWN_KEY, header)


def test_a_token_of_our_own_is_its_keys(tmp_path: Path) -> None:
    bench = Own(tmp_path)
    found = who(bench.bearer(bench.own()))
    assert found == Principal("key:" + "k" * 12, "acme", "large", frozenset({"things:read"}), "access_token", NOW + 300)
    assert who(bench.bearer(bench.own(scope=None))).scopes == {"*"}
    assert bench.said(bench.own({"typ": "JWT"})) == bench.said(bench.own({"typ": None})) == "identity.invalid: type"
    assert bench.said(bench.own(exp=NOW + 3601)) == "identity.invalid: valid for too long"
    assert bench.said(bench.own(exp=NOW)) == "identity.invalid: expired", "our own clock needs no leeway"
    assert bench.said(bench.own(client_id=None)) == "identity.invalid: holder"
    assert (
        bench.said(token(claims(iss=OWN, aud="https://api.example"), OWN_KEY, {"kid": "x"})) == "identity.invalid: key"
    ), "nobody is asked"
    assert bench.said(token()) == "ok", "beside others'"


def test_a_token_of_our_own_ends_with_its_key_though_remembered(tmp_path: Path) -> None:
    bench = Own(tmp_path)
    text = bench.own()
    assert bench.said(text) == bench.said(text) == "ok"
    plan = Credential("k" * 12, b"", "acme", "small", None, 0.0, revision=1)
    bench.state.credentials.put(plan)
    assert who(bench.bearer(text)).plan == "small" and who(bench.bearer(text)) is who(bench.bearer(text))
    bench.state.credentials.put(Credential("k" * 12, b"", "acme", "small", None, 0.0, revoked_at=NOW, revision=2))
    assert bench.said(text) == "identity.invalid: revoked"


@pytest.mark.parametrize("revoked", ["j1", "g1"])
def test_a_token_of_our_own_is_revoked_by_itself_or_with_its_family(tmp_path: Path, revoked: str) -> None:
    bench = Own(tmp_path)
    text = bench.own()
    assert bench.said(text) == "ok"
    bench.state.revocations.put(OWN, revoked, NOW + 400, NOW)
    assert bench.said(text) == "identity.invalid: revoked"
    assert bench.said(bench.own(jti="j2", grant="g2")) == "ok"


def test_a_key_that_is_not_in_memory_is_loaded_first(tmp_path: Path) -> None:
    bench = Own(tmp_path)
    text = bench.own(client_id="m" * 12)
    assert bench.bearer(text) == Ask((LoadCredential("m" * 12),))
    assert bench.said(text, done=(CredentialLoaded("m" * 12, None),)) == "identity.invalid: unknown"
    assert bench.said(text, done=(CredentialLoaded("m" * 12, None, failed=True),)) == "identity.unavailable"
    record = Credential("m" * 12, b"", "acme", "large", None, 0.0)
    assert bench.said(text, done=(CredentialLoaded("m" * 12, record),)) == "ok"
