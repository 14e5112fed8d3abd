"""Principal: the caller that a credential has proven."""

from __future__ import annotations

from msgspec import Struct


class Principal(Struct, frozen=True, gc=False):
    """An authenticated caller. Limits are counted by `account`, so that a second key buys no second quota."""

    id: str
    """`key:<id>`."""
    account: str
    plan: str
    scopes: frozenset[str]
    credential: str
    """How it proved itself: `api_key`."""
    expires_at: float | None = None


class Credential(Struct, frozen=True, gc=False):
    """An API key as stored. The key itself is not in it and cannot be computed from it."""

    id: str
    digest: bytes
    """HMAC-SHA-256 of the whole key under the installation's pepper."""
    account: str
    plan: str
    scopes: tuple[str, ...] | None
    """None: all scopes of the plan. A named scope still counts only when the plan has it."""
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    replaced_by: str | None = None
    """The key that `rotate` made to follow this one."""
    note: str = ""
    revision: int = 0
    """Grows with every change in the store, so that a gate can ask for what is new."""
    pepper: str = ""
    """The mark of the pepper it was made under; empty for those made before peppers were rotated."""

    def alive(self, now: float) -> bool:
        """Whether the credential counts at time `now`, in seconds since the epoch."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
