"""Credentials, restrictions, counters and administrative acts in one SQLite file (WAL).

A change and the event of its act are one transaction, synced to disk before it returns (`synchronous=FULL`). Counters
are written apart, with less ceremony: at most one second of them may be lost.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import MsgspecError
from msgspec.json import decode, encode
from msgspec.structs import replace

from sallygate.events.reading import read_event
from sallygate.model.access import KnownNetwork, Revocation
from sallygate.model.account import Account
from sallygate.model.event import Event
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.ports import StoreError

Record = TypeVar("Record", Account, Credential, KnownNetwork, Restriction, Revocation)
T = TypeVar("T")

BUSY_MS = 2_000
"""How long a writer waits for another (a `keys create` beside a running gate) before it says so."""

COPY_PAGES, COPY_PAUSE_S = 512, 0.005
"""2 MiB at a time; 1 GB takes some seconds, in which a gate on the same disk goes on."""

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
)
"""From each version to the next: statements, applied in order and together. Only ever added to; a process of the
version before goes on working beside what they make."""
SCHEMA_VERSION = len(MIGRATIONS)


class SqliteStore:
    """One connection to the file. Not shared between threads at once; a second process opens its own."""

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        """`read_only`: as it is, in whatever version this one can read; nothing is brought forward."""
        self.file = file
        with self._saying("opened"):
            mode = "ro" if read_only else "rwc"
            self._connection = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_MS / 1000, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            if read_only:
                self._refuse_newer(self._version())
                self._stand_in(self._version())
                return
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._migrate()

    def _migrate(self) -> None:
        """Forward in place, all or nothing, with a copy of the file as it was kept beside it."""
        version = self._version()
        self._refuse_newer(version)
        if version == SCHEMA_VERSION:
            return
        if version:
            self._keep_copy(version)
        with self._transaction() as connection:
            for number in range(self._version(), SCHEMA_VERSION):  # another process may have been first
                for statement in MIGRATIONS[number].split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _stand_in(self, version: int) -> None:
        """Empty tables of this connection's own for those that an older file does not have."""
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";"):
                if statement.strip().startswith("CREATE TABLE"):
                    self._connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))

    def _refuse_newer(self, version: int) -> None:
        if version > SCHEMA_VERSION:
            raise StoreError(f"{self.file}: written by a newer version (schema {version}); use that version or later")

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _keep_copy(self, version: int) -> None:
        copy = self.file.with_name(f"{self.file.name}.schema-{version}")
        try:
            copy_database(self.file, copy)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{copy}: the copy to keep before migrating cannot be written: {error}; nothing was changed"
            ) from error

    @contextmanager
    def _saying(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = {
                "database is locked": "another process holds it; try again when it is done",
                "database or disk is full": "free some space",
                "attempt to write a readonly database": "make the state directory writable",
                "unable to open database file": "make its directory exist and be writable",
            }.get(str(error), "see `sallygate --help`")
            raise StoreError(f"{self.file}: could not be {what}: {error}; {hint}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one reading. Raises `StoreError`."""
        with self._saying("read"):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection in one transaction, synced when it ends. Raises `StoreError`."""
        with self._saying("written"), self._transaction() as connection:
            yield connection

    def decoded(self, record: bytes, kind: type[T]) -> T:
        """A kept record. Raises `StoreError`."""
        try:
            return decode(record, type=kind)
        except (MsgspecError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> StoreError:
        # Left out, a restriction would be a gate that is open.
        return StoreError(f"{self.file}: has a record that cannot be read: {error}; bring back a copy")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()

    def changed(self) -> int:
        """A number that differs after another connection has written (`PRAGMA data_version`)."""
        with self._saying("read"):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(version)

    # accounts, credentials, restrictions ------------------------------------------------------------------------

    def account(self, name: str) -> Account | None:
        with self._saying("read"):
            row = self._connection.execute("SELECT record FROM accounts WHERE name = ?", (name,)).fetchone()
        return self.decoded(row[0], Account) if row else None

    def accounts(self, after_revision: int = 0) -> Sequence[Account]:
        with self._saying("read"):
            rows = self._connection.execute(
                "SELECT record FROM accounts WHERE revision > ? ORDER BY revision", (after_revision,)
            ).fetchall()
        return [self.decoded(record, Account) for (record,) in rows]

    def account_like(self, name: str) -> Account | None:
        """One whose name differs from `name` in case at most."""
        with self._saying("read"):
            row = self._connection.execute(
                "SELECT record FROM accounts WHERE name = ? COLLATE NOCASE LIMIT 1", (name,)
            ).fetchone()
        return self.decoded(row[0], Account) if row else None

    def put_account(self, account: Account, act: Event, over: int | None = None) -> Account:
        """With the event of the act, or not at all. `over` is the revision it follows, 0 for a new one; a record that
        somebody else changed meanwhile is left as it is."""
        with self._saying("written"), self._transaction() as connection:
            if over is not None:
                row = connection.execute("SELECT revision FROM accounts WHERE name = ?", (account.name,)).fetchone()
                if (row[0] if row else 0) != over:
                    raise StoreError(
                        f"account {account.name} was changed by somebody else meanwhile; look, and try again"
                    )
            made = stamped(connection, account)
            connection.execute(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", (made.name, made.revision, encode(made))
            )
            write_act(connection, act)
        return made

    def credential(self, key_id: str) -> Credential | None:
        with self._saying("read"):
            row = self._connection.execute("SELECT record FROM credentials WHERE id = ?", (key_id,)).fetchone()
        return self.decoded(row[0], Credential) if row else None

    def credentials(self, after_revision: int = 0) -> Sequence[Credential]:
        with self._saying("read"):
            rows = self._connection.execute(
                "SELECT record FROM credentials WHERE revision > ? ORDER BY revision", (after_revision,)
            ).fetchall()
        return [self.decoded(record, Credential) for (record,) in rows]

    def put_credentials(self, credentials: Sequence[Credential], act: Event) -> None:
        """All of them, with the event of the act, or none."""
        with self._saying("written"), self._transaction() as connection:
            for credential in credentials:
                made = stamped(connection, credential)
                connection.execute(
                    "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?)",
                    (made.id, made.revision, made.account, encode(made)),
                )
            write_act(connection, act)

    def restrictions(self, after_revision: int = 0) -> Sequence[Restriction]:
        with self._saying("read"):
            rows = self._connection.execute(
                "SELECT record FROM restrictions WHERE revision > ? ORDER BY revision", (after_revision,)
            ).fetchall()
        return [self.decoded(record, Restriction) for (record,) in rows]

    def put_restriction(self, restriction: Restriction, act: Event) -> Restriction:
        with self._saying("written"), self._transaction() as connection:
            made = stamped(connection, restriction)
            connection.execute(
                "INSERT OR REPLACE INTO restrictions VALUES (?, ?, ?, ?)",
                (made.id, made.revision, made.expires_at, encode(made)),
            )
            write_act(connection, act)
        return made

    def hits(self) -> dict[str, int]:
        """Requests met, by restriction."""
        with self._saying("read"):
            return dict(self._connection.execute("SELECT id, hits FROM restriction_hits").fetchall())

    def add_hits(self, hits: Mapping[str, int]) -> None:
        with self._saying("written"), self._transaction() as connection:
            connection.executemany(
                "INSERT INTO restriction_hits VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET hits = hits + excluded.hits",
                list(hits.items()),
            )

    def acts(self, since: float = 0.0) -> Sequence[Event]:
        """The administrative acts, oldest first."""
        with self._saying("read"):
            rows = self._connection.execute("SELECT record FROM acts WHERE at >= ? ORDER BY seq", (since,)).fetchall()
        try:
            return [read_event(record) for (record,) in rows]
        except (MsgspecError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error

    # counters --------------------------------------------------------------------------------------------------------

    def counters(self) -> Sequence[tuple[str, str, float, float]]:
        with self._saying("read"):
            return self._connection.execute("SELECT name, subject, a, b FROM counters").fetchall()

    def put_counters(self, rows: Iterable[tuple[str, str, float, float]], forget_before: float | None) -> None:
        """Write `rows`; forget rates that were free before `forget_before`, and windows long over, which reads
        every counter there is; None forgets nothing."""
        with self._saying("written"), self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?)", rows)
            if forget_before is not None:
                connection.execute(
                    "DELETE FROM counters WHERE (b = 0 AND a < ?) OR (b > 0 AND b < ?)",
                    (forget_before, forget_before - 32 * 86400),
                )


def copy_database(file: Path, copy: Path, advance: Callable[[int, int], None] | None = None) -> None:
    """A consistent copy of a database that others may be writing, whole at `copy` or not at all; for its owner alone.

    All of it is one moment's: the reading transaction stays open, so that later writes neither show nor start it anew.
    It pauses between pieces to leave the disk to others. `advance` gets (pages left, pages in all). Raises
    `sqlite3.Error` or `OSError`.
    """
    part = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}.part")
    written = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def pause(_: int, left: int, total: int) -> None:
        os.fdatasync(written)  # by and by: a gigabyte at the end would hold up everything that writes
        if advance is not None:
            advance(left, total)
        time.sleep(COPY_PAUSE_S)

    try:
        with closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
        ) as source:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(part)) as target:
                target.execute("PRAGMA synchronous=OFF")
                source.backup(target, pages=COPY_PAGES, progress=pause)
        os.fsync(written)
        part.replace(copy)
    finally:
        os.close(written)
        part.unlink(missing_ok=True)


def stamped(connection: sqlite3.Connection, record: Record) -> Record:
    """`record` with the next revision of the database."""
    connection.execute("UPDATE revision SET number = number + 1")
    (number,) = connection.execute("SELECT number FROM revision").fetchone()
    return replace(record, revision=number)


def write_act(connection: sqlite3.Connection, act: Event) -> None:
    """Within the transaction of what was done."""
    connection.execute("INSERT INTO acts (at, record) VALUES (?, ?)", (act.at, encode(act)))
