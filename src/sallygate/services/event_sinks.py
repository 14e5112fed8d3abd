"""Fan-out of exchanges to event sinks: event log, metrics, counters, traces, live views; each with its own losses.

A sink in memory is called at once and must not wait. A slow sink, which writes or sends, has a bounded queue, and takes
batches of it on a thread of its own. What a sink fails to take is lost for that sink alone, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from sallygate.engine.gate import Gate
from sallygate.events.record import Pending
from sallygate.events.sink_queue import SinkQueue
from sallygate.model.exchange import Exchange
from sallygate.model.request import RequestHead


class Sink(Struct, frozen=True):
    """A sink in memory."""

    name: str
    put: Callable[[Exchange, Gate], None]


class SlowSink(Struct, frozen=True):
    """A sink that takes from a queue."""

    name: str
    queue: SinkQueue
    wanted: Callable[[RequestHead], bool] | None = None
    """Which exchanges it wants; all without it."""


class EventSinks:
    """The sinks of one process. `failed` tells the operator of a sink that did not take an exchange."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._sinks: list[Sink] = []
        self._slow: list[SlowSink] = []
        self._lost: Counter[str] = Counter()
        self.watched = False
        """Whether a sink wants every single exchange, so that none is rejected early and counted with others."""

    @property
    def lost(self) -> dict[str, int]:
        """Exchanges by the name of the sink that did not take them."""
        return dict(self._lost + Counter({sink.name: sink.queue.lost for sink in self._slow}))

    def add(self, name: str, put: Callable[[Exchange, Gate], None]) -> None:
        """One more sink in memory, which gets exchanges after the others and must not wait."""
        self._sinks.append(Sink(name, put))

    def add_slow(self, name: str, queue: SinkQueue, wanted: Callable[[RequestHead], bool] | None = None) -> None:
        """One more slow sink, which takes from `queue` when it can."""
        self._slow.append(SlowSink(name, queue, wanted))

    def watch(self, put: Callable[[Exchange], None]) -> None:
        """A live view of every single exchange, in memory."""
        self.add("view", lambda exchange, _: put(exchange))
        self.watched = True

    def __call__(self, exchange: Exchange, gate: Gate) -> None:
        """Give `exchange` to every sink. Never raises."""
        for sink in self._sinks:
            try:
                sink.put(exchange, gate)
            except Exception as error:  # who counts must not end a request
                self._lost[sink.name] += 1
                self._failed(f"sink {sink.name}", error)
        pending = Pending(exchange, gate.source)
        for slow in self._slow:
            try:
                if slow.wanted is None or slow.wanted(exchange.head):
                    slow.queue.put(pending)
            except Exception as error:
                slow.queue.lose(pending)
                self._failed(f"sink {slow.name}", error)
