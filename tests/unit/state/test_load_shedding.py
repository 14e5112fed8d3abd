from __future__ import annotations

import random

from sallygate.state.load_shedding import LATE_S, QUEUE_MIN, RANKS, Shedder, Ticket
from simulated_api import RANK, World, poisson


def made(limit: int = 4, queue: int = 100, connections: int = 0) -> Shedder:
    shedder = Shedder()
    shedder.configure(1, limit, max(limit, 1), queue, 0.5, connections)
    shedder.concurrency.limit = float(limit)
    return shedder


def enter(shedder: Shedder, rank: str = "normal", source: str = "a", now: float = 0.0, **more: bool) -> Ticket:
    ticket = Ticket(RANK[rank], source, "get")
    shedder.open(ticket, **more)
    if ticket.state == "open":
        shedder.enter(ticket, now, **more)
    return ticket


def fill(shedder: Shedder, rank: str, count: int, now: float = 0.0) -> list[Ticket]:
    return [enter(shedder, rank, f"{rank}{number}", now) for number in range(count)]


def test_places_are_given_up_to_the_limit_and_then_waited_for() -> None:
    shedder = made(4)
    working = fill(shedder, "normal", 4)
    waits = enter(shedder)
    assert {ticket.state for ticket in working} == {"working"} and waits.state == "waiting"
    woken: list[str] = []
    waits.wake = lambda: woken.append(waits.state)
    shedder.leave(working[0], 1.0)
    assert woken == ["working"] and shedder.under_way == 4


def test_whoever_leaves_frees_no_place_while_an_api_elsewhere_still_works_on_it() -> None:
    shedder = made(1, connections=10)
    first = enter(shedder, now=0.0)
    shedder.answered(first, 2.0)
    shedder.leave(first, 2.0)
    left, waits = enter(shedder, now=10.0), enter(shedder, now=10.1)
    assert shedder.abandon(waits, 10.2) == 0 and waits.state == "waiting", "one that waits has asked the API nothing"
    assert shedder.abandon(left, 10.5) == 1.5 and (left.state, shedder.under_way) == ("abandoned", 1)
    shedder.answered(left, 10.6, failed=True)
    assert shedder.look(RANK["high"], "x") == "" and waits.state == "waiting", "nobody else gets its place meanwhile"
    for now in (12.0, 13.0):
        shedder.leave(left, now)
        assert (left.state, waits.state, shedder.under_way) == ("left", "working", 1)
    shedder.leave(waits, 20.0)
    assert shedder.under_way == 0 and shedder._open == [0] * len(RANKS)


def test_an_operation_whose_answer_nobody_waits_for_is_taken_to_be_slow() -> None:
    shedder = made(1, connections=10)
    left = enter(shedder, now=10.0)
    assert shedder.abandon(left, 10.25) == 0.75


def test_whoever_leaves_late_or_an_application_of_this_process_frees_its_place_at_once() -> None:
    for connections, now in ((10, 12.1), (0, 10.5)):
        shedder = made(1, connections=connections)
        first = enter(shedder, now=0.0)
        shedder.answered(first, 2.0)
        left = enter(shedder, now=10.0)
        assert shedder.abandon(left, now) == 0 and left.state == "working"


def test_the_better_are_served_first_whoever_came_first() -> None:
    shedder = made(4)
    working = fill(shedder, "normal", 4)
    later = [enter(shedder, rank, rank) for rank in ("unknown", "refused", "low", "normal", "high")]
    order: list[str] = []
    for ticket in later:
        ticket.wake = lambda one=ticket: order.append(RANKS[one.rank])
    for number, ticket in enumerate([*working, *reversed(later)]):
        shedder.leave(ticket, 10.0 + number)
    assert order == ["high", "normal", "low", "refused", "unknown"]


def test_a_full_queue_makes_way_for_the_better_and_refuses_the_rest_at_once() -> None:
    shedder = made(4, queue=3)
    fill(shedder, "normal", 4)
    waiting = fill(shedder, "unknown", 3)
    assert shedder.look(RANK["unknown"], "x") == "queue" and shedder.look(RANK["high"], "x") == ""
    refused, better = enter(shedder, "unknown", "x"), enter(shedder, "high", "y")
    assert (refused.state, refused.reason) == ("shed", "queue")
    assert better.state == "waiting" and [ticket.state for ticket in waiting] == ["waiting", "waiting", "shed"]
    assert waiting[2].reason == "displaced" and shedder.shed == {("unknown", "queue"): 1, ("unknown", "displaced"): 1}
    assert sum(shedder.waiting) == 3


def test_the_queue_never_exceeds_its_bound() -> None:
    shedder = made(4, queue=1000)
    fill(shedder, "low", 5000)
    assert sum(shedder.waiting) == QUEUE_MIN, "of a small limit: two for each place, or forty"


def test_what_better_ranks_had_is_kept_free_for_them() -> None:
    shedder = made(10)
    for ticket in fill(shedder, "high", 4, now=100.0):
        shedder.leave(ticket, 100.1)
    strangers = fill(shedder, "unknown", 10, now=101.0)
    assert [ticket.state for ticket in strangers].count("working") == 6
    assert all(ticket.state == "working" for ticket in fill(shedder, "high", 4, now=101.0))


def test_nothing_is_kept_free_for_those_who_have_not_called_for_long() -> None:
    shedder = made(10)
    for ticket in fill(shedder, "high", 4, now=100.0):
        shedder.leave(ticket, 100.1)
    for at in (106.0, 112.0):  # two spans of memory turn
        shedder.leave(enter(shedder, "unknown", now=at), at)
    assert all(ticket.state == "working" for ticket in fill(shedder, "unknown", 10, now=113.0))


def test_the_worst_get_something_however_much_the_better_ask() -> None:
    shedder = made(10)
    for ticket in fill(shedder, "high", 10, now=100.0):
        shedder.leave(ticket, 100.1)
    strangers = fill(shedder, "unknown", 10, now=101.0)
    assert [ticket.state for ticket in strangers].count("working") == 2


def test_who_fills_half_of_the_queue_makes_way_for_others_of_his_rank() -> None:
    shedder = made(4, queue=10)
    fill(shedder, "normal", 4)
    greedy = [enter(shedder, "normal", "greedy") for _ in range(10)]
    assert shedder.look(RANK["normal"], "greedy") == "share" and shedder.look(RANK["normal"], "other") == ""
    other = enter(shedder, "normal", "other")
    assert other.state == "waiting" and greedy[-1].reason == "displaced"
    assert enter(shedder, "normal", "greedy").reason == "share"


def test_each_rank_has_its_share_of_the_connections() -> None:
    shedder = made(1000, connections=10)
    strangers = fill(shedder, "unknown", 10)
    assert [ticket.reason for ticket in strangers].count("connections") == 5
    assert all(ticket.state == "working" for ticket in fill(shedder, "high", 5))
    assert enter(shedder, "high").reason == "connections"


def test_an_answer_that_is_read_slowly_holds_a_connection_and_no_place() -> None:
    shedder = made(1, connections=10)
    reading = enter(shedder, "unknown")
    shedder.answered(reading, 0.1)
    assert shedder.under_way == 0 and enter(shedder, "unknown", "b").state == "working"
    shedder.leave(reading, 60.0)
    shedder.leave(reading, 61.0)  # twice is once
    assert fill(shedder, "high", 9)[-1].state == "waiting"


def test_leaving_gives_back_whatever_was_held() -> None:
    shedder = made(2, queue=5, connections=100)
    tickets = [*fill(shedder, "normal", 4), *fill(shedder, "unknown", 3)]
    shedder.give_up(tickets[2])
    assert tickets[2].reason == "wait"
    for ticket in reversed(tickets):
        shedder.leave(ticket, 1.0)
    assert shedder.under_way == 0 and sum(shedder.waiting) == 0 and sum(shedder.working) == 0
    assert not shedder._by_source and sum(shedder._open) == 0 and shedder._waits == 0


def test_nothing_leaks_in_any_order() -> None:
    rng = random.Random(3)
    shedder, held, now = made(6, queue=12, connections=30), [], 0.0
    for _ in range(20_000):
        now += 0.01
        if held and rng.random() < 0.55:
            ticket = held.pop(rng.randrange(len(held)))
            rng.choice([shedder.answered, shedder.leave, lambda one, at: shedder.give_up(one)])(ticket, now)
            shedder.leave(ticket, now)
        else:
            ticket = enter(shedder, rng.choice(RANKS), f"s{rng.randrange(5)}", now)
            if ticket.state != "shed":
                held.append(ticket)
        assert shedder.under_way <= max(shedder.limit, 6) and sum(shedder.waiting) <= 12
    for ticket in held:
        shedder.leave(ticket, now)
    assert sum(shedder._open) == shedder.under_way == shedder._waits == 0


def test_in_shadow_all_pass_and_all_are_counted_back() -> None:
    shedder = made(2, queue=1)
    tickets = [enter(shedder, "unknown", enforced=False) for _ in range(10)]
    assert {ticket.state for ticket in tickets} == {"working"} and shedder.look(RANK["unknown"], "x") == ""
    assert shedder.under_way == 10
    for ticket in tickets:
        shedder.leave(ticket, 1.0)
    assert shedder.under_way == 0


def test_a_late_gate_refuses_by_rank() -> None:
    shedder = made(100)
    reasons = {}
    for late_s in (0.0, 0.03, 0.04, 0.06, 1.5):
        shedder.late_s = late_s
        reasons[late_s] = [shedder.look(rank, "x") for rank in range(len(RANKS))]
    refused = [sum(reason == "late" for reason in found) for found in reasons.values()]
    assert refused == [0, 1, 2, 3, 4] and LATE_S[0] == float("inf"), "the best are never refused for that"


def test_a_gate_that_is_late_does_not_take_the_api_for_slow() -> None:
    rng = random.Random(5)
    shedder, now, limits = made(20), 10.0, []
    for beat in range(300):
        tickets = [enter(shedder, "high", f"a{number}", now) for number in range(20)]
        shedder.late_s = rng.uniform(0.0, 0.4) if beat >= 100 else 0.0
        now += 0.1 + shedder.late_s
        for ticket in tickets:
            shedder.answered(ticket, now)
            shedder.leave(ticket, now)
        limits.append(shedder.limit)
    assert sum(limits[100:]) / 200 > 0.95 * sum(limits[:100]) / 100


def test_a_flood_of_strangers_costs_the_loyal_nothing_but_a_moment() -> None:
    rng = random.Random(5)
    world = World(Shedder(), lambda now: 10)
    flood = poisson(rng, 5000, 10, 25)
    for number, arrival in enumerate(flood):
        arrival.source = f"x{number % 10_000}"
    world.run([*poisson(rng, 30, 0, 35, rank="high", source="loyal"), *flood])
    loyal = [one for one in world.done if one.rank == "high"]
    assert len(loyal) > 900 and all(one.outcome == "ok" for one in loyal)
    during = sorted(one.took_s for one in loyal if 10 <= one.at < 25)
    assert during[int(len(during) * 0.99)] <= 0.2
    after = [one.took_s for one in loyal if one.at >= 26]
    assert after and max(after) <= 0.15


def test_a_flood_by_the_best_plan_leaves_room_for_others_of_it() -> None:
    """One key of a high plan asks for fifty times what the API bears, and is within its limits."""
    rng = random.Random(5)
    world = World(Shedder(), lambda now: 10)
    world.run([
        *poisson(rng, 10, 0, 30, rank="high", source="loyal"),
        *poisson(rng, 2000, 5, 30, rank="high", source="greedy"),
    ])  # fmt: skip
    loyal = [one for one in world.done if one.rank == "high" and one.at > 6]
    assert loyal
    served = [one for one in world.done if one.outcome == "ok" and one.at > 6]
    assert len(served) >= 1500, "the API is kept busy"
