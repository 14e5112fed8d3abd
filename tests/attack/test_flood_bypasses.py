"""What an attacker would try against the penalty box, the limits by network and the places at the API."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gatehouse import ADDRESSES, CREDENTIALS, NOW, House, Request, policy_text
from patience import patient
from sallygate.controls.flood import SheddingControl
from sallygate.engine.early import EarlyRefusal
from sallygate.events.rejection_counts import SOURCES_MAX, RejectionCounts
from sallygate.model.exchange import MANY
from sallygate.model.finding import Finding
from sallygate.model.outcome import Admission, Refuse
from sallygate.parsing.addresses import parse_address
from sallygate.state.load_shedding import RANKS, Ticket
from support import Received, Running, Upstream, make_key, plain_answer, running_gateway, until, write_policy

PLANS = {
    "small": '{rate: 1000/s burst 1000, priority: low, scopes: ["*"]}',
    "large": '{rate: 1000/s burst 1000, priority: high, scopes: ["*"]}',
}
STRICT = "penalty: {refusals: 1/h burst 5}"


def house(flood: str = STRICT, transport: str = "trusted_hops: [203.0.113.1]") -> House:
    return House(policy_text(plans=PLANS, limits="address: 10000/s burst 10000", flood=flood, transport=transport))


def reasons(made: House) -> list[str]:
    return [exchange.decision.reasons[0] if exchange.decision.reasons else "" for exchange in made.exchanges]


def test_hiding_behind_a_forwarding_header_that_no_trusted_hop_wrote() -> None:
    """The attacker names another address in each request, and is counted by its own."""
    made = house()
    for number in range(10):
        made.passes(Request(path="/nothing", headers=((b"x-forwarded-for", f"198.51.100.{number}".encode()),)))
    assert reasons(made)[-1] == "flood.penalty" and made.state.penalties.until(ADDRESSES[0], NOW)


def test_getting_a_victim_boxed_by_writing_its_address() -> None:
    """The same header, with the victim's address."""
    made = house()
    for _ in range(20):
        made.passes(Request(path="/nothing", headers=((b"x-forwarded-for", ADDRESSES[1].encode()),)))
    assert not made.state.penalties.until(ADDRESSES[1], NOW)
    assert made.passes(Request(path="/status", address=ADDRESSES[1]))


def test_getting_a_victim_boxed_through_a_trusted_hop_by_a_longer_chain() -> None:
    """The hop appends the attacker's true address; what the attacker wrote before it is not believed."""
    made = house()
    chain = f"{ADDRESSES[1]}, 198.51.100.66".encode()
    for _ in range(20):
        made.passes(Request(path="/nothing", address="203.0.113.1",
                            headers=((b"x-forwarded-for", chain), (b"x-forwarded-proto", b"https"))))  # fmt: skip
    assert made.state.penalties.until("198.51.100.66", NOW) and not made.state.penalties.until(ADDRESSES[1], NOW)


def test_boxing_everybody_behind_a_shared_address() -> None:
    """A neighbour behind the same translation gets the address boxed: strangers wait, who has a key is served, and the
    neighbour's own key buys no more than its plan."""
    made = house()
    for _ in range(30):
        made.passes(Request(path="/nothing"))
    assert not made.passes(Request(path="/status"))
    assert all(made.passes(Request(key=key)) for key in ("large", "second", "small"))


def test_broken_pictures_on_a_page_shut_its_visitors_out_of_nothing_they_have_a_key_for() -> None:
    """A page elsewhere has its visitors' browsers ask for a hundred things that are not there."""
    made = house("penalty: {refusals: 60/min burst 60}")
    for number in range(100):
        made.passes(Request(path=f"/picture{number}", headers=((b"sec-fetch-site", b"cross-site"),)))
    assert made.passes(Request(key="large"))
    assert made.state.penalties.until(ADDRESSES[0], NOW) <= NOW + 60, "strangers from there wait a minute"


def test_getting_out_of_the_box_by_any_credential_at_all() -> None:
    made = house()
    for _ in range(10):
        made.passes(Request(path="/nothing"))
    for headers in (
        ((b"authorization", b"Bearer x.y.z"),),
        ((b"authorization", b"Basic Zm9vOmJhcg=="),),
        ((b"x-api-key", b"sg_"),),
        ((b"cookie", b"session=1"),),
        ((b"x_api_key", CREDENTIALS["large"][0].encode()),),
    ):
        assert not made.passes(Request(path="/status", headers=headers)), headers


def test_rotating_through_the_networks_of_one_ipv6_site() -> None:
    made = house("penalty: {refusals: 1/h burst 3}, prefix: 1/h burst 1000")
    for number in range(60):
        made.passes(Request(path="/nothing", address=f"2001:db8:7:{number:x}::1"))
    assert reasons(made)[-1] == "flood.penalty"
    made = house("prefix: 1/h burst 20")
    passed = [made.passes(Request(path="/status", address=f"2001:db8:7:{number:x}::1")) for number in range(40)]
    assert sum(passed) == 20


def test_claiming_priority_in_a_header() -> None:
    """Ranks come from the plan of a proven key, never from what a request says of itself."""
    made = house()
    shedder = made.state.shedder
    for index in range(1000):
        ticket = Ticket(RANKS.index("normal"), f"x{index}", "")
        shedder.open(ticket)
        shedder.enter(ticket, 0.0)
    for headers in (
        ((b"priority", b"u=0"),),
        ((b"x-sallygate-plan", b"large"), (b"x-sallygate-account", b"acme")),
        ((b"x-priority", b"high"),),
    ):
        assert not made.passes(Request(path="/status", headers=headers)), headers
    assert not made.passes(Request(key="small", headers=((b"priority", b"u=0"),)))


def crowd(made: House) -> None:
    """More strangers than may wait."""
    for index in range(1000):
        ticket = Ticket(RANKS.index("unknown"), f"x{index}", "")
        made.state.shedder.open(ticket)
        made.state.shedder.enter(ticket, 0.0)


PREFLIGHT = ((b"origin", b"https://shop.example"), (b"access-control-request-method", b"GET"),
             (b"access-control-request-headers", b"content-type, X-API-Key"))  # fmt: skip
CORS = "cors: {origins: ['https://shop.example']}"


def early(made: House, scope: dict[str, Any]) -> EarlyRefusal | None:
    return made.gate.early.look(scope, NOW, lambda: "0" * 32)


def test_shutting_browsers_out_by_the_question_they_ask_without_their_key() -> None:
    """A neighbour gets the address boxed, or strangers fill the queue: the preflight has no key, the call after it
    has."""
    text = policy_text(plans=PLANS, limits="address: 10000/s burst 10000", flood=STRICT, clients=CORS)
    boxed, crowded = House(text), House(text)
    for made in (boxed, crowded):
        made.watched = False
    for _ in range(30):
        boxed.passes(Request(path="/nothing"))
    crowd(crowded)
    for made in (boxed, crowded):
        assert not made.passes(Request(path="/status")) and made.said[0]["status"] in (429, 503)
        made.passes(Request("OPTIONS", headers=PREFLIGHT))
        assert made.said[0]["status"] == 204
        assert early(made, Request(key="large").scope()) is None
    assert boxed.passes(Request(key="large"))
    for headers in ((), PREFLIGHT[:2], PREFLIGHT[1:]):
        boxed.passes(Request("OPTIONS", headers=headers))
        assert boxed.said[0]["status"] == 429, "what will bring no credential is a stranger's"


def test_keeping_a_neighbour_from_signing_in() -> None:
    """Its token has ended, and the one that renews it is in the body. What signing in may cost is limited there."""
    text = policy_text(plans=PLANS, limits="address: 10000/s burst 10000", flood=STRICT)
    made = House(text + "auth: {issuer: https://api.example}\n")
    made.watched = False
    for _ in range(30):
        made.passes(Request(path="/nothing"))
    form = ((b"content-type", b"application/x-www-form-urlencoded"),)
    token = Request("POST", path="/auth/token", headers=form, body=b"grant_type=refresh_token")
    assert early(made, token.scope()) is None
    admitted = made.gate.engine.admit(made.head(token), NOW)
    assert isinstance(admitted, Admission) and admitted.own
    for other in (Request(path="/auth/jwks.json"), Request("POST", path="/auth/revoke"), Request(path="/auth/token")):
        refused = made.gate.engine.admit(made.head(other), NOW)
        assert isinstance(refused, Refuse) and refused.decision.reasons == ("flood.penalty",), other


def test_being_one_of_many_addresses_that_a_feed_names_one_by_one() -> None:
    """Each is refused with evidence of its own; of a flood of them one event is told, not one for each."""
    tally = RejectionCounts()
    for number in range(3 * SOURCES_MAX):
        address = parse_address(f"198.51.{number // 250}.{number % 250}")
        found = Finding("network.intelligence", "", 403, rule="list", evidence=f"{address.text}, deny")
        tally.add(found, address, Request().scope(), "0" * 32, NOW, 10)
    told = tally.take()
    assert len(told) == SOURCES_MAX + 1 and sum(one.count for one in told) == 3 * SOURCES_MAX
    assert (told[-1].address, told[-1].finding.evidence) == (MANY, "") and told[0].finding.evidence


def test_a_rush_at_a_server_that_gives_no_raw_path() -> None:
    made = house()
    crowd(made)
    scope = Request(path="/status").scope()
    del scope["raw_path"]
    for given in (scope, {**scope, "raw_path": None}):
        assert early(made, given).finding.code == "flood.shed"
        assert early(made, {**given, "path": "/openapi.json"}) is None


def test_claiming_a_good_key_in_a_rush_and_not_having_it() -> None:
    """It gets past the door, which proves nothing, and is refused by identity; a few of them box the source."""
    made = house("penalty: {refusals: 60/min burst 60}")
    shedder = made.state.shedder
    for index in range(1000):
        ticket = Ticket(RANKS.index("unknown"), f"x{index}", "")
        shedder.open(ticket)
        shedder.enter(ticket, 0.0)
    text = CREDENTIALS["large"][0]
    forged = text[:20] + ("x" if text[20] != "x" else "y") + text[21:]
    for _ in range(7):
        assert not made.passes(Request(key=forged))
    assert set(reasons(made)) == {"identity.invalid"} and made.state.penalties.until(ADDRESSES[0], NOW)
    honest = Request(key="large", address=ADDRESSES[1])
    assert early(made, honest.scope()) is None, "whoever has it waits for a place, before the others"


def test_a_high_plan_that_floods_beyond_its_limits_falls_behind() -> None:
    made = House(policy_text(plans={**PLANS, "large": '{rate: 1/h burst 5, priority: high, scopes: ["*"]}'},
                             limits="address: 10000/s burst 10000", flood=STRICT))  # fmt: skip
    for _ in range(60):
        made.passes(Request(key="large"))
    principal = made.exchanges[0].principal
    shedding = made.gate.engine.controls.get(SheddingControl)
    assert RANKS[shedding.rank(principal, NOW)] == "refused"
    assert not made.state.penalties.count(NOW), "and its address is not boxed for it"


def test_being_refused_for_want_of_room_leads_to_nothing_worse() -> None:
    """Whoever was shed tried again, as it was told to: that boxes nobody."""
    made = house("penalty: {refusals: 1/h burst 1}")
    made.state.shedder.late_s = 10.0
    for _ in range(50):
        assert not made.passes(Request(path="/status"))
    made.state.shedder.late_s = 0.0
    assert made.passes(Request(path="/status"))


def test_a_valid_key_that_is_too_fast_is_refused_unread_and_served_again_when_it_is_not() -> None:
    made = House(policy_text(plans=PLANS, limits="address: 10/s burst 5", flood=STRICT))
    made.watched = False
    passed = [made.passes(Request(key="large")) for _ in range(50)]
    assert passed == [True] * 5 + [False] * 45
    assert len(made.exchanges) == 6, "the first that was too fast was looked at, the others were not"
    assert [(one.finding.code, one.count) for one in made.rejections.take()] == [("limits.address", 44)]
    assert made.passes(Request(key="large", address=ADDRESSES[1])), "nobody else is"
    made.state.tables["address"].shift(-10.0)
    assert made.passes(Request(key="large"))
    network = made.state.tables["flood:prefix"].row("192.0.2.0/24")
    assert network is not None and network[2] == pytest.approx(NOW + 52 / 1000, abs=1e-5), "each costs"


# over sockets --------------------------------------------------------------------------------------------------------

NARROW = "flood: {shedding: {min: 2, initial: 2, max: 2, queue: 4, wait: 500ms}}\n"


def test_holding_places_in_the_queue_and_leaving(tmp_path: Path) -> None:
    """Two hundred clients enter the queue and hang up at once; one with a key is served all the while."""
    with Upstream() as api:
        policy = write_policy(tmp_path, NARROW, upstream=api.url)
        key = make_key(policy)
        with running_gateway(policy) as running, ThreadPoolExecutor(8) as pool:

            def leave(_: int) -> None:
                client = running.connect()
                client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
                client.close()

            left = [pool.submit(leave, number) for number in range(200)]
            served = [running.get("/things", key)[0] for _ in range(20)]
            assert all(one.result() is None for one in left)
            assert served == [200] * 20


def test_giving_the_api_more_than_it_bears_by_asking_and_leaving(tmp_path: Path) -> None:
    """Each asks for what takes a second and hangs up: the API is busy with it still, and is given no other for it."""
    busy, most, lock = 0, 0, threading.Lock()

    def answer(request: Received, client: object) -> None:
        nonlocal busy, most
        if request.line.startswith(b"GET /status"):
            with lock:
                busy += 1
                most = max(most, busy)
            # The API's own work, which goes on whether its client is there or not; none takes longer than the first.
            time.sleep(1.0 if len(api.received) == 1 else 0.7)
            with lock:
                busy -= 1
        plain_answer(request, client)

    with Upstream(answer) as api:
        policy = write_policy(tmp_path, NARROW, upstream=api.url)
        with running_gateway(policy) as running:
            assert running.get("/status")[0] == 200, "what it takes is known from one"
            for _ in range(20):
                client = running.connect()
                client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
                threading.Event().wait(0.1)
                client.close()
    assert 1 <= most <= 2, f"{most} at once"


@pytest.mark.parametrize("kind", ["reads", "sends"])
def test_holding_the_apis_places_by_being_slow(tmp_path: Path, kind: str) -> None:
    """More slow clients than the API has places: they read a large answer by the byte, or send a body that way."""
    stopped = threading.Event()

    def answer(request: Received, client: object) -> None:
        if request.line.startswith(b"GET /status"):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4000000\r\n\r\n")
            client.sendall(b"x" * 4_000_000)
        else:
            plain_answer(request, client)

    with Upstream(answer) as api:
        policy = write_policy(tmp_path, NARROW, upstream=api.url)
        key = make_key(policy)
        with running_gateway(policy) as running:
            slow = []
            for number in range(12):
                client = running.connect()
                if kind == "reads":
                    client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
                    until(lambda client=client: client.recv(1))
                else:
                    media = b"application/json" if number % 2 else b"application/octet-stream"
                    client.sendall(b"POST /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\nContent-Type: %s\r\n"
                                   b"Content-Length: 90000\r\n\r\n{" % (key.encode(), media))  # fmt: skip
                slow.append(client)
            assert [running.get("/things", key)[0] for _ in range(10)] == [200] * 10
            stopped.set()
            for client in slow:
                client.close()


def keep_alive(running: Running) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(running.ca))
    return http.client.HTTPSConnection("127.0.0.1", running.port, timeout=patient(20), context=context)


def test_keeping_connections_for_good_leaves_some_for_others(tmp_path: Path) -> None:
    """More idle connections than the server used to take at all."""
    with Upstream() as api:
        policy = write_policy(tmp_path, "", upstream=api.url)
        key = make_key(policy)
        with running_gateway(policy) as running, ThreadPoolExecutor(16) as pool:
            held = list(pool.map(lambda _: running.connect(), range(1100)))
            connection = keep_alive(running)
            connection.request("GET", "/things", headers={"X-API-Key": key})
            assert connection.getresponse().status == 200
            connection.close()
            for client in held:
                client.close()
