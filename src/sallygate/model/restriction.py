"""An active block: what it covers, what it does, why, until when, by whom."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ScopeKind = Literal["address", "prefix", "key", "account", "operation"]
Act = Literal["deny", "throttle"]


class Restriction(Struct, frozen=True, omit_defaults=True):
    """One restriction. `scope` pairs must all match: an address and an operation restrict that address there only."""

    id: str
    scope: tuple[tuple[ScopeKind, str], ...]
    act: Act
    reason: str
    """Why, for people; also the only text of it a client may be shown."""
    creator: str
    created_at: float
    expires_at: float
    """Every restriction ends: seconds since the epoch."""
    rate: str = ""
    """For `throttle`: what is still allowed, `1/s burst 1`."""
    lifted_at: float | None = None
    lifted_by: str = ""
    revision: int = 0

    def active(self, now: float) -> bool:
        return self.lifted_at is None and now < self.expires_at
