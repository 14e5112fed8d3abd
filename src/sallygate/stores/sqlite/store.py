"""Credentials, restrictions, counters and administrative acts in one SQLite file (WAL).

A change and the event of its act are one transaction, synced to disk before it returns (`synchronous=FULL`). Counters
are written apart, with less ceremony: at most one second of them may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.json import encode

from sallygate.model.account import Account
from sallygate.model.counting import WINDOW_S_MAX, Row
from sallygate.model.event import Event
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.ports import StateStore, StoreError
from sallygate.stores.sqlite.access import AccessTables
from sallygate.stores.sqlite.database import Database, stamped, write_act


class SqliteStore:
    """Store of one API's state in one database file, over one connection. Not shared between threads at once; a second
    process opens its own. Raises `StoreError`."""

    def __init__(
        self, file: Path, *, read_only: bool = False, create: bool = True, identity: str = "", api: str = ""
    ) -> None:
        """`read_only`: as it is, in whatever version this one can read; nothing is brought forward. Without `create` an
        empty or missing file is refused. `identity` is given to a database that has none. Records of other APIs than
        `api` are neither read nor written."""
        self.file, self.api = file, api
        self._database = Database(file, read_only=read_only, create=create, identity=identity)
        self.access = AccessTables(self._database)

    def identity(self) -> str:
        """Id of the installation that the database belongs to."""
        return self._database.identity()

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def changed(self) -> int:
        """A number that differs after another connection has written (`PRAGMA data_version`)."""
        with self._database.reading() as connection:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    # accounts, credentials, restrictions ------------------------------------------------------------------------

    def account(self, name: str) -> Account | None:
        """Account by name; None if there is none. Raises `StoreError`."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT record FROM accounts WHERE name = ?", (name,)).fetchone()
        return self._database.decoded(row[0], Account) if row else None

    def accounts(self, after_revision: int = 0) -> Sequence[Account]:
        """Accounts changed after a revision, in order. Raises `StoreError`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT record FROM accounts WHERE revision > ? ORDER BY revision", (after_revision,)
            ).fetchall()
        return [self._database.decoded(record, Account) for (record,) in rows]

    def account_like(self, name: str) -> Account | None:
        """One whose name differs from `name` in case at most."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT record FROM accounts WHERE name = ? COLLATE NOCASE LIMIT 1", (name,)
            ).fetchone()
        return self._database.decoded(row[0], Account) if row else None

    def put_account(self, account: Account, act: Event, over: int | None = None) -> Account:
        """With the event of the act, or not at all. `over` is the revision it follows, 0 for a new one; a record that
        somebody else changed meanwhile is left as it is."""
        with self._database.writing() as connection:
            if over is not None:
                row = connection.execute("SELECT revision FROM accounts WHERE name = ?", (account.name,)).fetchone()
                if (row[0] if row else 0) != over:
                    raise StoreError(
                        f"account {account.name} was changed by somebody else meanwhile; look, and try again"
                    )
            made = stamped(connection, account)
            connection.execute(
                "INSERT OR REPLACE INTO accounts (name, revision, record) VALUES (?, ?, ?)",
                (made.name, made.revision, encode(made)),
            )
            write_act(connection, act)
        return made

    def credential(self, key_id: str) -> Credential | None:
        """Record of a key by its id; None if there is none. Raises `StoreError`."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT record FROM credentials WHERE api = ? AND id = ?", (self.api, key_id)
            ).fetchone()
        return self._database.decoded(row[0], Credential) if row else None

    def credentials(self, after_revision: int = 0) -> Sequence[Credential]:
        """Records of keys changed after a revision, in order. Raises `StoreError`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT record FROM credentials WHERE api = ? AND revision > ? ORDER BY revision",
                (self.api, after_revision),
            ).fetchall()
        return [self._database.decoded(record, Credential) for (record,) in rows]

    def put_credentials(self, credentials: Sequence[Credential], act: Event) -> None:
        """All of them, with the event of the act, or none."""
        with self._database.writing() as connection:
            for credential in credentials:
                made = stamped(connection, credential)
                connection.execute(
                    "INSERT OR REPLACE INTO credentials (id, revision, account, record, api) VALUES (?, ?, ?, ?, ?)",
                    (made.id, made.revision, made.account, encode(made), self.api),
                )
            write_act(connection, act)

    def restrictions(self, after_revision: int = 0) -> Sequence[Restriction]:
        """Restrictions changed after a revision, in order. Raises `StoreError`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT record FROM restrictions WHERE api = ? AND revision > ? ORDER BY revision",
                (self.api, after_revision),
            ).fetchall()
        return [self._database.decoded(record, Restriction) for (record,) in rows]

    def put_restriction(self, restriction: Restriction, act: Event) -> Restriction:
        """Store a restriction with its audit event, and return it with its revision. Raises `StoreError`."""
        with self._database.writing() as connection:
            made = stamped(connection, restriction)
            connection.execute(
                "INSERT OR REPLACE INTO restrictions (id, revision, expires_at, record, api) VALUES (?, ?, ?, ?, ?)",
                (made.id, made.revision, made.expires_at, encode(made), self.api),
            )
            write_act(connection, act)
        return made

    def hits(self) -> dict[str, int]:
        """Requests met, by restriction."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT id, hits FROM restriction_hits").fetchall())

    def add_hits(self, hits: Mapping[str, int]) -> None:
        """Add hits of restrictions, by id. Raises `StoreError`."""
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO restriction_hits (id, hits) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET hits = hits + excluded.hits",
                list(hits.items()),
            )

    def acts(self, since: float = 0.0) -> Sequence[Event]:
        """The administrative acts, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT record FROM acts WHERE at >= ? ORDER BY seq", (since,)).fetchall()
        return [self._database.event(record) for (record,) in rows]

    def last_act(self) -> int:
        """Number of the latest administrative act, 0 before the first: it grows with every change an operator makes."""
        with self._database.reading() as connection:
            (number,) = connection.execute("SELECT coalesce(max(seq), 0) FROM acts").fetchone()
        return int(number)

    def put_act(self, act: Event, then: Callable[[], None] = lambda: None) -> None:
        """An act by itself. `then` runs within its transaction, one after another in all processes: when it raises,
        the act is not on record."""
        with self._database.writing() as connection:
            write_act(connection, act)
            then()

    # counters --------------------------------------------------------------------------------------------------------

    def counters(self) -> Sequence[Row]:
        """All rows of counters: name, subject and two numbers. Raises `StoreError`."""
        with self._database.reading() as connection:
            return connection.execute("SELECT name, subject, a, b FROM counters WHERE api = ?", (self.api,)).fetchall()

    def put_counters(self, rows: Iterable[Row], forget_before: float | None) -> None:
        """Write `rows`; forget rates that were free before `forget_before`, and windows long over, which reads
        every counter there is; None forgets nothing."""
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO counters (name, subject, a, b, api) VALUES (?, ?, ?, ?, ?)",
                [(*row, self.api) for row in rows],
            )
            if forget_before is not None:
                connection.execute(
                    "DELETE FROM counters WHERE api = ? AND ((b = 0 AND a < ?) OR (b > 0 AND b < ?))",
                    (self.api, forget_before, forget_before - WINDOW_S_MAX),
                )


if TYPE_CHECKING:  # mypy checks it here against its port
    _checked: type[StateStore] = SqliteStore
