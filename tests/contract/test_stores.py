"""Every store keeps what its ports promise: one body of tests over all of them, and one machine that compares them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.model.access import TRIES_MAX, Code, Grant, KnownNetwork, Revocation
from sallygate.model.account import Account
from sallygate.model.event import Event
from sallygate.model.person import Erasure, Person
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction
from sallygate.ports import PersonRecords, StateStore, StoreError
from sallygate.stores.memory import MemoryFile, MemoryPersonRecords, MemoryStore
from sallygate.stores.sqlite.erasing import SqlitePersonRecords
from sallygate.stores.sqlite.store import SqliteStore

NOW = 1_790_000_000.0
STORES = ("memory", "sqlite")


class Place:
    """Where stores of one kind keep what they keep: each `open` is another process."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._kind, self._database, self._memory = kind, directory / "s.db", MemoryFile()

    def open(self) -> StateStore:
        return MemoryStore(self._memory) if self._kind == "memory" else SqliteStore(self._database)

    def records(self) -> PersonRecords:
        return MemoryPersonRecords(self._memory) if self._kind == "memory" else SqlitePersonRecords(self._database)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


@pytest.fixture
def store(place: Place) -> Iterator[StateStore]:
    with closing(place.open()) as opened:
        yield opened


def act(name: str = "test", subject: str = "", note: str = "", at: float = NOW) -> Event:
    return act_of(name, subject, "tester", note, at)


def key(name: str, account: str = "alice", **more: object) -> Credential:
    return Credential(name, b"digest", account, "free", None, NOW, **more)  # type: ignore[arg-type]


def restriction(name: str, value: str = "192.0.2.1", **more: object) -> Restriction:
    return Restriction(name, (("address", value),), "deny", "why", "tester", NOW, NOW + 60, **more)  # type: ignore[arg-type]


def code(name: str, owner: str = "o", **more: object) -> Code:
    return Code(name, owner, "access", "192.0.2.0/24", "hash", NOW, NOW + 600, delivered=True, **more)  # type: ignore[arg-type]


def test_every_record_has_a_revision_after_those_before_it(store: StateStore) -> None:
    store.put_credentials([key("a"), key("b")], act())
    made = store.put_restriction(restriction("r"), act())
    account = store.put_account(Account("alice", "free"), act())
    (network,) = store.access.put_known_networks([KnownNetwork("key:a", "192.0.2.0/24", "seen", NOW)], None)
    revisions = [*(one.revision for one in store.credentials()), made.revision, account.revision, network.revision]
    assert revisions == [1, 2, 3, 4, 5] and store.access.revision() == 5
    assert [one.id for one in store.credentials(1)] == ["b"] and store.credentials(2) == []
    store.put_credentials([key("a", note="later")], act())
    assert [(one.id, one.note) for one in store.credentials(2)] == [("a", "later")]


def test_a_change_of_another_process_is_seen_and_ones_own_is_not(place: Place, store: StateStore) -> None:
    seen = store.changed()
    store.put_act(act())
    assert store.changed() == seen
    with closing(place.open()) as other:
        other.put_restriction(restriction("r"), act())
        assert store.changed() != seen
        assert [one.id for one in store.restrictions()] == ["r"] and other.identity() == store.identity()


def test_acts_are_numbered_and_on_record_in_order(store: StateStore) -> None:
    assert store.last_act() == 0 and store.acts() == []
    store.put_act(act("one", at=NOW - 1))
    store.put_credentials([key("a")], act("two"))
    assert store.last_act() == 2 and [one.act for one in store.acts()] == ["one", "two"]
    assert [one.act for one in store.acts(NOW)] == ["two"]


def test_an_act_whose_doing_fails_is_not_on_record(store: StateStore) -> None:
    def fail() -> None:
        raise StoreError("full")

    with pytest.raises(StoreError, match="full"):
        store.put_act(act(), fail)
    assert store.acts() == []
    done: list[int] = []
    store.put_act(act(), lambda: done.append(1))
    assert done == [1] and len(store.acts()) == 1


def test_an_account_changed_meanwhile_is_left_as_it_is(store: StateStore) -> None:
    made = store.put_account(Account("Alice", "free"), act(), 0)
    store.put_account(replace(made, plan="large"), act(), made.revision)
    for over in (0, made.revision):
        with pytest.raises(StoreError, match="meanwhile"):
            store.put_account(replace(made, plan="small"), act(), over)
    assert store.account("Alice").plan == "large" and store.last_act() == 2  # type: ignore[union-attr]
    assert store.account("alice") is None and store.account_like("aLICE") == store.account("Alice")
    assert store.account_like("bob") is None


def test_counters_take_the_place_of_those_before_and_old_ones_go(store: StateStore) -> None:
    store.put_counters([("rate", "a", NOW - 10, 0.0), ("rate", "b", NOW + 10, 0.0), ("quota", "a", 3.0, NOW)], None)
    store.put_counters([("quota", "a", 4.0, NOW), ("quota", "old", 1.0, NOW - 40 * 86400)], None)
    assert len(store.counters()) == 4
    store.put_counters([], NOW)
    assert sorted(store.counters()) == [("quota", "a", 4.0, NOW), ("rate", "b", NOW + 10, 0.0)]


def test_hits_add_up(store: StateStore) -> None:
    store.add_hits({"r": 2})
    store.add_hits({"r": 3, "s": 1})
    assert store.hits() == {"r": 5, "s": 1}


def test_a_code_is_used_once_and_tried_so_often(store: StateStore) -> None:
    access = store.access
    access.put_code(code("first"), None)
    access.put_code(code("c"), act())
    where = ("o", "access", "", "192.0.2.0/24")
    assert [access.try_code(*where, NOW) is not None for _ in range(TRIES_MAX + 2)] == [True] * TRIES_MAX + [False] * 2  # type: ignore[arg-type]
    assert not access.end_code(code("first"), act()) and access.end_code(code("c"), act())
    assert not access.end_code(code("c"), act()) and store.last_act() == 2
    access.put_code(replace(code("late"), delivered=False), None)
    assert access.try_code(*where, NOW) is None  # type: ignore[arg-type]
    access.code_delivered(code("late"))
    assert access.try_code(*where, NOW + 601) is None  # type: ignore[arg-type]
    assert access.try_code(*where, NOW) is not None  # type: ignore[arg-type]


def test_a_refresh_token_counts_once_and_a_revocation_until_its_end(store: StateStore) -> None:
    access = store.access
    access.put_grant(Grant("g", "alice", None, NOW, NOW + 99, b"1"), act())
    assert access.rotate_grant("g", b"1", b"2") == access.grant("g") and access.rotate_grant("g", b"1", b"3") is None
    (grant,) = access.grants_of("alice")
    assert grant.number == 2
    access.revoke_grants([grant], [Revocation("g", NOW + 50)], act())
    assert access.rotate_grant("g", b"2", b"3") is None
    (revoked,) = access.revocations()
    access.revoke_grants([], [Revocation("h", NOW + 99)], act(at=NOW + 60))
    assert [one.id for one in access.revocations()] == ["h"] == [one.id for one in access.revocations(revoked.revision)]
    access.put_grant(Grant("later", "bob", None, NOW + 100, NOW + 200, b""), act())
    assert access.grant("g") is None, "expired ones are forgotten"


def test_a_network_that_is_only_seen_takes_no_other_ones_place(store: StateStore) -> None:
    access = store.access
    (first,) = access.put_known_networks([KnownNetwork("key:a", "n", "verified", NOW)], act())
    assert access.put_known_networks([KnownNetwork("key:a", "n", "seen", NOW + 1)], None) == [first]
    (forgotten,) = access.put_known_networks([KnownNetwork("key:a", "n", "forgotten", NOW)], act())
    assert access.known_networks_of("key:a") == [forgotten] and access.known_networks(first.revision) == [forgotten]


def test_what_is_kept_of_a_person_is_erased_and_nothing_else(place: Place, store: StateStore) -> None:
    store.put_credentials([key("a"), key("live"), key("b", "bob")], act("key.create", "a", "account alice, plan free"))
    store.put_account(Account("alice", "free", locked_at=NOW), act("account.create", "alice"))
    store.put_restriction(restriction("ended", lifted_at=NOW), act())
    store.put_restriction(Restriction("own", (("account", "alice"),), "deny", "w", "t", 1.0, 2.0), act())
    store.put_restriction(Restriction("force", (("account", "alice"),), "deny", "w", "t", 1.0, 9e9), act())
    store.put_counters([("plan", "alice", 1.0, NOW), ("logins:places", "alice:n", 9e9, 0.0), ("plan", "bob", 1.0, NOW),
                        ("guesses:pair", "n hash", 1.0, NOW)], None)  # fmt: skip
    store.access.put_code(code("c", "hash"), None)
    store.access.put_grant(Grant("g", "alice", None, NOW, NOW + 9, b""), act())
    store.access.put_known_networks([KnownNetwork("key:a", "n", "seen", NOW)], None)
    person = Person("alice", keys=("a",))
    erasure = Erasure(person, False, frozenset(), frozenset(("hash",)), frozenset(("logins:places",)),
                      frozenset(("guesses:pair",)), "person:1")  # fmt: skip
    with closing(place.records()) as records:
        assert records.account("alice") is not None and len(records.credentials()) == 3
        done = records.erase(erasure, act("erase", "person:1"))
    assert (done.accounts, done.credentials, done.restrictions, done.counters, done.access, done.acts) == (
        1,
        1,
        1,
        3,
        3,
        2,
    )
    assert store.account("alice") is None and [one.id for one in store.credentials()] == ["live", "b"]
    assert {one.id for one in store.restrictions()} == {"ended", "force"}
    assert [row[1] for row in store.counters()] == ["bob"] and store.access.grants_of("alice") == []
    assert not any("alice" in (one.subject, *one.note.replace(",", "").split()) for one in store.acts())
    assert store.acts()[-1].act == "erase" and store.acts()[-1].note == "accounts: 1, keys: 1, restrictions: 1"


names = st.sampled_from(["a", "b", "c"])


class Stores(RuleBasedStateMachine):
    """All stores side by side: whatever is done to them, they answer alike."""

    @initialize()
    def open(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._places = [Place(kind, Path(self._directory.name)) for kind in STORES]
        self._stores = [place.open() for place in self._places]
        self._number = 0

    def _all(self, do: Callable[[StateStore], object]) -> None:
        first, *others = [do(store) for store in self._stores]
        assert all(other == first for other in others)

    def _act(self) -> Event:
        self._number += 1
        return replace(act(str(self._number)), request_id=str(self._number))

    @rule(name=names, account=names, revoked=st.booleans())
    def put_key(self, name: str, account: str, revoked: bool) -> None:
        done, made = self._act(), key(name, account, revoked_at=1.0 if revoked else None)
        self._all(lambda store: store.put_credentials([made], done))

    @rule(name=names, over=st.sampled_from([None, 0, 1, 5]))
    def put_account(self, name: str, over: int | None) -> None:
        done = self._act()

        def put(store: StateStore) -> object:
            try:
                return store.put_account(Account(name, "free"), done, over)
            except StoreError as error:
                return str(error)

        self._all(put)

    @rule(name=names, ended=st.booleans())
    def restrict_or_lift(self, name: str, ended: bool) -> None:
        done = self._act()
        self._all(lambda store: store.put_restriction(restriction(name, lifted_at=NOW if ended else None), done))

    @rule(name=names, state=st.sampled_from(["seen", "verified", "forgotten"]))
    def know(self, name: str, state: str) -> None:
        one = KnownNetwork(f"key:{name}", "n", state, NOW)  # type: ignore[arg-type]
        self._all(lambda store: store.access.put_known_networks([one], None))

    @rule(name=names, a=st.sampled_from([1.0, NOW]), b=st.sampled_from([0.0, NOW]), forget=st.booleans())
    def count(self, name: str, a: float, b: float, forget: bool) -> None:
        self._all(lambda store: store.put_counters([("t", name, a, b)], NOW if forget else None))

    @rule(name=names)
    def erase(self, name: str) -> None:
        done = self._act()
        erasure = Erasure(Person(name, keys=(name,)), False, frozenset(), frozenset(), frozenset(), frozenset(), "p:1")
        counts = []
        for place in self._places:
            with closing(place.records()) as records:
                counts.append(records.erase(erasure, replace(done, act="erase")))
        assert counts[0] == counts[1]

    @rule()
    def reopen(self) -> None:
        for store in self._stores:
            store.close()
        self._stores = [place.open() for place in self._places]

    @invariant()
    def answer_alike(self) -> None:
        if not hasattr(self, "_stores"):
            return
        for revision in (0, 3):
            self._all(lambda store, after=revision: store.credentials(after))  # type: ignore[misc]
            self._all(lambda store, after=revision: store.accounts(after))  # type: ignore[misc]
            self._all(lambda store, after=revision: store.restrictions(after))  # type: ignore[misc]
            self._all(lambda store, after=revision: store.access.known_networks(after))  # type: ignore[misc]
        self._all(lambda store: (store.last_act(), store.access.revision(), sorted(store.counters()), store.acts()))

    def teardown(self) -> None:
        if hasattr(self, "_stores"):
            for store in self._stores:
                store.close()
            self._directory.cleanup()


Stores.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStores = Stores.TestCase
