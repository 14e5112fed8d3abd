"""Store in memory, for tests and for deciding without an installation. What it keeps ends with its process."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from sallygate.model.access import TRIES_MAX, Code, CodePurpose, Grant, KnownNetwork, Revocation
from sallygate.model.account import Account
from sallygate.model.counting import WINDOW_S_MAX, Row
from sallygate.model.event import Event
from sallygate.model.person import Erased, Erasure, Person
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.ports import AccessStore, PersonRecords, StateStore, StoreError
from sallygate.stores.erasing import counts_for, goes, nameless

Record = TypeVar("Record", Account, Credential, KnownNetwork, Restriction, Revocation)


class MemoryFile:
    """What several memory stores have in common, as several connections have a file."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.identity = secrets.token_hex(16)
        self.revision = 0
        self.writes: dict[int, int] = {}
        """By store."""
        self.accounts: dict[str, Account] = {}
        self.credentials: dict[str, Credential] = {}
        self.restrictions: dict[str, Restriction] = {}
        self.hits: dict[str, int] = {}
        self.counters: dict[tuple[str, str], Row] = {}
        self.acts: list[Event] = []
        self.codes: dict[tuple[str, str, str, str], Code] = {}
        self.grants: dict[str, Grant] = {}
        self.networks: dict[tuple[str, str], KnownNetwork] = {}
        self.revocations: dict[str, Revocation] = {}

    def stamped(self, record: Record) -> Record:
        """`record` with the next revision."""
        self.revision += 1
        return replace(record, revision=self.revision)


def _since(records: Iterable[Record], revision: int) -> list[Record]:
    return sorted((one for one in records if one.revision > revision), key=lambda one: one.revision)


class MemoryStore:
    """Store of one installation's state, shared with others over the same `file`."""

    def __init__(self, file: MemoryFile | None = None) -> None:
        self._file = file or MemoryFile()
        self.access = MemoryAccess(self._file, self._wrote)

    def _wrote(self, act: Event | None) -> None:
        self._file.writes[id(self)] = self._file.writes.get(id(self), 0) + 1
        if act is not None:
            self._file.acts.append(act)

    def identity(self) -> str:
        return self._file.identity

    def changed(self) -> int:
        return sum(self._file.writes.values()) - self._file.writes.get(id(self), 0)

    def close(self) -> None:
        """Nothing is to be closed."""

    def account(self, name: str) -> Account | None:
        return self._file.accounts.get(name)

    def account_like(self, name: str) -> Account | None:
        return next((one for one in self._file.accounts.values() if one.name.lower() == name.lower()), None)

    def accounts(self, after_revision: int = 0) -> Sequence[Account]:
        return _since(self._file.accounts.values(), after_revision)

    def put_account(self, account: Account, act: Event, over: int | None = None) -> Account:
        with self._file.lock:
            there = self._file.accounts.get(account.name)
            if over is not None and (there.revision if there is not None else 0) != over:
                raise StoreError(f"account {account.name} was changed by somebody else meanwhile; look, and try again")
            made = self._file.accounts[account.name] = self._file.stamped(account)
            self._wrote(act)
        return made

    def credential(self, key_id: str) -> Credential | None:
        return self._file.credentials.get(key_id)

    def credentials(self, after_revision: int = 0) -> Sequence[Credential]:
        return _since(self._file.credentials.values(), after_revision)

    def put_credentials(self, credentials: Sequence[Credential], act: Event) -> None:
        with self._file.lock:
            self._file.credentials |= {one.id: self._file.stamped(one) for one in credentials}
            self._wrote(act)

    def restrictions(self, after_revision: int = 0) -> Sequence[Restriction]:
        return _since(self._file.restrictions.values(), after_revision)

    def put_restriction(self, restriction: Restriction, act: Event) -> Restriction:
        with self._file.lock:
            made = self._file.restrictions[restriction.id] = self._file.stamped(restriction)
            self._wrote(act)
        return made

    def hits(self) -> dict[str, int]:
        return dict(self._file.hits)

    def add_hits(self, hits: Mapping[str, int]) -> None:
        with self._file.lock:
            for name, times in hits.items():
                self._file.hits[name] = self._file.hits.get(name, 0) + times
            self._wrote(None)

    def acts(self, since: float = 0.0) -> Sequence[Event]:
        return [act for act in self._file.acts if act.at >= since]

    def last_act(self) -> int:
        return len(self._file.acts)

    def put_act(self, act: Event, then: Callable[[], None] = lambda: None) -> None:
        with self._file.lock:
            then()
            self._wrote(act)

    def counters(self) -> Sequence[Row]:
        return list(self._file.counters.values())

    def put_counters(self, rows: Iterable[Row], forget_before: float | None) -> None:
        with self._file.lock:
            kept = self._file.counters
            kept |= {row[:2]: row for row in rows}
            if forget_before is not None:
                ended = forget_before - WINDOW_S_MAX
                for key, (_, _, a, b) in list(kept.items()):
                    if (b == 0 and a < forget_before) or (b > 0 and b < ended):
                        del kept[key]
            self._wrote(None)


class MemoryAccess:
    """Store of what gives access for a while. `wrote` gets the act of each change, None where it has none."""

    def __init__(self, file: MemoryFile, wrote: Callable[[Event | None], None]) -> None:
        self._file, self._wrote = file, wrote

    def put_code(self, code: Code, act: Event | None) -> None:
        with self._file.lock:
            codes = self._file.codes
            for key in [key for key, one in codes.items() if one.expires_at < code.made_at]:
                del codes[key]
            codes[code.owner, code.purpose, code.subject, code.network] = code
            self._wrote(act)

    def code_delivered(self, code: Code) -> None:
        with self._file.lock:
            for key, one in self._file.codes.items():
                if one.id == code.id:
                    self._file.codes[key] = replace(code, delivered=True)
            self._wrote(None)

    def end_code(self, code: Code, act: Event) -> bool:
        with self._file.lock:
            key = next((key for key, one in self._file.codes.items() if one.id == code.id), None)
            if key is not None:
                del self._file.codes[key]
                self._wrote(act)
        return key is not None

    def try_code(self, owner: str, purpose: CodePurpose, subject: str, network: str, now: float) -> Code | None:
        key = (owner, purpose, subject, network)
        with self._file.lock:
            code = self._file.codes.get(key)
            if code is None:
                return None
            self._file.codes[key] = replace(code, tries=min(code.tries + 1, TRIES_MAX + 1))
            self._wrote(None)
        return code if code.delivered and code.tries < TRIES_MAX and now < code.expires_at else None

    def put_grant(self, grant: Grant, act: Event) -> None:
        with self._file.lock:
            grants = self._file.grants
            for name in [name for name, one in grants.items() if one.expires_at < grant.made_at]:
                del grants[name]
            grants[grant.id] = grant
            self._wrote(act)

    def grant(self, grant_id: str) -> Grant | None:
        return self._file.grants.get(grant_id)

    def grants_of(self, account: str) -> Sequence[Grant]:
        return sorted((one for one in self._file.grants.values() if one.account == account), key=lambda one: one.id)

    def rotate_grant(self, grant_id: str, digest: bytes, following: bytes) -> Grant | None:
        with self._file.lock:
            grant = self._file.grants.get(grant_id)
            if grant is None or grant.digest != digest or grant.revoked_at is not None:
                return None
            grant = self._file.grants[grant_id] = replace(grant, digest=following, number=grant.number + 1)
            self._wrote(None)
        return grant

    def revoke_grants(self, grants: Sequence[Grant], revocations: Sequence[Revocation], act: Event) -> None:
        with self._file.lock:
            self._file.grants |= {one.id: replace(one, revoked_at=act.at) for one in grants}
            kept = {name: one for name, one in self._file.revocations.items() if one.until >= act.at}
            self._file.revocations = kept | {one.id: self._file.stamped(one) for one in revocations}
            self._wrote(act)

    def revocations(self, after_revision: int = 0) -> Sequence[Revocation]:
        return _since(self._file.revocations.values(), after_revision)

    def revision(self) -> int:
        return self._file.revision

    def known_networks(self, after_revision: int = 0) -> Sequence[KnownNetwork]:
        return _since(self._file.networks.values(), after_revision)

    def known_networks_of(self, principal: str) -> Sequence[KnownNetwork]:
        found = (one for one in self._file.networks.values() if one.principal == principal)
        return sorted(found, key=lambda one: one.network)

    def put_known_networks(self, known_networks: Sequence[KnownNetwork], act: Event | None) -> list[KnownNetwork]:
        written = []
        with self._file.lock:
            for one in known_networks:
                there = self._file.networks.get((one.principal, one.network))
                if there is None or one.state != "seen":
                    there = self._file.networks[one.principal, one.network] = self._file.stamped(one)
                written.append(there)
            self._wrote(act)
        return written


class MemoryPersonRecords:
    """Records of persons in memory; there are no events."""

    def __init__(self, file: MemoryFile) -> None:
        self._file = file

    def close(self) -> None:
        """Nothing is to be closed."""

    def credentials(self) -> Sequence[Credential]:
        return list(self._file.credentials.values())

    def account(self, name: str) -> Account | None:
        return self._file.accounts.get(name)

    def erase_events(self, file: Path, person: Person) -> int:
        return 0

    def erase(self, erasure: Erasure, act: Event) -> Erased:
        with self._file.lock:
            done = self._erased(erasure, act.at)
            note = f"accounts: {done.accounts}, keys: {done.credentials}, restrictions: {done.restrictions}"
            self._file.acts.append(replace(act, note=note))
        return done

    def _erased(self, erasure: Erasure, now: float) -> Erased:
        kept, person = self._file, erasure.person
        keys = [key for key in person.keys if key not in erasure.live]
        credentials = _drop(kept.credentials, lambda key, _: key in keys)
        accounts = 0 if erasure.account_open else _drop(kept.accounts, lambda name, _: name == person.account)
        restrictions = _drop(kept.restrictions, lambda _, one: goes(one, person, now))
        counters = access = 0
        if not erasure.goes_on:
            counters = _drop(kept.counters, lambda key, _: counts_for(*key, erasure))
            hashes = erasure.hashes if person.account else frozenset()
            access = _drop(kept.codes, lambda _, one: one.owner in hashes or one.subject in person.principals)
            access += _drop(kept.grants, lambda _, one: bool(person.account) and one.account == person.account)
            access += _drop(kept.networks, lambda _, one: one.principal in person.principals)
        acts = 0
        for number, act in enumerate(kept.acts):
            if (found := nameless(act, person.subjects, erasure.record)) is not None:
                kept.acts[number] = found
                acts += 1
        return Erased(accounts, credentials, restrictions, counters, access, acts)


K = TypeVar("K")
V = TypeVar("V")


def _drop(kept: dict[K, V], gone: Callable[[K, V], bool]) -> int:
    names = [name for name, one in kept.items() if gone(name, one)]
    for name in names:
        del kept[name]
    return len(names)


if TYPE_CHECKING:  # mypy checks them here against their ports
    _store: type[StateStore] = MemoryStore
    _access: type[AccessStore] = MemoryAccess
    _records: type[PersonRecords] = MemoryPersonRecords
