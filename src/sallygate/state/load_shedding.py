"""Load shedding: decides which requests get a slot at the API now, which wait, and which are refused. Pure state
machine: time is an argument, in seconds of a monotonic clock.

    open ─▶ enter ─┬▶ working ─▶ answered ─▶ leave
                   ├▶ waiting ─▶ working, or shed
                   └▶ shed

A slot is held from when the API has the whole request until the head of its answer is there: what a client sends or
reads slowly holds none. What it does hold is a connection to the API, of which each rank has its share. A client that
asks and leaves frees no slot: few APIs notice, so it is held for as long as the answer would have taken.

Callers are served by rank: plans of high, normal and low priority, then those that their limits refused lately, then
those nobody knows. A rank leaves free what the better ones had under way of late, so that these seldom wait. Who waits
and is worse makes way when the queue is full; so does a source that fills more than half of it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import ClassVar, Literal

from sallygate.state.concurrency_limit import ConcurrencyLimit

RANKS = ("high", "normal", "low", "refused", "unknown")
"""Best first. `refused`: a known caller, refused lately for what it sent. `unknown`: without a credential."""
UNKNOWN_RANK = len(RANKS) - 1
CONNECTIONS = (1.0, 0.9, 0.8, 0.6, 0.5)
"""Shares of the connections to the API that a rank and those below it may hold together."""
RESERVED_MAX = 0.8
"""Share of the limit that is left free for better ranks at most: the others get on, if slowly."""
PEAK_S = 5.0
"""What better ranks had under way at most is remembered for one to two of these."""
COLD = 100
"""At once, before anything is known of the API: a slow one that had forty callers a minute ago has them again right
after a restart. An API with a lower limit is recognised within twenty answers."""
QUEUE_PER_SLOT = 2
"""Waiting for each place, at most: more would wait for longer than anybody likes."""
QUEUE_MIN = 40
"""But so many always: a page that asks for thirty things at once is no flood."""

ABANDONED_S_MAX = 30.0
"""Longest time that a slot is held for a caller that has left, in seconds: callers that wait longer are rare."""

TicketState = Literal["open", "waiting", "working", "abandoned", "answering", "left", "shed"]
LATE_S = (float("inf"), 1.0, 0.05, 0.035, 0.025)
"""How late the gate may be until a rank is refused, so that the better ones are not kept waiting by refusals of the
worse: a gate that is not loaded is late by less than 5 ms."""

Reason = Literal["", "queue", "share", "connections", "wait", "displaced", "late"]
"""Why one is refused: too many wait; more than half of those are his; the connections of his rank are used; he waited
for too long; a caller of higher rank took its place in the queue; the gate itself is late."""


class Ticket:
    """One request on its way to the API."""

    __slots__ = ("entered_at", "operation", "rank", "reason", "source", "state", "wake")

    def __init__(self, rank: int, source: str, operation: str) -> None:
        self.rank = rank
        self.source = source
        """Whose it is: an account, or a network."""
        self.operation = operation
        self.state: TicketState = "open"
        self.reason: Reason = ""
        self.entered_at = 0.0
        self.wake: Callable[[], None] | None = None
        """Called once when one that waits need wait no longer."""

    @property
    def waits(self) -> bool:
        """Whether the request waits for a slot."""
        return self.state == "waiting"


class Shedder:
    """All requests on their way to one API."""

    LOCAL: ClassVar[str] = "requests of this process to its API; the policy bounds its queue and its connections"

    def __init__(self) -> None:
        self.concurrency = ConcurrencyLimit()
        self.connections = 0
        """To the API, at most; 0 where they are not counted."""
        self.wait_s = 0.5
        self._queue_max = 100
        self._open = [0] * len(RANKS)
        self._working = [0] * len(RANKS)
        self._under_way = 0
        self._waiting: list[OrderedDict[Ticket, None]] = [OrderedDict() for _ in RANKS]
        self._waits = 0
        self._by_source: Counter[str] = Counter()
        """Of those that wait."""
        self._greedy = ""
        """Who fills more than half of the queue."""
        self._peaks, self._peaks_before = [0] * len(RANKS), [0] * len(RANKS)
        """What ranks better than each had under way or waiting at most."""
        self._peaks_at = 0.0
        self.arrived = 0
        """Requests seen before they were read, in total."""
        self.late_s = 0.0
        """How late the gate itself is: by so much its loop does things after their time."""
        self.shed: Counter[tuple[str, str]] = Counter()
        """Refused, by rank and reason."""
        self.would_shed: Counter[tuple[str, str]] = Counter()
        """The same for a policy that sheds in shadow."""

    def configure(self, least: int, initial: int, most: int, queue: int, wait_s: float, connections: int) -> None:
        """As a policy says. What is under way goes on."""
        self.concurrency.configure(least, initial, most, COLD)
        self._queue_max, self.wait_s, self.connections = queue, wait_s, connections

    @property
    def limit(self) -> int:
        """Concurrency limit now, in requests."""
        return int(self.concurrency.limit)

    @property
    def working(self) -> tuple[int, ...]:
        """By rank."""
        return tuple(self._working)

    @property
    def waiting(self) -> tuple[int, ...]:
        """By rank."""
        return tuple(map(len, self._waiting))

    @property
    def under_way(self) -> int:
        """Requests that hold a slot."""
        return self._under_way

    @property
    def crowded(self) -> bool:
        """Whether anybody at all would be refused now."""
        return self._waits >= self._queue or self.late_s > LATE_S[-1]

    # asked ---------------------------------------------------------------------------------------------------------

    def look(self, rank: int, source: str) -> Reason:
        """Why a request would be refused now; empty: it would get a place, or might wait for one. Changes nothing."""
        if self.late_s > LATE_S[rank] and not self._welcomes(rank):
            return "late"
        if self.connections and not self._connects(rank):
            return "connections"
        if self._has_room(rank) and not any(self._waiting[: rank + 1]):
            return ""
        return self._may_wait(rank, source)

    def _welcomes(self, rank: int) -> bool:
        """Whether nothing is known of the API yet, and the caller is: who was served before a restart of the gate is
        let through, as far as the policy lets anybody."""
        return self.concurrency.cold and rank <= RANKS.index("low")

    def _connects(self, rank: int) -> bool:
        opened = self._open
        if self._welcomes(rank):
            return True
        return sum(opened) < self.connections and sum(opened[rank:]) < max(1, int(CONNECTIONS[rank] * self.connections))

    def _has_room(self, rank: int) -> bool:
        if self._welcomes(rank):
            return self._under_way < self.concurrency.most
        limit = self.limit
        if self._under_way >= limit:
            return False
        reserved = min(max(self._peaks[rank], self._peaks_before[rank]), int(limit * RESERVED_MAX)) if rank else 0
        return sum(self._working[rank:]) < max(1, limit - reserved)

    @property
    def _queue(self) -> int:
        return min(self._queue_max, max(QUEUE_MIN, QUEUE_PER_SLOT * self.limit))

    def _may_wait(self, rank: int, source: str) -> Reason:
        most = self._queue
        if self._waits < most or any(self._waiting[rank + 1 :]):
            return ""
        if not self._greedy:
            return "queue"
        return "share" if self._greedy == source else "" if self._greedy_one(rank) else "queue"

    def _greedy_one(self, rank: int) -> Ticket | None:
        """Newest request in the queue of a source that fills more than half of it."""
        return next((one for one in reversed(self._waiting[rank]) if one.source == self._greedy), None)

    # reports -------------------------------------------------------------------------------------------------------

    def open(self, ticket: Ticket, *, enforced: bool = True) -> None:
        """A connection to the API is taken for it; or it is shed."""
        if enforced and self.connections and not self._connects(ticket.rank):
            self._shed(ticket, "connections")
        else:
            self._open[ticket.rank] += 1

    def enter(self, ticket: Ticket, now: float, *, enforced: bool = True) -> None:
        """The API would have the whole of an open request now: it gets a place, waits for one, or is shed."""
        rank = ticket.rank
        if not enforced or (self._has_room(rank) and not any(self._waiting[: rank + 1])):
            self._work(ticket, now)
        elif reason := self._may_wait(rank, ticket.source):
            self.concurrency.refuse(now)
            self._shed(ticket, reason)
        else:
            self.concurrency.refuse(now)
            if self._waits >= self._queue:
                self._displace(rank)
            ticket.state = "waiting"
            self._waiting[rank][ticket] = None
            self._waits += 1
            self._by_source[ticket.source] += 1
            if self._by_source[ticket.source] > self._queue // 2:
                self._greedy = ticket.source
        self._remember(rank, now)

    def answered(self, ticket: Ticket, now: float, *, failed: bool = False) -> None:
        """The head of its answer is there. `failed`: one that tells of overload."""
        if ticket.state != "working":
            return
        ticket.state = "answering"
        self._give_back(ticket.rank)
        began = ticket.entered_at
        took_s = max(now - began - self.late_s, 0.0)  # the gate's own lateness is no load of the API
        self.concurrency.sample(ticket.operation, ticket.source, began, took_s, now, failed=failed,
                            known=ticket.rank < RANKS.index("refused"))  # fmt: skip
        self._dispatch(now)

    def give_up(self, ticket: Ticket) -> None:
        """It waited for too long."""
        if ticket.state == "waiting":
            self._leave_queue(ticket)
            self._shed(ticket, "wait")

    def abandon(self, ticket: Ticket, now: float) -> float:
        """Its caller has gone. For how many seconds more an API elsewhere is assumed to work on it: the slot is held
        until `leave`, the connection given back. 0: it has no place, and nothing has changed."""
        if ticket.state != "working" or not self.connections:
            return 0.0
        expected_s = min(self.concurrency.expected_s(ticket.operation), ABANDONED_S_MAX)
        if (left_s := ticket.entered_at + expected_s - now) <= 0:
            return 0.0
        ticket.state = "abandoned"
        self._open[ticket.rank] -= 1
        return left_s

    def leave(self, ticket: Ticket, now: float) -> None:
        """Its exchange has ended, however. May be said more than once."""
        state = ticket.state
        if state == "waiting":
            self._leave_queue(ticket)
        elif state == "working":  # without an answer: tells nothing of the API, its client may have gone
            self._give_back(ticket.rank)
        elif state == "abandoned":
            ticket.state = "left"
            self._give_back(ticket.rank)
            self._dispatch(now)
        if state in ("open", "waiting", "working", "answering"):
            ticket.state = "left"
            self._open[ticket.rank] -= 1
            self._dispatch(now)

    def count(self, rank: str, reason: str, enforced: bool, times: int = 1) -> None:
        """So many were refused before they came this far; or would have been."""
        (self.shed if enforced else self.would_shed)[rank, reason] += times

    # within --------------------------------------------------------------------------------------------------------

    def _work(self, ticket: Ticket, now: float) -> None:
        ticket.state, ticket.entered_at = "working", now
        self._working[ticket.rank] += 1
        self._under_way += 1
        self.concurrency.use(self._under_way, now)

    def _give_back(self, rank: int) -> None:
        self._working[rank] -= 1
        self._under_way -= 1

    def _dispatch(self, now: float) -> None:
        """Give free slots to waiting requests, the highest rank first."""
        for rank, waiting in enumerate(self._waiting):
            while waiting:
                if not self._has_room(rank):
                    return  # a better one waits: worse ones do not get what is reserved from it
                ticket = next(iter(waiting))
                self._leave_queue(ticket)
                self._work(ticket, now)
                if ticket.wake is not None:
                    ticket.wake()

    def _displace(self, rank: int) -> None:
        worse = next((waiting for waiting in reversed(self._waiting[rank + 1 :]) if waiting), None)
        displaced = next(reversed(worse)) if worse is not None else self._greedy_one(rank)
        if displaced is not None:
            self._leave_queue(displaced)
            self._shed(displaced, "displaced")

    def _leave_queue(self, ticket: Ticket) -> None:
        del self._waiting[ticket.rank][ticket]
        self._waits -= 1
        self._by_source[ticket.source] -= 1
        if self._greedy == ticket.source and self._by_source[ticket.source] <= self._queue // 2:
            self._greedy = ""
        if not self._by_source[ticket.source]:
            del self._by_source[ticket.source]

    def _shed(self, ticket: Ticket, reason: Reason) -> None:
        if reason != "connections":
            self._open[ticket.rank] -= 1
        ticket.state, ticket.reason = "shed", reason
        self.shed[RANKS[ticket.rank], reason] += 1
        if ticket.wake is not None:
            ticket.wake()

    def _remember(self, rank: int, now: float) -> None:
        """What those better than each worse rank have now, as far as it is the most they had."""
        if now - self._peaks_at >= PEAK_S:
            self._peaks_before, self._peaks, self._peaks_at = self._peaks, [0] * len(RANKS), now
        better = sum(self._working[: rank + 1]) + sum(map(len, self._waiting[: rank + 1]))
        for worse in range(rank + 1, len(RANKS)):
            if better > self._peaks[worse]:
                self._peaks[worse] = better
            better += self._working[worse] + len(self._waiting[worse])
