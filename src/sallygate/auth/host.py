"""Protocol of what `/auth` needs from the composition root: time, stores, hashing, event sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from sallygate.controls.identity import Guesses
from sallygate.model.access import Code, CodePurpose, Grant, KnownNetwork, Revocation
from sallygate.model.account import Account
from sallygate.model.event import Event
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.security.signing import SigningKeys
from sallygate.state.state import State

T = TypeVar("T")


class Keeping(Protocol):
    """The store of codes, grants, places and revocations; see `stores.access`. Raises `StoreError`."""

    def put_code(self, code: Code, act: Event | None) -> None:
        """Store a code in place of the owner's earlier one. Raises `StoreError`."""

    def code_delivered(self, code: Code) -> None:
        """Record that the channel accepted the code. Raises `StoreError`."""

    def end_code(self, code: Code, act: Event) -> bool:
        """Remove a code that was redeemed; False if another request has redeemed it first. Raises `StoreError`."""

    def try_code(self, owner: str, purpose: CodePurpose, subject: str, network: str, now: float) -> Code | None:
        """Count one attempt and return the code to compare with; None if no code counts. Raises `StoreError`."""

    def put_grant(self, grant: Grant, act: Event) -> None:
        """Store a new grant with its audit event. Raises `StoreError`."""

    def grant(self, grant_id: str) -> Grant | None:
        """Grant by its id; None if the store has none. Raises `StoreError`."""

    def rotate_grant(self, grant_id: str, digest: bytes, following: bytes) -> Grant | None:
        """Replace the digest of a refresh token by that of the next one, in one transaction; None if `digest` is not
        the current one. Raises `StoreError`."""

    def revoke_grants(self, grants: list[Grant], revocations: list[Revocation], act: Event) -> None:
        """End grants and store their revocations with one audit event. Raises `StoreError`."""

    def put_known_networks(self, known_networks: list[KnownNetwork], act: Event | None) -> list[KnownNetwork]:
        """Store known networks and return them with their revisions. Raises `StoreError`."""


class Host(Protocol):
    """Protocol of the composition root, as the endpoints use it."""

    state: State

    @property
    def guesses(self) -> Guesses:
        """Of codes."""
        ...

    def now(self) -> float:
        """Current time, in seconds since the epoch."""

    def name_digest(self, name: str) -> str:
        """A keyed hash: what an account is called by where a name may be no account's."""
        ...

    async def kept(self, call: Callable[[Keeping], T]) -> T:
        """What `call` gets from the store, off the event loop."""
        ...

    async def account(self, name: str) -> Account | None:
        """Raises `StoreError`."""
        ...

    @property
    def signing(self) -> SigningKeys:
        """Signing keys of the own access tokens."""

    def principal_of(self, account: Account) -> Principal | Finding:
        """Whom the account stands for under the policy in force."""
        ...

    async def prove_key(self, text: str) -> Principal | Finding:
        """Principal of an API key, or the finding that refuses it."""

    async def prove_token(self, text: str) -> Principal | Finding:
        """As the gate would judge it in a request."""
        ...

    async def hash(self, text: str) -> str:
        """One-way. Raises what says that it cannot be computed now."""
        ...

    async def compare(self, text: str, stored: str, tag: bytes) -> Literal["right", "wrong", "later"]:
        """An empty `stored` takes the same time, and is wrong."""
        ...

    def act(self, act: str, subject: str, actor: str, note: str) -> Event:
        """Audit event of an act on `subject`, at the current time."""

    def failed(self, what: str, error: BaseException) -> None:
        """Count and log a failure of background work; `what` names its subject."""

    def revoked(self, revocations: list[Revocation]) -> None:
        """In force from now on."""
        ...

    def admitted(self, known_networks: list[KnownNetwork]) -> None:
        """Take admitted networks into memory, so that the next request sees them."""
