"""Doctor finds what is wrong, says how to mend it, and changes nothing. Each fault is made, and found."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sallygate.cli import app
from sallygate.model.event import Event, Location
from sallygate.offline.doctor import examine
from sallygate.offline.policy_checks import Found
from sallygate.security.certificates import development_certificate
from sallygate.security.state_directory import Installation
from sallygate.stores.events import EventLog
from sallygate.stores.sqlite.files import SqliteFiles
from sallygate.stores.sqlite.store import SqliteStore
from support import held_port, make_key, write_policy
from tokens import KEY, issuing, key_set


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = write_policy(tmp_path, f"listen: {{https: 127.0.0.1:{held_port()}}}")
    make_key(file)
    return file


def wrong(policy: Path) -> dict[str, Found]:
    return {one.what: one for one in examine(policy, None, SqliteFiles()) if one.verdict == "wrong"}


def test_nothing_is_wrong_where_nothing_is(policy: Path) -> None:
    with socket.create_server(("127.0.0.1", held_port())) as api:
        policy.write_text(
            policy.read_text().replace("http://127.0.0.1:9", f"http://127.0.0.1:{api.getsockname()[1]}", 1)
        )
        found = list(examine(policy, None, SqliteFiles()))
        assert not [one for one in found if one.verdict == "wrong"]
        assert {one.what for one in found} >= {
            "program",
            "policy",
            "state",
            "secrets",
            "database",
            "events",
            "clock",
            "listen",
            "upstream",
        }
        assert all(one.cure for one in found if one.verdict != "ok")


def test_a_database_that_has_counted_is_not_damaged(policy: Path) -> None:
    """The integrity check of SQLite 3.40 reported every database with a counter."""
    store = SqliteStore(policy.parent / "state" / "sallygate.db")
    store.put_counters([("plan:free:hour", "acme", 1.0, 2.0)], None)
    store.close()
    assert "database" not in wrong(policy)


def broken_policy(policy: Path) -> None:
    policy.write_text(policy.read_text() + "surprise: 1\n")


def open_state(policy: Path) -> None:
    (policy.parent / "state").chmod(0o755)


def open_secret(policy: Path) -> None:
    (policy.parent / "state" / "secrets" / "pepper").chmod(0o644)


def short_pepper(policy: Path) -> None:
    (policy.parent / "state" / "secrets" / "pepper").write_bytes(b"short")


def newer_database(policy: Path) -> None:
    with sqlite3.connect(policy.parent / "state" / "sallygate.db") as connection:
        connection.execute("PRAGMA user_version=999")


def torn_database(policy: Path) -> None:
    file = policy.parent / "state" / "sallygate.db"
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 8192)


def torn_events(policy: Path) -> None:
    directory = policy.parent / "state" / "events"
    directory.mkdir()
    (directory / "2026-01-01T00.db").write_bytes(b"not a database" * 100)


def event_of_tomorrow(policy: Path) -> None:
    log = EventLog(policy.parent / "state" / "events", 10, 1e9, lambda line: None)
    log.start()
    log.put(Event(at=time.time() + 86400, request_id="r", trace_id="t", decision="allow", status=200, method="GET",
                  path="/", client_address="", location=Location("")))  # fmt: skip
    log.stop()


def cut_restore(policy: Path) -> None:
    (policy.parent / "state" / ".restoring").mkdir()


def pair_apart(policy: Path) -> None:
    for name in ("one", "two"):
        development_certificate(policy.parent / name, "127.0.0.1", time.time())
    text = policy.read_text()
    policy.write_text(text.replace("listen: {", "listen: {certificate: {cert: one/server.pem, key: two/server.key}, "))


def certificate_of_last_year(policy: Path) -> None:
    development_certificate(policy.parent / "one", "127.0.0.1", time.time() - 365 * 86400)
    text = policy.read_text()
    policy.write_text(text.replace("listen: {", "listen: {certificate: {cert: one/server.pem, key: one/server.key}, "))


def no_certificate(policy: Path) -> None:
    policy.write_text(
        policy.read_text().replace("listen: {", "listen: {certificate: {cert: none.pem, key: none.key}, ")
    )


@pytest.mark.parametrize(
    ("fault", "what", "said"),
    [
        (broken_policy, "policy", "surprise"),
        (open_state, "state", "can be read by others"),
        (open_secret, "secrets", "can be read by others"),
        (short_pepper, "secrets", "shorter than"),
        (newer_database, "database", "newer version"),
        (torn_database, "database", ""),
        (torn_events, "events", ""),
        (event_of_tomorrow, "clock", "ahead"),
        (cut_restore, "restore", "interrupted"),
        (pair_apart, "certificate", "does not belong"),
        (certificate_of_last_year, "certificate", "has expired"),
        (no_certificate, "certificate", "cannot be checked"),
    ],
)
def test_each_fault_is_found_with_its_cure(policy: Path, fault: Callable[[Path], None], what: str, said: str) -> None:
    before = set(wrong(policy))
    assert before <= {"upstream"}
    fault(policy)
    found = wrong(policy)
    assert set(found) - before == {what}, found
    assert said in found[what].said and found[what].cure


def test_a_port_that_is_taken_is_found(policy: Path) -> None:
    port = int(policy.read_text().partition("https: 127.0.0.1:")[2].partition("}")[0])
    with socket.create_server(("127.0.0.1", port)):
        assert "in use" in wrong(policy)["listen"].said


def test_without_policy_or_state_it_says_so(tmp_path: Path) -> None:
    found = wrong(tmp_path / "none.yaml")
    assert {"policy", "state"} <= set(found)
    fresh = write_policy(tmp_path)
    notes = {one.what: one for one in examine(fresh, None, SqliteFiles())}
    assert notes["state"].verdict == "note" and "to create it" in notes["state"].cure
    assert not (tmp_path / "state").exists(), "looking changes nothing"


def test_the_command_says_no_when_something_is_wrong(policy: Path) -> None:
    broken_policy(policy)
    result = CliRunner().invoke(app, ["doctor", "--policy", str(policy)])
    assert result.exit_code == 1 and "surprise" in result.output
    result = CliRunner().invoke(app, ["doctor", "--policy", str(policy), "--json"])
    assert result.exit_code == 1 and json.loads(result.stdout)["ok"] is False


def test_issuers_are_looked_at(policy: Path) -> None:
    with issuing() as issuer:
        (policy.parent / "keys.json").write_bytes(key_set(KEY))
        sections = [
            f"{{issuer: '{name}', audience: a, plan: large, prefix: '', name: {called}, jwks: '{jwks}'}}"
            for name, called, jwks in (
                ("https://a.example", "file", "keys.json"), ("https://b.example", "up", f"{issuer.url}/jwks.json"),
                ("https://c.example", "down", f"http://127.0.0.1:{held_port()}/jwks.json"),
            )
        ]  # fmt: skip
        write_policy(policy.parent, f"identity: {{jwt: [{', '.join(sections)}]}}")
        Installation(policy.parent / "state").keep_issuer_keys(
            "https://b.example", f"{issuer.url}/jwks.json", time.time() - 7200, key_set(KEY)
        )
        found = [one for one in examine(policy, None, SqliteFiles()) if one.what == "issuer"]
        assert [one.verdict for one in found] == ["ok", "ok", "wrong"]
        assert "1 keys in keys.json" in found[0].said and "keys of 2.0 h ago" in found[1].said
        assert "down: Connection refused; no keys yet" in found[2].said and found[2].cure
