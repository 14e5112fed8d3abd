"""Accounts as an operator handles them: by command, on record, durable."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sallygate.admin.accounts import Accounts
from sallygate.admin.audit import act_of
from sallygate.cli import app
from sallygate.model.account import Account, is_account_name
from sallygate.model.event import Event, Location
from sallygate.offline.decide import Offline
from sallygate.offline.doctor import examine
from sallygate.offline.recordings import Recorded
from sallygate.offline.what_if import FromEvents, verdict_of
from sallygate.parsing.addresses import location_network
from sallygate.parsing.http.credentials import parse_basic, seems_api_key
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from sallygate.ports import StoreError
from sallygate.security import passwords
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.files import SqliteFiles
from sallygate.stores.sqlite.store import SqliteStore
from support import erased, make_key, write_policy

PASSWORD = "correct horse battery"
RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passwords.PROFILES, "rfc9106-low-memory", passwords.PROFILES["for-tests"])


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path, "identity: {basic: {}}")


def sallygate(policy: Path, *words: str, typed: str = "", code: int = 0) -> str:
    done = RUNNER.invoke(app, ["accounts", *words, "--policy", str(policy)], input=typed)
    assert done.exit_code == code, done.output
    assert PASSWORD not in done.output and "$argon2" not in done.output
    return done.output if code else done.stdout


def store_of(policy: Path) -> SqliteStore:
    return SqliteStore(Installation(policy.parent / "state").database)


def acts(policy: Path) -> list[Event]:
    store = store_of(policy)
    try:
        return list(store.acts())
    finally:
        store.close()


def test_the_life_of_an_account(policy: Path) -> None:
    made = sallygate(policy, "create", "alice", "--plan", "small", "--contact", "a@example.org", "--password-stdin",
                     "--json", typed=PASSWORD + "\n")  # fmt: skip
    assert json.loads(made)["password"] == "argon2id" and json.loads(made)["plan"] == "small"
    sallygate(policy, "create", "bob", "--plan", "large", "--no-password", "--scope", "things:read")
    listed = json.loads(sallygate(policy, "list", "--json"))
    assert [(one["name"], one["password"]) for one in listed] == [("alice", "argon2id"), ("bob", "none")]
    assert "alice" in sallygate(policy, "list")
    sallygate(policy, "lock", "alice", "--why", "laptop stolen")
    assert [one["name"] for one in json.loads(sallygate(policy, "list", "--locked", "--json"))] == ["alice"]
    sallygate(policy, "unlock", "account:alice")
    sallygate(policy, "reset", "alice", "--no-password")
    assert json.loads(sallygate(policy, "show", "alice", "--json"))["password"] == "none"
    sallygate(policy, "reset", "bob", "--password-stdin", typed=PASSWORD + "\n")
    told = [(act.act, act.subject, act.note) for act in acts(policy)]
    assert told == [
        ("account.create", "alice", "plan small, with a password"), ("account.create", "bob", "plan large, no password"),
        ("account.lock", "alice", "laptop stolen"), ("account.unlock", "alice", ""),
        ("account.reset", "alice", "no password"), ("account.reset", "bob", ""),
    ]  # fmt: skip
    assert all(act.actor for act in acts(policy))


def test_what_is_refused_is_said_and_changes_nothing(policy: Path) -> None:
    sallygate(policy, "create", "alice", "--plan", "small", "--no-password")
    refused = [
        (["create", "alice", "--plan", "small", "--no-password"], ""), (["create", "ALICE", "--plan", "small", "--no-password"], ""),
        (["create", "bo:b", "--plan", "small", "--no-password"], ""), (["create", "b\u00f6b", "--plan", "small", "--no-password"], ""),
        (["create", "bob", "--plan", "gone", "--no-password"], ""), (["create", "bob", "--plan", "small", "--password-stdin"], "short\n"),
        (["create", "bob", "--plan", "small", "--password-stdin"], "\n"), (["create", "bob", "--plan", "small"], ""),
        (["create", "bob", "--plan", "small", "--password-stdin"], "a" * 2000 + "\n"),
        (["create", "bob", "--plan", "small", "--password-stdin", "--hash"], "5f4dcc3b5aa765d61d8327deb882cf99\n"),
        (["create", "bob", "--plan", "small", "--password-stdin", "--no-password"], PASSWORD), (["lock", "nobody"], ""),
        (["reset", "nobody", "--no-password"], ""), (["show", "nobody"], ""),
    ]  # fmt: skip
    for words, typed in refused:
        sallygate(policy, *words, typed=typed, code=2)
    assert len(acts(policy)) == 1 and len(refused) == 14


def test_a_hash_of_another_system_is_taken_as_it_is(policy: Path) -> None:
    stored = passwords.bcrypt.hashpw(PASSWORD.encode(), passwords.bcrypt.gensalt(4)).decode()
    made = sallygate(policy, "create", "old", "--plan", "small", "--password-stdin", "--hash", "--json", typed=stored)
    assert json.loads(made)["password"] == "bcrypt" and stored not in made
    store = store_of(policy)
    assert store.account("old").password == stored  # type: ignore[union-attr]
    store.close()


def test_two_operators_at_once_do_not_undo_one_another(policy: Path) -> None:
    sallygate(policy, "create", "alice", "--plan", "small", "--no-password")
    store = store_of(policy)
    alice = store.account("alice")
    assert alice is not None
    sallygate(policy, "lock", "alice")
    act = act_of("account.reset", "alice", "test", "", 1.0)
    with pytest.raises(StoreError, match="meanwhile"):
        store.put_account(alice, act, alice.revision)
    with pytest.raises(StoreError, match="meanwhile"):
        store.put_account(Account("alice", "small"), act, 0)
    assert store.account("alice").locked_at is not None  # type: ignore[union-attr]
    store.close()
    assert len(acts(policy)) == 2


def test_a_full_disk_makes_no_account_and_says_so(policy: Path) -> None:
    store = store_of(policy)
    (pages,) = store._database._connection.execute("PRAGMA page_count").fetchone()
    store._database._connection.execute(f"PRAGMA max_page_count = {pages}")
    accounts = Accounts(store, "test")
    made = 0
    with pytest.raises(StoreError, match="full"):
        for number in range(1000):
            accounts.create(f"a{number}", "small", note="n" * 500)
            made += 1
    assert len(store.accounts()) == len(store.acts()) == made
    store.close()


def test_erasing_takes_the_account_along_once_it_is_locked(policy: Path) -> None:
    sallygate(policy, "create", "alice", "--plan", "small", "--contact", "alice@example.org", "--no-password")
    make_key(policy, "small", account="other")
    installation = Installation(policy.parent / "state")
    store = store_of(policy)
    store.put_counters(
        [("logins:places", "alice:192.0.2.0/24", 9e9, 0.0), ("logins:places", "bob:192.0.2.0/24", 9e9, 0.0)], None
    )
    store.close()
    with pytest.raises(ValueError, match="not locked"):
        erased(installation, "alice", "test", keep_keys=False, advance=lambda *_: None)
    kept = erased(installation, "alice", "test", keep_keys=True, advance=lambda *_: None)
    assert kept.erased.accounts == 0
    sallygate(policy, "lock", "alice")
    done = erased(installation, "alice", "test", keep_keys=False, advance=lambda *_: None)
    assert done.erased.accounts == 1 and done.erased.counters == 1
    held = b"".join(file.read_bytes() for file in (policy.parent / "state").glob("sallygate.db*"))
    assert b"alice" not in held and b"bob:192.0.2.0/24" in held


def test_the_doctor_counts_accounts_and_the_memory_of_hashing(policy: Path) -> None:
    sallygate(policy, "create", "alice", "--plan", "small", "--no-password")
    said = {found.what: found for found in examine(policy, None, SqliteFiles())}
    assert "1 accounts" in said["database"].said and said["hashing"].verdict == "ok"
    dear = write_policy(policy.parent, "identity: {basic: {}}\naccounts: {hashing: rfc9106-high-memory, at_once: 64}")
    assert {found.what: found for found in examine(dear, None, SqliteFiles())}["hashing"].verdict == "wrong"


@pytest.mark.parametrize("section", [
    "{hashing: md5}", "{at_once: 0}", "{at_once: 65}", "{waiting: 0}", "{logins: {account: {free: 0}}}",
    "{logins: {account: {free: 3, delay: 0s}}}", "{logins: {account: {free: 3, delay: 2h, delay_max: 1h}}}",
    "{logins: {answer_every: 1ms}}", "{logins: {overall: 0/s}}", "{logins: {acount: {free: 3}}}", "{hashing: for-tests}",
])  # fmt: skip
def test_a_policy_that_would_bear_guessing_is_refused(tmp_path: Path, section: str) -> None:
    with pytest.raises(PolicyError) as told:
        load_policy(write_policy(tmp_path, f"accounts: {section}"))
    assert all(problem.line > 0 for problem in told.value.problems)


def test_names_places_and_the_header() -> None:
    assert all(map(is_account_name, ["a", "alice@example.org", "Alice B", "x" * 128]))
    assert not any(map(is_account_name, ["", "x" * 129, "a:b", " a", "a ", "\u0430", "a\n", "a\0"]))
    assert [location_network(one) for one in ("192.0.2.77", "::ffff:192.0.2.1", "2001:db8:1:2::3", "unix")] == [
        "192.0.2.0/24", "192.0.2.0/24", "2001:db8:1::/48", "unix"]  # fmt: skip
    assert parse_basic("Basic YTpiOmM=") == ("a", "b:c") and parse_basic("bAsIc  YTo=") == ("a", "")
    assert (
        parse_basic("Bearer YTpi") is None and parse_basic("Basic YQ==") is None and parse_basic("Basic /w==") is None
    )
    assert seems_api_key("sg_" + "a" * 40) and not seems_api_key("sg_alice")


def test_a_recorded_login_is_decided_again_without_a_gate(policy: Path) -> None:
    sallygate(policy, "create", "alice", "--plan", "large", "--password-stdin", typed=PASSWORD + "\n")
    offline = Offline(policy)

    def decided(password: str, name: str = "alice") -> str:
        pair = b64encode(f"{name}:{password}".encode())
        headers = ((b"host", b"a"), (b"authorization", b"Basic " + pair))
        recorded = Recorded("GET", "https", b"/things", b"", headers, b"", "192.0.2.1", None)
        return verdict_of(offline.decide(recorded).decision)

    assert [decided(PASSWORD), decided("wrong one"), decided(PASSWORD, "nobody")] == [
        "allow", "identity.invalid", "identity.invalid"]  # fmt: skip
    assert [decided(f"guess {number}") for number in range(12)][-1] == "identity.guesses"


@pytest.mark.parametrize("known", [True, False])
def test_an_event_of_an_account_is_decided_again_as_hers(policy: Path, known: bool) -> None:
    loaded = load_policy(policy, "replay")
    event = Event(
        at=1.79e9, request_id="r", trace_id="t", decision="allow", status=200, method="GET", path="/things",
        client_address="192.0.2.1", location=Location("192.0.2.1"), principal="account:alice", account="alice", plan="large",
    )  # fmt: skip
    accounts = [Account("alice", "large", password="x", revision=3)] if known else []
    assert FromEvents(loaded, [], None, 1.79e9, accounts).decide(event) == "allow"
    stricter = load_policy(write_policy(policy.parent, "identity: {api_keys: {}}"), "replay")
    assert FromEvents(stricter, [], None, 1.79e9, accounts).decide(event) == "identity.missing"
