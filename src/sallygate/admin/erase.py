"""`sallygate erase`: what is kept of one person leaves the events and the database; that it was done stays on record.

The record names the person by a keyed hash: whoever asks whether somebody was erased can be answered, and nobody can
read from it who was. Backups and whatever collects the log are not reached from here.
"""

from __future__ import annotations

import hmac
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from msgspec.json import decode, encode
from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.controls.identity.guesses import NETWORKS_TABLE
from sallygate.events.reading import read_event
from sallygate.model.account import Account
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.parsing.addresses import parse_address
from sallygate.ports import StoreError
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation

WAIT_S = 0.8
"""A gate that runs writes events within 50 ms and counters within 500; then nothing of before comes after."""
BUSY_S = 10.0
ERASED = "erased"
NETWORK_TABLES = frozenset((NETWORKS_TABLE, "guesses:place", "codes:place"))
"""Counters whose subjects begin with an account's name."""
NAMED_TABLES = frozenset(("guesses:account", "guesses:pair", "codes:account", "codes:pair", "auth:codes:account"))
"""Those whose subjects end with its keyed hash."""


class Erased(Struct, frozen=True):
    record: str
    """What the act calls the person by."""
    events: int
    accounts: int
    credentials: int
    restrictions: int
    counters: int
    access: int
    """Codes, sign-ins and places."""
    acts: int
    copies: tuple[str, ...]
    """Copies of former states beside this one, which still hold what was erased here."""


class Person(Struct, frozen=True):
    """All that a name means here."""

    account: str = ""
    address: str = ""
    network: str = ""
    """Of the address, as counters and places have it."""
    keys: tuple[str, ...] = ()

    @property
    def principals(self) -> tuple[str, ...]:
        account = (f"account:{self.account}",) if self.account else ()
        return (*account, *(f"key:{key}" for key in self.keys))

    @property
    def subjects(self) -> frozenset[str]:
        """What counters and acts may name."""
        return frozenset((self.account, self.address, self.network, *self.principals, *self.keys)) - {""}


def person_of(name: str, credentials: list[Credential]) -> Person:
    """Whom `name` means: a key's id (also `key:…`); or an account with its keys, and an address, where it is spelled
    like one. Raises `ValueError` for `key:` with an id that is not known."""
    key = name.removeprefix("key:")
    if any(credential.id == key for credential in credentials):
        return Person(keys=(key,))
    if name.startswith("key:"):
        raise ValueError(f"there is no key {key!r}; `sallygate keys list` shows those there are")
    address = parse_address(name)
    keys = tuple(one.id for one in credentials if one.account == name)
    if address is None:
        return Person(account=name, keys=keys)
    return Person(name, address.text, address.network, keys)


def erase(
    installation: Installation, name: str, actor: str, *, keep_keys: bool, advance: Callable[[int, int], None]
) -> Erased:
    """Erases `name`. `advance` gets (files done, in all). Raises `StoreError`, and `ValueError` for an account that is
    not locked or whose keys still work, unless `keep_keys`."""
    now = time.time()
    with closing(_open(installation.database)) as connection:
        stored = [decode(row, type=Credential) for (row,) in connection.execute("SELECT record FROM credentials")]
        person = person_of(name.strip(), stored)
        named = person.address or person.account or person.keys[0]
        record = "person:" + hmac.digest(installation.id_key(), named.encode(), "sha256").hex()[:16]
        by_hash = frozenset(KeyRing(pepper).name_digest(person.account) for pepper in installation.peppers())
        live = [one.id for one in stored if one.id in person.keys and one.alive(now)]
        if live and not keep_keys:
            raise ValueError(f"keys that still work: {', '.join(live[:5])}; revoke them, or say --keep-keys")
        open_account = _is_open(connection, person.account)
        if open_account and not keep_keys:
            # Locked it is refused by a gate that runs, also when its record is gone.
            raise ValueError(f"account {person.account} is not locked; lock it, or say --keep-keys")
        files = sorted(installation.events.glob("*.db"))
        events = 0
        for number, file in enumerate(files):
            advance(number, len(files))
            events += _from_events(file, person)
        if files:
            time.sleep(WAIT_S)
            events += _from_events(files[-1], person)
        found = _from_database(connection, person, set(live), open_account, by_hash, record, actor, now)
        copies = [
            *installation.directory.glob("sallygate.db.schema-*"),
            *installation.directory.glob("before-restore-*"),
        ]
        return Erased(record, events, *found, tuple(map(str, sorted(copies))))


def _open(file: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None
        )
        connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten, not merely let go
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise StoreError(f"{file}: cannot be opened: {error}; see `sallygate doctor`") from error
    return connection


def _from_events(file: Path, person: Person) -> int:
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
    with closing(_open(file)) as connection:
        try:
            count = connection.execute(f"DELETE FROM events WHERE {' OR '.join(where)}", values).rowcount  # noqa: S608 (no value is in it)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(f"{file}: could not be written: {error}; erase again when that is mended") from error
    return count


def _from_database(
    connection: sqlite3.Connection,
    person: Person,
    live: set[str],
    open_account: bool,
    named: frozenset[str],
    record: str,
    actor: str,
    now: float,
) -> tuple[int, int, int, int, int, int]:
    """(accounts, credentials, restrictions, counters, access, acts) taken out or made nameless, with the act on record,
    or none."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        gone = [key for key in person.keys if key not in live]
        for key in gone:
            connection.execute("DELETE FROM credentials WHERE id = ?", (key,))
        accounts = 0
        if person.account and not open_account:
            accounts = connection.execute("DELETE FROM accounts WHERE name = ?", (person.account,)).rowcount
        restrictions = _ended_restrictions(connection, person, now)
        # Of an account that goes on, what it has used goes on counting.
        goes_on = bool(live) or open_account
        counted = person.subjects if not goes_on else frozenset()
        counters = sum(
            connection.execute("DELETE FROM counters WHERE subject = ?", (subject,)).rowcount for subject in counted
        )
        if person.account and not goes_on:
            counters += _logins_of(connection, person.account, named)
        access = _access_of(connection, person, named) if not goes_on else 0
        acts = _nameless_acts(connection, person.subjects, record)
        note = f"accounts: {accounts}, keys: {len(gone)}, restrictions: {restrictions}"
        act = act_of("erase", record, actor, note, now)
        connection.execute("INSERT INTO acts (at, record) VALUES (?, ?)", (now, encode(act)))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise StoreError(f"the database could not be written: {error}; erase again when that is mended") from error
    return accounts, len(gone), restrictions, counters, access, acts


def _is_open(connection: sqlite3.Connection, name: str) -> bool:
    row = connection.execute("SELECT record FROM accounts WHERE name = ?", (name,)).fetchone() if name else None
    return row is not None and decode(row[0], type=Account).locked_at is None


def _logins_of(connection: sqlite3.Connection, account: str, named: frozenset[str]) -> int:
    """Where it logged in from, and where that failed. `named` is what failures are counted by."""
    found = connection.execute("SELECT name, subject FROM counters").fetchall()
    gone = [
        (name, subject)
        for name, subject in found
        if (subject.startswith(f"{account}:") and name in NETWORK_TABLES)
        or (name in NAMED_TABLES and subject.rpartition(" ")[2] in named)
    ]
    connection.executemany("DELETE FROM counters WHERE name = ? AND subject = ?", gone)
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
    """Those in force stay: they protect others, and end by themselves."""
    names = {("account", person.account), ("address", person.address), *(("key", key) for key in person.keys)}
    ended = []
    for (row,) in connection.execute("SELECT record FROM restrictions").fetchall():
        found = decode(row, type=Restriction)
        if names & set(found.scope) and not found.active(now):
            ended.append(found.id)
    connection.executemany("DELETE FROM restrictions WHERE id = ?", [(one,) for one in ended])
    return len(ended)


def _nameless_acts(connection: sqlite3.Connection, subjects: frozenset[str], record: str) -> int:
    names = "|".join(sorted(map(re.escape, subjects)))
    in_note = re.compile(rf"\b(?:account|address|key) (?:{names})(?=[\s,]|$)")
    count = 0
    for seq, row in connection.execute("SELECT seq, record FROM acts").fetchall():
        act = read_event(row)
        named = act.subject in subjects or in_note.search(act.note) is not None
        if named and act.act != "erase":
            subject = record if act.subject in subjects else act.subject
            connection.execute("UPDATE acts SET record = ? WHERE seq = ?",
                               (encode(replace(act, subject=subject, note=ERASED)), seq))  # fmt: skip
            count += 1
    return count
