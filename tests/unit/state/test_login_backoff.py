"""Delays that grow, places that are known, and what memory holds of accounts; all bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sallygate.model.account import Account
from sallygate.state.account_cache import ACCOUNTS_MAX, MISSING_MAX, Accounts, VerifiedPasswords
from sallygate.state.bounded_table import OVERFLOW_BUCKETS
from sallygate.state.login_backoff import Backoff, SeenNetworks

NOW = 1_790_000_000.0


def table(**more: int) -> Backoff:
    return Backoff("b", 3, 2.0, 60.0, 900.0, **more)


def test_the_first_are_free_then_each_waits_twice_as_long() -> None:
    backoff, now, waits = table(), NOW, []
    for _ in range(10):
        room = backoff.look("a", now)
        if not room.allowed:
            waits.append(round(room.reset_s))
            assert not backoff.look("a", now + room.reset_s - 0.01).allowed
            now += room.reset_s
            assert backoff.look("a", now).allowed
        backoff.take("a", now, 1)
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    assert backoff.look("other", now).allowed


def test_failures_are_forgiven_one_by_one() -> None:
    backoff = table()
    for _ in range(5):
        backoff.take("a", NOW, 1)
    assert not backoff.look("a", NOW + 5).allowed
    later = NOW + 3 * 900
    assert backoff.look("a", later).allowed and not backoff.look("a", later, 2).allowed
    assert backoff.look("a", NOW + 5 * 900, 3).allowed


def test_those_under_way_count_as_failed() -> None:
    backoff = table()
    assert backoff.look("a", NOW, 3).allowed and not backoff.look("a", NOW, 4).allowed
    for _ in range(3):
        backoff.take("a", NOW, 1)
    assert backoff.look("a", NOW + 3, 1).allowed and not backoff.look("a", NOW + 3, 2).allowed


def test_a_clock_set_back_forgives_nothing_and_lengthens_nothing() -> None:
    backoff = table()
    for _ in range(4):
        backoff.take("a", NOW, 1)
    room = backoff.look("a", NOW - 10_000)
    assert not room.allowed and room.reset_s <= 4.0
    backoff.shift(-10_000)
    assert backoff.look("a", NOW - 10_000 + 4).allowed


def test_a_full_table_forgives_nobody_and_is_stricter_to_newcomers() -> None:
    backoff = table(entries_max=50)
    for number in range(50):
        backoff.take(f"a{number}", NOW, 4)
    for number in range(20_000):
        backoff.take(f"b{number}", NOW, 4)
    assert len(backoff) == 50 and len(backoff._buckets) <= OVERFLOW_BUCKETS
    assert all(not backoff.look(f"a{number}", NOW).allowed for number in range(50))
    assert not backoff.look("never seen", NOW).allowed
    assert backoff.look("never seen", NOW + 4 * 900).allowed


def test_it_is_kept_and_loaded() -> None:
    backoff, other = table(), table()
    for _ in range(5):
        backoff.take("a", NOW, 1)
    row = backoff.row("a")
    assert row is not None and set(backoff._deltas) == {"a"}
    other.load(row[1], row[2], row[3], NOW + 1)
    assert other.look("a", NOW + 1) == backoff.look("a", NOW + 1)
    other.load("future", 64.0, NOW + 1e9, NOW)
    assert other.look("future", NOW + 60).allowed  # a clock that was ahead locks nobody out
    other.load("old", 2.0, NOW - 1e6, NOW)
    assert other.subjects() == ["a", "future"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100), st.integers(1, 3)), max_size=60))
def test_failing_more_never_lets_more_through(steps: list[tuple[str, float, int]]) -> None:
    one, more, now = table(), table(), NOW
    for subject, later_s, amount in steps:
        now += later_s
        if more.look(subject, now).allowed:
            assert one.look(subject, now).allowed
        one.take(subject, now, amount)
        more.take(subject, now, amount + 1)


def test_places_are_known_for_a_while_and_bounded() -> None:
    places = SeenNetworks("p", 100.0, entries_max=1000)
    places.take("a:192.0.2.0/24", NOW, 1)
    assert places.knows("a:192.0.2.0/24", NOW + 99) and not places.knows("a:192.0.2.0/24", NOW + 101)
    assert not places.knows("b:192.0.2.0/24", NOW)
    for number in range(5000):
        places.take(f"x:{number}", NOW, 1)
    assert len(places) == 1000 and len(places._deltas) <= 1000
    assert not places.knows("a:192.0.2.0/24", NOW)  # forgotten, not another's
    other = SeenNetworks("p", 100.0)
    other.load("x", NOW + 1e9, 0.0, NOW)
    assert not other.knows("x", NOW + 101)


def test_a_million_names_take_bounded_memory() -> None:
    accounts = Accounts(entries_max=100)
    for number in range(1_000_000):
        if number < 1000:
            accounts.put(Account(f"a{number}", "p", revision=number + 1))
        accounts.put_missing(f"m{number}", NOW)
    assert len(accounts) == 100 and len(accounts._missing) == MISSING_MAX
    assert ACCOUNTS_MAX >= 100


def test_a_locked_account_is_never_let_go() -> None:
    accounts = Accounts(entries_max=2)
    accounts.put(Account("bad", "p", locked_at=1.0, revision=1))
    for number in range(10):
        accounts.put(Account(f"a{number}", "p", revision=2 + number))
    assert accounts.is_locked("bad") and accounts.get("bad") is not None
    accounts.put(Account("bad", "p", revision=20))
    assert not accounts.is_locked("bad")
    accounts.put(replace(Account("bad", "p", locked_at=1.0), revision=1))  # older than what is known
    assert not accounts.is_locked("bad")


def test_verified_passwords_end_and_are_bounded() -> None:
    verified = VerifiedPasswords(entries_max=10)
    for number in range(100):
        verified.put(b"%d" % number, NOW + 60)
    assert len(verified) == 10
    assert verified.holds(b"99", NOW + 59, 60) and not verified.holds(b"99", NOW + 60, 60)
    assert not verified.holds(b"99", NOW - 100, 60)  # a clock set back draws nothing out
    assert not verified.holds(b"0", NOW, 60)
