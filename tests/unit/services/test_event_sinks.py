from types import SimpleNamespace
from typing import Any

from sallygate.events.record import Source
from sallygate.events.sink_queue import SinkQueue
from sallygate.model.decision import ALLOW
from sallygate.model.exchange import Exchange
from sallygate.parsing.http.head import HeadReader
from sallygate.parsing.identifiers import IdHasher
from sallygate.services.event_sinks import EventSinks

GATE: Any = SimpleNamespace(source=Source("abc", "shop", "gateway", IdHasher(b"k" * 32)))


def exchange(number: int = 0) -> Exchange:
    head = HeadReader().read(
        method="GET", scheme="https", raw_path=b"/a", raw_query=b"", headers=((b"host", b"a"),), http_version="1.1",
        peer="192.0.2.1", request_id=f"{number:032x}", now=1.0,
    )  # fmt: skip
    return Exchange(head, ALLOW, 200)


def test_a_sink_that_fails_loses_alone_and_is_counted() -> None:
    told: list[str] = []
    taken: list[object] = []

    def broken(*_: object) -> None:
        raise ValueError("broken")

    sinks = EventSinks(lambda what, _: told.append(what))
    sinks.add("first", broken)
    sinks.add("second", lambda exchange, _: taken.append(exchange))
    queue = SinkQueue(10)
    sinks.add_slow("third", queue)
    sinks.add_slow("fourth", SinkQueue(10), broken)
    one, two = exchange(1), exchange(2)
    sinks(one, GATE)
    sinks(two, GATE)
    assert taken == [one, two] and len(queue) == 2
    assert sinks.lost == {"first": 2, "fourth": 2}
    assert told == ["sink first", "sink fourth"] * 2


def test_a_slow_sink_that_takes_nothing_loses_its_own_events_only() -> None:
    sinks = EventSinks(lambda *_: None)
    blocked, quick = SinkQueue(3), SinkQueue(3)
    sinks.add_slow("blocked", blocked)
    sinks.add_slow("quick", quick)
    got: list[object] = []
    for number in range(10):
        sinks(exchange(number), GATE)
        got += quick.take()
    assert len(got) == 10 and len(blocked) == 3
    assert sinks.lost == {"blocked": 7}
    assert [one.exchange.head.request_id for one in blocked.take()] == [f"{n:032x}" for n in range(3)]  # type: ignore[union-attr]


def test_a_sink_gets_what_it_wants_and_nothing_else_is_lost() -> None:
    sinks = EventSinks(lambda *_: None)
    queue = SinkQueue(3)
    sinks.add_slow("traces", queue, lambda head: head.request_id.endswith("1"))
    for number in range(10):
        sinks(exchange(number), GATE)
    assert len(queue) == 1 and sinks.lost == {}


def test_only_a_view_wants_every_exchange() -> None:
    sinks = EventSinks(lambda *_: None)
    sinks.add("metrics", lambda *_: None)
    assert not sinks.watched
    seen: list[object] = []
    sinks.watch(seen.append)
    assert sinks.watched
    one = exchange()
    sinks(one, GATE)
    assert seen == [one]
