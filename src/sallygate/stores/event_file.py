"""File of one hour's events: SQLite with a write-ahead log, open for appending.

The file may be removed, emptied or damaged while it is open. SQLite maps the `-shm` file into memory, and a page that
is gone from a mapped file ends the process (SIGBUS); so sizes are compared before SQLite touches anything.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from msgspec.json import encode

from sallygate.model.event import Event

BUSY_S = 2.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, at REAL, decision TEXT, principal TEXT, record BLOB)",
    "CREATE TABLE IF NOT EXISTS sequence (last INTEGER NOT NULL)",
)
_TAKE_NUMBERS = (
    "UPDATE sequence SET last = max(last, :least, (SELECT coalesce(max(seq), 0) FROM events)) + :count RETURNING last"
)
"""Numbers are taken in the transaction that uses them, after all that any writer has used, erased ones included."""


class EventFile:
    """One file, for as long as it is what was opened. Raises `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, last: int) -> None:
        """`last`: the sequence number after which a new file begins."""
        self.path = path
        self.last = last
        """The last number given here."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        for part in parts_of(path):
            keep_private(part)
        self._connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO sequence SELECT ? WHERE NOT EXISTS (SELECT 1 FROM sequence)", (last,))
            first, newest = self._connection.execute("SELECT min(seq), max(seq) FROM events").fetchone()
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._connection.close()
            raise
        self.rows = newest - first + 1 if newest is not None else 0
        """Events in it, at most: of those written before, erased ones count too."""
        self._look()

    def append(self, events: Sequence[Event]) -> None:
        """Write `events` in one transaction, each with the next number."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            (last,) = connection.execute(_TAKE_NUMBERS, {"least": self.last, "count": len(events)}).fetchone()
            first = last - len(events) + 1
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                [(first + n, one.at, one.decision, one.principal, encode(one)) for n, one in enumerate(events)],
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.last = last
        self.rows += len(events)
        self._look()

    def changed(self) -> str:
        """Why the file on disk is not what was opened: `removed`, `emptied`, `changed`; empty when it is."""
        try:
            database, wal, shm = map(os.stat, parts_of(self.path))
        except OSError:
            return "removed"
        if (database.st_ino, wal.st_ino, shm.st_ino) != self._inodes:
            return "removed"
        if not database.st_size:
            return "emptied"
        if shm.st_size < self._mapped or (wal.st_size < self._logged and not self.readable()):
            return "changed"
        return ""

    def readable(self) -> bool:
        """Whether another reader finds the newest event. Call it after `changed` only."""
        try:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.0)) as reader:
                reader.execute("SELECT max(seq) FROM events").fetchone()
        except sqlite3.Error as error:
            return not is_damage(error)
        return True

    def close(self) -> None:
        """Close it, whatever became of it."""
        shm = parts_of(self.path)[2]
        with suppress(OSError):
            if shm.stat().st_size < self._mapped:
                os.truncate(shm, self._mapped)  # what is mapped must be there: closing reads it
        with suppress(sqlite3.Error):
            self._connection.close()

    def _look(self) -> None:
        database, wal, shm = map(os.stat, parts_of(self.path))
        self._inodes = database.st_ino, wal.st_ino, shm.st_ino
        self._logged, self._mapped = wal.st_size, shm.st_size


def parts_of(path: Path) -> tuple[Path, Path, Path]:
    """The database and the two files that SQLite keeps beside it."""
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def keep_private(file: Path) -> None:
    """Take a file from all but its owner."""
    with suppress(FileNotFoundError):
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)


def put_aside(path: Path) -> Path:
    """Rename a damaged file, so that readers go on without it. One an hour is kept."""
    aside = path.with_suffix(".damaged")
    for part, to in zip(parts_of(path), parts_of(aside), strict=True):
        with suppress(FileNotFoundError):
            part.replace(to)
    return aside


def is_damage(error: sqlite3.Error) -> bool:
    """Whether what is in the file is at fault, not the disk or another process."""
    code = getattr(error, "sqlite_errorcode", 0)
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return code & 0xFF in damage or code == sqlite3.SQLITE_IOERR_SHORT_READ or "no such table" in str(error)
