"""Records of persons in SQLite files, erased so that nothing of them is left on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.json import decode, encode
from msgspec.structs import replace

from sallygate.events.reading import read_event
from sallygate.model.account import Account
from sallygate.model.event import Event
from sallygate.model.person import Erased, Erasure, Person
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.ports import PersonRecords, StoreError
from sallygate.stores.erasing import counts_for, goes, nameless

BUSY_S = 10.0


class SqlitePersonRecords:
    """Records of persons in the database `file`. Raises `StoreError`."""

    def __init__(self, file: Path) -> None:
        self._file, self._connection = file, _open(file)

    def close(self) -> None:
        self._connection.close()

    def credentials(self) -> list[Credential]:
        with _saying(self._file, "read"):
            rows = self._connection.execute("SELECT record FROM credentials").fetchall()
        return [decode(record, type=Credential) for (record,) in rows]

    def account(self, name: str) -> Account | None:
        with _saying(self._file, "read"):
            row = self._connection.execute("SELECT record FROM accounts WHERE name = ?", (name,)).fetchone()
        return decode(row[0], type=Account) if row else None

    def erase_events(self, file: Path, person: Person) -> int:
        text = "CAST(record AS TEXT)"
        where: list[str] = []
        values: list[str] = []
        for key in person.keys:  # also in the evidence of what a revoked one was refused for
            where.append(f"instr({text}, ?)")
            values.append(key)
        for name, value in (("account", person.account), ("client_address", person.address), ("peer", person.address)):
            if value:
                where.append(f"json_extract({text}, '$.{name}') = ?")
                values.append(value)
        with closing(_open(file)) as connection, _saying(file, "written"):
            count = connection.execute(f"DELETE FROM events WHERE {' OR '.join(where)}", values).rowcount  # noqa: S608 (no value is in it)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def erase(self, erasure: Erasure, act: Event) -> Erased:
        connection = self._connection
        with _saying(self._file, "written"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                done = _erase(connection, erasure, act.at)
                note = f"accounts: {done.accounts}, keys: {done.credentials}, restrictions: {done.restrictions}"
                connection.execute(
                    "INSERT INTO acts (at, record) VALUES (?, ?)", (act.at, encode(replace(act, note=note)))
                )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return done


def _erase(connection: sqlite3.Connection, erasure: Erasure, now: float) -> Erased:
    person = erasure.person
    gone = [key for key in person.keys if key not in erasure.live]
    credentials = sum(connection.execute("DELETE FROM credentials WHERE id = ?", (key,)).rowcount for key in gone)
    accounts = 0
    if person.account and not erasure.account_open:
        accounts = connection.execute("DELETE FROM accounts WHERE name = ?", (person.account,)).rowcount
    restrictions = _ended_restrictions(connection, person, now)
    counters = 0 if erasure.goes_on else _counters_of(connection, erasure)
    access = 0 if erasure.goes_on else _access_of(connection, person, erasure.hashes)
    acts = _nameless_acts(connection, person.subjects, erasure.record)
    return Erased(accounts, credentials, restrictions, counters, access, acts)


@contextmanager
def _saying(file: Path, what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{file}: could not be {what}: {error}; see `sallygate doctor`, and erase again") from error


def _open(file: Path) -> sqlite3.Connection:
    with _saying(file, "opened"):
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None
        )
        connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten, not merely let go
        connection.execute("PRAGMA synchronous=FULL")
    return connection


def _counters_of(connection: sqlite3.Connection, erasure: Erasure) -> int:
    found = connection.execute("SELECT api, name, subject FROM counters").fetchall()
    gone = [row for row in found if counts_for(row[1], row[2], erasure)]
    connection.executemany("DELETE FROM counters WHERE api = ? AND name = ? AND subject = ?", gone)
    return len(gone)


def _access_of(connection: sqlite3.Connection, person: Person, named: frozenset[str]) -> int:
    """Codes, sign-ins, places."""
    gone = 0
    if person.account:
        gone += sum(connection.execute("DELETE FROM codes WHERE owner = ?", (one,)).rowcount for one in named)
        gone += connection.execute("DELETE FROM grants WHERE account = ?", (person.account,)).rowcount
    for principal in person.principals:
        gone += connection.execute("DELETE FROM codes WHERE subject = ?", (principal,)).rowcount
        gone += connection.execute("DELETE FROM places WHERE principal = ?", (principal,)).rowcount
    return gone


def _ended_restrictions(connection: sqlite3.Connection, person: Person, now: float) -> int:
    found = [decode(row, type=Restriction) for (row,) in connection.execute("SELECT record FROM restrictions")]
    ended = [one.id for one in found if goes(one, person, now)]
    connection.executemany("DELETE FROM restrictions WHERE id = ?", [(one,) for one in ended])
    return len(ended)


def _nameless_acts(connection: sqlite3.Connection, subjects: frozenset[str], record: str) -> int:
    count = 0
    for seq, row in connection.execute("SELECT seq, record FROM acts").fetchall():
        if (act := nameless(read_event(row), subjects, record)) is not None:
            connection.execute("UPDATE acts SET record = ? WHERE seq = ?", (encode(act), seq))
            count += 1
    return count


if TYPE_CHECKING:  # mypy checks it here against its port
    _checked: type[PersonRecords] = SqlitePersonRecords
