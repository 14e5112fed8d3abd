"""Erasure of one person's data from the events and the database; an audit event records the act.

The record names the person by a keyed hash: it can answer whether a given person was erased, and nobody can
read from it who was. Backups and whatever collects the log are not reached from here.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from sallygate.admin.audit import act_of
from sallygate.controls.identity.guesses import NETWORKS_TABLE
from sallygate.model.person import Erased, Erasure, Person
from sallygate.model.principal import Credential
from sallygate.parsing.addresses import parse_address
from sallygate.ports import PersonRecords
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation

WAIT_S = 0.8
"""A gate that runs writes events within 50 ms and counters within 500; then nothing of before comes after."""
NETWORK_TABLES = frozenset((NETWORKS_TABLE, "guesses:place", "codes:place"))
"""Counters whose subjects begin with an account's name."""
NAMED_TABLES = frozenset(("guesses:account", "guesses:pair", "codes:account", "codes:pair", "auth:codes:account"))
"""Those whose subjects end with its keyed hash."""


class Report(Struct, frozen=True):
    """What was erased of a person, and what was not reached."""

    record: str
    """What the act calls the person by."""
    events: int
    erased: Erased
    copies: tuple[str, ...]
    """Copies of former states beside this one, which still hold what was erased here."""


def person_of(name: str, credentials: Sequence[Credential]) -> Person:
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
    installation: Installation, records: PersonRecords, name: str, actor: str, *, keep_keys: bool,
    advance: Callable[[int, int], None],
) -> Report:  # fmt: skip
    """Erases `name`. `advance` gets (files done, in all). Raises `StoreError`, and `ValueError` for an account that is
    not locked or whose keys still work, unless `keep_keys`."""
    now, stored = time.time(), records.credentials()
    person = person_of(name.strip(), stored)
    named = person.address or person.account or person.keys[0]
    record = "person:" + hmac.digest(installation.id_key(), named.encode(), "sha256").hex()[:16]
    by_hash = frozenset(KeyRing(pepper).name_digest(person.account) for pepper in installation.peppers())
    live = [one.id for one in stored if one.id in person.keys and one.alive(now)]
    if live and not keep_keys:
        raise ValueError(f"keys that still work: {', '.join(live[:5])}; revoke them, or say --keep-keys")
    account = records.account(person.account) if person.account else None
    account_open = account is not None and account.locked_at is None
    if account_open and not keep_keys:
        # Locked it is refused by a gate that runs, also when its record is gone.
        raise ValueError(f"account {person.account} is not locked; lock it, or say --keep-keys")
    files = sorted(installation.events.glob("*.db"))
    events = 0
    for number, file in enumerate(files):
        advance(number, len(files))
        events += records.erase_events(file, person)
    if files:
        time.sleep(WAIT_S)
        events += records.erase_events(files[-1], person)
    erasure = Erasure(person, account_open, frozenset(live), by_hash, NETWORK_TABLES, NAMED_TABLES, record)
    done = records.erase(erasure, act_of("erase", record, actor, "", now))
    copies = [
        *installation.directory.glob("sallygate.db.schema-*"),
        *installation.directory.glob("before-restore-*"),
    ]
    return Report(record, events, done, tuple(map(str, sorted(copies))))
