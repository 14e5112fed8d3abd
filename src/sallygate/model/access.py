"""Values of temporary access: one-time codes, the grants behind tokens, known networks."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead

CodePurpose = Literal["access", "location"]
"""Purpose of a code: tokens, or admission of a location."""
TRIES_MAX = 5
"""Tries of one code. With 40 bits and ten minutes, guessing succeeds once in 2e11 tries."""


class Code(Struct, frozen=True, gc=False, omit_defaults=True):
    """A one-time code as stored. There is one for each account, purpose, subject and network at most."""

    id: str
    owner: str
    """By a keyed hash: people type passwords where the name belongs."""
    purpose: CodePurpose
    network: str
    """Where it was asked for (/24, /48): only there it counts."""
    hash: str
    """One-way, in PHC string format."""
    made_at: float
    expires_at: float
    account: str = ""
    """Whose it is; empty for a code nobody gets."""
    subject: str = ""
    """For a location code: the principal whose location it admits."""
    delivered: bool = False
    """Until its channel has taken it, it opens nothing."""
    tries: int = 0


class Grant(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a refresh token stands for: one sign-in of an account, from which access tokens are made until it ends."""

    id: str
    account: str
    scopes: tuple[str, ...] | None
    made_at: float
    expires_at: float
    digest: bytes
    """HMAC-SHA-256 of the one refresh token that counts."""
    number: int = 1
    """How many refresh tokens it has had."""
    revoked_at: float | None = None


class KnownNetwork(Struct, frozen=True, gc=False, omit_defaults=True):
    """A network a principal calls from."""

    principal: str
    network: str
    """/24 or /48."""
    state: Literal["seen", "verified", "forgotten"]
    first_at: float
    by: str = ""
    """Who admitted it: `code`, or the operator's name."""
    verified_at: float = 0.0
    """When it was admitted the last time."""
    revision: int = 0


class Revocation(Struct, frozen=True, gc=False, omit_defaults=True):
    """A token (`jti`) or a grant that ended early. Kept until what it ends would have ended by itself."""

    id: str
    until: float
    revision: int = 0


class AuthCall(Struct):
    """A request to `/auth`, as Guard hands it over in `scope["sallygate.auth"]`."""

    operation: str
    head: RequestHead
    principal: Principal | None
    findings: list[Finding]
    """What was found there, for the event."""
