"""SQLite files of a state directory: copied, looked at and brought forward."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sallygate.model.event import Event
from sallygate.ports import DatabaseFiles, DatabaseState, EventSource, StoreError
from sallygate.stores.events import EventFiles
from sallygate.stores.sqlite.copying import copy_database
from sallygate.stores.sqlite.schema import SCHEMA_VERSION, version_of
from sallygate.stores.sqlite.store import SqliteStore

LOOK_S = 2.0
"""For a lock that a writer has."""
ACCOUNTS_SCHEMA = 3
"""Since which the database has accounts."""


class SqliteFiles:
    """Files of SQLite databases. All methods raise `StoreError`."""

    schema = SCHEMA_VERSION

    def events(self, directory: Path) -> EventSource:
        return EventFiles(directory)

    def copy(self, file: Path, copy: Path) -> None:
        try:
            copy_database(file, copy)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{file}: cannot be copied: {error}; see `sallygate doctor`") from error

    def schema_of(self, file: Path) -> int:
        try:
            with closing(sqlite3.connect(file)) as connection:  # to write: then no file is left beside it
                return version_of(connection)
        except sqlite3.Error as error:
            raise StoreError(f"{file}: cannot be read: {error}; see `sallygate doctor`") from error

    def bring_forward(self, file: Path) -> None:
        SqliteStore(file, create=False).close()

    def acts_since(self, file: Path, at: float) -> tuple[Event, ...]:
        if not file.is_file():
            return ()
        try:
            with closing(SqliteStore(file, read_only=True)) as store:
                return tuple(store.acts(at))
        except StoreError:
            return ()  # a broken one is what a restore is for

    def examine(self, file: Path) -> DatabaseState:
        with closing(_look(file)) as connection:
            try:
                version, whole = version_of(connection), _damage(connection)
                keys = accounts = 0
                if not whole and version <= SCHEMA_VERSION:
                    (keys,) = connection.execute("SELECT count(*) FROM credentials").fetchone()
                    if version >= ACCOUNTS_SCHEMA:
                        (accounts,) = connection.execute("SELECT count(*) FROM accounts").fetchone()
            except sqlite3.Error as error:
                return DatabaseState(0, str(error), 0, 0)
        return DatabaseState(version, whole, keys, accounts)

    def damage_of_events(self, file: Path) -> str:
        with closing(_look(file)) as connection:
            try:
                return _damage(connection)
            except sqlite3.Error as error:
                return str(error)


def _look(file: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=LOOK_S)
    except sqlite3.Error as error:
        raise StoreError(f"{file}: cannot be opened: {error}; check its owner and mode") from error


def _damage(connection: sqlite3.Connection) -> str:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else str(found)


if TYPE_CHECKING:  # mypy checks it here against its port
    _checked: type[DatabaseFiles] = SqliteFiles
