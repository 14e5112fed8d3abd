"""Bad days of a running gateway. Each has its stated outcome: the gate goes on, or refuses; it never opens; what was
lost is bounded; and the log says what happened in a line that a person understands."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway_wire import echo, events_of, log_lines
from processes import sallygate, start
from support import (
    Received,
    Running,
    Upstream,
    administration,
    cli,
    held_port,
    listen_port,
    make_key,
    running_gateway,
    until,
    write_policy,
)

QUOTA = """
plans:
  large: {rate: 1000/s burst 1000, quota: {hour: 30}, scopes: ["*"]}
  other: {rate: 1000/s burst 1000, scopes: ["*"]}
operations: {}
"""


def used(running: Running, key: str) -> int:
    """What the hour's quota has counted, this request included."""
    status, headers, _ = running.get("/things", key)
    assert status == 200
    found = re.search(r'"hour";r=(\d+)', headers["ratelimit"])
    assert found is not None
    return 30 - int(found[1])


def create_key(policy: Path, plan: str = "other") -> subprocess.CompletedProcess[str]:
    return cli(policy, "keys", "create", "--account", "late", "--plan", plan)


def wait_for_log(running: Running, *parts: str, within_s: float = 8.0) -> dict[str, object]:
    """The line with all `parts`; every line of the log is one a program can read."""

    def found() -> dict[str, object] | None:
        return next((line for line in log_lines(running.log) if all(part in json.dumps(line) for part in parts)), None)

    return until(found, within_s)


def check_log(running: Running) -> None:
    lines = log_lines(running.log)
    assert not any("Traceback" in json.dumps(line) for line in lines), lines
    assert not [line for line in lines if line["level"] == "not json"], lines


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


# stops -----------------------------------------------------------------------------------------------------------------


def test_a_kill_loses_at_most_a_second_of_counting_and_no_act(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, QUOTA, upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        for _ in range(10):
            assert running.get("/things", key)[0] == 200
        database = sqlite3.connect(f"file:{tmp_path}/state/sallygate.db?mode=ro", uri=True)
        asked = "SELECT a FROM counters WHERE name = 'plan:large:hour'"
        until(lambda: database.execute(asked).fetchall() == [(10.0,)], within_s=1.0)
        database.close()
        last_key = make_key(policy, "other", "last")
        with administration(policy) as admin:
            admin.restrict({"account": "blocked"}, "deny", "test", 3600)
        blocked = make_key(policy, "other", "blocked")
        running.process.kill()
        running.process.wait()
    with running_gateway(policy) as running:
        assert used(running, key) == 11
        assert running.get("/things", last_key)[0] == 200
        assert running.get("/things", blocked)[0] == 403
        assert len([event for event in events_of(running, 10) if event.decision == "allow"]) >= 10
        check_log(running)


def test_a_clean_stop_loses_nothing(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, QUOTA, upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        for _ in range(7):
            assert running.get("/things", key)[0] == 200
        running.process.terminate()
        assert running.process.wait(10) == 0
        assert len(events_of(running)) == 7
    with running_gateway(policy) as running:
        assert used(running, key) == 8
        check_log(running)


# disks -----------------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(at: Path, size: str = "4m") -> Iterator[Path]:
    at.mkdir(parents=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)]).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def test_a_full_disk(tmp_path: Path, upstream: Upstream) -> None:
    with small_disk(tmp_path / "state") as disk:
        policy = write_policy(tmp_path, QUOTA, upstream=upstream.url)
        key, unlimited = make_key(policy), make_key(policy, "other", "other")
        with running_gateway(policy) as running:
            assert running.get("/things", key)[0] == 200
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as stream:
                try:
                    while True:
                        stream.write(b"\0" * 4096)
                except OSError:
                    pass
            # Decisions go on, and limits hold from memory.
            assert [running.get("/things", key)[0] for _ in range(30)] == [200] * 29 + [429]
            assert running.get("/things")[0] == 401
            assert running.get("/things", "sg_" + "x" * 64)[0] == 401
            wait_for_log(running, "events cannot be written", "full")
            wait_for_log(running, "counters", "full")
            made = create_key(policy)
            assert made.returncode == 3
            assert "full" in made.stderr and "free some space" in made.stderr and "Traceback" not in made.stderr
            assert not made.stdout
            filler.unlink()
            # Then all of it is written that waited.
            wait_for_log(running, "events are written again")
            assert create_key(policy).returncode == 0
            assert running.get("/things", unlimited)[0] == 200
            assert sum(event.count for event in events_of(running, 34)) == 34
            check_log(running)
        with running_gateway(policy) as running:
            assert running.get("/things", key)[0] == 429


def test_a_disk_that_is_full_or_read_only_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:
        policy = write_policy(tmp_path)
        make_key(policy)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        check_does_not_start(policy, "state", "read-only|readonly|Read-only")
        made = create_key(policy, "large")
        assert made.returncode == 3 and "Traceback" not in made.stderr
        assert "writable" in made.stderr


def check_does_not_start(policy: Path, *patterns: str) -> None:
    """One plain line on standard error and exit code 3; no gate."""
    listen_port(policy)
    ended = sallygate("up", policy)
    assert ended.returncode == 3, ended
    assert "Traceback" not in ended.stderr, ended.stderr
    for pattern in patterns:
        assert re.search(pattern, ended.stderr), ended.stderr


@pytest.mark.parametrize(
    "content", [b"not a database" * 1000, b"SQLite format 3\0" + b"\xff" * 8000], ids=["text", "torn"]
)
def test_a_corrupted_database(tmp_path: Path, content: bytes) -> None:
    policy = write_policy(tmp_path)
    make_key(policy)
    for file in (tmp_path / "state").glob("sallygate.db*"):
        file.unlink()
    (tmp_path / "state" / "sallygate.db").write_bytes(content)
    check_does_not_start(policy, r"sallygate\.db: ")
    assert create_key(policy, "large").returncode == 3


def test_a_database_with_a_torn_page(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    for number in range(50):
        make_key(policy, account=f"a{number}")
    file = tmp_path / "state" / "sallygate.db"
    content = bytearray(file.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 4096] = os.urandom(4096)
    file.write_bytes(content)
    check_does_not_start(policy, r"sallygate\.db: ")


@pytest.mark.parametrize("name", ["assertion.pem", "pepper"])
def test_corrupted_secrets(tmp_path: Path, name: str) -> None:
    policy = write_policy(tmp_path)
    make_key(policy)
    (tmp_path / "state" / "secrets").mkdir(exist_ok=True)
    (tmp_path / "state" / "secrets" / name).write_bytes(b"")
    check_does_not_start(policy, name)


def test_a_record_that_cannot_be_read_keeps_the_gate_shut(tmp_path: Path) -> None:
    """A restriction that is lost is a gate that is open."""
    policy = write_policy(tmp_path)
    make_key(policy)
    with administration(policy) as admin:
        admin.restrict({"account": "blocked"}, "deny", "test", 3600)
    database = sqlite3.connect(tmp_path / "state" / "sallygate.db")
    with database:
        database.execute("UPDATE restrictions SET record = '{'")
    database.close()
    check_does_not_start(policy, r"sallygate\.db: ")


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    (tmp_path / "my.pem").write_text("nonsense")
    (tmp_path / "my.key").write_text("nonsense")
    port = held_port()
    policy.write_text(
        policy.read_text() + f"listen: {{https: 127.0.0.1:{port}, certificate: {{cert: my.pem, key: my.key}}}}\n"
    )
    check_does_not_start(policy, r"my\.pem: not a certificate")


def test_a_state_directory_that_is_a_file(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    (tmp_path / "state").write_text("")
    check_does_not_start(policy, "state")


def test_an_event_file_that_is_none(tmp_path: Path, upstream: Upstream) -> None:
    """The gate goes on without its events, and says so."""
    policy = write_policy(tmp_path, upstream=upstream.url)
    key = make_key(policy)
    events = tmp_path / "state" / "events"
    events.mkdir()
    for ahead in (0, 3600):
        name = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + ahead))
        (events / f"{name}.db").write_bytes(b"not a database" * 1000)
    with running_gateway(policy) as running:
        assert running.get("/things", key)[0] == 200
        assert running.get("/things")[0] == 401
        wait_for_log(running, "events cannot be written", "not a database")
        check_log(running)


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_event_files_removed_or_emptied_while_running(how: str, tmp_path: Path, upstream: Upstream) -> None:
    """The gate serves on, writes into a new file, and counts what is gone."""
    policy = write_policy(tmp_path, upstream=upstream.url)
    key = make_key(policy)
    directory = tmp_path / "state" / "events"
    with running_gateway(policy) as running:
        assert running.get("/things", key)[0] == 200
        assert len(events_of(running, 1)) == 1
        for file in directory.iterdir():
            file.unlink() if how == "removed" else os.truncate(file, 0)
        wait_for_log(running, "1 events that were in it are lost")
        assert running.get("/things", key)[0] == 200
        assert len(events_of(running, 1)) == 1
        status = json.loads(cli(policy, "status", "--json").stdout)
        assert (status["events"]["removed"], status["events"]["dropped"]) == (1, 0)
        assert "gone with their file" in next(check["said"] for check in status["checks"] if check["name"] == "events")


# a lock held -----------------------------------------------------------------------------------------------------------


def test_a_locked_database(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, QUOTA, upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert running.get("/things", key)[0] == 200
        holder = sqlite3.connect(tmp_path / "state" / "sallygate.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        assert [running.get("/things", key)[0] for _ in range(30)] == [200] * 29 + [429]
        made = create_key(policy)
        assert made.returncode == 3
        assert "locked" in made.stderr and "another process holds it" in made.stderr
        wait_for_log(running, "counters", "locked")
        holder.execute("COMMIT")
        holder.close()
        assert create_key(policy).returncode == 0
        asked = "SELECT a FROM counters WHERE name = 'plan:large:hour'"
        reader = sqlite3.connect(f"file:{tmp_path}/state/sallygate.db?mode=ro", uri=True)
        until(lambda: reader.execute(asked).fetchall() == [(30.0,)])
        reader.close()
        check_log(running)


# upstreams -------------------------------------------------------------------------------------------------------------

QUICK = "upstream: {{urls: [{url}], connect: 1s, first_byte: 1s, idle: 1s}}\n"


def hang(request: Received, client: socket.socket) -> None:
    time.sleep(5)


def half(request: Received, client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n" + b"a" * 500)
    client.shutdown(socket.SHUT_RDWR)


def half_chunked(request: Received, client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    client.shutdown(socket.SHUT_RDWR)


def garbage(request: Received, client: socket.socket) -> None:
    client.sendall(b"\x16\x03\x01\x02\x00garbage\r\n\r\n")
    client.shutdown(socket.SHUT_RDWR)


def nothing(request: Received, client: socket.socket) -> None:
    client.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(hang, 504, "upstream.timeout"), (garbage, 502, "upstream.broken"), (nothing, 502, "upstream.broken")],
)
def test_an_upstream_that_gives_no_answer(tmp_path: Path, answer, status: int, code: str) -> None:
    with Upstream(answer) as upstream:
        policy = write_policy(tmp_path, QUICK.format(url=upstream.url))
        key = make_key(policy)
        with running_gateway(policy) as running:
            got, headers, body = running.get("/things", key)
            assert (got, json.loads(body)["code"]) == (status, code)
            assert str(upstream.port).encode() not in body and "x-request-id" in headers
            (event,) = events_of(running, 1)
            assert (event.status, event.upstream_status) == (status, status) or event.status == status
            check_log(running)


def test_an_upstream_that_is_down_and_comes_back(tmp_path: Path) -> None:
    port = held_port()
    policy = write_policy(tmp_path, QUICK.format(url=f"http://127.0.0.1:{port}"))
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert {running.get("/things", key)[0] for _ in range(8)} <= {502, 503}
        wait_for_log(running, "upstream.down", str(port))
        assert running.get("/things")[0] == 401  # who has no key learns nothing of it
        check_log(running)


@pytest.mark.parametrize("answer", [half, half_chunked])
def test_an_upstream_that_dies_in_the_middle_of_its_answer(tmp_path: Path, answer) -> None:
    import http.client

    with Upstream(answer) as upstream:
        policy = write_policy(tmp_path, QUICK.format(url=upstream.url))
        key = make_key(policy)
        with running_gateway(policy) as running:
            with pytest.raises((http.client.IncompleteRead, OSError)):
                running.get("/things", key)
            (event,) = events_of(running, 1)
            assert event.upstream_status == 200 and event.status != 200
            check_log(running)


# logs ------------------------------------------------------------------------------------------------------------------


def test_a_log_nobody_reads_any_more(tmp_path: Path, upstream: Upstream) -> None:
    """`sallygate up 2>&1 | head -1`: the reader leaves, the gate stays."""
    policy = write_policy(tmp_path, QUOTA, upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as first:  # gives the policy its port, and makes the certificate
        pass
    read, write = os.pipe()
    process = start("sallygate", "up", policy, stderr=write, stdout=write)
    os.close(write)
    try:
        assert b"gateway" in os.read(read, 65536)
        os.close(read)
        running = Running(process, first.port, policy, first.log)
        holder = sqlite3.connect(tmp_path / "state" / "sallygate.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")  # something to tell
        assert running.get("/things", key)[0] == 200
        time.sleep(2.7)  # the lock is waited for 2 s before it is told of
        holder.close()
        late = make_key(policy, "other", "late")
        until(lambda: running.get("/things", late)[0] == 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.close()
    with running_gateway(policy) as running:
        assert used(running, key) == 2
