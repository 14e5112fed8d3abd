"""What `/auth` needs from the composition root: the time, the stores, hashing, and somebody to tell."""

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

    def put_code(self, code: Code, act: Event | None) -> None: ...
    def code_delivered(self, code: Code) -> None: ...
    def end_code(self, code: Code, act: Event) -> bool: ...
    def try_code(self, owner: str, purpose: CodePurpose, subject: str, network: str, now: float) -> Code | None: ...
    def put_grant(self, grant: Grant, act: Event) -> None: ...
    def grant(self, grant_id: str) -> Grant | None: ...
    def rotate_grant(self, grant_id: str, digest: bytes, following: bytes) -> Grant | None: ...
    def revoke_grants(self, grants: list[Grant], revocations: list[Revocation], act: Event) -> None: ...
    def put_known_networks(self, known_networks: list[KnownNetwork], act: Event | None) -> list[KnownNetwork]: ...


class Host(Protocol):
    state: State

    @property
    def guesses(self) -> Guesses:
        """Of codes."""
        ...

    def now(self) -> float: ...
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
    def signing(self) -> SigningKeys: ...
    def principal_of(self, account: Account) -> Principal | Finding:
        """Whom the account stands for under the policy in force."""
        ...

    async def prove_key(self, text: str) -> Principal | Finding: ...
    async def prove_token(self, text: str) -> Principal | Finding:
        """As the gate would judge it in a request."""
        ...

    async def hash(self, text: str) -> str:
        """One-way. Raises what says that it cannot be computed now."""
        ...

    async def compare(self, text: str, stored: str, tag: bytes) -> Literal["right", "wrong", "later"]:
        """An empty `stored` takes the same time, and is wrong."""
        ...

    def act(self, act: str, subject: str, actor: str, note: str) -> Event: ...
    def failed(self, what: str, error: BaseException) -> None: ...
    def revoked(self, revocations: list[Revocation]) -> None:
        """In force from now on."""
        ...

    def admitted(self, known_networks: list[KnownNetwork]) -> None: ...
