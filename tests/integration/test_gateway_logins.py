"""Logins at a real gateway: other processes' changes, restarts, what the API sees."""

from __future__ import annotations

import base64
from pathlib import Path

from sallygate.admin.accounts import Accounts
from sallygate.security.state_directory import Installation
from sallygate.stores.events import read_events
from sallygate.stores.sqlite.store import SqliteStore
from support import Running, Upstream, running_gateway, until, write_policy

PASSWORD = "correct horse battery"
SECTIONS = "identity: {basic: {remember: 1s}}\naccounts: {logins: {answer_every: 50ms, account: {free: 3, delay: 1h, delay_max: 1h}}}\n"
TRUSTED = "transport: {trusted_hops: [127.0.0.1]}\n"


def authorization(password: str = PASSWORD, name: str = "alice") -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def login(gate: Running, password: str = PASSWORD, address: str = "192.0.2.1", name: str = "alice") -> int:
    return gate.get("/things", Authorization=authorization(password, name), X_Forwarded_For=address)[0]


def accounts_of(policy: Path) -> tuple[Accounts, SqliteStore]:
    store = SqliteStore(Installation(policy.parent / "state").database)
    return Accounts(store, "test"), store


def test_logins_follow_the_accounts_and_survive_a_restart(tmp_path: Path) -> None:
    with Upstream() as api:
        policy = write_policy(tmp_path, SECTIONS + TRUSTED, upstream=api.url)
        accounts, store = accounts_of(policy)
        accounts.create("alice", "large", password=PASSWORD)
        with running_gateway(policy) as gate:
            assert login(gate) == 200
            sent = dict(api.received[-1].headers)
            assert b"authorization" not in {name.lower() for name in sent}
            assert [value for name, value in sent.items() if name.lower() == b"x-sallygate-account"] == [b"alice"]
            accounts.create("bob", "large", password=PASSWORD)
            until(lambda: login(gate, name="bob") == 200, 2.0)
            accounts.lock("alice")
            until(lambda: login(gate) == 401, 2.0)
            accounts.unlock("alice")
            until(lambda: login(gate, address="203.0.113.1") == 200, 5.0)
            for number in range(6):
                login(gate, f"guess {number}", f"198.51.{number}.1")
            until(lambda: login(gate, address="198.51.100.1") == 429)  # once her password is not remembered any more
        with running_gateway(policy) as gate:
            assert login(gate, address="198.51.100.1") == 429  # what failed is not forgotten
            assert login(gate, address="192.0.2.9") == 200  # nor where she is at home
        store.close()
        rules = [event.findings[0].rule for event in read_events(tmp_path / "state" / "events", 0.0) if event.findings]
        assert {"locked", "wrong password", "guesses:account"} <= set(rules)
        everything = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
        assert PASSWORD.encode() not in everything + (tmp_path / "gateway.log").read_bytes()


def test_without_the_section_nobody_logs_in(tmp_path: Path) -> None:
    with Upstream() as api:
        policy = write_policy(tmp_path, "identity: {api_keys: {}}", upstream=api.url)
        accounts, store = accounts_of(policy)
        accounts.create("alice", "large", password=PASSWORD)
        store.close()
        with running_gateway(policy) as gate:
            status, headers, _ = gate.get("/things", Authorization=authorization())
            assert status == 401 and "Basic" not in headers["www-authenticate"]
            assert not api.received
