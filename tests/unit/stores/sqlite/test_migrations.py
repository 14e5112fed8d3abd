"""The database goes forward in place, whole or not at all, and what it was stays beside it."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from old_state import COUNTER, KEY, RESTRICTION, old_database, schema_of
from sallygate.ports import StoreError
from sallygate.stores.sqlite import database, schema
from sallygate.stores.sqlite.copying import copy_database
from sallygate.stores.sqlite.schema import MIGRATIONS, SCHEMA_VERSION
from sallygate.stores.sqlite.store import SqliteStore


def test_an_old_database_goes_forward_and_a_copy_stays(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    old_database(file)
    store = SqliteStore(file)
    assert store.credential(KEY.id) is not None and len(store.acts()) == 1
    store.close()
    assert schema_of(file) == SCHEMA_VERSION > 1
    copy = tmp_path / "s.db.schema-1"
    assert schema_of(copy) == 1 and copy.stat().st_mode & 0o777 == 0o600
    SqliteStore(file).close()
    assert sorted(one.name for one in tmp_path.glob("s.db.*") if "schema" in one.name) == ["s.db.schema-1"]


def test_a_migration_that_fails_leaves_the_old_state_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.db"
    old_database(file)
    with monkeypatch.context() as broken:
        broken.setattr(schema, "MIGRATIONS", (*MIGRATIONS[:1], "CREATE TABLE half (a); CREATE TABLE credentials (a)"))
        with pytest.raises(StoreError, match="already exists"):
            SqliteStore(file)
    assert schema_of(file) == 1
    with closing(sqlite3.connect(file)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    store = SqliteStore(file)
    assert store.credential(KEY.id) is not None
    store.close()


@pytest.mark.parametrize("schema", range(1, SCHEMA_VERSION))
def test_a_migration_killed_at_any_statement_leaves_the_old_state_usable(tmp_path: Path, schema: int) -> None:
    statements = sum(migration.count(";") + 1 for migration in MIGRATIONS[schema:])
    killed_at = 0
    while True:
        file = tmp_path / str(killed_at) / "s.db"
        old_database(file, schema)
        if not killed_while_opening(file, killed_at):
            break
        left = schema_of(file)
        assert left in (schema, SCHEMA_VERSION)
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT name, subject, a, b FROM counters").fetchall() == [COUNTER]
            assert connection.execute("SELECT id FROM credentials").fetchall() == [(KEY.id,)]
        with closing(SqliteStore(file)) as store:
            assert store.credentials() == [KEY] and store.restrictions() == [RESTRICTION]
            assert store.counters() == [COUNTER] and len(store.acts()) == 1 and len(store.identity()) == 32
        assert schema_of(file) == SCHEMA_VERSION
        killed_at += 1
    assert killed_at > statements, "every statement was one to be killed at"


def killed_while_opening(file: Path, statement: int) -> bool:
    """Open a store in a process that is killed before the statement of that number; whether it was."""

    class Fragile(sqlite3.Connection):
        count = 0

        def execute(self, *words: Any) -> sqlite3.Cursor:
            if Fragile.count == statement:
                os.kill(os.getpid(), signal.SIGKILL)
            Fragile.count += 1
            return super().execute(*words)

    if child := os.fork():
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    try:
        connect = sqlite3.connect
        database.sqlite3.connect = lambda *words, **more: connect(*words, factory=Fragile, **more)  # type: ignore[attr-defined]
        SqliteStore(file).close()
        os._exit(0)
    finally:
        os._exit(1)


def test_a_store_of_another_api_has_records_of_its_own(tmp_path: Path) -> None:
    old_database(tmp_path / "s.db")
    shop, other = SqliteStore(tmp_path / "s.db"), SqliteStore(tmp_path / "s.db", api="other")
    other.put_counters([(*COUNTER[:2], 1.0, 3600.0)], None)
    assert other.credentials() == [] and other.credential(KEY.id) is None and other.restrictions() == []
    assert shop.counters() == [COUNTER] and other.counters() == [(*COUNTER[:2], 1.0, 3600.0)]
    shop.close()
    other.close()


def test_without_room_for_the_copy_nothing_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    old_database(file)
    (tmp_path / "s.db.schema-1").mkdir()
    with pytest.raises(StoreError, match="nothing was changed"):
        SqliteStore(file)
    assert schema_of(file) == 1


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


def test_many_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    old_database(file)
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
    assert not failed and schema_of(file) == SCHEMA_VERSION


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


def test_the_primary_key_comes_first_in_tables_without_row_ids() -> None:
    """The integrity check of SQLite 3.40 reports other tables as damaged."""
    connection = sqlite3.connect(":memory:")
    for statements in MIGRATIONS:
        connection.executescript(statements)
    tables = [name for name, text in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
              if "WITHOUT ROWID" in text]  # fmt: skip
    assert len(tables) >= 8
    for table in tables:
        keys = [key for *_, key in connection.execute(f"PRAGMA table_info({table})")]
        assert keys == [*range(1, max(keys) + 1), *[0] * (len(keys) - max(keys))], table
