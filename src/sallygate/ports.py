"""Ports: the protocols of everything outside that the gate and its operators use. A store keeps; it never decides, and
no decision waits for one.

An implementation is checked against its port by mypy where it is defined, and run by `tests/contract`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from sallygate.model.access import Code, CodePurpose, Grant, KnownNetwork, Revocation
from sallygate.model.account import Account
from sallygate.model.counting import Row
from sallygate.model.event import Event
from sallygate.model.person import Erased, Erasure, Person
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction


class StoreError(Exception):
    """The store did not do what was asked. The message says what, where and what to do."""


class Clock(Protocol):
    """Clock of decisions, in seconds since the epoch."""

    jumps: int
    """How often the wall clock was set since the start."""

    def now(self) -> float:
        """The time; it never goes back between two calls of `check`."""
        ...

    def check(self) -> float | None:
        """Follow the wall clock; the seconds it jumped by, or None when it ran steadily."""
        ...


class CredentialStore(Protocol):
    """Store of API keys. All methods of stores raise `StoreError`.

    A record that is put gets a `revision` greater than that of every record before it, of whatever kind."""

    def credential(self, key_id: str) -> Credential | None:
        """One key's record."""
        ...

    def credentials(self, after_revision: int = 0) -> Sequence[Credential]:
        """Those changed after a revision, in the order of their revisions."""
        ...

    def put_credentials(self, credentials: Sequence[Credential], act: Event) -> None:
        """All of them with the event of the act, or none. Durable before it returns, as every change with an act."""
        ...


class AccountStore(Protocol):
    """Store of accounts."""

    def account(self, name: str) -> Account | None:
        """The record of exactly this name."""
        ...

    def account_like(self, name: str) -> Account | None:
        """A record whose name differs from `name` in case at most."""
        ...

    def accounts(self, after_revision: int = 0) -> Sequence[Account]:
        """Those changed after a revision, in the order of their revisions."""
        ...

    def put_account(self, account: Account, act: Event, over: int | None = None) -> Account:
        """The record with its new revision. `over` is the revision it follows, 0 for a new one; a record that was
        changed meanwhile stays as it is, and `StoreError` is raised."""
        ...


class RestrictionStore(Protocol):
    """Store of restrictions, ended ones included."""

    def restrictions(self, after_revision: int = 0) -> Sequence[Restriction]:
        """Those changed after a revision, in the order of their revisions."""
        ...

    def put_restriction(self, restriction: Restriction, act: Event) -> Restriction:
        """The record with its new revision."""
        ...

    def hits(self) -> dict[str, int]:
        """Requests met, by restriction."""
        ...

    def add_hits(self, hits: Mapping[str, int]) -> None:
        """Add requests met."""
        ...


class CounterStore(Protocol):
    """Store of what the counters say."""

    def counters(self) -> Sequence[Row]:
        """Every row, in no order."""
        ...

    def put_counters(self, rows: Iterable[Row], forget_before: float | None) -> None:
        """Each row in place of the one of its table and subject. Rates that were free before `forget_before`, and
        windows long over, are forgotten; None forgets nothing."""
        ...


class AuditLog(Protocol):
    """Log of administrative acts."""

    def acts(self, since: float = 0.0) -> Sequence[Event]:
        """The acts at or after a time, oldest first."""
        ...

    def last_act(self) -> int:
        """Number of the latest act, 0 before the first: it grows with every change an operator makes."""
        ...

    def put_act(self, act: Event, then: Callable[[], None] = lambda: None) -> None:
        """An act by itself. `then` runs within its transaction, one after another in all processes: when it raises,
        the act is not on record."""
        ...


class AccessStore(Protocol):
    """Store of what gives access for a while: codes, grants, revocations, known networks."""

    def put_code(self, code: Code, act: Event | None) -> None:
        """In place of the one for the same account, purpose, subject and network. Expired ones are forgotten."""
        ...

    def code_delivered(self, code: Code) -> None:
        """The code counts from now on, unless another has taken its place."""
        ...

    def end_code(self, code: Code, act: Event) -> bool:
        """Whether it was still there: a code is used once."""
        ...

    def try_code(self, owner: str, purpose: CodePurpose, subject: str, network: str, now: float) -> Code | None:
        """The code to compare with, its try counted first; None when there is none that may be tried."""
        ...

    def put_grant(self, grant: Grant, act: Event) -> None:
        """A new sign-in. Expired ones are forgotten."""
        ...

    def grant(self, grant_id: str) -> Grant | None:
        """One sign-in."""
        ...

    def grants_of(self, account: str) -> Sequence[Grant]:
        """The sign-ins of an account."""
        ...

    def rotate_grant(self, grant_id: str, digest: bytes, following: bytes) -> Grant | None:
        """The grant with its next token in place of the one with `digest`; None when that one does not count."""
        ...

    def revoke_grants(self, grants: Sequence[Grant], revocations: Sequence[Revocation], act: Event) -> None:
        """End the grants, and with `revocations` the tokens made from them."""
        ...

    def revocations(self, after_revision: int = 0) -> Sequence[Revocation]:
        """Those made after a revision, in the order of their revisions."""
        ...

    def revision(self) -> int:
        """The newest revision of any record."""
        ...

    def known_networks(self, after_revision: int = 0) -> Sequence[KnownNetwork]:
        """Those changed after a revision, in the order of their revisions."""
        ...

    def known_networks_of(self, principal: str) -> Sequence[KnownNetwork]:
        """Those of one principal."""
        ...

    def put_known_networks(self, known_networks: Sequence[KnownNetwork], act: Event | None) -> list[KnownNetwork]:
        """The records as they are kept: one that was only seen never takes the place of another."""
        ...


class DatabaseState(Struct, frozen=True):
    """State of a database file, as it lies there."""

    schema: int
    damage: str
    """What is wrong with the file; empty where it is whole."""
    credentials: int
    accounts: int


class EventSink(Protocol):
    """Destination of events."""

    def put(self, event: Event) -> None:
        """Take an event; never waits and never fails. What is lost is counted."""
        ...


class EventSource(Protocol):
    """Kept events. Both methods read beside a writer and raise `StoreError`."""

    def read(self, since: float = 0.0, after_seq: int = -1) -> Iterator[Event]:
        """Events at or after `since` (in seconds since the epoch) with a number above `after_seq`, oldest first."""
        ...

    def latest(self, since: float, most: int) -> Iterator[Event]:
        """The latest `most` events at or after `since`, latest first."""
        ...


class DatabaseFiles(Protocol):
    """Files of databases: copied, looked at and brought forward, without a store being opened on them."""

    @property
    def schema(self) -> int:
        """The schema that this program writes."""
        ...

    def copy(self, file: Path, copy: Path) -> None:
        """A consistent copy of a database that others may be writing, whole at `copy` or not at all; mode 0600."""
        ...

    def schema_of(self, file: Path) -> int:
        """The schema that a file was written with."""
        ...

    def bring_forward(self, file: Path) -> None:
        """To this program's schema, or not at all."""
        ...

    def acts_since(self, file: Path, at: float) -> tuple[Event, ...]:
        """Administrative acts at or after a time; none where the file cannot be read."""
        ...

    def examine(self, file: Path) -> DatabaseState:
        """What a look finds; counts are 0 where the file is damaged or newer than the program."""
        ...

    def events(self, directory: Path) -> EventSource:
        """The events kept in a directory."""
        ...

    def damage_of_events(self, file: Path) -> str:
        """What is wrong with a file of events; empty where it is whole."""
        ...


class PersonRecords(Protocol):
    """What stores keep of persons, to be erased."""

    def credentials(self) -> Sequence[Credential]:
        """Every key."""
        ...

    def account(self, name: str) -> Account | None:
        """One account."""
        ...

    def erase_events(self, file: Path, person: Person) -> int:
        """Remove the person's events from one file of events; how many there were."""
        ...

    def erase(self, erasure: Erasure, act: Event) -> Erased:
        """Remove the rest, with the act on record, or nothing. `act` gets what was removed as its note."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


class StateStore(CredentialStore, AccountStore, RestrictionStore, CounterStore, AuditLog, Protocol):
    """Store of an installation's state."""

    @property
    def access(self) -> AccessStore:
        """Codes, grants, revocations and known networks, in the same transactions and with the same revisions."""
        ...

    def identity(self) -> str:
        """Id of the installation that the store belongs to."""
        ...

    def changed(self) -> int:
        """A number that differs after another process has written."""
        ...

    def close(self) -> None:
        """Close it; nothing else may be asked after."""
        ...
