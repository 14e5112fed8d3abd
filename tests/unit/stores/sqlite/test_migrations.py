"""The database goes forward in place, whole or not at all, and what it was stays beside it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from sallygate.admin.keys import Administration
from sallygate.ports import StoreError
from sallygate.security.key_ring import KeyRing
from sallygate.stores.sqlite import store as sqlite
from sallygate.stores.sqlite.store import MIGRATIONS, SCHEMA_VERSION, SqliteStore, copy_database


def old_database(file: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the first version, with a key. Returns the key's id."""
    with monkeypatch.context() as first:
        first.setattr(sqlite, "MIGRATIONS", MIGRATIONS[:1])
        first.setattr(sqlite, "SCHEMA_VERSION", 1)
        store = SqliteStore(file)
        credential, _ = Administration(store, KeyRing(b"p" * 32), "tester").create_key("alice", "free")
        store.close()
    assert version(file) == 1
    return credential.id


def version(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_an_old_database_goes_forward_and_a_copy_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.db"
    key = old_database(file, monkeypatch)
    store = SqliteStore(file)
    assert store.credential(key) is not None and len(store.acts()) == 1
    store.close()
    assert version(file) == SCHEMA_VERSION > 1
    copy = tmp_path / "s.db.schema-1"
    assert version(copy) == 1 and copy.stat().st_mode & 0o777 == 0o600
    SqliteStore(file).close()
    assert sorted(one.name for one in tmp_path.glob("s.db.*") if "schema" in one.name) == ["s.db.schema-1"]


def test_a_migration_that_fails_leaves_the_old_state_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.db"
    key = old_database(file, monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr(sqlite, "MIGRATIONS", (*MIGRATIONS[:1], "CREATE TABLE half (a); CREATE TABLE credentials (a)"))
        with pytest.raises(StoreError, match="already exists"):
            SqliteStore(file)
    assert version(file) == 1
    with closing(sqlite3.connect(file)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    store = SqliteStore(file)
    assert store.credential(key) is not None
    store.close()


def test_without_room_for_the_copy_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.db"
    old_database(file, monkeypatch)
    (tmp_path / "s.db.schema-1").mkdir()
    with pytest.raises(StoreError, match="nothing was changed"):
        SqliteStore(file)
    assert version(file) == 1


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    SqliteStore(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
        connection.commit()
    before = file.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(file)
    assert file.read_bytes() == before


def test_many_processes_that_start_at_once_migrate_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.db"
    old_database(file, monkeypatch)
    failed: list[Exception] = []

    def start() -> None:
        try:
            SqliteStore(file).close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and version(file) == SCHEMA_VERSION


def test_a_copy_is_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    file, copy = tmp_path / "s.db", tmp_path / "copy.db"
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (n INTEGER, filler BLOB)")
    writer.executemany("INSERT INTO t VALUES (?, zeroblob(4000))", [(n,) for n in range(3000)])
    steps = []

    def write_between(left: int, total: int) -> None:
        steps.append((left, total))
        writer.execute("UPDATE t SET n = n + 1000000")

    copy_database(file, copy, write_between)
    writer.close()
    assert len(steps) > 3, "it was copied in pieces, and not begun anew"
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("SELECT min(n), max(n), count(*) FROM t").fetchone() == (0, 2999, 3000)
    assert not list(tmp_path.glob(".*.part"))
