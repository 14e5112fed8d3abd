"""How somebody would use what operators have against them: each story was seen to succeed before it was closed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import termios
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

import processes
from gateway_wire import echo, log_lines
from old_state import old_database
from sallygate import Guard
from sallygate.admin import backup
from sallygate.admin.backup import back_up, restore
from sallygate.admin.keys import Administration
from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.net.sockets import inherited
from sallygate.offline.doctor import examine
from sallygate.offline.policy_diff import differences
from sallygate.offline.what_if import Comparison, FromEvents, compare_events
from sallygate.policy.load import load_policy
from sallygate.ports import StoreError
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.security.state_locks import RESTORING
from sallygate.stores.events import EventLog, read_events
from sallygate.stores.sqlite.files import SqliteFiles
from sallygate.stores.sqlite.store import SqliteStore
from support import Running, Upstream, administration, erased, held_port, make_key, running_gateway, until, write_policy


def quiet(*_: object) -> None: ...


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


def sallygate(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = processes.sallygate(*words, within_s=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def operated(tmp_path: Path, upstream: Upstream, more: str = "") -> tuple[Path, int]:
    port = held_port()
    listen = f"listen: {{https: 127.0.0.1:{held_port()}, management: 127.0.0.1:{port}}}\n"
    return write_policy(tmp_path, f"operations: {{}}\n{listen}{more}", upstream=upstream.url), port


def get(port: int, path: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while part := client.recv(65536):
            got += part
        return got.decode()


# what a gate is waited for by -----------------------------------------------------------------------------------------


def test_the_reader_of_the_log_stops_reading(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # ten lines fill it
    process = processes.start("sallygate", "up", policy, stderr=writer, stdout=writer)
    os.close(writer)
    try:
        https = int(policy.read_text().partition("https: 127.0.0.1:")[2].partition(",")[0])
        running = Running(process, https, policy, tmp_path / "none")
        until(lambda: json.loads(ask_status_of(policy) or "{}").get("ready"), 20)
        for _ in range(40):
            assert running.get("/things")[0] == 401
        waiting = bytearray(4)
        until(lambda: not fcntl.ioctl(reader, termios.FIONREAD, waiting) and int.from_bytes(waiting, "little") > 3500)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert running.get("/things")[0] == 401
        assert "200 OK" in get(port, "/livez") and "200 OK" in get(port, "/readyz")
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.close()
        os.close(reader)


def ask_status_of(policy: Path) -> str:
    return processes.sallygate("status", "--json", "--policy", policy).stdout


def test_a_collector_drips_its_answer(tmp_path: Path, upstream: Upstream) -> None:
    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "100000")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(1)
            except OSError:
                pass

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    policy, _ = operated(tmp_path, upstream, f"telemetry: {{otlp: '{url}', every: 200ms, traces: 1}}\n")
    with running_gateway(policy) as running:
        running.get("/things")
        until(lambda: any(line.get("what") == "telemetry" for line in log_lines(running.log)), 15)
        running.process.terminate()
        assert running.process.wait(15) == 0


def test_silent_connections_take_no_descriptor_from_clients(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream)
    with running_gateway(policy) as running:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
        used = until(lambda: len(os.listdir(f"/proc/{running.process.pid}/fd")))
        assert used < 250 and running.get("/things")[0] == 401
        for one in silent:
            one.close()


def test_an_application_servers_socket_is_not_the_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    guard = Guard(lambda *_: None, policy=write_policy(tmp_path))  # type: ignore[arg-type, return-value]
    assert os.environ["LISTEN_FDS"] == "1" and guard.runtime.handed_over == {}
    monkeypatch.setenv("LISTEN_PID", "1")
    assert inherited() == {}, "meant for another process"


# what is told ---------------------------------------------------------------------------------------------------------


def test_a_refused_policy_tells_its_secrets_to_nobody(tmp_path: Path, upstream: Upstream) -> None:
    policy, port = operated(tmp_path, upstream)
    with running_gateway(policy) as running:
        policy.write_text(policy.read_text().replace(upstream.url, "http://u:SECRETPW@127.0.0.1:99999"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: any("policy is refused" in line["event"] for line in log_lines(running.log)))
        told = get(port, "/readyz")
        assert "a later policy was refused" in told and "SECRETPW" not in told
        assert "SECRETPW" not in running.log.read_text()


# restoring ------------------------------------------------------------------------------------------------------------


class State:
    """A state with a key, and a backup of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.policy = write_policy(tmp_path)
        make_key(self.policy)
        self.installation = Installation(tmp_path / "state")
        self.installation.signing_keys("assertion")
        self.copy = tmp_path / "backup"
        back_up(self.installation, SqliteFiles(), self.copy, quiet)

    def tree(self) -> dict[str, tuple[int, bytes]]:
        directory = self.installation.directory
        return {file.relative_to(directory).as_posix(): (file.stat().st_mode, file.read_bytes())
                for file in sorted(directory.rglob("*")) if file.is_file() and file.name != "lock"}  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_a_guard_that_has_not_served_yet_is_running(state: State) -> None:
    guard = Guard(lambda *_: None, policy=state.policy)  # type: ignore[arg-type, return-value]
    with pytest.raises(StoreError, match="a gate is running"):
        restore(state.installation, SqliteFiles(), state.copy)
    del guard


@pytest.mark.parametrize("fails_at", range(1, 8))
def test_a_restore_that_fails_leaves_the_state_as_it_was(
    state: State, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    before = state.tree()
    count = 0
    move = shutil.move

    def failing(here: Path, there: Path) -> None:
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(16, "Device or resource busy")
        move(here, there)

    monkeypatch.setattr(backup.shutil, "move", failing)
    with pytest.raises(StoreError, match="the state is what it was"):
        restore(state.installation, SqliteFiles(), state.copy)
    assert state.tree() == before
    assert not [one for one in state.installation.directory.iterdir() if "restor" in one.name]


def test_what_cannot_be_taken_back_is_not_thrown_away(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails for good in the midst: the only copy of the old state must survive, and no gate open on the rest."""
    before = {data for _, data in state.tree().values()}
    count = 0
    move = shutil.move

    def failing(here: Path, there: Path) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise OSError(5, "Input/output error")
        move(here, there)

    monkeypatch.setattr(backup.shutil, "move", failing)
    with pytest.raises(StoreError, match="nor taken back"):
        restore(state.installation, SqliteFiles(), state.copy)
    monkeypatch.undo()
    assert before <= {data for _, data in state.tree().values()}
    with pytest.raises(StoreError, match="cut short"):
        Guard(lambda *_: None, policy=state.policy)  # type: ignore[arg-type, return-value]
    restore(state.installation, SqliteFiles(), state.copy)
    sallygate("keys", "list", "--policy", state.policy)


def test_a_restore_killed_while_it_copies_has_changed_nothing(state: State) -> None:
    (state.installation.directory / ".restore-copy").mkdir()
    (state.installation.directory / ".restore-copy" / "sallygate.db").write_bytes(b"half")
    sallygate("keys", "list", "--policy", state.policy)
    restore(state.installation, SqliteFiles(), state.copy)
    assert not (state.installation.directory / ".restore-copy").exists()


def test_half_a_restore_opens_no_gate(state: State) -> None:
    (state.installation.directory / RESTORING).mkdir()
    with pytest.raises(StoreError, match="cut short"):
        Guard(lambda *_: None, policy=state.policy)  # type: ignore[arg-type, return-value]
    said = sallygate("keys", "create", "--account", "a", "--plan", "large", "--policy", state.policy, code=3)
    assert "cut short" in said.stderr
    restore(state.installation, SqliteFiles(), state.copy)
    sallygate("keys", "list", "--policy", state.policy)


def test_no_act_is_lost_in_a_restore(state: State) -> None:
    with state.installation.held(alone=True):
        for words in (("keys", "create", "--account", "a", "--plan", "large"),
                      ("restrict", "add", "--address", "192.0.2.1", "--reason", "r"), ("backup", state.copy.with_name("b"))):  # fmt: skip
            assert "is being restored" in sallygate(*words, "--policy", state.policy, code=3).stderr


@pytest.mark.parametrize("name", ["lock", "../x", "events/../../x.db", "/etc/x", "policy.yaml", "secrets/.x"])
def test_a_backup_brings_nothing_but_a_state(state: State, name: str) -> None:
    manifest = json.loads((state.copy / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (state.copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="no part of a state"):
        restore(state.installation, SqliteFiles(), state.copy)


def test_folders_of_a_backups_own_are_left_behind(state: State) -> None:
    (state.copy / "lock").mkdir()
    restore(state.installation, SqliteFiles(), state.copy)
    assert (state.installation.directory / "lock").is_file()


# secrets and state that are not there ---------------------------------------------------------------------------------


def test_looking_changes_nothing(state: State) -> None:
    for fault in (quiet, lambda: (state.installation.directory / "secrets" / "pepper").unlink()):
        fault()
        before = state.tree()
        found = list(examine(state.policy, None, SqliteFiles()))
        assert state.tree() == before and found


def test_a_backup_without_its_pepper_says_so(state: State, tmp_path: Path) -> None:
    pepper = state.installation.directory / "secrets" / "pepper"
    pepper.write_text("ab" * 32)
    assert not back_up(state.installation, SqliteFiles(), tmp_path / "wrong", quiet).pepper
    pepper.unlink()
    assert not back_up(state.installation, SqliteFiles(), tmp_path / "none", quiet).pepper


def test_asking_does_not_migrate(state: State) -> None:
    database = state.installation.database
    for file in database.parent.glob("sallygate.db*"):
        file.unlink()
    old_database(database)
    sallygate("check", state.policy, "--against", "events")
    sallygate("events", "--policy", state.policy)
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert not list(state.installation.directory.glob("*.schema-*"))


def test_a_directory_whose_name_means_something_to_a_uri(tmp_path: Path) -> None:
    directory = tmp_path / "a#b?c%20d"
    store = SqliteStore(Installation(directory).database)
    admin = Administration(store, KeyRing(b"p" * 32), "tester")
    admin.create_key("alice", "free")
    store.close()
    log = EventLog(directory / "events", 10, 1e9, quiet)
    log.start()
    log.put(event())
    log.stop()
    assert len(list(read_events(directory / "events"))) == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a#b?c%20d"]


# a person who was erased ----------------------------------------------------------------------------------------------


def event(**more: object) -> Event:
    given = {"path": "/things", "client_address": "192.0.2.1", "location": Location("192.0.2.1"), **more}
    return Event(at=time.time(), request_id="r", trace_id="t", decision="allow", status=200, method="GET", **given)  # type: ignore[arg-type]  # fmt: skip


def test_what_a_revoked_key_was_refused_for_goes_too(state: State) -> None:
    with administration(state.policy) as admin:
        (key,) = admin.all_keys()
        admin.revoke_key(key.id)
    log = EventLog(state.installation.events, 10, 1e9, quiet)
    log.start()
    log.put(event(findings=(Finding("identity.invalid", "d", 401, rule="revoked", evidence=f"key {key.id}"),)))
    log.put(event(findings=(Finding("identity.invalid", "d", 401, rule="malformed"),)))
    log.stop()
    assert erased(state.installation, "acme", "dpo", keep_keys=False, advance=quiet).events == 1
    assert all(
        key.id.encode() not in file.read_bytes() for file in state.installation.directory.rglob("*") if file.is_file()
    )


def test_the_network_of_an_address_goes_too(state: State) -> None:
    with sqlite3.connect(state.installation.database) as connection:
        connection.execute("INSERT INTO counters (name, subject, a, b) VALUES ('address', '2001:db8::/64', 1, 0)")
    assert erased(state.installation, "2001:DB8:0::1", "dpo", keep_keys=True, advance=quiet).erased.counters == 1


def test_an_account_that_is_spelled_like_an_address(state: State) -> None:
    log = EventLog(state.installation.events, 10, 1e9, quiet)
    log.start()
    log.put(event(account="198.51.100.3"))
    log.put(event(client_address="198.51.100.3"))
    log.stop()
    assert erased(state.installation, "198.51.100.3", "dpo", keep_keys=True, advance=quiet).events == 2


# a policy that looks harmless -----------------------------------------------------------------------------------------


def test_names_that_would_be_refused_are_found(tmp_path: Path) -> None:
    ignoring = "contract: {unknown_query: ignore}"
    served = event(
        filters=(("foo", "n1"),), operation="listThings", principal="key:AAAAAAAAAAAA", account="a", plan="large"
    )
    shadow = Finding("contract.query_unknown", "d", 400, where="query:foo", mode="shadow")
    for text, events, changed in (("", [served], 1), (ignoring, [served], 0), ("contract: {mode: shadow}", [served], 0),
                                  ("", [event(**{**served_as(served), "findings": (shadow,)})], 1)):  # fmt: skip
        comparison = Comparison()
        loaded = load_policy(write_policy(tmp_path, text), "replay")
        compare_events(events, FromEvents(loaded, [], None, served.at), comparison)
        assert comparison.changed == changed, text
        assert not changed or comparison.changes()[0].would_be == "contract.query_unknown"


def served_as(one: Event) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("filters", "operation", "principal", "account", "plan")}


@pytest.mark.parametrize(
    ("old", "new", "field", "way"),
    [
        ("transport: {trusted_hops: [10.0.0.0/24, 10.0.1.0/24]}", "transport: {trusted_hops: [0.0.0.0/0]}", "transport.trusted_hops", "weaker"),
        ("transport: {trusted_hops: [10.0.0.0/8]}", "transport: {trusted_hops: [10.1.0.0/16]}", "transport.trusted_hops", "tighter"),
        ("injection: {exclude: [{family: sql, field: 'query:a'}]}", "injection: {exclude: [{family: sql}]}", "injection.exclude", ""),
        ("injection: {exclude: [{family: sql}]}", "injection: {exclude: [{family: sql}, {family: xss}]}", "injection.exclude", "weaker"),
        ("reload: signal", "injection: {mode: 'off'}", "injection.mode", "weaker"),
        ("reload: signal", "limits: {address: 1/s burst 1}", "limits.address", "tighter"),
        ("identity: {api_keys: {header: X-API-Key}}", "identity: none", "identity", "weaker"),
        ("operations: {listThings: {rate: 1/s burst 1}}", "operations: {}", "operations.listThings.rate", "weaker"),
        ("plans: {large: {scopes: [a, b]}}", 'plans: {large: {scopes: ["*"]}}', "plans.large.scopes", "weaker"),
        ("plans: {large: {scopes: [a, b]}}", "plans: {large: {scopes: [b, c]}}", "plans.large.scopes", ""),
        ("injection: {uninspected: pass}", "injection: {uninspected: pass, inspect: 1MiB}", "injection.inspect", ""),
    ],
)  # fmt: skip
def test_a_policy_that_lets_more_pass_is_not_called_tighter(
    tmp_path: Path, old: str, new: str, field: str, way: str
) -> None:
    before, after = (
        load_policy(write_policy(tmp_path / name, text), "replay") for name, text in (("a", old), ("b", new))
    )
    found = {one.field: one for one in differences(before, after)}
    assert found[field].way == way, found
    assert way != "weaker" or not [
        one for one in found.values() if one.way == "tighter" and one.field.startswith(field)
    ]
