"""Bounded queue between the request path and one slow event sink: `put` never waits, and what is lost is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from sallygate.events.aggregation import exchanges_in
from sallygate.events.record import Pending
from sallygate.model.event import Event

SAMPLE_EVERY = 10
"""Of ordinary events, when the queue is half full."""
PENDING_MAX = 1_000
"""Exchanges that wait as they are, about 4 KB each; beyond it their events, a tenth as large, wait instead."""


class SinkQueue:
    """Queue of one sink. One thread puts, one takes; each step on the queue is atomic under the interpreter's lock."""

    def __init__(self, most: int) -> None:
        """`most`: exchanges that may wait."""
        self._most = most
        self._waiting: deque[Event | Pending] = deque()
        self.lost = 0
        """In exchanges."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: Event | Pending) -> None:
        """Let `event` wait, or count it as lost."""
        if len(self._waiting) >= self._most:
            self.lose(event)
        else:
            self._waiting.append(event)

    def take(self) -> list[Event | Pending]:
        """All that waits, oldest first."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def put_back(self, events: Sequence[Event | Pending]) -> None:
        """Let `events` wait in front, since the sink could not take them."""
        self._waiting.extendleft(reversed(events))

    def lose(self, *events: Event | Pending) -> None:
        """Count what the sink will not get."""
        self.lost += sum(map(exchanges_in, events))


class EventQueue(SinkQueue):
    """Queue of the event log. Ordinary events are sampled when it is half full, and lost when it is full; refusals have
    room of their own, as much again."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._unsampled = 0
        self.sampled_away = 0

    def put(self, event: Event | Pending) -> None:
        """Let `event` wait, perhaps for others too, or count it."""
        waiting = len(self._waiting)
        if waiting >= self._most // 2 and event.decision == "allow" and not event.findings:
            if waiting >= self._most:
                self.lose(event)
                return
            self._unsampled += 1
            if self._unsampled < SAMPLE_EVERY:
                self.sampled_away += 1
                return
            self._unsampled = 0
            event = replace(event, sampled=SAMPLE_EVERY)
        elif waiting >= 2 * self._most:
            self.lose(event)
            return
        if waiting >= PENDING_MAX and isinstance(event, Pending):
            event = event.event()
        self._waiting.append(event)
