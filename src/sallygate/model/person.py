"""A person whose records are erased: all that a name means in a state, and what was removed."""

from __future__ import annotations

from msgspec import Struct


class Person(Struct, frozen=True):
    """All that a name means in a state."""

    account: str = ""
    address: str = ""
    network: str = ""
    """Of the address, as counters and known networks have it."""
    keys: tuple[str, ...] = ()

    @property
    def principals(self) -> tuple[str, ...]:
        """As events write them."""
        account = (f"account:{self.account}",) if self.account else ()
        return (*account, *(f"key:{key}" for key in self.keys))

    @property
    def subjects(self) -> frozenset[str]:
        """What counters and acts may name."""
        return frozenset((self.account, self.address, self.network, *self.principals, *self.keys)) - {""}


class Erasure(Struct, frozen=True):
    """What is to be removed of a person."""

    person: Person
    account_open: bool
    """Whether the account is not locked: then it stays."""
    live: frozenset[str]
    """Keys that still work, and stay."""
    hashes: frozenset[str]
    """Keyed hashes of the account's name, by which failed logins and codes are counted."""
    network_tables: frozenset[str]
    """Counters whose subjects begin with an account's name."""
    named_tables: frozenset[str]
    """Counters whose subjects end with a keyed hash of it."""
    record: str
    """What acts call the person by from now on."""

    @property
    def goes_on(self) -> bool:
        """Whether somebody goes on: then what was used goes on counting."""
        return bool(self.live) or self.account_open


class Erased(Struct, frozen=True):
    """How many records of each kind were removed, or made nameless."""

    accounts: int
    credentials: int
    restrictions: int
    counters: int
    access: int
    """Codes, sign-ins and known networks."""
    acts: int
