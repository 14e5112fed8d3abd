"""Fan-out of exchanges to event sinks: event log, metrics, counters, traces, live views; each with its own losses.

A sink is called at once and must not wait: one that has somewhere to write to keeps a bounded queue of its own. What
a sink fails to take is lost for that sink, counted, and reaches the others all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from sallygate.engine.gate import Gate
from sallygate.model.exchange import Exchange


class Sink(Struct, frozen=True):
    """Where exchanges go."""

    name: str
    put: Callable[[Exchange, Gate], None]
    watches: bool = False
    """Whether it wants every single exchange, so that none is refused early and told of with others."""


class EventSinks:
    """The sinks of one process. `failed` tells the operator of a sink that did not take an exchange."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._sinks: list[Sink] = []
        self.lost: Counter[str] = Counter()
        """Exchanges by the name of the sink that failed to take them."""
        self.watched = False
        """Whether a sink wants every single exchange."""

    def add(self, name: str, put: Callable[[Exchange, Gate], None], *, watches: bool = False) -> None:
        """One more, which gets exchanges after the others."""
        self._sinks.append(Sink(name, put, watches))
        self.watched = self.watched or watches

    def watch(self, put: Callable[[Exchange], None]) -> None:
        """A live view of every single exchange."""
        self.add("view", lambda exchange, _: put(exchange), watches=True)

    def __call__(self, exchange: Exchange, gate: Gate) -> None:
        """Give `exchange` to every sink. Never raises."""
        for sink in self._sinks:
            try:
                sink.put(exchange, gate)
            except Exception as error:  # who counts or watches must not end a request
                self.lost[sink.name] += 1
                self._failed(f"sink {sink.name}", error)
