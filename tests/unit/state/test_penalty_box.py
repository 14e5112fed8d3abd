from __future__ import annotations

from sallygate.state.penalty_box import FORGET_S, UNITS, Penalties

NOW = 1_790_000_000.0


def refuse(box: Penalties, subject: str, times: int, now: float = NOW) -> None:
    for _ in range(times):
        box.take(subject, now, UNITS)


def test_a_burst_of_refusals_is_borne_and_one_more_boxes() -> None:
    box = Penalties(1.0, 60, 60.0, 3600.0)
    refuse(box, "a", 60)
    assert box.until("a", NOW) == 0.0 and box.look("a", NOW).allowed
    refuse(box, "a", 1)
    assert box.until("a", NOW) == NOW + 60 and box.look("a", NOW).reset_s == 60
    assert box.until("b", NOW) == 0.0 and box.count(NOW) == 1
    assert box.until("a", NOW + 60) == 0.0 and box.count(NOW + 60) == 0


def test_refusals_at_the_allowed_pace_never_box() -> None:
    box = Penalties(1.0, 60)
    for second in range(10_000):
        refuse(box, "a", 1, NOW + second)
    assert box.count(NOW + 10_000) == 0


def test_each_further_time_is_twice_as_long_up_to_the_most_and_a_quiet_day_begins_anew() -> None:
    box, now, lengths = Penalties(1.0, 1, 60.0, 300.0), NOW, []
    for _ in range(4):
        refuse(box, "a", 2, now)
        lengths.append(box.until("a", now) - now)
        now += lengths[-1]
    assert lengths == [60, 120, 240, 300]
    now += FORGET_S + 1
    refuse(box, "a", 2, now)
    assert box.until("a", now) - now == 60


def test_what_is_refused_in_the_box_does_not_count_and_false_claims_do() -> None:
    box = Penalties(1.0, 10, 60.0, 3600.0)
    refuse(box, "a", 11)
    refuse(box, "a", 1000, NOW + 1)
    assert box.until("a", NOW + 1) == NOW + 60
    box.take("a", NOW + 2, 10 * UNITS)
    box.take("a", NOW + 2, 10 * UNITS)
    assert box.until("a", NOW + 2) == NOW + 122


def test_a_full_box_lets_nobody_out_and_boxes_nobody_in_others_place() -> None:
    box = Penalties(1.0, 1, 60.0, 60.0, entries_max=10)
    for number in range(50):
        refuse(box, f"s{number}", 2)
    assert box.count(NOW) == 10 and all(box.until(f"s{number}", NOW) for number in range(10))
    assert box.overflowed > 0 and len(box) <= 20
    refuse(box, "late", 2, NOW + 61)
    assert box.until("late", NOW + 61) and box.count(NOW + 61) == 1


def test_a_full_table_counts_newcomers_together_and_stays_bounded() -> None:
    box = Penalties(1.0, 1000, entries_max=10)
    for number in range(5000):
        refuse(box, f"s{number}", 1)
    assert len(box) <= 10 and len(box._buckets) <= 1024


def test_the_box_outlives_a_restart_and_a_jump_of_the_clock() -> None:
    box = Penalties(1.0, 1, 60.0, 3600.0)
    refuse(box, "a", 2)
    assert "a" in box._deltas and box.row("b") is None
    name, subject, until, times = box.row("a")
    again = Penalties(1.0, 1, 60.0, 3600.0)
    again.load(subject, until, times, NOW)
    again.load("ahead", NOW + 10**9, 1.0, NOW)
    assert name == Penalties.NAME and again.until("a", NOW) == NOW + 60
    assert again.until("ahead", NOW) == NOW + 3600, "written by a clock that was ahead"
    again.shift(100.0)
    assert again.until("a", NOW) == NOW + 160
