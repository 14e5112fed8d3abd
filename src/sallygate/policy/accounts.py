"""Policy section `accounts`: password hashing and limits on failed logins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sallygate.policy.fields import Count, RateText, Seconds, Section
from sallygate.policy.units import read_rate

HASH_MIB = {"rfc9106-low-memory": 64, "rfc9106-high-memory": 2048}
"""What one hash of a profile takes; times `at_once` is what the gate takes for hashing."""


class Backoff(Section):
    """Failures, and how long the next attempt waits after them."""

    free: Annotated[int, Field(ge=1, le=1000)] = Field(description="So many failures cost no delay.")
    delay: Seconds = Field(2.0, description="The wait after the next one; each further failure doubles it.")
    delay_max: Seconds = Field(3600.0, description="The longest wait.")
    forgive: Seconds = Field(900.0, description="One failure is forgiven for every so long without another.")

    @model_validator(mode="after")
    def _ordered(self) -> Backoff:
        if not 0 < self.delay <= self.delay_max or self.forgive <= 0:
            raise ValueError("has no effect; write a `delay` above 0 and at most `delay_max`, and a `forgive` above 0")
        return self


class Logins(Section):
    """Limits on failed logins. Only failures count; a login over a limit is answered 429 without a hash."""

    account: Backoff = Field(
        Backoff(free=5),
        description="Failures of one account from networks without an earlier login. Known networks do not wait for them.",
    )
    place: Backoff = Field(Backoff(free=10), description="Failures of one account from one known network.")
    address: Backoff = Field(Backoff(free=20), description="Failures of one client address, for all accounts.")
    accounts_per_address: RateText = Field(
        default_factory=lambda: read_rate("10/h burst 10"),
        description="Different accounts that may fail from one address: password spraying.",
    )
    overall: RateText = Field(
        default_factory=lambda: read_rate("2/s burst 20"),
        description="Failures of all accounts from all addresses together, except known networks: spraying from many addresses.",
    )
    places_for: Seconds = Field(
        30 * 86400.0,
        description="How long a network (/24, /48) is known for an account after the last login.",
    )
    answer_every: Annotated[Seconds, Field(ge=0.05, le=10)] = Field(
        0.5,
        description="A failed login is answered this long after its arrival, or at the next multiple, so that the time does not show what was wrong. Write more than the most expensive stored hash takes.",
    )


class AccountsSection(Section):
    """Accounts and their passwords."""

    hashing: Literal["rfc9106-low-memory", "rfc9106-high-memory"] = Field(
        "rfc9106-low-memory",
        description="Argon2id as RFC 9106 recommends it: 64 MiB a hash, or 2 GiB. A password stored under another profile is hashed again at its next login.",
    )
    at_once: Annotated[int, Field(ge=1, le=64)] = Field(
        2,
        description="Hashes computed at once. Hashing takes so many times the profile's memory: 128 MiB by default.",
    )
    waiting: Count = Field(
        16,
        description="Logins that may wait for their hash; more are answered 503 at once. Known networks have a separate queue of the same size.",
    )
    logins: Logins = Field(Logins(), description="Limits on failed logins.")


class BasicSection(Section):
    """Basic authentication: name and password of an account with each call."""

    remember: Annotated[Seconds, Field(ge=0, le=900)] = Field(
        60.0, description="How long the gate remembers a valid password, so that not every call costs a hash; 0s never."
    )
