"""The stores on real files: durable, in order, clear when they cannot."""

from __future__ import annotations

import sqlite3
import time
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from sallygate.admin.keys import Administration
from sallygate.events.aggregation import ALIKE_KEPT, aggregate
from sallygate.events.record import Pending, Source
from sallygate.events.sink_queue import PENDING_MAX
from sallygate.model.decision import ALLOW
from sallygate.model.event import Event, Location
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.parsing.http.head import HeadReader
from sallygate.parsing.identifiers import IdHasher
from sallygate.ports import StoreError
from sallygate.security.key_ring import KeyRing
from sallygate.stores.events import EventLog, read_events
from sallygate.stores.sqlite.schema import SCHEMA_VERSION
from sallygate.stores.sqlite.store import SqliteStore
from support import until

SOURCE = Source("abc", "shop", "gateway", IdHasher(b"k" * 32))


def event(at: float = 0.0, decision: str = "allow", code: str = "", network: str = "192.0.2.1", **more) -> Event:
    findings = (Finding(code, "d"),) if code else ()
    return Event(
        at=at or time.time(), request_id="r", trace_id="t", decision=decision, status=200, method="GET", path="/",
        client_address=network, location=Location(network), findings=findings, **more,
    )  # fmt: skip


@pytest.fixture
def admin(tmp_path: Path):
    store = SqliteStore(tmp_path / "s.db")
    yield Administration(store, KeyRing(b"p" * 32), "tester")
    store.close()


def test_a_key_is_stored_as_a_digest_only(tmp_path: Path, admin: Administration) -> None:
    credential, text = admin.create_key("alice", "free", ("a",), 60.0, "note")
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("s.db*"))
    secret = text.split("_")[2]
    assert secret.encode() not in stored and secret[:20].encode() not in stored
    assert admin.key(credential.id) == replace(credential, revision=1)
    assert admin.key(text).id == credential.id and admin.key(f"key:{credential.id}").id == credential.id
    assert secret not in repr(credential)


def test_rotation_keeps_the_old_key_for_a_while(admin: Administration) -> None:
    first, _ = admin.create_key("alice", "free", for_s=1000.0)
    old, new, text = admin.rotate_key(first.id, 60.0)
    assert old.replaced_by == new.id and old.expires_at == pytest.approx(time.time() + 60, abs=5)
    assert new.expires_at == first.expires_at and new.account == "alice" and text
    with pytest.raises(ValueError, match="create a new one"):
        admin.revoke_key(new.id)
        admin.rotate_key(new.id, 60.0)


def test_every_act_is_on_record_with_who_did_it(tmp_path: Path, admin: Administration) -> None:
    credential, _ = admin.create_key("alice", "free")
    admin.revoke_key(credential.id)
    admin.revoke_key(credential.id)
    made = admin.restrict({"account": "alice"}, "deny", "because", 60.0)
    admin.lift(made.id)
    admin.lift(made.id)
    store = SqliteStore(tmp_path / "s.db")
    acts = [(act.act, act.subject, act.actor) for act in store.acts()]
    assert acts == [
        ("key.create", credential.id, "tester"),
        ("key.revoke", credential.id, "tester"),
        ("restriction.add", made.id, "tester"),
        ("restriction.lift", made.id, "tester"),
    ]
    store.close()


@pytest.mark.parametrize(
    ("scope", "more"),
    [
        ({}, {}),
        ({"address": "not"}, {}),
        ({"prefix": "192.0.2.1/24"}, {}),
        ({"prefix": "0.0.0.0/0"}, {}),
        ({"key": "unknown"}, {}),
        ({"account": "a"}, {"reason": " "}),
        ({"account": "a"}, {"for_s": 0.0}),
        ({"account": "a"}, {"for_s": 1e9}),
        ({"account": "a"}, {"act": "throttle"}),
        ({"account": "a"}, {"rate": "1/s"}),
    ],
)
def test_restrictions_that_make_no_sense(admin: Administration, scope, more) -> None:
    given = {"act": "deny", "reason": "why", "for_s": 60.0, **more}
    with pytest.raises(ValueError):
        admin.restrict(scope, **given)
    assert admin.restrictions(ended=True) == []


def test_another_process_sees_what_changed_since(tmp_path: Path, admin: Administration) -> None:
    gate = SqliteStore(tmp_path / "s.db")
    before = gate.changed()
    first, _ = admin.create_key("a", "free")
    assert gate.changed() != before
    revision = max(found.revision for found in gate.credentials())
    second, _ = admin.create_key("b", "free")
    admin.revoke_key(first.id)
    assert {found.id for found in gate.credentials(revision)} == {first.id, second.id}
    gate.close()


def test_a_newer_schema_and_a_broken_file_are_refused_in_words(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "new.db").close()
    with sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(tmp_path / "new.db")
    (tmp_path / "broken.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"broken\.db"):
        SqliteStore(tmp_path / "broken.db")
    with pytest.raises(StoreError, match="directory"):
        SqliteStore(tmp_path / "nowhere" / "s.db")


def test_a_locked_database_says_so(tmp_path: Path, admin: Administration) -> None:
    holder = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="another process"):
        admin.create_key("a", "free")
    holder.execute("ROLLBACK")
    assert admin.create_key("a", "free")


def test_counters_are_kept_and_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    store.put_counters([("rate", "old", 10.0, 0.0), ("rate", "new", 500.0, 0.0), ("quota", "a", 3.0, 400.0)], 100.0)
    assert sorted(store.counters()) == [("quota", "a", 3.0, 400.0), ("rate", "new", 500.0, 0.0)]
    store.close()


# the event log -------------------------------------------------------------------------------------------------------


def test_events_are_written_within_a_moment_and_in_order(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 1000, 86400.0, print)
    log.start()
    for number in range(500):
        log.put(event(note=str(number)))
    until(lambda: log.written == 500)
    log.put(event(note="last"))
    log.stop()
    found = list(read_events(tmp_path))
    assert [one.note for one in found] == [str(number) for number in range(500)] + ["last"]
    assert all(a.seq < b.seq for a, b in pairwise(found))
    assert [one.note for one in read_events(tmp_path, after_seq=found[-2].seq)] == ["last"]


def test_a_flood_of_one_refusal_is_aggregated_with_its_exact_count() -> None:
    flood = [event(at=float(n + 1), decision="deny", code="identity.missing", request_bytes=2) for n in range(1000)]
    mixed = [*flood[:500], event(code=""), event(decision="deny", code="clients.path"), *flood[500:]]
    kept = aggregate(mixed)
    alike = [one for one in kept if one.findings and one.findings[0].code == "identity.missing"]
    assert len(alike) == ALIKE_KEPT + 1
    assert sum(one.count for one in alike) == 1000 and sum(one.request_bytes for one in alike) == 2000
    assert alike[-1].until == 1000.0
    assert len(kept) == ALIKE_KEPT + 3


def test_when_full_ordinary_events_are_sampled_and_losses_counted(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 100, 86400.0, print)  # not started: nothing is taken out
    for _ in range(1000):
        log.put(event())
    for _ in range(1000):
        log.put(event(decision="deny", code="x.y"))
    kept = list(log.queue._waiting)
    ordinary = [one for one in kept if one.decision == "allow"]
    assert sum(one.sampled for one in ordinary) + log.queue.sampled_away % 10 + log.dropped >= 1000
    assert log.waiting <= 200 and log.dropped > 0 and log.queue.sampled_away > 0
    assert any(one.sampled == 10 for one in ordinary)


def test_what_is_lost_is_counted_by_exchanges_and_told_until_its_last(tmp_path: Path) -> None:
    """One event tells of all that were turned away at the door in a tenth of a second."""
    log = EventLog(tmp_path, 10, 86400.0, print)  # not started: nothing is taken out
    for _ in range(20):
        log.put(event(decision="deny", code="x.y"))
    log.put(event(decision="deny", code="x.y", count=3000))
    assert log.dropped == 3000
    flood = [event(at=1.0, decision="deny", code="x.y", count=500, until=1.5) for _ in range(ALIKE_KEPT + 2)]
    last = aggregate(flood)[-1]
    assert (last.count, last.until) == (1000, 1.5)


def test_a_disk_that_refuses_is_told_once_and_nothing_is_lost_when_it_recovers(tmp_path: Path) -> None:
    told: list[str] = []
    directory = tmp_path / "events"
    log = EventLog(directory, 1000, 86400.0, told.append)
    log.start()
    directory.rmdir()
    directory.write_text("in the way")
    for _ in range(50):
        log.put(event())
    until(lambda: told)
    assert "cannot be written" in told[0]
    directory.unlink()
    directory.mkdir()
    until(lambda: log.written == 50)
    log.stop()
    assert len(list(read_events(directory))) == 50 and len(told) == 2


def test_only_so_many_whole_exchanges_wait(tmp_path: Path) -> None:
    head = HeadReader().read(
        method="GET", scheme="https", raw_path=b"/a", raw_query=b"", headers=((b"host", b"a"),), http_version="1.1",
        peer="192.0.2.1", request_id="0" * 32, now=1.0,
    )  # fmt: skip
    log = EventLog(tmp_path, 10_000, 86400.0, print)  # not started: nothing is taken out
    for _ in range(PENDING_MAX + 10):
        log.put(Pending(Exchange(head, ALLOW, 200), SOURCE))
    kinds = [type(one) for one in log.queue.take()]
    assert kinds == [Pending] * PENDING_MAX + [Event] * 10


def test_old_hours_are_removed(tmp_path: Path) -> None:
    for name in ("2020-01-01T00.db", "2020-01-01T00.db-wal"):
        (tmp_path / name).write_bytes(b"")
    log = EventLog(tmp_path, 1000, 7200.0, print)
    log.start()
    log.put(event())
    until(lambda: log.written)
    log.stop()
    assert not list(tmp_path.glob("2020*")) and len(list(tmp_path.glob("*.db"))) == 1
