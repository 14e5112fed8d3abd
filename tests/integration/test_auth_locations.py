"""Verified locations, through a trusted hop that says where callers are: new places are refused, admitted by a code or by
an operator, forgotten; plans that only observe learn them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway_wire import echo, events_of
from sallygate.admin.locations import Locations
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.store import SqliteStore
from support import Running, Upstream, administration, make_account, make_key, running_gateway, until, write_policy

POLICY = """
transport: {trusted_hops: [127.0.0.1]}
plans:
  careful: {rate: 1000/s burst 1000, new_location: verify, scopes: ["*"]}
  curious: {rate: 1000/s burst 1000, new_location: observe, scopes: ["*"]}
auth:
  issuer: https://api.example
  delivery: {outbox: outbox.jsonl}
  codes: {address: 100/s burst 100, account: 100/s burst 100}
"""
HOME, CAFE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with Upstream(echo) as upstream:
        policy = write_policy(tmp_path, POLICY, upstream=upstream.url)
        make_account(policy, "alice", "careful", contact="alice@example.org")
        with running_gateway(policy) as running:
            yield running


def places(gateway: Running) -> Locations:
    return Locations(SqliteStore(Installation(gateway.policy.parent / "state").database), "test")


def call(gateway: Running, key: str, where: str) -> tuple[int, dict[str, Any]]:
    status, _, body = gateway.get("/things", key, X_Forwarded_For=where)
    return status, json.loads(body) if status != 200 else {}


def post(gateway: Running, key: str, where: str, **fields: str) -> tuple[int, dict[str, Any]]:
    status, _, body = gateway.get("/auth/locations", key, "POST", json.dumps(fields).encode(),
                                  X_Forwarded_For=where, Content_Type="application/json")  # fmt: skip
    return status, json.loads(body)


def letters(gateway: Running) -> list[dict[str, Any]]:
    file = gateway.policy.parent / "state" / "outbox.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_new_place_is_admitted_by_its_owners_code_and_from_nowhere_else(gateway: Running) -> None:
    key = make_key(gateway.policy, "careful", "alice")
    _, problem = until(lambda: (got := call(gateway, key, HOME))[0] == 403 and got)
    assert problem["code"] == "location.unverified" and "/auth/locations" in problem["detail"]
    assert post(gateway, key, HOME)[0] == 202
    code = until(lambda: letters(gateway))[0]["code"]
    assert post(gateway, key, CAFE, code=code)[0] == 400  # seen on its way, used from elsewhere
    until(lambda: post(gateway, key, HOME, code=code)[0] == 200)
    assert call(gateway, key, HOME)[0] == 200
    assert call(gateway, key, HOME.replace(".7", ".200"))[0] == 200, "the same network is the same place"
    assert call(gateway, key, CAFE)[0] == 403
    other = make_key(gateway.policy, "careful", "alice")
    until(lambda: call(gateway, other, HOME)[0] == 403)


def test_an_operator_admits_and_forgets(gateway: Running) -> None:
    key = make_key(gateway.policy, "careful", "bob")
    until(lambda: call(gateway, key, HOME)[0] == 403)
    name = f"key:{key.split('_')[1]}"
    places(gateway).admit(name, HOME)
    until(lambda: call(gateway, key, HOME)[0] == 200)
    places(gateway).forget(name, "198.51.100.0/24")
    until(lambda: call(gateway, key, HOME)[0] == 403)


def test_a_plan_that_observes_learns(gateway: Running) -> None:
    key = make_key(gateway.policy, "curious", "carol")
    until(lambda: call(gateway, key, HOME)[0] == 200)
    until(lambda: [(place.network, place.state) for place in places(gateway).all()] == [("198.51.100.0/24", "seen")])
    assert call(gateway, key, "2001:db8:1:2::3")[0] == 200
    until(lambda: "2001:db8:1::/48" in [place.network for place in places(gateway).all()])


def test_places_outlive_a_restart(tmp_path: Path) -> None:
    with Upstream(echo) as upstream:
        policy = write_policy(tmp_path, POLICY, upstream=upstream.url)
        key = make_key(policy, "careful", "alice")
        with closing(SqliteStore(Installation(policy.parent / "state").database)) as store:
            Locations(store, "test").admit(f"key:{key.split('_')[1]}", HOME)
        with running_gateway(policy) as gateway:
            assert call(gateway, key, HOME)[0] == 200
            assert call(gateway, key, CAFE)[0] == 403


def test_a_code_is_for_one_key(gateway: Running) -> None:
    """A code sent for one key of an account admits no other of it."""
    one, two = (make_key(gateway.policy, "careful", "alice") for _ in range(2))
    until(lambda: call(gateway, two, HOME)[0] == 403)
    assert post(gateway, one, HOME)[0] == 202
    code = until(lambda: letters(gateway))[0]["code"]
    assert post(gateway, two, HOME, code=code)[0] == 400
    until(lambda: post(gateway, one, HOME, code=code)[0] == 200)
    assert call(gateway, two, HOME)[0] == 403


def test_nobody_unknown_asks_about_places(gateway: Running) -> None:
    assert gateway.get("/auth/locations", None, "POST", b"{}", Content_Type="application/json")[0] == 401


def test_a_challenge_is_met_by_a_code_from_where_the_caller_is(gateway: Running) -> None:
    key = make_key(gateway.policy, "careful", "alice")
    places(gateway).admit(f"key:{key.split('_')[1]}", HOME)
    until(lambda: call(gateway, key, HOME)[0] == 200)
    with administration(gateway.policy) as admin:
        made = admin.restrict({"account": "alice"}, "challenge", "stolen?", 600)
    _, problem = until(lambda: (got := call(gateway, key, HOME))[0] == 403 and got)
    assert problem["code"] == "challenge.required" and "/auth/locations" in problem["detail"]
    assert post(gateway, key, HOME)[0] == 202
    code = until(lambda: letters(gateway))[0]["code"]
    until(lambda: post(gateway, key, HOME, code=code)[0] == 200)
    until(lambda: call(gateway, key, HOME)[0] == 200)
    other = make_key(gateway.policy, "careful", "alice")
    places(gateway).admit(f"key:{other.split('_')[1]}", CAFE)
    until(lambda: call(gateway, other, CAFE)[0] == 200)  # an operator's word after the restriction counts too
    with administration(gateway.policy) as admin:
        admin.lift(made.id)


def test_two_distant_places_at_once_are_told_of(gateway: Running) -> None:
    key = make_key(gateway.policy, "careful", "alice")
    brazil, japan = "200.160.2.3", "133.11.0.1"
    for where in (brazil, japan):
        places(gateway).admit(f"key:{key.split('_')[1]}", where)
    until(lambda: call(gateway, key, brazil)[0] == 200)
    until(lambda: call(gateway, key, japan)[0] == 200)

    def told() -> bool:
        found = [one for event in events_of(gateway) for one in event.findings if one.code == "location.travel"]
        return any("(BR)" in one.evidence and "(JP)" in one.evidence and one.mode == "shadow" for one in found)

    until(told)
