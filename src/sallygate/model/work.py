"""What the engine cannot know by itself and asks Guard to find out; and what a request costs.

At most three rounds of `Work` are done for one request (`ROUNDS_MAX`): each answers one question, and there are
never more than a credential, its keys and a location to ask for.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from sallygate.model.access import KnownNetwork
from sallygate.model.account import Account
from sallygate.model.principal import Credential

ROUNDS_MAX = 3


class LoadCredential(Struct, frozen=True, gc=False):
    """Fetch a key's record: its check digits are right, and memory does not have it."""

    id: str


class LoadAccount(Struct, frozen=True, gc=False):
    """Fetch an account's record, which memory does not have."""

    name: str


class VerifyPassword(Struct, frozen=True, gc=False):
    """Compute whether `password` is the account's. Its representation shows no password."""

    account: str
    password: str
    stored: str
    """The hash to compare with; empty for an account that has none, or is none: the same time is spent on it."""
    tag: bytes
    """Of account, revision and password, by which a right one is remembered."""
    asked_at: float
    """When the request came: a failure's answer leaves at a multiple of `answer_every` after it."""
    location: str
    known_network: bool
    """Whether the account has logged in from there before: it is served first, and has room of its own."""

    def __repr__(self) -> str:
        return f"VerifyPassword(account={self.account!r}, location={self.location!r})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("account", self.account), ("location", self.location)]


class FetchKeys(Struct, frozen=True, gc=False):
    """Ask an issuer for its keys: a token names one that is not known here."""

    issuer: str
    kid: str | None


class LoadLocations(Struct, frozen=True, gc=False):
    """Fetch the places a principal is known from, which memory does not have."""

    principal: str


Work = LoadCredential | LoadAccount | VerifyPassword | FetchKeys | LoadLocations
"""`ScanFile` joins it with the part that needs it."""


class CredentialLoaded(Struct, frozen=True, gc=False):
    """The answer to `LoadCredential`. `failed` says that the store did not answer: never to be read as a "no"."""

    id: str
    credential: Credential | None
    failed: bool = False


class AccountLoaded(Struct, frozen=True, gc=False):
    """The answer to `LoadAccount`, with `failed` as above."""

    name: str
    account: Account | None
    failed: bool = False


class PasswordVerified(Struct, frozen=True, gc=False):
    """The answer to `VerifyPassword`. `busy`: too many wait already; `failed`: it could not be computed; `unusable`:
    what is stored is no hash."""

    tag: bytes
    outcome: Literal["right", "wrong", "busy", "failed", "unusable"]


class KeysFetched(Struct, frozen=True, gc=False):
    """The answer to `FetchKeys`: what there is stands in the state. `failed`: the issuer could not be asked."""

    issuer: str
    kid: str | None
    failed: bool = False


class LocationsLoaded(Struct, frozen=True, gc=False):
    """The answer to `LoadLocations`, with `failed` as above."""

    principal: str
    known_networks: tuple[KnownNetwork, ...]
    failed: bool = False


WorkDone = CredentialLoaded | AccountLoaded | PasswordVerified | KeysFetched | LocationsLoaded


def nothing_known(work: LoadCredential | LoadAccount | FetchKeys | LoadLocations) -> WorkDone:
    """What is answered where memory has all there is, and nobody is asked."""
    if isinstance(work, LoadCredential):
        return CredentialLoaded(work.id, None)
    if isinstance(work, LoadAccount):
        return AccountLoaded(work.name, None)
    if isinstance(work, FetchKeys):
        return KeysFetched(work.issuer, work.kid, failed=True)
    return LocationsLoaded(work.principal, ())


ChargeKind = Literal["rate", "quota", "bytes", "records"]


class Charge(Struct, frozen=True, gc=False):
    """An amount to take from one counter. Guard applies all charges of a decision in one loop turn, once."""

    table: str
    """The counter's table: `plan:free:rate`, `address`, `plan:free:data:bytes`."""
    subject: str
    amount: int
