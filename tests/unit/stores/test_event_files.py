"""The files of the event log: removed, emptied or damaged under a running log, shared by two, and their modes."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from patience import patient
from sallygate.model.event import Event, Location
from sallygate.stores.events import EventLog, latest_events, read_events
from support import until


def event(note: str = "", at: float = 0.0) -> Event:
    return Event(
        at=at or time.time(), request_id="r", trace_id="t", decision="allow", status=200, method="GET", path="/",
        client_address="192.0.2.1", location=Location("192.0.2.1"), note=note,
    )  # fmt: skip


def running(directory: Path) -> tuple[EventLog, list[str]]:
    told: list[str] = []
    log = EventLog(directory, 1000, 86400.0, told.append)
    log.start()
    return log, told


def put(log: EventLog, notes: list[str]) -> None:
    written = log.written
    for note in notes:
        log.put(event(note))
    until(lambda: log.written == written + len(notes))


def notes_of(directory: Path) -> list[str]:
    return [one.note for one in read_events(directory)]


def test_two_logs_of_one_directory_give_no_number_twice(tmp_path: Path) -> None:
    (first, told), (second, also) = running(tmp_path), running(tmp_path)
    for number in range(300):
        (first if number % 3 else second).put(event(str(number)))
        if number % 30 == 29:
            until(lambda: first.written + second.written == number + 1)  # noqa: B023
    first.stop()
    second.stop()
    found = list(read_events(tmp_path))
    assert sorted(int(one.note) for one in found) == list(range(300))
    assert all(a.seq < b.seq for a, b in pairwise(found))
    assert not told and not also and not first.dropped and not second.dropped


def test_a_number_is_not_given_again_when_the_last_event_is_erased(tmp_path: Path) -> None:
    log, _ = running(tmp_path)
    put(log, ["a", "b"])
    log.stop()
    last = list(read_events(tmp_path))[-1]
    (file,) = tmp_path.glob("*.db")
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM events WHERE seq = ?", (last.seq,))
    connection.close()
    log, _ = running(tmp_path)
    put(log, ["c"])
    log.stop()
    assert [one.seq for one in read_events(tmp_path)][-1] == last.seq + 1


def test_a_directory_removed_under_the_log_is_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "events"
    log, told = running(directory)
    put(log, ["a", "b"])
    seq = list(read_events(directory))[-1].seq
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    put(log, ["c"])
    assert notes_of(directory) == ["c"] and log.removed == 2 and log.dropped == 0
    assert next(read_events(directory)).seq > seq, "a reader that follows must not miss it"
    assert any("removed" in line and "2 events" in line for line in told)
    log.stop()


def test_what_is_gone_is_counted_when_the_disk_takes_events_again(tmp_path: Path) -> None:
    directory = tmp_path / "events"
    log, told = running(directory)
    put(log, ["a", "b"])
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    directory.write_text("in the way")
    until(lambda: log.failing)
    directory.unlink()
    log.put(event("c"))
    until(lambda: log.written == 3)
    log.stop()
    assert log.removed == 2 and notes_of(directory) == ["c"]
    assert any("2 events" in line for line in told)


def test_a_clock_set_ahead_for_a_moment_lifts_no_numbers(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 1000, 1e9, print)
    log.start()
    now = 1_790_000_000.0
    for at in (now, now + 1000 * 3600, now):
        written = log.written
        log.put(event(at=at))
        until(lambda: log.written == written + 1)  # noqa: B023
    log.stop()
    found = list(read_events(tmp_path))
    hours = [one.seq >> 36 for one in found]
    assert hours == [int(now // 3600)] * 2 + [int(now // 3600) + 1000]
    assert len({one.seq for one in found}) == 3


def test_a_removed_file_is_noticed_without_an_event(tmp_path: Path) -> None:
    log, told = running(tmp_path)
    put(log, ["a"])
    for file in tmp_path.iterdir():
        file.unlink()
    until(lambda: log.removed == 1)
    log.stop()
    assert len(told) == 1


@pytest.mark.parametrize("what", ["*", "*.db", "*-shm", "*-wal"])
def test_files_emptied_under_the_log_end_no_process(what: str, tmp_path: Path) -> None:
    """In a process of its own: an emptied file that is mapped is a signal that ends it."""
    script = f"""
import sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from unit.stores.test_event_files import event, notes_of, put, running
from support import until
directory = Path({str(tmp_path / "e")!r})
log, told = running(directory)
put(log, ["a", "b"])
for file in directory.glob({what!r}):
    import os
    os.truncate(file, 0)
put(log, ["c"])
until(lambda: "c" in notes_of(directory))
log.stop()
assert "c" in notes_of(directory)
assert log.removed + len(notes_of(directory)) >= 3, (log.removed, told)
print("whole")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=patient(60))
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


@pytest.mark.parametrize("what", ["*.db", "*.db*", "*-wal", "*-shm"])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_what_is_damaged_is_noticed_and_counted(what: str, checkpointed: bool, tmp_path: Path) -> None:
    """What the write-ahead log still holds is brought back by it; what is gone is counted."""
    log, told = running(tmp_path)
    put(log, [str(number) for number in range(200)])
    (file,) = tmp_path.glob("*.db")
    if checkpointed:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    for part in tmp_path.glob(what):
        size = part.stat().st_size
        with open(part, "r+b") as stream:
            stream.write(b"\xa5" * size)
    until(
        lambda: told or what == "*-shm" or (what == "*-wal" and checkpointed) or (what == "*.db" and not checkpointed)
    )
    put(log, ["after"])
    log.stop()
    found = notes_of(tmp_path)
    assert "after" in found
    assert [one.note for one in latest_events(tmp_path, 0.0, 1)] == ["after"]
    assert log.removed + len(found) == 201
    if what == "*.db" and checkpointed:
        assert [name.name for name in tmp_path.iterdir() if name.suffix == ".damaged"]
        assert log.removed == 200 and any("200 events" in line for line in told)


def test_a_file_damaged_before_the_start_is_put_aside(tmp_path: Path) -> None:
    name = time.strftime("%Y-%m-%dT%H.db", time.gmtime())
    (tmp_path / name).write_bytes(b"no database at all" * 500)
    log, told = running(tmp_path)
    put(log, ["a"])
    log.stop()
    assert "a" in notes_of(tmp_path) and told


def test_a_stop_that_cannot_write_counts_what_waits(tmp_path: Path) -> None:
    directory = tmp_path / "events"
    directory.write_text("in the way")
    told: list[str] = []
    log = EventLog(directory, 1000, 86400.0, told.append)
    with pytest.raises(OSError, match="exists"):
        log.start()
    directory.unlink()
    log.start()
    directory.rmdir()
    directory.write_text("in the way")
    for _ in range(7):
        log.put(event())
    until(lambda: log.failing)
    log.put(event())
    log.stop()
    assert log.dropped == 8 and log.waiting == 0
    assert "8 events that waited are lost" in told[-1]


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "events"
    directory.mkdir(mode=0o755)
    old = directory / "2999-01-01T00.db"
    sqlite3.connect(old).close()
    old.touch()
    old.chmod(0o644)
    mask = os.umask(0)
    try:
        log, _ = running(directory)
        put(log, ["a"])
    finally:
        os.umask(mask)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}
    log.stop()
    assert set(modes.values()) == {0o600} and len(modes) == 4, modes
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
