"""Databases as former versions of the program wrote them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec.json import encode

from sallygate.admin.audit import act_of
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.stores.sqlite.schema import MIGRATIONS

KEY = Credential("oldkey", b"digest", "alice", "free", None, 1.0, revision=1)
RESTRICTION = Restriction("old1", (("address", "192.0.2.1"),), "deny", "test", "tester", 1.0, 9e9, revision=2)
COUNTER = ("plan:free:hour", "alice", 7.0, 3600.0)


def old_database(file: Path, schema: int = 1) -> None:
    """A database of that schema with a key, a restriction, a counter and an act, in the state that a crash leaves (WAL).

    Statements name no column, as those versions wrote them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for migration in MIGRATIONS[:schema]:
            connection.executescript(migration)
        connection.execute("UPDATE revision SET number = 2")
        connection.execute("INSERT INTO credentials VALUES (?, 1, 'alice', ?)", (KEY.id, encode(KEY)))
        connection.execute("INSERT INTO restrictions VALUES (?, 2, 9e9, ?)", (RESTRICTION.id, encode(RESTRICTION)))
        connection.execute("INSERT INTO counters VALUES (?, ?, ?, ?)", COUNTER)
        act = act_of("key.create", KEY.id, "tester", "", 1.0)
        connection.execute("INSERT INTO acts VALUES (1, 1.0, ?)", (encode(act),))
        connection.execute(f"PRAGMA user_version={schema}")


def schema_of(file: Path) -> int:
    """The schema a database says it has."""
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
