"""Rules of erasing a person, which every store applies: which records go, and which acts lose a name."""

from __future__ import annotations

import re

from msgspec.structs import replace

from sallygate.model.event import Event
from sallygate.model.person import Erasure, Person
from sallygate.model.restriction import Restriction

NOTE = "erased"
"""In place of an act's note."""


def goes(restriction: Restriction, person: Person, now: float) -> bool:
    """Whether a restriction goes. Those in force stay: they protect others, and end by themselves."""
    names = {("account", person.account), ("address", person.address), *(("key", key) for key in person.keys)}
    return bool(names & set(restriction.scope)) and not restriction.active(now)


def counts_for(table: str, subject: str, erasure: Erasure) -> bool:
    """Whether a counter is the person's: what was used, where logins came from, and where they failed."""
    account = erasure.person.account
    return subject in erasure.person.subjects or (
        bool(account)
        and (
            (subject.startswith(f"{account}:") and table in erasure.network_tables)
            or (table in erasure.named_tables and subject.rpartition(" ")[2] in erasure.hashes)
        )
    )


def nameless(act: Event, subjects: frozenset[str], record: str) -> Event | None:
    """The act without the person's name, or None where it does not name the person."""
    names = "|".join(sorted(map(re.escape, subjects)))
    in_note = re.search(rf"\b(?:account|address|key) (?:{names})(?=[\s,]|$)", act.note)
    if act.act == "erase" or not (act.subject in subjects or in_note):
        return None
    return replace(act, subject=record if act.subject in subjects else act.subject, note=NOTE)
