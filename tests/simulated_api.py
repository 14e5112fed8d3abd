"""An API with a number of slots, simulated: requests queue for a slot, and take so long in it. No clock, no chance
but a seeded one."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sallygate.state.load_shedding import RANKS, Shedder, Ticket

RANK = {name: number for number, name in enumerate(RANKS)}


@dataclass
class Arrival:
    at: float
    rank: str = "unknown"
    source: str = "a"
    operation: str = "get"
    service_s: float = 0.1
    fails: bool = False


@dataclass
class Done:
    rank: str
    outcome: str
    """`ok`, or the reason it was shed."""
    took_s: float
    at: float


@dataclass
class World:
    """`slots` may change with time: what an API bears."""

    shedder: Shedder
    slots: Callable[[float], int]
    done: list[Done] = field(default_factory=list)
    under_way_most: int = 0
    limits: list[tuple[float, int]] = field(default_factory=list)

    def run(self, arrivals: Iterable[Arrival]) -> None:
        shedder, events, number = self.shedder, [], 0
        at_api: deque[tuple[Ticket, Arrival]] = deque()
        busy = 0

        def push(at: float, what: str, *args: object) -> None:
            nonlocal number
            number += 1
            heapq.heappush(events, (at, number, what, args))

        def start(now: float) -> None:
            nonlocal busy
            while at_api and busy < self.slots(now):
                ticket, arrival = at_api.popleft()
                busy += 1
                push(now + arrival.service_s, "end", ticket, arrival)

        def working(now: float, ticket: Ticket, arrival: Arrival) -> None:
            at_api.append((ticket, arrival))
            start(now)

        for arrival in arrivals:
            push(arrival.at, "arrive", arrival)
        while events:
            now, _, what, args = heapq.heappop(events)
            if what == "arrive":
                (arrival,) = args
                if reason := shedder.look(RANK[arrival.rank], arrival.source):
                    self.done.append(Done(arrival.rank, reason, 0.0, now))
                    continue
                ticket = Ticket(RANK[arrival.rank], arrival.source, arrival.operation)
                shedder.open(ticket)
                if ticket.state != "shed":
                    shedder.enter(ticket, now)
                if ticket.state == "waiting":
                    ticket.wake = lambda t=ticket, a=arrival: push(now, "woken", t, a)  # noqa: B023  # the time of the event that wakes it
                    push(now + shedder.wait_s, "late", ticket, arrival)
                elif ticket.state == "working":
                    working(now, ticket, arrival)
                else:
                    self.done.append(Done(arrival.rank, ticket.reason, 0.0, now))
            elif what == "woken":
                ticket, arrival = args
                # pushed with the time it began to wait: it is handled at once, now
                if ticket.state == "working":
                    working(max(now, ticket.entered_at), ticket, arrival)
                elif ticket.state == "shed":
                    self.done.append(Done(arrival.rank, ticket.reason, 0.0, now))
            elif what == "late":
                ticket, arrival = args
                shedder.give_up(ticket)
            else:
                ticket, arrival = args
                busy -= 1
                start(now)
                shedder.answered(ticket, now, failed=arrival.fails)
                shedder.leave(ticket, now)
                self.done.append(Done(arrival.rank, "ok", now - arrival.at, now))
                self.limits.append((now, shedder.limit))
            self.under_way_most = max(self.under_way_most, busy + len(at_api))


def poisson(rng: random.Random, rate: float, start: float, end: float, **what: object) -> list[Arrival]:
    made, at = [], start
    while (at := at + rng.expovariate(rate)) < end:
        made.append(Arrival(at, **what))
    return made
