"""Whose a refusal is, who may pass the box, and who comes first."""

from __future__ import annotations

import pytest

from gatehouse import ADDRESSES, CREDENTIALS, NOW, House, Request, policy_text
from sallygate.controls.flood import FloodControl, SheddingControl
from sallygate.model.finding import Finding
from sallygate.state.concurrency_limit import COLD_ANSWERS
from sallygate.state.load_shedding import RANKS, Ticket
from sallygate.state.penalty_box import UNITS

PLANS = {
    "small": '{rate: 1000/s burst 1000, priority: low, scopes: ["*"]}',
    "large": '{rate: 1000/s burst 1000, priority: high, scopes: ["*"]}',
}
LIMITS = "address: 10000/s burst 10000"


def house(flood: str = "penalty: {refusals: 1/h burst 5}", **more: str) -> House:
    return House(policy_text(plans=PLANS, limits=LIMITS, flood=flood, **more))


def codes(made: House) -> list[str]:
    return [exchange.decision.reasons[0] if exchange.decision.reasons else "" for exchange in made.exchanges]


def test_a_source_of_refusals_is_boxed_before_identity() -> None:
    made = house()
    for _ in range(8):
        made.passes(Request(path="/nothing"))
    assert codes(made) == ["clients.path"] * 6 + ["flood.penalty"] * 2
    assert not made.passes(Request(path="/status")) and codes(made)[-1] == "flood.penalty"
    assert made.passes(Request(path="/status", address=ADDRESSES[1])), "others are not"


def test_who_has_a_key_behind_a_boxed_address_is_served() -> None:
    made = house()
    for _ in range(8):
        made.passes(Request(path="/nothing"))
    assert made.passes(Request(key="large"))
    assert not made.passes(Request(key="revoked")) and codes(made)[-1] == "flood.penalty"
    assert not made.passes(Request(key="rubbish")) and codes(made)[-1] == "flood.penalty"


def test_a_known_keys_name_without_the_key_costs_ten_refusals_in_the_box_too() -> None:
    made = house("penalty: {refusals: 1/h burst 15}")
    text = CREDENTIALS["large"][0]
    forged = text[:20] + ("x" if text[20] != "x" else "y") + text[21:]
    assert not made.passes(Request(key=forged)) and not made.passes(Request(key=forged))
    until = made.state.penalties.until(ADDRESSES[0], NOW)
    assert until == NOW + 60 and codes(made) == ["identity.invalid"] * 2
    for _ in range(2):
        made.passes(Request(key=forged))
    assert made.state.penalties.until(ADDRESSES[0], NOW) > until


def test_refusals_of_a_known_caller_count_against_it_and_not_its_address() -> None:
    made = house()
    for _ in range(40):
        made.passes(Request("POST", key="large", body=b'{"name":1}', headers=((b"content-type", b"application/json"),)))
    assert not made.state.penalties.count(NOW) and "flood.penalty" not in codes(made)
    shedding = made.gate.engine.controls.get(SheddingControl)
    principal = made.exchanges[-1].principal
    assert RANKS[shedding.rank(principal, NOW)] == "refused" and RANKS[shedding.rank(principal, NOW + 120)] == "high"


@pytest.mark.parametrize(("code", "status"), [("flood.shed", 503), ("flood.prefix", 429), ("flood.penalty", 429),
                                              ("restriction.throttle", 429), ("identity.guesses", 429),
                                              ("control.failed", 503)])  # fmt: skip
def test_what_others_can_bring_about_never_counts(code: str, status: int) -> None:
    made = house()
    head = made.head(Request())
    flood = made.gate.engine.controls.get(FloodControl)
    assert flood.refused(Finding(code, "", status), head.client_network, head.client_address, None) == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_this_machine_is_never_boxed(address: str) -> None:
    made = house()
    for _ in range(20):
        made.passes(Request(path="/nothing", address=address))
    assert set(codes(made)) == {"clients.path"} and not made.state.penalties.count(NOW)


def test_a_site_that_changes_its_ipv6_networks_is_boxed_as_a_whole() -> None:
    made = house("penalty: {refusals: 1/h burst 3}")
    for number in range(40):
        made.passes(Request(path="/nothing", address=f"2001:db8:1:{number:x}::1"))
    assert codes(made)[-1] == "flood.penalty" and codes(made).count("clients.path") == 31
    assert made.passes(Request(path="/status", address="2001:db8:2:1::1")), "the next site is another"


def test_a_network_has_a_rate_and_a_number_at_once() -> None:
    made = house("prefix: 1/h burst 3")
    passed = [made.passes(Request(path="/status", address=f"192.0.2.{number}")) for number in range(5)]
    assert passed == [True] * 3 + [False] * 2 and codes(made)[-1] == "flood.prefix"
    assert made.passes(Request(path="/status", address="192.0.3.1"))
    made = house("prefix_concurrent: 1")
    made.state.slots.take("flood:prefix", "192.0.2.0/24")
    assert not made.passes(Request(path="/status", address="192.0.2.77"))
    assert codes(made)[-1] == "flood.prefix_concurrent"


def full(made: House, rank: str) -> None:
    shedder, number = made.state.shedder, RANKS.index(rank)
    for second in range(COLD_ANSWERS):  # the API is known by then
        shedder.concurrency.sample("warm", f"s{second}", second - 0.1, 0.1, float(second), failed=False, known=True)
    assert not shedder.concurrency.cold
    for index in range(1000):
        ticket = Ticket(number, f"x{index}", "")
        shedder.open(ticket)
        shedder.enter(ticket, 0.0)
        if ticket.state == "shed":
            return


@pytest.mark.parametrize("rank", ["low", "unknown"])
def test_a_full_queue_refuses_at_the_door_whoever_would_be_shed(rank: str) -> None:
    made = house()
    made.watched = False

    def counted() -> list[tuple[str, str, str]]:
        return [(one.method, one.finding.rule, one.finding.evidence) for one in made.rejections.take()]

    full(made, rank)
    assert not made.passes(Request(path="/status")) and not made.exchanges
    assert counted() == [("GET", "unknown", "queue")]
    answered = made.exchanges
    assert not made.passes(Request(path="/openapi.json"))
    assert answered[-1].status == 200, "what the gate answers itself asks nothing of the API"
    small = Request(key="small")
    if rank == "low":
        assert not made.passes(small) and counted() == [("GET", "low", "queue")]


def test_nothing_is_turned_away_at_the_door_in_shadow() -> None:
    made = house("shedding: {mode: shadow}")
    full(made, "unknown")
    assert made.passes(Request(path="/status"))
    (found,) = made.exchanges[-1].decision.findings
    assert (found.code, found.mode, found.rule) == ("flood.shed", "shadow", "unknown")
    assert made.state.shedder.would_shed == {("unknown", "queue"): 1}


def test_off_is_off() -> None:
    made = House(policy_text({"flood": "off"}, PLANS, limits=LIMITS, flood="shedding: {mode: off}"))
    assert (
        made.gate.engine.controls.get(FloodControl) is None and made.gate.engine.controls.get(SheddingControl) is None
    )
    for _ in range(100):
        made.passes(Request(path="/nothing"))
    assert set(codes(made)) == {"clients.path"}


def test_units_are_tenths() -> None:
    made = house()
    head = made.head(Request(address="2001:db8::1"))
    own, site = made.gate.engine.controls.get(FloodControl).refused(
        Finding("clients.path", "", 404), head.client_network, head.client_address, None
    )
    assert (own.amount, site.amount) == (UNITS, 1) and site.subject == "2001:db8::/48"
