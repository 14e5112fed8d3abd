"""What a policy may not say about issuers, each told with its line, what is wrong and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from support import write_policy
from tokens import KEY, Key, key_set

GOOD = "issuer: 'https://id.example', audience: shop, plan: large, jwks: keys.json"


def loaded(directory: Path, section: str):
    directory.mkdir(exist_ok=True)
    (directory / "keys.json").write_bytes(key_set(KEY))
    (directory / "short.json").write_bytes(key_set(KEY, Key("RS256", "short", bits=1024)))
    (directory / "secret.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0LXZhbHVl", "kid": "s"}]}))
    return load_policy(write_policy(directory, f"identity:\n  jwt:\n  - {{{section}}}"))


@pytest.mark.parametrize(
    "change",
    [
        "",
        "algorithms: [ES256]",
        "leeway: 0s",
        "types: [at+jwt]",
        "claims: {scopes: null}",
        "name: partner",
        "lifetime: 1h",
        "keep: 1d",
    ],
)
def test_what_is_right(tmp_path: Path, change: str) -> None:
    issuer = loaded(tmp_path, GOOD + (change and ", " + change)).policy.identity.jwt[0]
    assert issuer.called == ("partner" if "name" in change else "id.example")
    assert issuer.audience == ["shop"]


@pytest.mark.parametrize(
    ("section", "says"),
    [
        (GOOD + ", algorithms: [none]", "`none` is no signature"),
        (GOOD + ", algorithms: [HS256, ES256]", "`HS256` is made with a shared secret"),
        (GOOD + ", algorithms: [hs512]", "`hs512` is made with a shared secret"),
        (GOOD + ", algorithms: [RS1]", "write ES256"),
        (GOOD + ", algorithms: []", "at least 1"),
        (GOOD + ", leeway: 1h", "at most 5m"),
        (GOOD + ", leeway: -1s", "not a duration"),
        (GOOD + ", plan: gold".replace("plan: large, ", ""), "duplicate|already given"),
        (GOOD.replace("plan: large", "plan: gold"), "the policy has no plan `gold`"),
        (GOOD.replace(", plan: large", ""), "gives its callers no plan"),
        (GOOD + ", plans: {a: large}", "`plans` needs the name of the claim"),
        (GOOD + ", claims: {plan: g}, plans: {a: gold}", "the policy has no plan `gold`"),
        (GOOD.replace(", audience: shop", ""), "`identity.jwt.0.audience` is missing"),
        (GOOD.replace("audience: shop", "audience: []"), "at least 1"),
        (GOOD + ", discovery: true", "needs a source of keys"),
        (GOOD.replace(", jwks: keys.json", ""), "needs a source of keys"),
        (GOOD.replace("keys.json", "'http://id.example/jwks.json'"), "would fetch keys unencrypted"),
        (GOOD.replace("keys.json", "'http://127.0.0.1.evil.example/jwks.json'"), "would fetch keys unencrypted"),
        (GOOD.replace("keys.json", "'https://u:c2VjcmV0@id.example/jwks.json'"), "has more than"),
        (GOOD.replace("keys.json", "'ftp://id.example/jwks.json'"), "is not an https URL"),
        (GOOD.replace("keys.json", "'https:///jwks.json'"), "is not an https URL"),
        (GOOD.replace("keys.json", "nothing.json"), "nothing.json: cannot be read"),
        (GOOD.replace("keys.json", "openapi.json"), "there is no list `keys`"),
        (GOOD.replace("keys.json", "short.json"), r"short.json: key 2 \(short\): RSA of 1024 bits"),
        (GOOD.replace("keys.json", "secret.json"), "holds a secret key"),
        (GOOD.replace("jwks: keys.json", "discovery: true").replace("https", "http"), "would fetch keys unencrypted"),
        (
            GOOD.replace("jwks: keys.json", "discovery: true").replace("https://id.example", "id.example"),
            "is not an https URL",
        ),
        (GOOD + ", ca: nothing.pem", "there is no file `nothing.pem`"),
        (GOOD + ", audiance: x", "did you mean `audience`"),
        (GOOD + "}\n  - {" + GOOD + ", prefix: ''", "occurs twice"),
        (GOOD + "}\n  - {" + GOOD.replace("id.example", "id.example/b"), "two issuers have the name `id.example`"),
        (GOOD + "}\n  - {" + GOOD.replace("id.example", "b.example"), "could name the accounts of another"),
    ],
)
def test_what_is_refused(tmp_path: Path, section: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as told:
        loaded(tmp_path, section)
    assert "c2VjcmV0" not in str(told.value)
    assert all(problem.line for problem in told.value.problems)


def test_plain_http_is_for_this_machine_alone(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        loaded(tmp_path, GOOD.replace("keys.json", f"'http://{host}:8080/jwks.json'"))
