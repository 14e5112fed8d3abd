"""Codes, grants, known networks and revocations, in the tables of one SQLite database. What counts once counts once:
each change that depends on what is there is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.json import encode
from msgspec.structs import replace

from sallygate.model.access import TRIES_MAX, Code, CodePurpose, Grant, KnownNetwork, Revocation
from sallygate.model.event import Event
from sallygate.ports import AccessStore
from sallygate.stores.sqlite.database import Database, stamped, write_act


class AccessTables:
    """Store of what gives access for a while, in the tables of one database. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # codes -----------------------------------------------------------------------------------------------------------

    def put_code(self, code: Code, act: Event | None) -> None:
        """In place of the one for the same account, purpose, subject and network. Forgets what has expired."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM codes WHERE expires_at < ?", (code.made_at,))
            _write_code(connection, code)
            if act is not None:
                write_act(connection, act)

    def code_delivered(self, code: Code) -> None:
        """From now on it counts, unless another has taken its place."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE codes SET record = ? WHERE id = ?", (encode(replace(code, delivered=True)), code.id)
            )

    def end_code(self, code: Code, act: Event) -> bool:
        """Whether it was still there: a code is used once."""
        with self._database.writing() as connection:
            ended = connection.execute("DELETE FROM codes WHERE id = ?", (code.id,)).rowcount == 1
            if ended:
                write_act(connection, act)
        return ended

    def try_code(self, owner: str, purpose: CodePurpose, subject: str, network: str, now: float) -> Code | None:
        """The code to compare with; the try is counted first, so that tries at the same time are tries too. None when
        there is none that may be tried."""
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT record FROM codes WHERE owner = ? AND purpose = ? AND subject = ? AND network = ?",
                (owner, purpose, subject, network),
            ).fetchone()
            if row is None:
                return None
            code = self._database.decoded(row[0], Code)
            _write_code(connection, replace(code, tries=min(code.tries + 1, TRIES_MAX + 1)))
        return code if code.delivered and code.tries < TRIES_MAX and now < code.expires_at else None

    # grants ----------------------------------------------------------------------------------------------------------

    def put_grant(self, grant: Grant, act: Event) -> None:
        """Store a grant with its audit event, and remove expired ones."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM grants WHERE expires_at < ?", (grant.made_at,))
            _write_grant(connection, grant)
            write_act(connection, act)

    def grant(self, grant_id: str) -> Grant | None:
        """Grant by its id; None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT record FROM grants WHERE id = ?", (grant_id,)).fetchone()
        return self._database.decoded(row[0], Grant) if row else None

    def grants_of(self, account: str) -> list[Grant]:
        """Grants of an account."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT record FROM grants WHERE account = ?", (account,)).fetchall()
        return [self._database.decoded(record, Grant) for (record,) in rows]

    def rotate_grant(self, grant_id: str, digest: bytes, following: bytes) -> Grant | None:
        """The grant with its next token in place of the one with `digest`; None when that one is not the one that
        counts: the second of two rotations at once gets None."""
        with self._database.writing() as connection:
            row = connection.execute("SELECT record FROM grants WHERE id = ?", (grant_id,)).fetchone()
            grant = self._database.decoded(row[0], Grant) if row else None
            if grant is None or grant.digest != digest or grant.revoked_at is not None:
                return None
            grant = replace(grant, digest=following, number=grant.number + 1)
            _write_grant(connection, grant)
        return grant

    def revoke_grants(self, grants: Sequence[Grant], revocations: Sequence[Revocation], act: Event) -> None:
        """Ends the grants, and with `revocations` the tokens made from them."""
        with self._database.writing() as connection:
            for grant in grants:
                _write_grant(connection, replace(grant, revoked_at=act.at))
            _write_revocations(connection, revocations, act.at)
            write_act(connection, act)

    # revocations -----------------------------------------------------------------------------------------------------

    def revocations(self, after_revision: int = 0) -> list[Revocation]:
        """Revocations changed after a revision, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT record FROM revocations WHERE revision > ? ORDER BY revision", (after_revision,)
            ).fetchall()
        return [self._database.decoded(record, Revocation) for (record,) in rows]

    def revision(self) -> int:
        """The newest there is: what is read later has a greater one."""
        with self._database.reading() as connection:
            (number,) = connection.execute("SELECT number FROM revision").fetchone()
        return int(number)

    # known networks --------------------------------------------------------------------------------------------------

    def known_networks(self, after_revision: int = 0) -> list[KnownNetwork]:
        """Known networks changed after a revision, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT record FROM places WHERE revision > ? ORDER BY revision", (after_revision,)
            ).fetchall()
        return [self._database.decoded(record, KnownNetwork) for (record,) in rows]

    def known_networks_of(self, principal: str) -> list[KnownNetwork]:
        """Known networks of a principal."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT record FROM places WHERE principal = ?", (principal,)).fetchall()
        return [self._database.decoded(record, KnownNetwork) for (record,) in rows]

    def put_known_networks(self, known_networks: Sequence[KnownNetwork], act: Event | None) -> list[KnownNetwork]:
        """Seen ones are written without an act, and never in place of one that was admitted or forgotten."""
        written = []
        with self._database.writing() as connection:
            for one in known_networks:
                row = connection.execute(
                    "SELECT record FROM places WHERE principal = ? AND network = ?",
                    (one.principal, one.network),
                ).fetchone()
                if row is not None and one.state == "seen":
                    written.append(self._database.decoded(row[0], KnownNetwork))
                    continue
                one = stamped(connection, one)
                connection.execute(
                    "INSERT OR REPLACE INTO places (principal, network, revision, record) VALUES (?, ?, ?, ?)",
                    (one.principal, one.network, one.revision, encode(one)),
                )
                written.append(one)
            if act is not None:
                write_act(connection, act)
        return written


def _write_code(connection: sqlite3.Connection, code: Code) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO codes (owner, purpose, subject, network, id, expires_at, record) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (code.owner, code.purpose, code.subject, code.network, code.id, code.expires_at, encode(code)),
    )


def _write_grant(connection: sqlite3.Connection, grant: Grant) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO grants (id, account, expires_at, record) VALUES (?, ?, ?, ?)",
        (grant.id, grant.account, grant.expires_at, encode(grant)),
    )


def _write_revocations(connection: sqlite3.Connection, revocations: Sequence[Revocation], now: float) -> None:
    connection.execute("DELETE FROM revocations WHERE until < ?", (now,))
    for revocation in revocations:
        made = stamped(connection, revocation)
        connection.execute(
            "INSERT OR REPLACE INTO revocations (id, revision, until, record) VALUES (?, ?, ?, ?)",
            (made.id, made.revision, made.until, encode(made)),
        )


if TYPE_CHECKING:  # mypy checks it here against its port
    _checked: type[AccessStore] = AccessTables
