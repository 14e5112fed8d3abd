"""Schema of the SQLite database: its migrations, applied forward in place, all or nothing, with a copy kept."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from sallygate.ports import StoreError
from sallygate.stores.sqlite.copying import copy_database

_FIRST = """
CREATE TABLE revision (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL);
INSERT INTO revision VALUES (1, 0);
CREATE TABLE credentials (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, account TEXT NOT NULL, record BLOB NOT NULL)
    WITHOUT ROWID;
CREATE INDEX credentials_revision ON credentials (revision);
CREATE TABLE restrictions (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, expires_at REAL NOT NULL,
    record BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX restrictions_revision ON restrictions (revision);
CREATE TABLE counters (name TEXT, subject TEXT, a REAL NOT NULL, b REAL NOT NULL, PRIMARY KEY (name, subject))
    WITHOUT ROWID;
CREATE TABLE acts (seq INTEGER PRIMARY KEY, at REAL NOT NULL, record BLOB NOT NULL);
"""
MIGRATIONS: tuple[str, ...] = (
    _FIRST,
    "CREATE INDEX acts_at ON acts (at)",  # acts are asked for by time, and stay for good
    """CREATE TABLE accounts (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX accounts_revision ON accounts (revision)""",
    """CREATE TABLE codes (owner TEXT, purpose TEXT, subject TEXT, network TEXT, id TEXT NOT NULL,
    expires_at REAL NOT NULL, record BLOB NOT NULL, PRIMARY KEY (owner, purpose, subject, network)) WITHOUT ROWID;
CREATE UNIQUE INDEX codes_id ON codes (id);
CREATE INDEX codes_expires ON codes (expires_at);
CREATE TABLE grants (id TEXT PRIMARY KEY, account TEXT NOT NULL, expires_at REAL NOT NULL, record BLOB NOT NULL)
    WITHOUT ROWID;
CREATE INDEX grants_account ON grants (account);
CREATE INDEX grants_expires ON grants (expires_at);
CREATE TABLE places (principal TEXT, network TEXT, revision INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (principal, network)) WITHOUT ROWID;
CREATE INDEX places_revision ON places (revision);
CREATE TABLE revocations (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, until REAL NOT NULL, record BLOB NOT NULL)
    WITHOUT ROWID;
CREATE INDEX revocations_revision ON revocations (revision)""",
    "CREATE TABLE restriction_hits (id TEXT PRIMARY KEY, hits INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE installation (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL);
INSERT INTO installation VALUES (1, '');
ALTER TABLE credentials ADD COLUMN api TEXT NOT NULL DEFAULT '';
ALTER TABLE restrictions ADD COLUMN api TEXT NOT NULL DEFAULT '';
CREATE TABLE counters_by_api (api TEXT NOT NULL DEFAULT '', name TEXT NOT NULL, subject TEXT NOT NULL, a REAL NOT NULL,
    b REAL NOT NULL, PRIMARY KEY (api, name, subject)) WITHOUT ROWID;
INSERT INTO counters_by_api (name, subject, a, b) SELECT name, subject, a, b FROM counters;
DROP TABLE counters;
ALTER TABLE counters_by_api RENAME TO counters""",
)
"""Statements from each version to the next, applied in order and in one transaction. Statements that write name their
columns, so that a process of an older version can work beside added ones. In a table without row ids the columns of
the primary key come first, in its order: the integrity check of SQLite 3.40, which Debian 12 has, reports any other
table as damaged."""
SCHEMA_VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """Schema version of an open database, 0 of an empty one. Raises `sqlite3.Error`."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def refuse_newer(file: Path, version: int) -> None:
    """Raises `StoreError` for a database that a newer version of the program wrote."""
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{file}: written by a newer version (schema {version}; this program knows {SCHEMA_VERSION}); use that "
            "version or later, or bring back a backup made before it with `sallygate restore`"
        )


def bring_forward(connection: sqlite3.Connection, file: Path, identity: str) -> None:
    """Bring the database to this program's schema. `identity` is the installation's id, empty where there is none yet.
    Raises `StoreError` or `sqlite3.Error`, and then nothing has changed."""
    version = version_of(connection)
    refuse_newer(file, version)
    if version == SCHEMA_VERSION:
        return
    if version:
        _keep_copy(file, version)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(connection), SCHEMA_VERSION):  # another process may have been first
            for statement in MIGRATIONS[number].split(";"):
                connection.execute(statement)
        connection.execute("UPDATE installation SET id = ? WHERE id = ''", (identity or secrets.token_hex(16),))
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def stand_in(connection: sqlite3.Connection, version: int) -> None:
    """Give a connection that only reads an older database what it lacks: tables of its own, empty where the file has
    none, copied where columns are added."""
    left = [statement.strip() for migration in MIGRATIONS[version:] for statement in migration.split(";")]
    for statement in left:
        if statement.startswith("CREATE TABLE"):
            connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        elif statement.startswith("ALTER TABLE") and " ADD COLUMN " in statement:
            name = statement.split()[2]
            here = "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?"
            for (sql,) in connection.execute(here, (name,)).fetchall():
                connection.execute(sql.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
                connection.execute(f"INSERT INTO temp.{name} SELECT * FROM main.{name}")  # noqa: S608 (of the schema)
            connection.execute(statement)


def _keep_copy(file: Path, version: int) -> None:
    copy = file.with_name(f"{file.name}.schema-{version}")
    try:
        copy_database(file, copy)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{copy}: the copy to keep before migrating cannot be written: {error}; nothing was changed"
        ) from error
