"""Which fields of an event hold for all the refusals it stands for."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from sallygate.events.aggregation import ALIKE_KEPT, SPREAD_KEPT, SUMMED, SURVIVING, aggregate, condense
from sallygate.events.record import Pending, Source
from sallygate.model.decision import Decision
from sallygate.model.event import Event, Location
from sallygate.model.exchange import MANY, Exchange
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.parsing.http.head import HeadReader
from sallygate.parsing.identifiers import IdHasher

HEADS = {
    (address, method): HeadReader().read(
        method=method, scheme="https", raw_path=b"/a", raw_query=b"", headers=((b"host", b"a"),), http_version="1.1",
        peer=address, request_id="0" * 32, now=1.0,
    )
    for address in ("192.0.2.1", "192.0.2.2", "198.51.100.3")
    for method in ("GET", "POST")
}  # fmt: skip
SOURCES = [Source(policy, "shop", "gateway", IdHasher(b"k" * 32)) for policy in ("abc", "def")]
one = st.tuples(
    st.sampled_from(SOURCES),
    st.sampled_from(sorted(HEADS)),
    st.sampled_from(["clients.path", "limits.rate"]),
    st.sampled_from(["", "alice", "bob"]),
    st.integers(0, 50),
)


def _pending(of: tuple[Source, tuple[str, str], str, str, int]) -> Pending:
    source, key, code, account, size = of
    head = HEADS[key]
    return Pending(
        Exchange(
            head, Decision("deny", 403, (Finding(code, ""),)), 403, request_bytes=size, response_bytes=2 * size,
            location=Location(head.client_network),
            principal=Principal("key:1", account, "free", frozenset(), "api_key") if account else None,
        ),
        source,
    )  # fmt: skip


def _view(event: Event) -> tuple[object, ...]:
    values = {name: getattr(event, name) for name in SURVIVING}
    values["findings"] = tuple(finding.code for finding in event.findings)
    values["location"] = event.location.network
    return tuple(values[name] for name in sorted(SURVIVING))


@given(st.lists(st.tuples(one, st.integers(1, 2 * SPREAD_KEPT)), min_size=1, max_size=8))
def test_surviving_fields_hold_for_all_and_sums_are_exact(batch: list[tuple[tuple[object, ...], int]]) -> None:
    pending = [_pending(of) for of, times in batch for _ in range(times)]  # type: ignore[arg-type]
    single = [each.event() for each in pending]
    merged = aggregate(condense(list(pending)))
    assert len(merged) <= len(single)
    for name in SUMMED:
        assert sum(getattr(event, name) for event in merged) == sum(getattr(event, name) for event in single)
    made: defaultdict[tuple[object, ...], int] = defaultdict(int)
    for event in single:
        made[_view(event)] += 1
    own, spread = 0, 0
    for event in merged:
        if event.client_address == MANY:
            assert (event.account, event.location) == ("", Location(MANY))
            spread += event.count
        else:
            made[_view(event)] -= event.count
            own += event.count
    assert all(left >= 0 for left in made.values()), "an event claims what was another's"
    assert sum(made.values()) == spread and own + spread == len(single)


def test_early_rejections_and_exchanges_are_never_one_event() -> None:
    exchange = _pending((SOURCES[0], ("192.0.2.1", "GET"), "clients.path", "", 1)).event()
    early = Event(**{**{f.name: getattr(exchange, f.name) for f in fields(Event)}, "kind": "early", "count": 10})
    kept = aggregate([exchange, early] * (ALIKE_KEPT + 10))
    counts = {kind: sum(event.count for event in kept if event.kind == kind) for kind in ("exchange", "early")}
    assert counts == {"exchange": ALIKE_KEPT + 10, "early": 10 * (ALIKE_KEPT + 10)}


def test_a_size_that_is_not_known_makes_no_sum() -> None:
    event = _pending((SOURCES[0], ("192.0.2.1", "GET"), "clients.path", "", 1)).event()
    other = Event(**{**{f.name: getattr(event, f.name) for f in fields(Event)}, "request_bytes": None})
    last = aggregate([event] * (ALIKE_KEPT + 1) + [other])[-1]
    assert (last.count, last.request_bytes, last.response_bytes) == (2, None, 4)
