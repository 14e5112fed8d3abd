"""What the engine cannot know by itself and asks Guard to find out; and what a request costs.

At most three rounds of `Work` are done for one request (`ROUNDS_MAX`): each answers one question, and there are
never more than a credential, its keys and a location to ask for.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from sallygate.model.principal import Credential

ROUNDS_MAX = 3


class LoadCredential(Struct, frozen=True, gc=False):
    """Fetch a key's record: its check digits are right, and memory does not have it."""

    id: str


class FetchKeys(Struct, frozen=True, gc=False):
    """Ask an issuer for its keys: a token names one that is not known here."""

    issuer: str
    kid: str | None


Work = LoadCredential | FetchKeys
"""`VerifyPassword` and `ScanFile` join it with the parts that need them."""


class CredentialLoaded(Struct, frozen=True, gc=False):
    """The answer to `LoadCredential`. `failed` says that the store did not answer: never to be read as a "no"."""

    id: str
    credential: Credential | None
    failed: bool = False


class KeysFetched(Struct, frozen=True, gc=False):
    """The answer to `FetchKeys`: what there is stands in the state. `failed`: the issuer could not be asked."""

    issuer: str
    kid: str | None
    failed: bool = False


WorkDone = CredentialLoaded | KeysFetched


def without_store(work: Work) -> WorkDone:
    """What is answered where memory has all there is, and nobody is asked."""
    if isinstance(work, FetchKeys):
        return KeysFetched(work.issuer, work.kid, failed=True)
    return CredentialLoaded(work.id, None)


ChargeKind = Literal["rate", "quota", "bytes", "records"]


class Charge(Struct, frozen=True, gc=False):
    """An amount to take from one counter. Guard applies all charges of a decision in one loop turn, once."""

    table: str
    """The counter's table: `plan:free:rate`, `address`, `plan:free:data:bytes`."""
    subject: str
    amount: int
