"""The policy's section about floods: who may send how fast before anybody asks who it is, how slow is too slow, and
how much the API is asked to bear."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sallygate.policy.fields import Bytes, ControlSection, Count, RateText, Seconds, Section
from sallygate.policy.units import read_rate

PENALTY_S_MAX = 86_400.0
"""Longer blocks are restrictions, which somebody made and somebody can lift."""


class Penalty(Section):
    """For sources whose requests are refused again and again."""

    refusals: RateText = Field(
        default_factory=lambda: read_rate("60/min burst 60"),
        description="Refusals of callers without a valid credential that one source (an address, an IPv6 /64; ten times as many for a /48) may have; more, and it is not listened to for a while.",
    )
    first: Annotated[Seconds, Field(gt=0, le=PENALTY_S_MAX)] = Field(
        60.0, description="How long the first time; twice as long each further time."
    )
    most: Annotated[Seconds, Field(gt=0, le=PENALTY_S_MAX)] = Field(3600.0, description="How long at most, up to 24h.")

    @model_validator(mode="after")
    def _ordered(self) -> Penalty:
        if self.most < self.first:
            raise ValueError("`most` is shorter than `first`; write for example `first: 60s, most: 1h`")
        return self


class SlowBodies(Section):
    """Senders of bodies that are too slow. The rate and its grace are those of Apache's mod_reqtimeout."""

    time: Annotated[Seconds, Field(gt=0)] = Field(60.0, description="For a whole body to arrive; then 408.")
    rate: Bytes = Field(500, description="Least bytes a second, once `after` is over; slower is 408. 0 asks for none.")
    after: Annotated[Seconds, Field(gt=0)] = Field(20.0, description="How long any speed will do.")


class SlowReaders(Section):
    """Readers of answers that are too slow."""

    rate: Bytes = Field(
        500, description="Least bytes a second of an answer that waits for its reader; slower is cut. 0 asks for none."
    )
    after: Annotated[Seconds, Field(gt=0)] = Field(
        10.0, description="How long an answer may wait for its reader first."
    )


class Connections(Section):
    """Caps on connections. They are the edge's to keep; a policy that names one is refused while there is no edge."""

    per_address: Count | None = Field(None, description="Connections of one address at once. Needs the edge.")
    total: Count | None = Field(None, description="Connections at once in all. Needs the edge.")


class Shedding(ControlSection):
    """How many requests the API is given at once: as many as it bears, by how long it takes to answer. The others wait
    for a moment, the most important first, or are refused at once (503)."""

    min: Count = Field(5, description="So many the API always gets at once.")
    initial: Count = Field(
        10,
        description="So many once its first answers are there, or as many as were under way; half as many again each moment while it bears them. Until then, for some seconds, callers with a credential up to `max`, others up to 100.",
    )
    max: Annotated[int, Field(ge=1, le=10_000)] = Field(1000, description="Never more than so many at once.")
    queue: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100,
        description="Requests that may wait for a place, at most; and no more than twice as many as the API gets, or 40.",
    )
    wait: Annotated[Seconds, Field(gt=0, le=30)] = Field(0.5, description="How long one may wait for a place.")

    @model_validator(mode="after")
    def _ordered(self) -> Shedding:
        if not self.min <= self.initial <= self.max:
            raise ValueError(
                "`min`, `initial` and `max` must not fall; write for example `min: 5, initial: 10, max: 1000`"
            )
        return self


class Flood(ControlSection):
    """Floods, before anybody asks who is calling and before anything is parsed."""

    prefix: RateText = Field(
        default_factory=lambda: read_rate("1000/s burst 4000"),
        description="Requests per network of addresses (/24, IPv6 /48) together. Offices and carriers share one: be generous.",
    )
    prefix_concurrent: Count = Field(1000, description="Requests of one such network under way at once.")
    penalty: Penalty = Field(Penalty(), description="Sources of refusals.")
    body: SlowBodies = Field(SlowBodies(), description="Slow senders.")
    answer: SlowReaders = Field(SlowReaders(), description="Slow readers.")
    memory: Annotated[Bytes, Field(ge=1 << 20)] = Field(
        256 << 20,
        description="Memory for all bodies held at once, to be examined or counted; one more is 503, whatever the mode.",
    )
    connections: Connections = Field(Connections(), description="Caps on connections; the edge's to keep.")
    shedding: Shedding = Field(Shedding(), description="What the API can bear.")
