"""`/auth` as a client meets it: a code asked for, delivered, traded once for tokens, which are used, renewed, taken
back."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway_wire import echo
from support import (
    Running,
    Upstream,
    administration,
    held_port,
    make_account,
    make_key,
    running_gateway,
    until,
    write_policy,
)

CODE_GRANT = "urn:sallygate:grant-type:access-code"
AUTH = """
auth:
  issuer: https://api.example
  delivery: {outbox: outbox.jsonl}
  codes: {address: 100/s burst 100, account: 100/s burst 100}
accounts: {logins: {overall: 100/s burst 100}}
"""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture
def gateway(tmp_path: Path, upstream: Upstream) -> Iterator[Running]:
    policy = write_policy(tmp_path, AUTH, upstream=upstream.url)
    make_account(policy, "alice", contact="alice@example.org")
    make_account(policy, "mute")
    with running_gateway(policy) as running:
        yield running


def post(gateway: Running, path: str, key: str | None = None, **fields: str) -> tuple[int, dict[str, Any]]:
    body = urlencode(fields).encode()
    status, _, data = gateway.get(path, key, "POST", body, Content_Type="application/x-www-form-urlencoded")
    return status, json.loads(data)


def outbox(gateway: Running) -> list[dict[str, Any]]:
    file = gateway.policy.parent / "state" / "outbox.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def code_for(gateway: Running, name: str = "alice") -> str:
    before = len(outbox(gateway))
    assert post(gateway, "/auth/codes", account=name)[0] == 202
    return str(until(lambda: outbox(gateway)[before:])[0]["code"])


def signed_in(gateway: Running) -> dict[str, Any]:
    code = code_for(gateway)
    # The outbox has it a moment before it counts.
    tokens: dict[str, Any] = until(lambda: (got := trade(gateway, code))[0] == 200 and got[1])
    return tokens


def trade(gateway: Running, code: str, name: str = "alice") -> tuple[int, dict[str, Any]]:
    return post(gateway, "/auth/token", grant_type=CODE_GRANT, account=name, code=code)


def called(gateway: Running, token: str) -> int:
    return gateway.get("/things", Authorization=f"Bearer {token}")[0]


def test_a_code_is_traded_once_for_tokens_that_open_the_api(gateway: Running) -> None:
    code = code_for(gateway)
    _, tokens = until(lambda: (got := trade(gateway, code))[0] == 200 and got)
    assert tokens["token_type"] == "Bearer" and called(gateway, tokens["access_token"]) == 200
    assert trade(gateway, code) == (400, {"error": "invalid_grant",
                                          "error_description": "The account or the code is not valid."})  # fmt: skip


def test_nobody_learns_who_has_an_account(gateway: Running) -> None:
    answers = [post(gateway, "/auth/codes", account=name) for name in ("alice", "mute", "nobody")]
    assert answers[0] == answers[1] == answers[2] and answers[0][0] == 202
    wrong = [trade(gateway, "AAAA-AAAA", name) for name in ("alice", "mute", "nobody", "never asked")]
    assert {json.dumps(one) for one in wrong} == {json.dumps(wrong[0])} and wrong[0][0] == 400
    assert [letter["account"] for letter in until(lambda: outbox(gateway))] == ["alice"]


def test_a_refresh_token_counts_once_and_its_second_use_ends_the_sign_in(gateway: Running) -> None:
    first = signed_in(gateway)
    status, second = post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert status == 200 and second["refresh_token"] != first["refresh_token"]
    assert called(gateway, second["access_token"]) == 200
    again = post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again[0] == 400 and again[1]["error"] == "invalid_grant"
    third = post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert third[0] == 400
    assert called(gateway, second["access_token"]) == called(gateway, first["access_token"]) == 401


def test_a_key_is_traded_for_a_token_which_ends_with_it(gateway: Running) -> None:
    key = make_key(gateway.policy)
    _, body = until(lambda: (got := post(gateway, "/auth/token", grant_type="client_credentials",
                                              client_secret=key))[0] == 200 and got)  # fmt: skip
    assert called(gateway, body["access_token"]) == 200 and "refresh_token" not in body
    basic = base64.b64encode(f"{key.split('_')[1]}:{key}".encode()).decode()
    sent = gateway.get("/auth/token", None, "POST", b"grant_type=client_credentials", Authorization=f"Basic {basic}",
                       Content_Type="application/x-www-form-urlencoded")  # fmt: skip
    assert sent[0] == 200
    assert post(gateway, "/auth/token", grant_type="client_credentials", client_secret=key[:-1] + "0")[0] == 401
    with administration(gateway.policy) as admin:
        admin.revoke_key(key)
    until(lambda: called(gateway, body["access_token"]) == 401)


def test_a_token_is_revoked_and_looked_into(gateway: Running) -> None:
    tokens = signed_in(gateway)
    asker = make_key(gateway.policy)
    until(lambda: gateway.get("/things", asker)[0] == 200)
    status, body = post(gateway, "/auth/introspect", asker, token=tokens["access_token"])
    assert (status, body["active"], body["sub"]) == (200, True, "account:alice")
    assert post(gateway, "/auth/introspect", token=tokens["access_token"])[0] == 401
    assert post(gateway, "/auth/revoke", token=tokens["refresh_token"]) == (200, {})
    assert post(gateway, "/auth/introspect", asker, token=tokens["access_token"]) == (200, {"active": False})
    assert post(gateway, "/auth/introspect", asker, token=tokens["refresh_token"]) == (200, {"active": False})
    assert called(gateway, tokens["access_token"]) == 401
    assert post(gateway, "/auth/revoke", token="nonsense") == (200, {})


def test_what_ended_stays_ended_after_a_restart(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, AUTH, upstream=upstream.url)
    make_account(policy, "alice", contact="alice@example.org")
    with running_gateway(policy) as gateway:
        kept, ended = signed_in(gateway), signed_in(gateway)
        assert post(gateway, "/auth/revoke", token=ended["access_token"])[0] == 200
    with running_gateway(policy) as gateway:
        assert called(gateway, kept["access_token"]) == 200
        assert called(gateway, ended["access_token"]) == 401


def test_the_metadata_and_the_keys_are_for_everybody(gateway: Running) -> None:
    document = json.loads(gateway.get("/.well-known/oauth-authorization-server")[2])
    assert document["issuer"] == "https://api.example"
    assert document["token_endpoint"] == "https://api.example/auth/token"
    keys = json.loads(gateway.get("/auth/jwks.json")[2])["keys"]
    assert [key["alg"] for key in keys] == ["ES256"] and "d" not in keys[0]
    status, headers, _ = gateway.get("/auth/token")
    assert (status, headers["allow"]) == (405, "POST")


def test_what_is_no_token_request_is_told_so(gateway: Running) -> None:
    form = "application/x-www-form-urlencoded"
    for body, media in (
        (b"grant_type=password&username=a&password=b", form), (b"grant_type=refresh_token&grant_type=refresh_token", form),
        (b'{"grant_type": "refresh_token"}', "application/json"), (b"grant_type=%ff", form), (b"", "text/plain"),
    ):  # fmt: skip
        status, _, data = gateway.get("/auth/token", None, "POST", body, Content_Type=media)
        assert status in (400, 415) and json.loads(data)["error"] in ("invalid_request", "unsupported_grant_type"), body


def acts(gateway: Running) -> list[str]:
    with administration(gateway.policy) as admin:
        return [act.act for act in admin._store.acts()]


def test_a_lost_channel_leaves_the_code_unusable_and_the_operator_told(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "codes.secret").write_text("s" * 32)
    nobody = f"http://127.0.0.1:{held_port()}/send"
    lost = AUTH.replace("{outbox: outbox.jsonl}", f"{{webhook: {{url: '{nobody}', secret: codes.secret}}}}")
    policy = write_policy(tmp_path, lost, upstream=upstream.url)
    make_account(policy, "alice", contact="alice@example.org")
    with running_gateway(policy) as gateway:
        assert post(gateway, "/auth/codes", account="alice")[0] == 202
        until(lambda: "code.undelivered" in acts(gateway), within_s=15)
        assert "delivery of codes" in gateway.log.read_text()
        assert trade(gateway, "AAAAAAAA")[0] == 400
        assert gateway.get("/things", make_key(policy))[0] in (200, 401)


def test_a_reload_takes_over_what_changed_and_refuses_what_does_not_work(gateway: Running) -> None:
    good = gateway.policy.read_text()
    first = signed_in(gateway)
    gateway.policy.write_text(
        good.replace("{outbox: outbox.jsonl}", "{webhook: {url: 'https://x.example', secret: no}}")
    )
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "the new policy is refused" in gateway.log.read_text())
    assert called(gateway, signed_in(gateway)["access_token"]) == 200
    gateway.policy.write_text(
        good.replace("prefix: /auth", "").replace(
            "issuer: https://api.example", "issuer: https://api.example\n  prefix: /door"
        )
    )
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: gateway.get("/door/jwks.json")[0] == 200)
    assert gateway.get("/auth/jwks.json")[0] == 404 and called(gateway, first["access_token"]) == 200


def test_a_reload_without_it_closes_it(gateway: Running) -> None:
    tokens = signed_in(gateway)
    text = gateway.policy.read_text()
    start = text.index("auth:")
    gateway.policy.write_text(text[:start] + text[text.index("accounts:") :])
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: gateway.get("/auth/jwks.json")[0] == 404)
    assert called(gateway, tokens["access_token"]) == 401
