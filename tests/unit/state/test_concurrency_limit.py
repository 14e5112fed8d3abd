"""The limit follows what a simulated API bears; and nobody moves it by what he asks for himself."""

from __future__ import annotations

import random

import pytest

from sallygate.state.concurrency_limit import COLD_ANSWERS, COLD_S, COLD_S_MAX, ConcurrencyLimit
from sallygate.state.load_shedding import RANKS, Shedder, Ticket
from simulated_api import Arrival, World, poisson

RNG = 7


def fixed(slots: int):
    return lambda now: slots


def offered(per_s: float, seconds: float, rng: random.Random, *, spread: float = 0.0, rank: str = "normal",
            sources: int = 50, base_s: float = 0.1) -> list[Arrival]:  # fmt: skip
    made = poisson(rng, per_s, 0, seconds, rank=rank)
    for number, arrival in enumerate(made):
        arrival.source = f"s{number % sources}"
        arrival.service_s = base_s * (rng.lognormvariate(-spread * spread / 2, spread) if spread else 1.0)
    return made


def settled(world: World, after_s: float) -> list[int]:
    return [limit for at, limit in world.limits if at >= after_s]


@pytest.mark.parametrize(("slots", "spread"), [(10, 0.0), (10, 0.5), (100, 0.0), (100, 0.5)])
def test_the_limit_converges_where_a_few_stand_in_the_apis_queue(slots: int, spread: float) -> None:
    world = World(Shedder(), fixed(slots))
    world.run(offered(slots * 20, 30, random.Random(RNG), spread=spread))
    found = settled(world, 12)
    assert len(found) > 100
    middle = sorted(found)[len(found) // 2]
    assert 0.7 * slots <= middle <= 1.7 * slots, found[:: len(found) // 20]
    served = sum(1 for one in world.done if one.outcome == "ok" and one.at >= 12)
    assert served >= 0.5 * slots * 10 * 18, "most of what the API bears is used, soon"


def test_an_api_that_loses_half_of_its_places_gets_half_and_gets_them_back() -> None:
    world = World(Shedder(), lambda now: 20 if 20 <= now < 45 else 40)
    world.run(offered(1500, 75, random.Random(RNG), spread=0.3))
    middle = {name: sorted(found)[len(found) // 2] for name, found in {
        "whole": settled(world, 10)[:200],
        "half": [limit for at, limit in world.limits if 35 <= at < 45],
        "again": settled(world, 65),
    }.items()}  # fmt: skip
    assert middle["half"] <= 28 <= min(middle["whole"], middle["again"]), middle


def test_a_light_load_leaves_the_limit_alone() -> None:
    world = World(Shedder(), fixed(10))
    world.run(offered(20, 30, random.Random(RNG), spread=0.5))
    assert min(limit for _, limit in world.limits) >= 7
    assert all(one.outcome == "ok" for one in world.done)


def test_an_api_that_has_become_slow_is_not_starved_for_ever() -> None:
    """Its latency is three times what it was, from a deployment, not from load: the limit comes back."""
    rng = random.Random(RNG)
    world = World(Shedder(), fixed(100))
    arrivals = offered(1500, 60, rng)
    for arrival in arrivals:
        arrival.service_s = 0.1 if arrival.at < 20 else 0.3
    world.run(arrivals)
    assert sorted(settled(world, 50))[len(settled(world, 50)) // 2] >= 60


def test_failures_that_tell_of_overload_shrink_it_to_the_floor_and_no_further() -> None:
    world = World(Shedder(), fixed(100))
    arrivals = offered(500, 20, random.Random(RNG))
    for arrival in arrivals:
        arrival.fails = True
    world.run(arrivals)
    assert settled(world, 15) and set(settled(world, 15)) == {5}


def test_one_failure_is_an_accident() -> None:
    bearing = ConcurrencyLimit()
    bearing.sample("a", "s", 0.0, 0.1, 2.0, failed=True, known=True)
    assert bearing.limit == 10


def test_slow_requests_of_strangers_do_not_shrink_what_others_get() -> None:
    """The attack: ask for what takes the API ten times as long, so that it looks loaded."""
    rng = random.Random(RNG)
    world = World(Shedder(), fixed(60))
    arrivals = offered(200, 40, rng, rank="normal")
    slow = poisson(rng, 30, 10, 40, rank="unknown", operation="get")
    for number, arrival in enumerate(slow):
        arrival.source, arrival.service_s = f"x{number % 400}", 1.0
    world.run(arrivals + slow)
    known = [one for one in world.done if one.rank == "normal" and one.at >= 20]
    assert len(known) > 3000
    assert sum(1 for one in known if one.outcome == "ok") >= 0.999 * len(known)


def test_one_source_speaks_for_no_more_than_its_shares() -> None:
    """The same by a known caller: half of the samples are his, and ten times as slow."""
    bearing = ConcurrencyLimit(initial=40)
    now = 0.0
    for step in range(400):
        now += 0.01
        bearing.use(40, now)
        mine = step % 2 == 0
        bearing.sample("get", "slow" if mine else f"s{step % 10}", now - 0.1, 1.0 if mine and step > 100 else 0.1, now,
                       failed=False, known=True)  # fmt: skip
    assert bearing.limit >= 40


def test_fast_answers_in_quiet_times_do_not_make_others_look_slow() -> None:
    """The attack: teach the gate a baseline that honest requests never meet."""
    rng = random.Random(RNG)
    world = World(Shedder(), fixed(30))
    arrivals = offered(150, 40, rng, rank="normal")
    fast = poisson(rng, 100, 0, 10, rank="unknown", source="x", service_s=0.001)
    for number, arrival in enumerate(fast):
        arrival.source = f"x{number % 50}"
    world.run(arrivals + fast)
    known = [one for one in world.done if one.rank == "normal" and one.at >= 12]
    assert sum(1 for one in known if one.outcome == "ok") >= 0.99 * len(known) > 0


def test_operations_are_compared_with_themselves() -> None:
    """One in five requests takes twenty times as long by nature: no reason to shrink."""
    rng = random.Random(RNG)
    world = World(Shedder(), fixed(100))
    arrivals = offered(150, 30, rng, base_s=0.05)
    for number, arrival in enumerate(arrivals):
        if number % 5 == 0:
            arrival.operation, arrival.service_s = "report", 1.0
    world.run(arrivals)
    late = [one for one in world.done if one.at >= 15]
    assert sum(1 for one in late if one.outcome == "ok") >= 0.99 * len(late) > 0


def test_until_the_first_answers_more_is_let_through() -> None:
    """A slow API with forty callers, right after a restart of the gate; and one that has two."""
    for at_once, limit in ((40, 40), (2, 10)):
        bearing = ConcurrencyLimit()
        bearing.configure(5, 10, 1000, cold=100)
        bearing.use(300, 0.0)  # what had waited for the gate
        for number in range(60):
            assert bearing.limit == 100 and bearing.cold
            now = 1.0 + number * 0.1
            bearing.sample("get", f"s{number}", now - 1.0, 1.0, now, failed=number == 3, known=True)
            bearing.use(at_once, now)
            if not bearing.cold:
                break
        assert now == pytest.approx(1.0 + COLD_S) and bearing.limit == limit and bearing.baseline("get") == 1.0


def test_few_answers_say_nothing_however_long_they_take() -> None:
    bearing = ConcurrencyLimit()
    bearing.configure(5, 10, 1000, cold=100)
    for number in range(COLD_ANSWERS - 1):
        bearing.sample("get", "s", 0.0, 1.0, 10.0 * number, failed=False, known=True)
        assert bearing.cold
    bearing.sample("get", "s", 0.0, 1.0, 1000.0, failed=False, known=True)
    assert not bearing.cold


def test_an_api_that_does_not_answer_is_not_waited_for_without_end() -> None:
    bearing = ConcurrencyLimit()
    bearing.configure(5, 10, 1000, cold=100)
    bearing.use(1, 100.0)
    bearing.use(300, 100.0 + COLD_S_MAX - 1)
    assert bearing.cold
    bearing.use(301, 100.0 + COLD_S_MAX)
    assert not bearing.cold and bearing.limit == 10


def test_what_is_not_known_yet_keeps_to_the_bounds_and_to_a_reload() -> None:
    bearing = ConcurrencyLimit()
    bearing.configure(2, 10, 10, cold=100)
    assert bearing.limit == 10, "what the policy allows at most holds from the beginning"
    bearing.configure(5, 10, 1000, cold=100)
    bearing.sample("get", "s", 0.0, 1.0, 1.0, failed=False, known=True)
    bearing.configure(5, 10, 1000, cold=100)
    for _ in range(COLD_ANSWERS - 2):
        bearing.sample("get", "s", 0.0, 1.0, 2.0, failed=False, known=True)
    assert bearing.cold
    bearing.sample("get", "s", 0.0, 1.0, 1.0 + COLD_S, failed=False, known=True)
    assert not bearing.cold and bearing.limit == 10, "a reload begins nothing anew"


def test_known_callers_are_let_through_before_anything_is_known_and_strangers_are_not() -> None:
    shedder = Shedder()
    shedder.configure(5, 10, 1000, 100, 0.5, 256)

    def passed(rank: str, count: int) -> int:
        tickets = [Ticket(RANKS.index(rank), f"{rank}{number}", "get") for number in range(count)]
        for ticket in tickets:
            shedder.open(ticket)
            if ticket.state == "open":
                shedder.enter(ticket, 0.0)
        return sum(ticket.state == "working" for ticket in tickets)

    assert passed("unknown", 150) <= 100
    assert passed("normal", 400) == 400
    passed("high", 1000)
    assert shedder.under_way == 1000, "what the policy allows at most"


def test_other_bounds_hold_at_once_and_what_was_found_out_stays() -> None:
    bearing = ConcurrencyLimit()
    bearing.configure(2, 8, 100)
    assert bearing.limit == 8
    bearing.sample("get", "s", 0.0, 0.2, 0.2, failed=False, known=True)
    bearing.configure(2, 50, 6)
    assert bearing.limit == 6 and bearing.baseline("get") == 0.2
