"""Whoever is turned away at the door is answered as by the whole way, to the byte; and nobody else is turned away."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from test_gate_monotone import SETTINGS

from gatehouse import House, Request, policy_text, requests, restrictions

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
@given(requests, st.lists(restrictions, max_size=4), NETWORKS, FORWARDED, st.booleans(), st.booleans())
def test_the_door_answers_as_the_whole_way(
    request: Request, made: list[Any], network: str, forwarded: Any, through_hop: bool, cross: bool
) -> None:
    cors = {"clients": "cors: {origins: ['https://app.example'], credentials: true}"} if cross else {}
    text = policy_text(**cors) + (f"network: {network}\n" if network else "")
    whole, door = House(text, made=made), House(text, made=made)
    door.watched = False
    scope = request.scope()
    scope["headers"] = [*scope["headers"], *((name.encode(), value.encode()) for name, value in forwarded)]
    if through_hop:
        scope["client"], scope["scheme"] = ("203.0.113.1", 1), "http"
    passed = whole.passes(dict(scope))
    assert door.passes(dict(scope)) == passed
    assert _answer(door.said) == _answer(whole.said)
    turned = door.turned.take()
    event(f"at the door: {turned[0].finding.code if turned else 'nobody'}")
    assert bool(turned) != bool(door.exchanges)
    if turned:
        ((one,), exchange) = turned, whole.exchanges[-1]
        assert one.finding == next(found for found in exchange.decision.findings if found.mode == "enforce")
        assert (one.address, one.network) == (exchange.head.client_address, exchange.head.client_network)
        assert (one.count, one.response_bytes) == (1, exchange.response_bytes)


def _answer(said: list[Any]) -> list[Any]:
    """Headers in any order."""
    return [{**message, "headers": sorted(message["headers"])} if "headers" in message else message for message in said]
