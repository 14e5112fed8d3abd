"""Ways to be believed without having been given a token, each as the attacker tried it."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from pathlib import Path
from typing import Any

import pytest

from sallygate.model.outcome import Admission, Ask, Refuse
from sallygate.model.work import FetchKeys, KeysFetched
from sallygate.parsing.jose.jwk import JwkError, PublishedKeys, read_key_set
from sallygate.policy.errors import PolicyError
from sallygate.state.key_sets import KeySet
from support import make_key
from tokens import AUDIENCE, ISSUER, KEY, NOW, Bench, Key, b64, claims, key_set, said, token

RSA = Key("RS256", "rsa")
MALLORY = Key("ES256", "k1", "mallory")
"""A key of the attacker's under the honest one's name."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, KEY, RSA)
    assert made.said(token()) == "ok", "an honest token passes, or none of this says anything"
    assert made.said(token(key=RSA)) == "ok"
    return made


def signed_with_secret(secret: bytes, algorithm: str = "HS256", kid: str = "rsa") -> str:
    text = token(key=RSA, header={"alg": algorithm, "kid": kid}, signature=b"x").rpartition(".")[0]
    return f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "noneX"])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_a_token_that_says_it_needs_no_signature(bench: Bench, name: str, signature: str) -> None:
    text = token(header={"alg": name}).rpartition(".")[0] + "." + signature
    assert said(bench.bearer(text)).startswith("identity.invalid")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256", "ES256"])
def test_the_public_key_as_a_shared_secret(bench: Bench, algorithm: str) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = RSA.private.public_key()
    forms = [
        public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo) for encoding in (Encoding.PEM, Encoding.DER)
    ]
    for secret in (*forms, forms[0].strip(), json.dumps(RSA.jwk()).encode(), b""):
        outcome = bench.bearer(signed_with_secret(secret, algorithm), done=(KeysFetched(ISSUER, "rsa"),))
        assert said(outcome).startswith("identity.invalid")


@pytest.mark.parametrize(
    "kid", ["k1", "mallory", None, "../../dev/null", "/etc/passwd", "k1\0", "' OR 1=1 --", "k1\n", "K1", "k" * 300]
)
@pytest.mark.parametrize(
    "brought",
    [
        lambda: {"jwk": MALLORY.jwk()},
        lambda: {"jku": "https://evil.example/jwks.json"},
        lambda: {"jku": f"{ISSUER}/jwks.json@evil.example"},
        lambda: {"x5u": "https://evil.example/chain.pem"},
        lambda: {"x5c": ["MIIB"]},
        dict,
    ],
    ids=["jwk", "jku", "jku with the issuer's name", "x5u", "x5c", "kid alone"],
)
def test_a_token_that_brings_its_own_key(bench: Bench, brought: Any, kid: str | None) -> None:
    """Whatever the header points to, nobody looks there: no work but asking the pinned issuer, whose keys are in a file here."""
    outcome = bench.bearer(token(key=MALLORY, header={**brought(), "kid": kid}))
    if isinstance(outcome, Ask):
        assert outcome.work == (FetchKeys(ISSUER, kid),)
        outcome = bench.bearer(token(key=MALLORY, header={**brought(), "kid": kid}), done=(KeysFetched(ISSUER, kid),))
    assert isinstance(outcome, Refuse) and outcome.decision.status == 401


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"b64": False}, {"b64": True}, {"zip": "DEF"},
     {"cty": "JWT"}, {"cty": "application/jwt"}, {"enc": "A256GCM"}, {"typ": 1}, {"kid": 1}, {"kid": ["k1"]}, {"alg": ["ES256"]},
     {"typ": "dpop+jwt"}, {"typ": "logout+jwt"}, {"typ": "secevent+jwt"}, {"typ": "id_token"}, {"typ": ""}],
    ids=str,
)  # fmt: skip
def test_a_header_that_changes_what_is_verified(bench: Bench, header: dict[str, Any]) -> None:
    found = bench.said(token(header=header))
    assert found == "ok" if header == {"typ": ""} else found.startswith("identity.invalid")


def test_a_nested_and_an_encrypted_token(bench: Bench) -> None:
    inner = token()
    assert bench.said(token(inner.encode())).startswith("identity.invalid: malformed: claims")
    assert bench.said(token(inner.encode(), header={"cty": "JWT"})) == "identity.invalid: malformed: nested"
    assert bench.said("a.b.c.d.e") == "identity.invalid: malformed: encrypted"


def test_tokens_of_every_size_cost_little_and_none_too_large_is_read(bench: Bench) -> None:
    assert bench.said(token(claims(more="x" * 3000))) == "ok"
    for text in (token(claims(more="x" * 9000)), "a" * 8193, "." * 8193, token(header={"x5c": ["A" * 3000]})):
        assert said(bench.bearer(text)).split(":")[0] in (
            "identity.invalid",
            "request.headers_size",
            "request.header_size",
        )
    deep = b'{"iss":' + b"[" * 2000 + b"]" * 2000 + b"}"
    assert bench.said(token(deep)).startswith("identity.invalid: malformed: claims: nested")


@pytest.mark.parametrize(
    "payload",
    [b'{"sub":"alice","sub":"root","iss":"https://id.example","aud":"shop","exp":1790000300}',
     b'{"iss":"https://id.example","aud":"shop","sub":"a","exp":1,"exp":1790000300}', b"[]", b"null", b'"x"', b"", b"\xff", b"{}\n{}",
     b'{"sub":"\\ud800","iss":"https://id.example","aud":"shop","exp":1790000300}'],
)  # fmt: skip
def test_claims_that_read_two_ways_or_none(bench: Bench, payload: bytes) -> None:
    assert said(bench.bearer(token(payload))).startswith("identity.invalid")


def test_a_header_with_the_same_member_twice(bench: Bench) -> None:
    head = b64(b'{"alg":"none","alg":"ES256","kid":"k1"}')
    payload = token().split(".")[1]
    text = f"{head}.{payload}.{b64(KEY.signature(f'{head}.{payload}'.encode()))}"
    assert bench.said(text) == "identity.invalid: malformed: an object has the same member twice"


def test_a_signature_of_zeros(bench: Bench) -> None:
    """CVE-2022-21449: r = s = 0 verified for everything."""
    for size in (0, 1, 63, 64, 65, 128):
        assert said(bench.bearer(token(signature=bytes(size)))).startswith("identity.invalid")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r, s in ((0, 1), (1, 0), (order, order), (order, 1)):
        assert (
            said(bench.bearer(token(signature=r.to_bytes(32, "big") + s.to_bytes(32, "big"))))
            == "identity.invalid: signature"
        )


def test_a_signature_in_another_form(bench: Bench) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    text = token().rpartition(".")[0]
    der = KEY.private.sign(text.encode(), ec.ECDSA(SHA256()))
    assert bench.said(f"{text}.{b64(der)}") == "identity.invalid: signature"


def test_a_key_of_another_curve_under_the_same_name(tmp_path: Path) -> None:
    curve = Key("ES384", "k1")
    bench = Bench(tmp_path, curve, issuer="algorithms: [ES256, ES384]")
    assert bench.said(token(key=curve)) == "ok"
    assert bench.said(token(key=Key("ES256", "k1")), done=(KeysFetched(ISSUER, "k1"),)) == "identity.invalid: key"
    with pytest.raises(JwkError):
        read_key_set(key_set({**Key("ES256").jwk(), "crv": "P-384"}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"aud": "other"}, "audience"), ({"aud": None}, "audience"), ({"aud": []}, "audience"), ({"aud": [1, AUDIENCE]}, "audience"),
        ({"aud": {"shop": 1}}, "audience"), ({"aud": "SHOP"}, "audience"), ({"aud": ["other", AUDIENCE]}, ""), ({"aud": "shop "}, "audience"),
        ({"iss": "https://evil.example"}, "issuer"), ({"iss": None}, "issuer"), ({"iss": ISSUER + "/"}, "issuer"), ({"iss": [ISSUER]}, "issuer"),
        ({"iss": ISSUER.upper()}, "issuer"), ({"exp": None}, "no time in `exp`"), ({"exp": "1790000300"}, "no time in `exp`"),
        ({"exp": True}, "no time in `exp`"), ({"exp": -1}, "no time in `exp`"), ({"exp": 10**40}, "no time in `exp`"), ({"exp": 1e300}, "no time in `exp`"),
        ({"exp": [1790000300]}, "no time in `exp`"), ({"exp": NOW - 31}, "expired"), ({"exp": NOW - 29}, ""), ({"exp": 0}, "expired"),
        ({"exp": NOW + 10**8}, "valid for too long"), ({"exp": 253402300799}, "valid for too long"), ({"nbf": NOW + 31}, "not valid yet"),
        ({"nbf": NOW + 29}, ""), ({"nbf": "0"}, "no time in `nbf`"), ({"iat": NOW + 3600}, "not valid yet"), ({"iat": "x"}, "no time in `iat`"),
        ({"sub": None}, "claims: no `sub`, or no account"), ({"sub": ""}, "claims: no `sub`, or no account"), ({"sub": 7}, "claims: no `sub`, or no account"),
        ({"sub": "a\r\nX-Sallygate-Plan: large"}, "claims: no `sub`, or no account"), ({"sub": "a b"}, "claims: no `sub`, or no account"),
        ({"sub": "ä"}, "claims: no `sub`, or no account"), ({"sub": "x" * 256}, "claims: no `sub`, or no account"),
        ({"at_hash": "x"}, "type: not an access token"), ({"events": {}}, "type: not an access token"), ({"token_use": "id"}, "type: not an access token"),
        ({"typ": "Refresh"}, "type: not an access token"), ({"typ": "Bearer"}, ""),
    ],
    ids=str,
)  # fmt: skip
def test_a_token_for_somebody_else_from_somebody_else_or_of_another_time(
    bench: Bench, change: dict[str, Any], why: str
) -> None:
    assert bench.said(token(claims(**change))) == (f"identity.invalid: {why}" if why else "ok")


def test_numbers_that_json_does_not_have(bench: Bench) -> None:
    for text in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400):
        payload = json.dumps(claims(exp=None)).removesuffix("}") + f', "exp": {text}}}'
        assert said(bench.bearer(token(payload.encode()))).startswith("identity.invalid: malformed")
    assert bench.said(token(claims(exp=math.nextafter(NOW, 0)))) == "ok", "within the leeway"


def test_an_id_token_as_an_access_token(tmp_path: Path) -> None:
    """Under `types: [at+jwt]` nothing else passes, whatever its audience."""
    bench = Bench(tmp_path, issuer="types: [at+jwt]")
    assert bench.said(token()) == bench.said(token(header={"typ": "application/AT+JWT"})) == "ok"
    for kind in ("JWT", None, "id+jwt", "at+jwt+x"):
        assert bench.said(token(header={"typ": kind})) == "identity.invalid: type"


def test_one_token_has_one_spelling(bench: Bench) -> None:
    """Else each would be verified, remembered and counted anew, and what is revoked by its text would come again."""
    text = token()
    head, payload, signature = text.split(".")
    last = signature[-1]
    stray = [chr(ord(last) + 1)] if last.isalnum() and chr(ord(last) + 1).isalnum() else []
    spellings = [
        text + "=", text + "==", text + "\t", text + "%20", text + ".", "." + text, f"{head}=.{payload}.{signature}", f"{head}.{payload}.\n{signature}",
        f"{head} .{payload}.{signature}", text + "A", text + "AA", f"{head}.{payload}.{signature[:-1]}", text.replace("_", "/").replace("-", "+") + "+",
        f"{text}, {text}", f"{text},", *[text[:-1] + change for change in stray],
    ]  # fmt: skip
    for other in spellings:
        outcome = bench.bearer(other)
        assert isinstance(outcome, Refuse) and outcome.decision.status in (400, 401), other


def test_two_credentials_at_once(bench: Bench, tmp_path: Path) -> None:
    key = make_key(bench.policy)
    assert said(bench.admit(f"Bearer {token()}", f"Bearer {token()}")).startswith("request.")
    assert said(bench.admit(f"Bearer {token()}", key=key)) == "identity.ambiguous"
    assert said(bench.admit(f"Basic {token()}")).startswith("identity.invalid")
    assert said(bench.admit(token())).startswith("identity.invalid")
    assert said(bench.admit("Bearer")).startswith("identity.invalid")
    assert said(bench.bearer(key)).startswith("identity.invalid"), "keys by Authorization only where the policy says so"


def test_a_token_of_one_issuer_signed_by_another(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_bytes(key_set(Key("ES256", "o1")))
    other = "{issuer: 'https://other.example', audience: shop, jwks: other.json, plan: small, prefix: 'other:'}"
    bench = Bench(tmp_path, issuer="prefix: ''", also=other)
    assert bench.said(token(claims(iss="https://other.example"), Key("ES256", "o1"))) == "ok"
    for text in (token(claims(iss="https://other.example")), token(key=Key("ES256", "o1"))):
        for done in ((), (KeysFetched(ISSUER, "o1"), KeysFetched("https://other.example", "k1"))):
            assert bench.said(text, done=done) in ("ask", "identity.invalid: key")
    accounts = [bench.bearer(token(claims(iss=issuer, sub="alice"), key)).principal.account
                for issuer, key in ((ISSUER, KEY), ("https://other.example", Key("ES256", "o1")))]  # fmt: skip
    assert accounts == ["alice", "other:alice"], "neither names the other's accounts"


def test_issuers_that_do_not_say_whose_accounts_theirs_are(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="could name the accounts of another"):
        Bench(tmp_path, also="{issuer: 'https://b.example', jwks: keys.json, audience: shop, plan: small}")


def test_names_of_keys_that_nobody_has_make_the_issuer_be_asked_once(tmp_path: Path) -> None:
    """A flood of them costs one question in ten seconds, no signature, and the honest behind the same address nothing:
    after a rotation they send such tokens, too."""
    bench = Bench(tmp_path)
    asked, refused = 0, 0
    for number in range(200):
        outcome = bench.bearer(token(key=Key("ES256", f"u{number % 5}", "u"), header={"kid": f"u{number}"}))
        if isinstance(outcome, Ask):
            asked += 1
            bench.state.issuers.asked(ISSUER, NOW, failed=False)  # as the runtime does
        else:
            assert isinstance(outcome, Refuse)
            refused += outcome.decision.status == 429
    assert (asked, refused) == (1, 0)
    assert bench.said(token()) == "ok"


def test_forgeries_are_limited_before_they_cost_a_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sallygate.controls.identity import tokens

    verified = 0

    def counting(*args: Any) -> bool:
        nonlocal verified
        verified += 1
        return is_signed_by(*args)

    is_signed_by = tokens.is_signed_by
    monkeypatch.setattr(tokens, "is_signed_by", counting)
    bench = Bench(tmp_path, identity="forged: 5/s burst 20")
    honest = token()
    assert bench.said(honest) == "ok"
    outcomes = [bench.bearer(token(claims(jti=str(number)), MALLORY)) for number in range(100)]
    assert [outcome.decision.status for outcome in outcomes] == [401] * 20 + [429] * 80
    assert verified == 21
    assert any(name == b"retry-after" for name, _ in outcomes[-1].headers)
    assert bench.said(honest) == "ok", "a token seen before goes on counting from there"
    assert bench.said(token(claims(jti="new"))) == "identity.forged"
    assert bench.said(token(claims(jti="new")), now=NOW + 0.21) == "ok", "an allowance comes back, five a second"
    assert bench.said(token(claims(jti="new2")), address="198.51.100.1") == "ok"


def test_expired_tokens_of_honest_clients_shut_nobody_out(bench: Bench) -> None:
    for number in range(100):
        assert bench.said(token(claims(exp=NOW - 100, jti=str(number)))) == "identity.invalid: expired"
    assert bench.said(token(claims(jti="fresh"))) == "ok"


def test_a_key_taken_back_ends_what_it_signed(bench: Bench) -> None:
    text = token()
    assert bench.said(text) == "ok"
    bench.state.issuers.put(ISSUER, KeySet(read_key_set(key_set(RSA)).keys))
    assert bench.said(text, done=(KeysFetched(ISSUER, "k1"),)) == "identity.invalid: key"
    bench.state.issuers.put(ISSUER, KeySet(read_key_set(key_set(MALLORY)).keys))
    assert bench.said(text) == "identity.invalid: signature", "the same name is not the same key"


def test_keys_do_not_count_for_ever_without_their_issuer(bench: Bench) -> None:
    keys: PublishedKeys = read_key_set(key_set(KEY))
    bench.state.issuers.put(ISSUER, KeySet(keys.keys, NOW - 100, NOW + 5))
    bench.state.issuers.asked(ISSUER, NOW + 4, failed=True)
    text = token()
    assert bench.said(text) == "ok"
    assert bench.said(text, now=NOW + 5) == "identity.unavailable"


def test_a_revoked_token_is_revoked_when_remembered_too(bench: Bench) -> None:
    text = token(claims(jti="t1"))
    assert bench.said(text) == bench.said(text) == "ok"
    bench.state.revocations.put("https://other.example", "t1", NOW + 1000, NOW)
    assert bench.said(text) == "ok", "another issuer's ids are others"
    bench.state.revocations.put(ISSUER, "t1", NOW + 1000, NOW)
    assert bench.said(text) == bench.said(text) == "identity.invalid: revoked"


@pytest.mark.parametrize(
    ("published", "why"),
    [
        ([{"kty": "oct", "k": "AAAA", "kid": "s"}, KEY.jwk()], "secret"),
        ([{**KEY.jwk(), "d": "AAAA"}], "secret"),
        ([KEY.jwk(), MALLORY.jwk()], "same `kid`"),
        ([Key("RS256", "short", bits=1024).jwk()], "1024 bits"),
        ([{**KEY.jwk(), "x": b64(bytes(32))}], "curve"),
        ([{**RSA.jwk(), "e": "AQ"}], "exponent"),
        ([KEY.jwk(kid=f"k{number}") for number in range(101)], "100 keys"),
        ([], "no key"),
        ([7], "not an object"),
        ([KEY.jwk(use="enc")], "no key"),
    ],
    ids=[
        "symmetric",
        "private",
        "one name twice",
        "short",
        "no point",
        "exponent one",
        "too many",
        "none",
        "no keys",
        "for encrypting",
    ],
)
def test_key_sets_that_must_not_be_believed(published: list[Any], why: str) -> None:
    with pytest.raises(JwkError, match=why):
        read_key_set(json.dumps({"keys": published}).encode())


def test_all_wrong_tokens_look_alike_from_outside(bench: Bench) -> None:
    from sallygate.engine.problem import problem_body

    wrong = [token(key=MALLORY), token(claims(exp=NOW - 99)), token(claims(aud="other")), "nonsense", token(claims(iss="https://evil.example")),
             token(header={"alg": "none"})]  # fmt: skip
    outcomes = [bench.bearer(text) for text in wrong]
    assert len({problem_body(outcome.decision, "0" * 32) for outcome in outcomes}) == 1
    assert len({outcome.headers for outcome in outcomes}) == 1
    assert (b"www-authenticate", b'Bearer realm="api", error="invalid_token"') in outcomes[0].headers
    missing = bench.admit()
    assert (b"www-authenticate", b'Bearer realm="api"') in missing.headers, "RFC 6750, 3.1: no error without a token"


def test_names_in_claims_are_not_taken_for_attacks_nor_passed_on(bench: Bench) -> None:
    outcome = bench.bearer(token(claims(name="<script>alert(1)</script>' OR 1=1 --", email="o'brien@example.com")))
    assert isinstance(outcome, Admission) and outcome.principal is not None
    assert b"authorization" in bench.offline.gate.dropped_headers
