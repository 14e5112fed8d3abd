"""Restriction: an active block with its scope, act, reason, end and author."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ScopeKind = Literal["address", "prefix", "asn", "country", "continent", "key", "account", "operation"]
"""`tls`, the fingerprint of a client's TLS, joins them with an edge that sees it."""
PLACES: frozenset[ScopeKind] = frozenset(("address", "prefix", "asn", "country", "continent"))
"""What is known of a caller from where it calls alone."""
Act = Literal["terminate", "deny", "challenge", "throttle"]
ACTS: tuple[Act, ...] = ("terminate", "deny", "challenge", "throttle")
"""Strongest first: of several restrictions that cover a caller, this order decides.

`terminate` is `deny`, and what is under way is cut and the connection closed. `challenge` refuses until the caller has
proven again, since the restriction was made, that its location is its own.
"""


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
    methods: tuple[str, ...] = ()
    """Only these; empty: all."""

    def active(self, now: float) -> bool:
        """Whether the restriction applies at time `now`, in seconds since the epoch."""
        return self.lifted_at is None and now < self.expires_at

    @property
    def by_location_alone(self) -> bool:
        """Whether the scope names locations only, so that it can be checked before identity."""
        return all(kind in PLACES for kind, _ in self.scope)

    @property
    def decided_by_location(self) -> bool:
        """Whether it is decided before anybody is asked who calls, which is what a challenge asks."""
        return self.act != "challenge" and self.by_location_alone
