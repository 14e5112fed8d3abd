"""The tables: GCRA, calendar windows, bounds, and clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.parsing.addresses import parse_address, prefix_set
from sallygate.state.counters import QuotaTable, RateTable, window_of
from sallygate.state.credentials import MISSING_S, Credentials
from sallygate.state.restrictions import Restrictions
from sallygate.state.slots import Slots
from sallygate.state.state import State

UTC_ZONE = ZoneInfo("UTC")


def take(table, subject: str, now: float, amount: int = 1) -> bool:
    room = table.look(subject, now, amount)
    if room.allowed:
        table.take(subject, now, amount)
    return room.allowed


def test_a_rate_allows_its_burst_then_its_rate() -> None:
    table = RateTable("t", 10.0, 5)
    assert [take(table, "a", 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert table.look("a", 100.0).reset_s == pytest.approx(0.1)
    assert take(table, "a", 100.1) and not take(table, "a", 100.1)
    assert take(table, "b", 100.0)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_no_arrival_pattern_gets_more_than_rate_and_burst(gaps: list[float]) -> None:
    table, now, allowed = RateTable("t", 20.0, 7), 1000.0, 0
    for gap in gaps:
        now += gap
        allowed += take(table, "a", now)
    assert allowed <= 7 + 20.0 * (now - 1000.0) + 1


def test_a_cost_above_the_burst_waits_for_all_of_it() -> None:
    table = RateTable("t", 1.0, 5)
    assert take(table, "a", 0.0, 9)
    assert not take(table, "a", 4.0, 9)


def test_a_full_table_never_forgives_and_newcomers_share() -> None:
    table = RateTable("t", 0.001, 1, entries_max=50)
    for number in range(50):
        assert take(table, f"penalised{number}", 0.0)
    for number in range(5000):
        take(table, f"newcomer{number}", 1.0)
    assert len(table) == 50
    assert not any(take(table, f"penalised{number}", 2.0) for number in range(50))
    # The overflow is shared: of thousands more, only as many pass as there are buckets.
    assert sum(take(table, f"late{number}", 2.0) for number in range(3000)) < 50


def test_free_entries_make_room() -> None:
    table = RateTable("t", 10.0, 1, entries_max=10)
    for number in range(100):
        assert take(table, f"s{number}", float(number))
    assert len(table) == 10


def test_a_clock_set_back_locks_nobody_out_for_longer_than_the_burst() -> None:
    table = RateTable("t", 1.0, 3)
    for _ in range(3):
        take(table, "a", 1_000_000.0)
    assert not take(table, "a", 10.0)
    assert table.look("a", 10.0).reset_s <= 3.0
    quota = QuotaTable("q", 2, "hour", UTC_ZONE)
    assert take(quota, "a", 1_000_000.0) and take(quota, "a", 1_000_000.0)
    assert not take(quota, "a", 10.0), "what was used is not given back by setting the clock"


def test_a_clock_that_jumps_and_comes_back_leaves_rates_as_they_were() -> None:
    table = RateTable("t", 1.0, 3)
    assert [take(table, "a", 1000.0) for _ in range(4)] == [True] * 3 + [False]
    for jump in (1e7, -1e7):
        table.shift(jump)
    assert not take(table, "a", 1000.5)
    assert take(table, "a", 1001.0)
    table.shift(1e7)
    assert not take(table, "a", 1e7 + 1001.5) and take(table, "a", 1e7 + 1002.0)


def test_rates_written_by_a_clock_that_was_ahead_end_after_the_burst() -> None:
    table = RateTable("t", 1.0, 3)
    table.load("a", 1e9, 0.0, 1000.0)
    assert not take(table, "a", 1000.0)
    assert take(table, "a", 1001.0)


def test_a_quota_counted_by_a_clock_far_ahead_turns_with_the_right_one() -> None:
    quota = QuotaTable("q", 2, "hour", UTC_ZONE)
    ahead, now = 3600.0 * 10_000, 3600.0 * 100
    assert take(quota, "a", ahead) and take(quota, "a", ahead)
    assert not take(quota, "a", now), "what was used is not given back"
    assert quota.look("a", now).reset_s == 3600
    assert take(quota, "a", now + 3600)
    assert not QuotaTable("q", 1, "hour", UTC_ZONE).look("a", now, 2).allowed
    near = QuotaTable("q", 1, "hour", UTC_ZONE)
    assert take(near, "a", now) and not take(near, "a", now - 1), "a second back is not another hour"
    assert take(near, "a", now + 3600)


def test_quotas_turn_with_the_calendar() -> None:
    noon = datetime(2026, 3, 1, 12, 30, tzinfo=UTC).timestamp()
    quota = QuotaTable("q", 3, "hour", UTC_ZONE)
    assert [take(quota, "a", noon + second) for second in range(5)] == [True] * 3 + [False] * 2
    assert quota.look("a", noon).reset_s == pytest.approx(1800)
    assert take(quota, "a", noon + 1800)


@pytest.mark.parametrize(
    ("window", "zone", "moment", "start", "hours"),
    [
        ("day", "Europe/Berlin", "2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00", 23),
        ("day", "Europe/Berlin", "2026-10-25T12:00+01:00", "2026-10-25T00:00+02:00", 25),
        ("day", "UTC", "2026-06-15T23:59+00:00", "2026-06-15T00:00+00:00", 24),
        ("month", "UTC", "2026-02-15T10:00+00:00", "2026-02-01T00:00+00:00", 28 * 24),
        ("month", "UTC", "2026-12-31T10:00+00:00", "2026-12-01T00:00+00:00", 31 * 24),
        ("hour", "Asia/Kolkata", "2026-06-15T10:45+05:30", "2026-06-15T10:00+05:30", 1),
    ],
)
def test_windows_follow_the_time_zone(window, zone: str, moment: str, start: str, hours: int) -> None:
    begin, end = window_of(window, ZoneInfo(zone), datetime.fromisoformat(moment).timestamp())
    assert begin == datetime.fromisoformat(start).timestamp()
    assert end - begin == hours * 3600


def test_a_full_quota_table_shares_its_buckets() -> None:
    quota = QuotaTable("q", 1, "hour", UTC_ZONE, entries_max=10)
    for number in range(30_000):  # enough that no bucket stays empty by chance
        take(quota, f"s{number}", 1000.0)
    assert len(quota) == 10
    assert sum(take(quota, f"x{number}", 1000.0) for number in range(2000)) == 0


def test_counters_survive_in_rows_and_only_for_their_window() -> None:
    rate, quota = RateTable("r", 1.0, 5), QuotaTable("q", 5, "hour", UTC_ZONE)
    for table in (rate, quota):
        for _ in range(5):
            take(table, "a", 5000.0)
        assert set(table._deltas) == {"a"}
    again, quota_again = RateTable("r", 1.0, 5), QuotaTable("q", 5, "hour", UTC_ZONE)
    again.load("a", *rate.row("a")[2:], 5000.5)
    quota_again.load("a", *quota.row("a")[2:], 5000.5)
    assert not take(again, "a", 5000.5) and not take(quota_again, "a", 5000.5)
    later = QuotaTable("q", 5, "hour", UTC_ZONE)
    later.load("a", *quota.row("a")[2:], 5000.0 + 3600)
    assert take(later, "a", 5000.0 + 3600)


def test_a_changed_limit_keeps_what_was_counted() -> None:
    state = State()
    quota = state.table(QuotaTable("q", 5, "hour", UTC_ZONE), 0.0)
    for _ in range(5):
        take(quota, "a", 10.0)
    assert state.table(QuotaTable("q", 5, "hour", UTC_ZONE), 10.0) is quota
    smaller = state.table(QuotaTable("q", 3, "hour", UTC_ZONE), 10.0)
    assert not take(smaller, "a", 10.0)


def test_places_held_are_given_back() -> None:
    held = Slots()
    held.take("t", "a")
    held.take("t", "a")
    held.give_back("t", "a")
    assert held.count("t", "a") == 1
    held.give_back("t", "a")
    held.give_back("t", "a")
    assert held.count("t", "a") == 0


def key(name: str, revision: int = 1) -> Credential:
    return Credential(name, b"", "acme", "free", None, 0.0, revision=revision)


def test_credentials_are_bounded_and_the_newest_revision_stays() -> None:
    table = Credentials(entries_max=3)
    for number in range(10):
        table.put(key(f"k{number}", number))
    assert len(table) == 3
    table.put(key("k9", 4))
    assert table.get("k9").revision == 9


def test_a_missing_key_is_remembered_for_a_while() -> None:
    table = Credentials()
    table.put_missing("gone", 100.0)
    assert table.is_missing("gone", 100.0 + MISSING_S - 1)
    assert not table.is_missing("gone", 100.0 + MISSING_S)
    assert not table.is_missing("gone", 10.0), "a clock set back must not make it last"
    table.put(key("gone"))
    assert not table.is_missing("gone", 100.0)


def restriction(name: str, *scope: tuple[str, str], until: float = 1e12) -> Restriction:
    return Restriction(name, scope, "deny", "why", "me", 0.0, until)


def test_a_prefix_written_as_ipv4_mapped_covers_the_ipv4_addresses() -> None:
    table = Restrictions([restriction("mapped", ("prefix", "::ffff:198.51.100.0/120"))])
    found = [table.by_location.find(parse_address(text), ()) for text in ("198.51.100.7", "::ffff:198.51.100.7")]
    assert [one.id for both in found for one in both] == ["mapped", "mapped"]
    assert parse_address("198.51.100.7") in prefix_set(("::ffff:198.51.100.0/120",))
    assert not table.by_location.find(parse_address("198.51.101.7"), ())


def test_restrictions_are_found_by_the_narrowest_name() -> None:
    table = Restrictions(
        [
            restriction("one", ("address", "192.0.2.1")),
            restriction("net", ("prefix", "192.0.2.0/24")),
            restriction("key", ("key", "k"), ("operation", "o")),
            restriction("six", ("prefix", "2001:db8::/32")),
        ]
    )
    v4, v6 = parse_address("192.0.2.1"), parse_address("2001:db8::1")
    assert {found.id for found in table.by_location.find(v4, ())} == {"one", "net"}
    assert {found.id for found in table.by_location.find(v6, ())} == {"six"}
    assert [found.id for found in table.by_name.find(v4, [("key", "k")])] == ["key"]
    assert table.with_change([restriction("one", ("address", "192.0.2.1"), until=5.0)], 10.0).all.keys() == {
        "net",
        "key",
        "six",
    }


# a clock that goes ahead and comes back --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "ahead_s"), [("hour", 3600), ("hour", 86400), ("day", 86400), ("month", 40 * 86400)]
)
@pytest.mark.parametrize("used_ahead", [0, 2])
def test_a_clock_that_goes_ahead_and_comes_back_gives_no_quota_back(window: Any, ahead_s: int, used_ahead: int) -> None:
    now = 1_790_000_000.0
    quota = QuotaTable("q", 20, window, UTC_ZONE, entries_max=2, buckets=4)
    for subject in ("a", "b", "shared"):
        quota.take(subject, now, 15)
    assert quota.look("a", now + ahead_s).remaining == 19, "the window is another one"
    if used_ahead:
        quota.take("a", now + ahead_s, used_ahead)
    assert quota.look("a", now + 5, 0).remaining == 5 - used_ahead
    assert quota.look("shared", now + 5, 0).remaining == 5
    assert quota.row("a") == ("q", "a", 15.0 + used_ahead, window_of(window, UTC_ZONE, now)[0])
    end = window_of(window, UTC_ZONE, now)[1]
    assert quota.look("a", end + 1).remaining == 19, "and the next window begins as ever"
    assert quota.look("a", end - 1, 0).remaining == 5 - used_ahead, "however often it is passed"


@given(st.lists(st.tuples(st.integers(-90_000, 90_000), st.integers(0, 3)), max_size=30))
def test_no_jump_of_the_clock_gives_more_than_the_windows_it_was_in(steps: list[tuple[int, int]]) -> None:
    """However it jumps, a caller gets the quota once for each window, at most."""
    quota, now, taken, windows = QuotaTable("q", 10, "hour", UTC_ZONE), 1_790_000_000.0, 0, set()
    for jump, amount in steps:
        now += jump
        windows.add(window_of("hour", UTC_ZONE, now))
        if quota.look("a", now, amount).allowed:
            quota.take("a", now, amount)
            taken += amount
    assert taken <= 10 * max(1, len(windows))
