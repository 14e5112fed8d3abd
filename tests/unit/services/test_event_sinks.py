from sallygate.services.event_sinks import EventSinks


def test_a_sink_that_fails_loses_alone_and_is_counted() -> None:
    told: list[str] = []
    taken: list[object] = []

    def broken(*_: object) -> None:
        raise ValueError("broken")

    sinks = EventSinks(lambda what, _: told.append(what))
    sinks.add("first", broken)
    sinks.add("second", lambda exchange, _: taken.append(exchange))
    sinks("one", None)  # type: ignore[arg-type]
    sinks("two", None)  # type: ignore[arg-type]
    assert taken == ["one", "two"]
    assert sinks.lost == {"first": 2}
    assert told == ["sink first"] * 2


def test_only_a_view_wants_every_exchange() -> None:
    sinks = EventSinks(lambda *_: None)
    sinks.add("metrics", lambda *_: None)
    assert not sinks.watched
    seen: list[object] = []
    sinks.watch(seen.append)
    assert sinks.watched
    sinks("one", None)  # type: ignore[arg-type]
    assert seen == ["one"]
