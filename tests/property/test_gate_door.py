"""Whoever is turned away at the door is answered as by the whole way, to the byte; and nobody else is turned away."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st

from gatehouse import NOW, SETTINGS, House, Request, policy_text, requests, restrictions
from sallygate.state.penalty_box import UNITS

NETWORKS = st.sampled_from(
    [
        "",
        "{deny: [192.0.2.0/31, '2001:db8::/64']}",
        "{only: [198.51.100.0/24]}",
        "{countries: {deny: [NO]}, allow: [192.0.2.1]}",
        "{asns: [64496]}",
        "{rules: [{methods: [POST, DELETE], countries: {allow: [FR]}}]}",
        "{mode: shadow, deny: [0.0.0.0/0]}",
    ]
)
FORWARDED = st.sampled_from(
    [
        (),
        (("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")),
        (("x-forwarded-for", "192.0.2.1"),),
        (("x-forwarded-proto", "https"),),
        (("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "http")),
        (("x-forwarded-for", "192.0.2.1, 198.51.100.9"), ("x-forwarded-proto", "https")),
        (("x-forwarded-for", "198.51.100.9, 203.0.113.1"), ("x-forwarded-proto", "https")),
        (("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "198.51.100.9"), ("x-forwarded-proto", "https")),
        (("x-forwarded-for", "192.0.2.1:4000"), ("x-forwarded-proto", "https")),
        (("x-forwarded-for", "[2001:db8::1]:4000"), ("x-forwarded-proto", "https")),
        (("x-forwarded-for", "nobody"), ("x-forwarded-proto", "https")),
        (("origin", "https://app.example"),),
        (("origin", "https://other.example"),),
        (("x-forwarded-for", ""), ("x-forwarded-proto", "https")),
    ]
)


@SETTINGS
@given(requests, st.lists(restrictions, max_size=4), NETWORKS, FORWARDED, st.booleans(), st.booleans(), st.booleans(),
       st.sampled_from(["", "address", "flood:prefix"]))  # fmt: skip
def test_the_door_answers_as_the_whole_way(
    request: Request, made: list[Any], network: str, forwarded: Any, through_hop: bool, cross: bool, boxed: bool,
    hasty: str,
) -> None:  # fmt: skip
    cors = {"clients": "cors: {origins: ['https://app.example'], credentials: true}"} if cross else {}
    text = policy_text(**cors) + (f"network: {network}\n" if network else "")
    whole, door = House(text, made=made), House(text, made=made)
    door.watched = False
    if boxed:
        for house in (whole, door):
            house.state.penalties.take("192.0.2.1", NOW, 1_000 * UNITS)
            house.state.penalties.take("2001:db8::/48", NOW, 1_000 * UNITS)
    if hasty:
        door.gate.early.expect_more(NOW)
        for house in (whole, door):
            for subject in ("192.0.2.1", "192.0.2.0/24", "2001:db8::/64", "2001:db8::/48"):
                house.state.tables[hasty].take(subject, NOW, 1_000_000)
    scope = request.scope()
    scope["headers"] = [*scope["headers"], *((name.encode(), value.encode()) for name, value in forwarded)]
    if through_hop:
        scope["client"], scope["scheme"] = ("203.0.113.1", 1), "http"
    passed = whole.passes(dict(scope))
    # A head that reads two ways has no fields to the whole way: behind a hop it is the hop's own, it brings no key, and
    # no page of another origin has sent it. The door looks at what it needs alone.
    assume(not (through_hop or cross or (boxed and hasty)) or whole.exchanges[-1].head.fault is None)
    assert door.passes(dict(scope)) == passed
    assert _answer(door.said) == _answer(whole.said)
    turned = door.rejections.take()
    event(f"at the door: {turned[0].finding.code if turned else 'nobody'}")
    assert bool(turned) != bool(door.exchanges)
    if turned:
        ((one,), exchange) = turned, whole.exchanges[-1]
        assert one.finding == next(found for found in exchange.decision.findings if found.mode == "enforce")
        assert (one.address, one.network) == (exchange.head.client_address, exchange.head.client_network)
        assert (one.count, one.response_bytes) == (1, exchange.response_bytes)
        if one.finding.code.startswith(("limits.", "flood.prefix")):
            assert _rows(door) == _rows(whole), "it costs the same"


def _answer(said: list[Any]) -> list[Any]:
    """Headers in any order."""
    return [{**message, "headers": sorted(message["headers"])} if "headers" in message else message for message in said]


def _rows(house: House) -> list[Any]:
    return [table.row(subject) for table in house.state.tables.values() for subject in table.subjects()]
