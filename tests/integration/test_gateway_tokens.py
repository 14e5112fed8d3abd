"""Tokens through a real gateway, with a real issuer: who gets in, what the API is told, and what a restart without the issuer does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from processes import sallygate
from support import Upstream, running_gateway, until, write_policy
from tokens import KEY, Key, claims, issuing, token

ISSUER = "https://id.example"


def fresh(key: Key = KEY, **more: Any) -> str:
    now = int(time.time())
    return token(claims(iat=now - 5, exp=now + 300, **more), key)


def status(policy: Path) -> dict[str, Any]:
    return json.loads(sallygate("status", "--json", "--policy", policy).stdout)


def test_tokens_through_a_gateway(tmp_path: Path) -> None:
    with issuing() as issuer, Upstream() as api:
        section = (
            f"{{issuer: '{ISSUER}', jwks: '{issuer.url}/jwks.json', audience: shop, plan: large, prefix: 'staff:'}}"
        )
        policy = write_policy(tmp_path, f"identity: {{jwt: [{section}], forged: 1/s burst 20}}", upstream=api.url)
        with running_gateway(policy) as gateway:
            text = fresh(name="<script>alert(1)</script>")
            code, _, body = gateway.get("/things", Authorization=f"Bearer {text}")
            assert code == 200, body
            seen = dict(api.received[-1].headers)
            names = {name.lower(): value for name, value in seen.items()}
            assert names[b"x-sallygate-account"] == b"staff:alice" and names[b"x-sallygate-plan"] == b"large"
            assert b"authorization" not in names and text.encode() not in api.raw
            assert (
                gateway.code("/things", Authorization=f"Bearer {fresh(Key('ES256', 'k1', 'mallory'))}")
                == "identity.invalid"
            )
            assert gateway.code("/things", Authorization=f"Bearer {fresh(aud='other')}") == "identity.invalid"
            code, headers, _ = gateway.get("/things", Authorization="Bearer x")
            assert code == 401 and headers["www-authenticate"] == 'Bearer realm="api", error="invalid_token"'
            for number in range(60):
                gateway.get("/things", Authorization=f"Bearer {fresh(Key('ES256', 'k1', 'mallory'), jti=str(number))}")
            code, headers, body = gateway.get("/things", Authorization=f"Bearer {fresh(jti='new')}")
            assert (code, json.loads(body)["code"]) == (429, "identity.forged") and int(headers["retry-after"]) >= 1
            assert gateway.get("/things", Authorization=f"Bearer {text}")[0] == 200, "seen before"
            assert len(issuer.asked) == 1
            [told] = status(policy)["issuers"]
            assert (told["name"], told["keys"], told["failing"], told["failures"]) == ("id.example", 1, False, 0)
            assert until(
                lambda: (tmp_path / "state" / "issuers").is_dir() and list((tmp_path / "state" / "issuers").iterdir())
            )
        issuer.down = True
        with running_gateway(policy) as gateway:
            until(
                lambda: gateway.get("/things", Authorization=f"Bearer {fresh()}")[0] == 200
            )  # by the keys that were kept
            assert until(lambda: status(policy)["issuers"][0]["failing"])
            found = status(policy)
            assert found["ready"] and any(
                check["name"] == "issuer" and "503" in check["said"] for check in found["checks"]
            )
            assert (
                gateway.code("/things", Authorization=f"Bearer {fresh(Key('ES256', 'k2'))}") == "identity.unavailable"
            )
        logged = (tmp_path / "gateway.log").read_text()
        assert "answers 503" in logged and text.split(".")[2] not in logged


def test_an_issuer_that_was_never_reached_lets_nobody_in(tmp_path: Path) -> None:
    with Upstream() as api:
        section = f"{{issuer: '{ISSUER}', jwks: 'http://127.0.0.1:9/jwks.json', audience: shop, plan: large}}"
        policy = write_policy(tmp_path, f"identity: {{jwt: [{section}]}}", upstream=api.url)
        with running_gateway(policy) as gateway:
            code, _, body = gateway.get("/things", Authorization=f"Bearer {fresh()}")
            assert (code, json.loads(body)["code"]) == (503, "identity.unavailable")
            assert (
                gateway.code("/things", Authorization=f"Bearer {fresh(iss='https://evil.example')}")
                == "identity.invalid"
            )
        assert not api.received
