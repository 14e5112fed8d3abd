"""Attacks on `/auth`: on codes, tokens and places. One story each, against a real gateway."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway_wire import echo
from sallygate.model.access import TRIES_MAX
from support import Running, Upstream, administration, make_account, make_key, running_gateway, until, write_policy

CODE_GRANT = "urn:sallygate:grant-type:access-code"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
POLICY = """
transport: {trusted_hops: [127.0.0.1]}
plans:
  careful: {rate: 1000/s burst 1000, new_location: verify, scopes: ["*"]}
  large: {rate: 1000/s burst 1000, scopes: ["*"]}
  small: {rate: 1000/s burst 1000, scopes: ["things:read"]}
auth:
  issuer: https://api.example
  delivery: {outbox: outbox.jsonl}
  codes: {address: 1000/s burst 1000, account: 1000/s burst 1000, overall: 1000/s burst 1000}
accounts:
  logins: {overall: 1000/s burst 1000, accounts_per_address: 1000/s burst 1000,
    account: {free: 1000, delay: 1s}, place: {free: 1000, delay: 1s}, address: {free: 1000, delay: 1s}}
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with Upstream(echo) as upstream:
        policy = write_policy(tmp_path, POLICY, upstream=upstream.url)
        for name, plan in (("alice", "large"), ("bob", "small"), ("carol", "careful")):
            make_account(policy, name, plan, contact=f"{name}@example.org")
        with running_gateway(policy) as running:
            yield running


def post(
    gateway: Running, path: str, where: str = HOME, key: str | None = None, **fields: str
) -> tuple[int, dict[str, Any]]:
    status, _, data = gateway.get(path, key, "POST", urlencode(fields).encode(), X_Forwarded_For=where,
                                  Content_Type="application/x-www-form-urlencoded")  # fmt: skip
    return status, json.loads(data)


def letters(gateway: Running) -> list[dict[str, Any]]:
    file = gateway.policy.parent / "state" / "outbox.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def code_for(gateway: Running, name: str, where: str = HOME) -> str:
    before = len(letters(gateway))
    assert post(gateway, "/auth/codes", where, account=name)[0] == 202
    return str(until(lambda: letters(gateway)[before:])[0]["code"])


def trade(gateway: Running, name: str, code: str, where: str = HOME, **more: str) -> tuple[int, dict[str, Any]]:
    return post(gateway, "/auth/token", where, grant_type=CODE_GRANT, account=name, code=code, **more)


def counting(gateway: Running, name: str, where: str = HOME) -> str:
    """A code that counts: the outbox has it a moment before."""
    code = code_for(gateway, name, where)
    until(lambda: b'"delivered":true' in _codes(gateway))
    return code


def _codes(gateway: Running) -> bytes:
    with sqlite3.connect(gateway.policy.parent / "state" / "sallygate.db") as database:
        return b"\n".join(row for (row,) in database.execute("SELECT record FROM codes"))


def signed_in(gateway: Running, name: str, where: str = HOME, **more: str) -> dict[str, Any]:
    status, tokens = trade(gateway, name, counting(gateway, name, where), where, **more)
    assert status == 200, tokens
    return tokens


def called(gateway: Running, token: str, where: str = HOME) -> int:
    return gateway.get("/things", Authorization=f"Bearer {token}", X_Forwarded_For=where)[0]


def at_once(many: int, call: Callable[[], int]) -> list[int]:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(call())) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def test_a_code_used_by_many_at_the_same_time_is_used_once(gateway: Running) -> None:
    code = counting(gateway, "alice")
    assert at_once(4, lambda: trade(gateway, "alice", code)[0]) == [200, 400, 400, 400]


def test_guesses_at_the_same_time_are_guesses_one_by_one(gateway: Running) -> None:
    """More tries than there are, all under way together, and then the right one: it is too late for it."""
    code = counting(gateway, "alice")
    wrong = iter(f"AAAAAAA{digit}" for digit in "0123456789")
    assert set(at_once(TRIES_MAX, lambda: trade(gateway, "alice", next(wrong))[0])) == {400}
    assert trade(gateway, "alice", code)[0] == 400


def test_a_code_counts_from_its_network_for_its_account_and_its_purpose_alone(gateway: Running) -> None:
    key = make_key(gateway.policy, "large", "alice")
    code = counting(gateway, "alice")
    assert trade(gateway, "alice", code, ELSEWHERE)[0] == 400
    assert trade(gateway, "bob", code)[0] == 400
    until(lambda: gateway.get("/things", key, X_Forwarded_For=HOME)[0] == 200)
    assert post(gateway, "/auth/locations", HOME, key, code=code)[0] == 400
    assert trade(gateway, "alice", code)[0] == 200, "none of that has used it up"


def test_asking_from_elsewhere_does_not_void_the_owners_code(gateway: Running) -> None:
    code = counting(gateway, "alice")
    assert post(gateway, "/auth/codes", ELSEWHERE, account="alice")[0] == 202
    until(lambda: len(letters(gateway)) == 2)
    assert trade(gateway, "alice", code)[0] == 200


def test_a_refresh_token_used_by_two_at_once_gives_one_of_them_tokens_and_ends_for_both(gateway: Running) -> None:
    tokens = signed_in(gateway, "alice")
    got = at_once(2, lambda: post(gateway, "/auth/token", grant_type="refresh_token",
                                  refresh_token=tokens["refresh_token"])[0])  # fmt: skip
    assert got == [200, 400]
    assert called(gateway, tokens["access_token"]) == 401


def test_an_invented_refresh_token_of_a_known_sign_in_ends_nothing(gateway: Running) -> None:
    tokens = signed_in(gateway, "alice")
    text = tokens["refresh_token"]
    invented = text[:-12] + "A" * 12
    assert post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=invented)[0] == 400
    assert post(gateway, "/auth/revoke", token=invented) == (200, {})
    assert called(gateway, tokens["access_token"]) == 200
    assert post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=text)[0] == 200


def test_scopes_do_not_grow(gateway: Running) -> None:
    few = signed_in(gateway, "alice", scope="things:read")
    for scope in ("*", "things:write", "things:read things:write"):
        again = {"grant_type": "refresh_token", "refresh_token": few["refresh_token"], "scope": scope}
        assert post(gateway, "/auth/token", **again)[1]["error"] == "invalid_scope"
    status, next_ = post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=few["refresh_token"])
    assert status == 200 and next_["scope"] == "things:read"
    assert trade(gateway, "bob", counting(gateway, "bob"), scope="*")[1]["error"] == "invalid_scope"


def test_a_locked_account_has_nothing_that_counts(gateway: Running) -> None:
    from sallygate.admin.accounts import Accounts
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.store import SqliteStore

    tokens, code = signed_in(gateway, "alice"), counting(gateway, "alice")
    Accounts(SqliteStore(Installation(gateway.policy.parent / "state").database), "test").lock("alice")
    until(lambda: called(gateway, tokens["access_token"]) == 401)
    assert trade(gateway, "alice", code)[0] == 400
    assert post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])[0] == 400


def test_a_token_from_the_owners_place_is_refused_elsewhere(gateway: Running) -> None:
    """A verified plan's token that was stolen, and a key of its traded for a token elsewhere."""
    key = make_key(gateway.policy, "careful", "carol")
    until(lambda: gateway.get("/things", key, X_Forwarded_For=HOME)[0] == 403)
    status, body = post(gateway, "/auth/token", ELSEWHERE, grant_type="client_credentials", client_secret=key)
    assert status == 200
    refused = gateway.get("/things", Authorization=f"Bearer {body['access_token']}", X_Forwarded_For=ELSEWHERE)
    assert refused[0] == 403 and json.loads(refused[2])["code"] == "location.unverified"


def test_who_is_not_admitted_looks_into_nobodys_tokens(gateway: Running) -> None:
    key, tokens = make_key(gateway.policy, "careful", "carol"), signed_in(gateway, "alice")
    until(lambda: gateway.get("/things", key, X_Forwarded_For=ELSEWHERE)[0] == 403)
    assert post(gateway, "/auth/introspect", ELSEWHERE, key, token=tokens["access_token"])[0] == 403
    small = make_key(gateway.policy, "small", "bob")
    until(lambda: gateway.get("/things", small, X_Forwarded_For=HOME)[0] == 200)
    assert post(gateway, "/auth/introspect", HOME, small, token=tokens["access_token"])[0] == 403


def test_another_spelling_of_a_path_leads_nowhere(gateway: Running) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    for path in (
        "/auth/token/", "/auth//token", "/AUTH/token", "/auth%2ftoken", "/auth/%74oken/..", "/auth/token%00",
        "/auth/../auth/token",
    ):  # fmt: skip
        assert gateway.get(path, None, "POST", b"grant_type=x", **form)[0] in (400, 404), path


def test_another_method_is_405(gateway: Running) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        status, headers, _ = gateway.get("/auth/token", None, method)
        assert (status, headers.get("allow")) == (405, "POST"), method


@pytest.mark.parametrize("more, status", [
    ({"Content-Encoding": "gzip"}, (400, 415)), ({"Transfer-Encoding": "chunked", "Content-Length": "3"}, (400,)),
])  # fmt: skip
def test_a_body_that_reads_two_ways_is_not_read(
    gateway: Running, more: dict[str, str], status: tuple[int, ...]
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in more.items())
    length = "" if "Content-Length" in more else "Content-Length: 39\r\n"
    data = (
        f"POST /auth/codes HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n{length}{head}\r\n"
    )
    answer = gateway.send(data.encode() + b"\x1f\x8b" + b"account=alice" + b"x" * 24, 2.0)
    assert int(answer.split(b" ", 2)[1]) in status and not letters(gateway)


def test_a_large_body_and_one_in_the_query_are_refused(gateway: Running) -> None:
    assert post(gateway, "/auth/codes", account="a" * 20_000)[0] == 413
    query = gateway.get(
        "/auth/codes?account=alice", None, "POST", b"", Content_Type="application/x-www-form-urlencoded"
    )
    assert query[0] == 400


def test_a_name_that_looks_like_another_gets_no_code(gateway: Running) -> None:
    for name in ("ALICE", "alice ", "alice\x00", "alice:x", "аlice", "a" * 129, "", "alice\r\nBcc: x@y.z"):
        assert post(gateway, "/auth/codes", account=name)[0] in (202, 400), name
    assert code_for(gateway, "bob") and [letter["account"] for letter in letters(gateway)] == ["bob"]


def test_no_secret_is_written_anywhere_but_to_its_owner(gateway: Running) -> None:
    code = counting(gateway, "alice")
    status, tokens = trade(gateway, "alice", code)
    assert status == 200
    key = make_key(gateway.policy, "large", "alice")
    until(lambda: post(gateway, "/auth/token", grant_type="client_credentials", client_secret=key)[0] == 200)
    post(gateway, "/auth/codes", account="a password in the wrong field")
    until(lambda: b"POST" in b"".join(file.read_bytes() for file in events(gateway)))
    with administration(gateway.policy) as admin:
        assert "code.use" in [act.act for act in admin._store.acts()]
    written = gateway.log.read_bytes() + b"".join(
        file.read_bytes()
        for file in (gateway.policy.parent / "state").rglob("*")
        if file.is_file() and file.name != "outbox.jsonl"
    )
    secrets = [
        code,
        code.replace("-", ""),
        tokens["refresh_token"],
        tokens["access_token"],
        key,
        "a password in the wrong",
    ]
    assert not [secret for secret in secrets if secret.encode() in written]


def events(gateway: Running) -> list[Path]:
    return list((gateway.policy.parent / "state" / "events").glob("*"))


def test_a_store_that_is_gone_makes_no_tokens_and_no_crash(gateway: Running) -> None:
    tokens = signed_in(gateway, "alice")
    database = sqlite3.connect(gateway.policy.parent / "state" / "sallygate.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    try:
        status, body = post(gateway, "/auth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert status == 503 and body["error"] == "temporarily_unavailable"
        assert post(gateway, "/auth/revoke", token=tokens["refresh_token"])[0] == 503
        assert called(gateway, tokens["access_token"]) == 200, "what is in memory goes on"
    finally:
        database.execute("ROLLBACK")
        database.close()
    again = until(lambda: (got := post(gateway, "/auth/token", grant_type="refresh_token",
                                       refresh_token=tokens["refresh_token"]))[0] == 200 and got)  # fmt: skip
    assert again[0] == 200


def test_a_restriction_holds_at_the_door_too(gateway: Running) -> None:
    with administration(gateway.policy) as admin:
        admin.restrict({"address": ELSEWHERE}, "deny", "an attacker", 600)
    until(lambda: post(gateway, "/auth/codes", ELSEWHERE, account="alice")[0] == 403)
    assert post(gateway, "/auth/codes", HOME, account="alice")[0] == 202


STRICT = (
    POLICY.partition("auth:")[0]
    + """
auth:
  issuer: https://api.example
  delivery: {outbox: outbox.jsonl}
  codes: {address: 1000/s burst 1000, account: 3/h burst 3, overall: 1000/s burst 1000}
accounts:
  logins: {overall: 1000/s burst 1000, accounts_per_address: 1000/s burst 1000,
    account: {free: 2, delay: 60s}, place: {free: 2, delay: 60s}, address: {free: 1000, delay: 1s}}
"""
)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Running]:
    """Few codes and few guesses an account."""
    with Upstream(echo) as upstream:
        policy = write_policy(tmp_path, STRICT, upstream=upstream.url)
        make_account(policy, "alice", "large", contact="alice@example.org")
        with running_gateway(policy) as running:
            yield running


def test_asking_in_the_owners_name_does_not_keep_the_owner_from_asking(strict: Running) -> None:
    """Who wants the owner out asks for its codes until there are no more; where it signs in from it has its own."""
    signed_in(strict, "alice", HOME)
    asked = [post(strict, "/auth/codes", f"192.0.{net}.1", account="alice")[0] for net in range(10)]
    assert asked.count(202) == 2 and asked[-1] == 429
    until(lambda: len(letters(strict)) == 3)
    code = code_for(strict, "alice", HOME)
    until(lambda: _codes(strict).count(b'"delivered":true') == 3)
    assert trade(strict, "alice", code, HOME)[0] == 200
    assert [post(strict, "/auth/codes", HOME, account="alice")[0] for _ in range(3)][-1] == 429, "bounded there too"


def test_guessing_in_the_owners_name_does_not_keep_the_owner_out(strict: Running) -> None:
    signed_in(strict, "alice", HOME)
    code = counting(strict, "alice", HOME)
    guessed = [trade(strict, "alice", "AAAAAAAA", f"192.0.{net}.1")[0] for net in range(6)]
    assert guessed[-1] == 429
    assert trade(strict, "alice", code, HOME)[0] == 200


def test_a_store_that_is_gone_is_no_wrong_guess(strict: Running) -> None:
    code = counting(strict, "alice")
    database = sqlite3.connect(strict.policy.parent / "state" / "sallygate.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    try:
        assert [trade(strict, "alice", code)[0] for _ in range(2)] == [503, 503]
    finally:
        database.execute("ROLLBACK")
        database.close()
    assert trade(strict, "alice", code)[0] == 200


def test_what_ends_a_sign_in_is_taken_over_though_a_file_cannot_be_written(gateway: Running) -> None:
    """A full disk keeps the assertions' key set from being written; a sign-out, already durable, must hold."""
    from sallygate.admin.locations import Locations
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.store import SqliteStore

    tokens, state = signed_in(gateway, "alice"), gateway.policy.parent / "state"
    published = state / "assertion.jwks.json"
    published.unlink()
    (published / "in the way").mkdir(parents=True)
    Locations(SqliteStore(Installation(state).database), "test").sign_out("alice")
    until(lambda: called(gateway, tokens["access_token"]) == 401)


def test_forgeries_sent_to_be_revoked_are_limited_like_any_other(gateway: Running) -> None:
    """Anybody may revoke; nobody may have signatures verified without end."""
    token = signed_in(gateway, "alice")["access_token"]
    forged = token[:-20] + "A" * 20
    asked = [post(gateway, "/auth/revoke", ELSEWHERE, token=forged)[0] for _ in range(60)]
    assert asked[0] == 200 and 429 in asked
    assert called(gateway, token) == 200
    assert post(gateway, "/auth/revoke", HOME, token=token) == (200, {})
    assert called(gateway, token) == 401


def test_one_token_revoked_again_and_again_fills_nothing(gateway: Running) -> None:
    token = signed_in(gateway, "alice")["access_token"]
    assert [post(gateway, "/auth/revoke", token=token)[0] for _ in range(5)] == [200] * 5
    with administration(gateway.policy) as admin:
        assert [act.act for act in admin._store.acts()].count("token.revoke") == 1


def test_a_restriction_of_an_operation_or_an_operation_and_a_place_holds_at_auth(gateway: Running) -> None:
    with administration(gateway.policy) as admin:
        admin.restrict({"operation": "auth.codes"}, "deny", "mail flood", 600)
    until(lambda: post(gateway, "/auth/codes", HOME, account="alice")[0] == 403)
    assert post(gateway, "/auth/revoke", token="x") == (200, {}), "and no other"


def test_a_refresh_token_of_a_locked_account_is_not_active(gateway: Running) -> None:
    from sallygate.admin.accounts import Accounts
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.store import SqliteStore

    key, tokens = make_key(gateway.policy, "large", "asker"), signed_in(gateway, "alice")

    def active() -> bool:
        return bool(post(gateway, "/auth/introspect", HOME, key, token=tokens["refresh_token"])[1].get("active"))

    until(active)
    Accounts(SqliteStore(Installation(gateway.policy.parent / "state").database), "test").lock("alice")
    until(lambda: called(gateway, tokens["access_token"]) == 401)
    assert not active()


def test_a_used_refresh_token_ends_its_sign_in_whatever_else_is_asked_with_it(gateway: Running) -> None:
    tokens = signed_in(gateway, "bob")
    used = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert post(gateway, "/auth/token", **used)[0] == 200
    assert post(gateway, "/auth/token", **used, scope="things:write")[1]["error"] == "invalid_grant"
    assert called(gateway, tokens["access_token"]) == 401


def test_a_key_whose_plan_is_gone_is_told_what_any_other_is_told(gateway: Running) -> None:
    key = make_key(gateway.policy, "gone", "someone")
    status, body = post(gateway, "/auth/token", grant_type="client_credentials", client_secret=key)
    assert (status, body["error"]) == (401, "invalid_client")


def test_a_holder_who_ends_token_after_token_fills_no_table(gateway: Running) -> None:
    """Each is remembered for an hour, and a full table refuses everybody's."""
    key = make_key(gateway.policy)
    token = until(lambda: post(gateway, "/auth/token", grant_type="client_credentials", client_secret=key)[1].get(
        "access_token"))  # fmt: skip
    assert called(gateway, token) == 200
    ended = []
    for _ in range(80):
        made = post(gateway, "/auth/token", grant_type="client_credentials", client_secret=key)[1]["access_token"]
        ended.append(post(gateway, "/auth/revoke", token=made)[0])
    assert ended[:60] == [200] * 60 and 429 in ended


def test_tokens_are_decided_offline_as_they_are_at_the_door(gateway: Running) -> None:
    """`explain` and `replay` know our own keys, and what was revoked."""
    from sallygate.offline.decide import Offline
    from sallygate.offline.recordings import Recorded

    kept, ended = signed_in(gateway, "alice")["access_token"], signed_in(gateway, "alice")["access_token"]
    assert post(gateway, "/auth/revoke", token=ended)[0] == 200
    offline = Offline(gateway.policy)
    for token, status in ((kept, 200), (ended, 401)):
        headers = ((b"host", b"a"), (b"authorization", f"Bearer {token}".encode()))
        recorded = Recorded("GET", "https", b"/things", b"", headers, b"", HOME, None)
        assert offline.decide(recorded).status == status


def test_a_reload_while_the_store_is_gone_leaves_the_door_as_it_was_and_catches_up(gateway: Running) -> None:
    database = sqlite3.connect(gateway.policy.parent / "state" / "sallygate.db", isolation_level=None)
    text = gateway.policy.read_text()
    database.execute("BEGIN EXCLUSIVE")
    try:
        gateway.policy.write_text(
            text.replace("issuer: https://api.example", "issuer: https://api.example\n  prefix: /door")
        )
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: gateway.get("/door/jwks.json")[0] in (200, 503))
    finally:
        database.execute("ROLLBACK")
        database.close()
    until(lambda: gateway.get("/door/jwks.json")[0] == 200)
    assert gateway.get("/auth/jwks.json")[0] == 404
