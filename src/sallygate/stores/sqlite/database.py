"""One open SQLite database: its connection, its transactions, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
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
from sallygate.security.private_files import make_private
from sallygate.stores.sqlite.copying import BUSY_MS
from sallygate.stores.sqlite.schema import bring_forward, refuse_newer, stand_in, version_of

Record = TypeVar("Record", Account, Credential, KnownNetwork, Restriction, Revocation)
T = TypeVar("T")
_RESTORE = "bring a backup back with `sallygate restore`"
_CURES = {
    "database is locked": "another process holds it; try again when it is done",
    "database or disk is full": "free some space",
    "disk I/O error": "free some space on its disk, of which opening needs 100 kB, and check the disk",
    "attempt to write a readonly database": "make the state directory writable",
    "unable to open database file": "make its directory exist and be writable",
    "file is not a database": _RESTORE,
    "database disk image is malformed": _RESTORE,
}


class Database:
    """Open database of a state directory. Raises `StoreError`."""

    def __init__(self, file: Path, *, read_only: bool = False, create: bool = True, identity: str = "") -> None:
        """See `SqliteStore`."""
        self.file = file
        if not read_only:
            make_private(file, create=create)
        with self._saying("opened"):
            self._connection = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}", uri=True, timeout=BUSY_MS / 1000,
                isolation_level=None, check_same_thread=False,
            )  # fmt: skip
            try:
                self._prepare(read_only=read_only, create=create, identity=identity)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, *, read_only: bool, create: bool, identity: str) -> None:
        version = version_of(self._connection)
        refuse_newer(self.file, version)
        if not (version or create):
            raise StoreError(f"{self.file}: is empty; {_RESTORE}")
        if read_only:
            stand_in(self._connection, version)
            return
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        bring_forward(self._connection, self.file, identity)

    @contextmanager
    def _saying(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            cure = _CURES.get(str(error), "see `sallygate --help`")
            raise StoreError(f"{self.file}: could not be {what}: {error}; {cure}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one reading. Raises `StoreError`."""
        with self._saying("read"):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection in one transaction, synced when it ends. Raises `StoreError`."""
        connection = self._connection
        with self._saying("written"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def decoded(self, record: bytes, kind: type[T]) -> T:
        """A kept record. Raises `StoreError`."""
        try:
            return decode(record, type=kind)
        except (MsgspecError, UnicodeDecodeError) as error:
            # Left out, a restriction would be a gate that is open.
            raise StoreError(f"{self.file}: has a record that cannot be read: {error}; {_RESTORE}") from error

    def event(self, record: bytes) -> Event:
        """A kept event, of whatever version. Raises `StoreError`."""
        try:
            return read_event(record)
        except (MsgspecError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.file}: has an act that cannot be read: {error}; {_RESTORE}") from error

    def identity(self) -> str:
        """Id of the installation that the database belongs to; empty for an older one that is only read."""
        with self.reading() as connection:
            row = connection.execute("SELECT id FROM installation").fetchone()
        return str(row[0]) if row else ""

    def close(self) -> None:
        self._connection.close()


def stamped(connection: sqlite3.Connection, record: Record) -> Record:
    """`record` with the next revision of the database."""
    connection.execute("UPDATE revision SET number = number + 1")
    (number,) = connection.execute("SELECT number FROM revision").fetchone()
    return replace(record, revision=number)


def write_act(connection: sqlite3.Connection, act: Event) -> None:
    """Within the transaction of what was done."""
    connection.execute("INSERT INTO acts (at, record) VALUES (?, ?)", (act.at, encode(act)))
