"""Secrets follow one another while a gate runs, and nothing that worked stops working."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway_wire import echo
from sallygate.admin.secrets import Secrets
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.store import SqliteStore
from support import Running, Upstream, administration, make_key, running_gateway, until, write_policy

AUTH = "auth: {issuer: https://api.example}\n"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with Upstream(echo) as upstream, running_gateway(write_policy(tmp_path, AUTH, upstream=upstream.url)) as running:
        yield running


@contextmanager
def secrets_of(policy: Path) -> Iterator[Secrets]:
    installation = Installation(policy.parent / "state")
    store = SqliteStore(installation.database)
    try:
        yield Secrets(installation, store, "test")
    finally:
        store.close()


def new_key(policy: Path) -> str:
    """As the command makes it: under the present pepper, with the others known."""
    from sallygate.admin.keys import Administration
    from sallygate.security.key_ring import KeyRing

    installation = Installation(policy.parent / "state")
    store = SqliteStore(installation.database)
    try:
        return Administration(store, KeyRing(installation.pepper()), "test").create_key("acme", "large")[1]
    finally:
        store.close()


def token_for(gateway: Running, key: str) -> str:
    body = urlencode({"grant_type": "client_credentials", "client_secret": key}).encode()
    answer = gateway.get("/auth/token", None, "POST", body, Content_Type="application/x-www-form-urlencoded")
    return str(json.loads(answer[2])["access_token"]) if answer[0] == 200 else ""


def called(gateway: Running, token: str) -> int:
    return gateway.get("/things", Authorization=f"Bearer {token}")[0]


def test_keys_under_the_old_and_the_new_pepper_count_until_the_old_one_is_retired(gateway: Running) -> None:
    old = make_key(gateway.policy)
    until(lambda: gateway.get("/things", old)[0] == 200)
    with secrets_of(gateway.policy) as admin:
        admin.rotate("pepper")
        assert [one.state for one in admin.all() if one.name == "pepper"] == ["present", "former, still counts"]
    new = new_key(gateway.policy)
    until(lambda: gateway.get("/things", new)[0] == 200)
    assert gateway.get("/things", old)[0] == 200
    with secrets_of(gateway.policy) as admin:
        with pytest.raises(ValueError, match=old.split("_")[1]):
            admin.retire("pepper")
        admin.retire("pepper", revoke=True)
    until(lambda: gateway.get("/things", old)[0] == 401)
    assert gateway.get("/things", new)[0] == 200


def test_peppers_outlive_a_restart(tmp_path: Path) -> None:
    with Upstream(echo) as upstream:
        policy = write_policy(tmp_path, AUTH, upstream=upstream.url)
        old = make_key(policy)
        with secrets_of(policy) as admin:
            admin.rotate("pepper")
        new = new_key(policy)
        with running_gateway(policy) as gateway:
            assert gateway.get("/things", old)[0] == gateway.get("/things", new)[0] == 200


def test_tokens_go_on_through_a_rotation_and_end_with_one_at_once(gateway: Running) -> None:
    key = make_key(gateway.policy)
    before = until(lambda: token_for(gateway, key))
    with secrets_of(gateway.policy) as admin:
        admin.rotate("signing")
        states = {one.state for one in admin.all() if one.name == "signing"}
    assert states == {"signs", "published, signs soon"}
    until(lambda: len(published(gateway)) == 2)
    assert called(gateway, before) == called(gateway, token_for(gateway, key)) == 200
    with secrets_of(gateway.policy) as admin:
        admin._now = lambda: 2e9  # another second, so another name
        admin.rotate("signing", at_once=True)
    until(lambda: called(gateway, before) == 401)
    assert called(gateway, token_for(gateway, key)) == 200


def published(gateway: Running) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(gateway.get("/auth/jwks.json")[2])["keys"]
    return keys


def test_assertions_are_verified_by_either_key(gateway: Running) -> None:
    file = gateway.policy.parent / "state" / "assertion.jwks.json"
    assert len(json.loads(file.read_text())["keys"]) == 1
    with secrets_of(gateway.policy) as admin:
        admin.rotate("assertion")
    until(lambda: len(json.loads(file.read_text())["keys"]) == 2)


def test_a_rotation_is_on_record(gateway: Running) -> None:
    with secrets_of(gateway.policy) as admin:
        admin.rotate("pepper")
    with administration(gateway.policy) as admin_of_keys:
        acts = admin_of_keys._store.acts()
    assert [act.act for act in acts][-1] == "secret.rotate"
