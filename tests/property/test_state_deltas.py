"""Counters of several gates: what each has taken adds up to the same in any order, and nothing is left out of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sallygate.state.bounded_table import BUCKET, ENTRIES_MAX, BoundedTable, BucketHash, Table
from sallygate.state.counters import QuotaTable, RateTable
from sallygate.state.login_backoff import Backoff, SeenNetworks
from sallygate.state.penalty_box import Penalties
from sallygate.state.state import State

NOW = 1_790_000_000.0
BUCKETS = 100_000
UTC = ZoneInfo("UTC")
SEED = 20261130

TABLES: dict[str, Callable[[], BoundedTable[object]]] = {
    "rate": lambda: RateTable("t", 8.0, 16),
    "quota": lambda: QuotaTable("t", 100, "day", UTC),
    "penalty": lambda: Penalties(6.4, 16),  # 64 units a second: exact in a double
    "backoff": lambda: Backoff("t", 3, 2.0, 60.0, 900.0),
    "seen": lambda: SeenNetworks("t", 100.0),
}  # type: ignore[dict-item]  # an entry is each table's own
FULL: dict[str, Callable[[int], BoundedTable[object]]] = {
    "rate": lambda buckets: RateTable("t", 8.0, 4, 0, buckets),
    "quota": lambda buckets: QuotaTable("t", 100, "day", UTC, 0, buckets),
}  # type: ignore[dict-item]


def every(kind: type) -> list[type]:
    return [found for one in kind.__subclasses__() for found in (one, *every(one))]


def test_what_decisions_read_is_merged_or_declared_local_with_its_bound() -> None:
    state = State()
    held = [value for name, value in vars(state).items() if not name.startswith("_") and not isinstance(value, dict)]
    for value in [*held, state.cleared_texts(frozenset())]:
        local = getattr(value, "LOCAL", "")
        assert isinstance(value, BoundedTable) or ";" in local, f"{type(value).__name__}: neither merged nor local"
    assert len(held) >= 12
    tables = {type(make()) for make in TABLES.values()}
    assert tables == set(every(BoundedTable)), "each kind of table is below"
    for make in TABLES.values():
        table: Table = make()
        assert callable(table.take_deltas) and callable(table.merge)


@pytest.mark.parametrize("kind", FULL)
def test_a_hundred_thousand_buckets_merge_to_the_same_counts_in_any_order(kind: str) -> None:
    chance, key = random.Random(SEED), BucketHash(b"k" * 32)
    parts = []
    for gate in range(4):
        table = FULL[kind](BUCKETS)
        table.keyed(key)
        for number in range(60_000):
            table.take(f"{gate % 2}:{number}", NOW, chance.randint(1, 3))  # every subject is met by two gates
        parts.append(table.take_deltas())
    assert len({bucket for part in parts for bucket in part}) > 0.6 * BUCKETS
    assert all(bucket.startswith(BUCKET) for part in parts for bucket in part)
    counts = []
    for order in (parts, parts[::-1], [parts[2], parts[0], parts[3], parts[1]]):
        whole = FULL[kind](BUCKETS)
        for part in order:
            items = list(part.items())
            chance.shuffle(items)
            middle = len(items) // 2
            for piece in (items[:middle], items[middle:]):
                whole.merge(dict(piece), NOW)
        counts.append(dict(sorted(whole._buckets.items())))
        assert not whole.take_deltas(), "what another gate has taken is not passed on as one's own"
    assert counts[0] == counts[1] == counts[2]
    if kind == "quota":
        assert sum(counts[0].values()) == sum(sum(part.values()) for part in parts)


takes = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40)), max_size=20)


@pytest.mark.parametrize("kind", TABLES)
@given(left=takes, right=takes, swapped=st.booleans())
@settings(max_examples=60, deadline=None)
def test_two_gates_know_of_each_other_what_was_taken(
    kind: str, left: list[tuple[str, int]], right: list[tuple[str, int]], swapped: bool
) -> None:
    first, second, third = TABLES[kind](), TABLES[kind](), TABLES[kind]()
    for table, part in ((first, left), (second, right)):
        for subject, amount in part:
            table.take(subject, NOW, amount)
    deltas = [first.take_deltas(), second.take_deltas()]
    third.merge(deltas[1 if swapped else 0], NOW)
    third.merge(deltas[0 if swapped else 1], NOW)
    first.merge(deltas[1], NOW)
    second.merge(deltas[0], NOW)
    for subject in "abcd":
        rooms = [table.look(subject, NOW).allowed for table in (first, second, third)]
        assert all(rooms) or kind == "seen" or not rooms[2], (subject, rooms)
        if kind in ("rate", "quota", "backoff"):
            alone = TABLES[kind]()
            for amount in (amount for part in (left, right) for name, amount in part if name == subject):
                alone.take(subject, NOW, amount)
            if alone.look(subject, NOW).allowed:
                assert all(table.look(subject, NOW) == alone.look(subject, NOW) for table in (first, second, third))
            else:
                assert not any(rooms)


@pytest.mark.parametrize("kind", TABLES)
def test_deltas_given_back_are_taken_once_more(kind: str) -> None:
    table = TABLES[kind]()
    table.take("a", NOW, 1)
    deltas = table.take_deltas()
    assert deltas == {"a": 1} and not table.take_deltas()
    table.take("a", NOW, 2)
    table.give_back(deltas)
    assert table.take_deltas() == {"a": 3}


def test_a_source_that_two_gates_refuse_is_boxed_by_both() -> None:
    first, second = Penalties(1.0, 10), Penalties(1.0, 10)
    for table in (first, second):
        for _ in range(7):
            table.take("a", NOW, 10)
        assert not table.until("a", NOW)
    deltas = first.take_deltas(), second.take_deltas()
    first.merge(deltas[1], NOW)
    second.merge(deltas[0], NOW)
    assert first.until("a", NOW) == second.until("a", NOW) == NOW + 60
    assert first.row("a") is not None and "a" in first.take_deltas(), "and it is kept"


def test_deltas_are_bounded_as_their_table_is() -> None:
    table = RateTable("t", 0.001, 1, 100, 50)
    for number in range(5_000):
        table.take(f"s{number}", NOW, 5)
    assert len(table.take_deltas()) <= 150 and len(table) == 100 and ENTRIES_MAX == 100_000


def test_nobody_without_the_key_knows_who_shares_a_bucket() -> None:
    ours, theirs = BucketHash(b"a" * 32), BucketHash(b"b" * 32)
    subjects = [f"192.0.2.{number}" for number in range(200)]
    same = sum(ours(one) % 1024 == theirs(one) % 1024 for one in subjects)
    assert same < 10 and [ours(one) for one in subjects] == [BucketHash(b"a" * 32)(one) for one in subjects]
