"""Work: a question that the engine needs answered by its shell; and charges, the costs of a request.

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
    """Load the known networks of a principal that memory does not have."""

    principal: str


class AskApi(Struct, frozen=True, gc=False):
    """Ask the API something before the request is let through, such as for the object that a write changes.

    The driver adds the headers, as of the caller, and takes a slot for it. Nothing of it is charged to the caller, and
    no ids are taken from it. A failure refuses the request."""

    raw_path: bytes
    raw_query: bytes = b""
    bytes_max: int = 1 << 20
    """Of the response's body; a larger one fails."""
    deadline_s: float = 5.0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Given by the driver."""


OwnWork = LoadCredential | LoadAccount | VerifyPassword | FetchKeys | LoadLocations
"""What the composition root finds out. `InspectFile` joins it with the part that needs it."""
Work = OwnWork | AskApi


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


class ApiAnswered(Struct, frozen=True, gc=False):
    """The answer to `AskApi`."""

    asked: AskApi
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    failed: bool = False
    """Whether it was not answered whole, in time and within its bounds."""


WorkDone = CredentialLoaded | AccountLoaded | PasswordVerified | KeysFetched | LocationsLoaded | ApiAnswered


def nothing_known(work: LoadCredential | LoadAccount | FetchKeys | LoadLocations | AskApi) -> WorkDone:
    """What is answered where memory has all there is, and nobody is asked."""
    if isinstance(work, LoadCredential):
        return CredentialLoaded(work.id, None)
    if isinstance(work, LoadAccount):
        return AccountLoaded(work.name, None)
    if isinstance(work, FetchKeys):
        return KeysFetched(work.issuer, work.kid, failed=True)
    return LocationsLoaded(work.principal, ()) if isinstance(work, LoadLocations) else ApiAnswered(work, failed=True)


ChargeKind = Literal["rate", "quota", "bytes", "records"]


class Charge(Struct, frozen=True, gc=False):
    """An amount to take from one counter. Guard applies all charges of a decision in one loop turn, once."""

    table: str
    """The counter's table: `plan:free:rate`, `address`, `plan:free:data:bytes`."""
    subject: str
    amount: int
