"""Policy section `flood`: limits before identity, least speeds of senders and readers, and the concurrency limit of the
API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sallygate.policy.fields import Bytes, ControlSection, Count, RateText, Seconds, Section
from sallygate.policy.units import read_rate

PENALTY_S_MAX = 86_400.0
"""Longer blocks are restrictions, which somebody made and somebody can lift."""


class Penalty(Section):
    """Penalty box for sources of many refusals."""

    refusals: RateText = Field(
        default_factory=lambda: read_rate("60/min burst 60"),
        description="Refusals of callers without a valid credential that one source may have (an address, an IPv6 /64; ten times as many for a /48). A source with more enters the penalty box.",
    )
    first: Annotated[Seconds, Field(gt=0, le=PENALTY_S_MAX)] = Field(
        60.0, description="Duration of the first penalty; twice as long each further time."
    )
    most: Annotated[Seconds, Field(gt=0, le=PENALTY_S_MAX)] = Field(3600.0, description="Longest penalty, up to 24h.")

    @model_validator(mode="after")
    def _ordered(self) -> Penalty:
        if self.most < self.first:
            raise ValueError("`most` is shorter than `first`; write for example `first: 60s, most: 1h`")
        return self


class SlowBodies(Section):
    """Senders of bodies that are too slow. The rate and its grace are those of Apache's mod_reqtimeout."""

    time: Annotated[Seconds, Field(gt=0)] = Field(60.0, description="Time for a whole body to arrive; then 408.")
    rate: Bytes = Field(
        500, description="Least bytes a second after `after`; slower bodies are answered 408. 0 disables the limit."
    )
    after: Annotated[Seconds, Field(gt=0)] = Field(20.0, description="Time without a limit on speed.")


class SlowReaders(Section):
    """Readers of responses that are too slow."""

    rate: Bytes = Field(
        500,
        description="Least bytes a second of a response that waits for its reader; slower ones are cut. 0 disables the limit.",
    )
    after: Annotated[Seconds, Field(gt=0)] = Field(
        10.0, description="Time that a response may wait for its reader without a limit."
    )


class Connections(Section):
    """Limits on connections. They need the edge; this version has none and refuses a policy with such a limit."""

    per_address: Count | None = Field(None, description="Connections of one address at once. Needs the edge.")
    total: Count | None = Field(None, description="Connections at once in all. Needs the edge.")


class Shedding(ControlSection):
    """Load shedding: how many requests the API gets at once. The concurrency limit follows the API's latency. Other
    requests wait for a slot, higher priority first, or are refused at once (503)."""

    min: Count = Field(5, description="Least concurrency limit.")
    initial: Count = Field(
        10,
        description="Concurrency limit after the API's first answers, or the number then under way if that is larger; it grows by half at each step while latency stays low. Before the first answers, for some seconds: up to `max` for callers with a credential, 100 for others.",
    )
    max: Annotated[int, Field(ge=1, le=10_000)] = Field(1000, description="Largest concurrency limit.")
    queue: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100,
        description="Most requests that may wait for a slot; also at most twice the concurrency limit, or 40.",
    )
    wait: Annotated[Seconds, Field(gt=0, le=30)] = Field(0.5, description="Longest wait for a slot.")

    @model_validator(mode="after")
    def _ordered(self) -> Shedding:
        if not self.min <= self.initial <= self.max:
            raise ValueError(
                "`min`, `initial` and `max` must be in ascending order; write for example `min: 5, initial: 10, max: 1000`"
            )
        return self


class Flood(ControlSection):
    """Limits on floods and slow clients, before identity and before parsing."""

    prefix: RateText = Field(
        default_factory=lambda: read_rate("1000/s burst 4000"),
        description="Requests per network of addresses (/24, IPv6 /48) together. An office or a carrier shares one network: write a large value.",
    )
    prefix_concurrent: Count = Field(1000, description="Requests of one such network under way at once.")
    penalty: Penalty = Field(Penalty(), description="Sources of refusals.")
    body: SlowBodies = Field(SlowBodies(), description="Slow senders.")
    answer: SlowReaders = Field(SlowReaders(), description="Slow readers.")
    memory: Annotated[Bytes, Field(ge=1 << 20)] = Field(
        256 << 20,
        description="Memory for all bodies held at once, to be examined or counted; one more is 503, whatever the mode.",
    )
    connections: Connections = Field(Connections(), description="Limits on connections; they need the edge.")
    shedding: Shedding = Field(Shedding(), description="Load shedding by a concurrency limit.")
