"""Kept events of version 1 are read as version 2; what a newer program wrote is named, not misread."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import msgspec
import pytest

from sallygate.admin.audit import act_of
from sallygate.events.reading import read_event
from sallygate.events.record import Source, early_event, to_event
from sallygate.model.decision import ALLOW
from sallygate.model.event import UNKNOWN, Event, Location
from sallygate.model.exchange import EarlyRejection, Exchange
from sallygate.model.finding import Finding
from sallygate.parsing.http.head import HeadReader
from sallygate.parsing.identifiers import IdHasher
from sallygate.ports import StoreError
from sallygate.stores.events import EventLog, read_events
from sallygate.stores.sqlite.store import SqliteStore

SOURCE = Source("abc", "shop", "gateway", IdHasher(b"k" * 32))
READ = (
    b'{"version":1,"at":5.5,"request_id":"r1","trace_id":"t1","decision":"deny","status":403,"method":"GET",'
    b'"path":"/a","client_address":"192.0.2.7","place":{"network":"192.0.2.7","country":"SE","asn":64500},'
    b'"findings":[{"code":"network.deny","detail":"d","mode":"shadow"}],"program":"curl","upstream_status":200,'
    b'"request_bytes":3,"issued_ids":[1,2],"took_us":10,"gate_us":4,"charges":[["rate",1]]}'
)
EARLY = (
    b'{"version":1,"at":5.0,"request_id":"r2","trace_id":"r2","decision":"deny","status":403,"method":"GET",'
    b'"path":"/a","client_address":"192.0.2.7","place":{"network":"192.0.2.7"},"count":40,"until":5.1}'
)
ACT = (
    b'{"version":1,"at":4.0,"request_id":"r3","trace_id":"","decision":"allow","status":0,"method":"","path":"",'
    b'"client_address":"","place":{"network":""},"kind":"act","act":"key.create","subject":"k","actor":"a","note":"n"}'
)


def test_version_1_is_read_as_version_2() -> None:
    read = read_event(READ)
    assert type(read) is Event and read.version == 2
    assert read.location == Location("192.0.2.7", "SE", 64500)
    assert (read.kind, read.shell, read.api, read.program) == ("exchange", "unknown", UNKNOWN, "curl")
    assert (read.upstream_status, read.request_bytes, read.response_bytes) == (200, 3, 0)
    assert (read.took_us, read.gate_us, read.issued_ids, read.charges) == (10, 4, (1, 2), (("rate", 1),))
    assert read.findings[0].mode == "shadow" and read.sensitive_records is None
    early = read_event(EARLY)
    assert (early.kind, early.count, early.until, early.program) == ("early", 40, 5.1, UNKNOWN)
    act = read_event(ACT)
    assert (act.kind, act.act, act.subject, act.actor, act.note) == ("audit", "key.create", "k", "a", "n")
    assert act.took_us is None and act.request_bytes is None


def test_a_value_of_version_1_is_written_as_version_2() -> None:
    for record in (READ, EARLY, ACT):
        event = read_event(record)
        again = msgspec.json.encode(event)
        assert again.startswith(b'{"version":2,') and b'"place"' not in again
        assert read_event(again) == event


def test_a_newer_version_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="an event of version 3; this program reads up to 2"):
        read_event(READ.replace(b'"version":1', b'"version":3'))
    with pytest.raises(msgspec.ValidationError):
        read_event(READ.replace(b'"version":1,', b""))
    with pytest.raises(msgspec.DecodeError):
        read_event(READ[:-1])


def test_a_program_of_version_1_refuses_version_2() -> None:
    """What that program declares of the field; it reports the file and goes no further."""

    class V1(msgspec.Struct):
        version: msgspec.Raw
        kind: str = "exchange"

    written = msgspec.json.decode(msgspec.json.encode(read_event(READ)), type=V1)
    assert bytes(written.version) == b"2"


def test_a_file_of_the_hour_of_the_upgrade_holds_both(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "1970-01-01T00.db") as connection:
        connection.execute(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, at REAL, decision TEXT, principal TEXT, record BLOB)"
        )
        connection.execute("INSERT INTO events VALUES (7, 5.5, 'deny', '', ?)", (READ,))
    connection.close()
    log = EventLog(tmp_path, 100, 1e9, print)
    log.start()
    log.put(msgspec.structs.replace(read_event(READ), at=6.0, shell="gateway"))
    log.stop()
    found = list(read_events(tmp_path))
    assert [(one.seq, one.at, one.shell) for one in found] == [(7, 5.5, "unknown"), (8, 6.0, "gateway")]


def test_a_newer_event_in_a_file_is_told_with_the_file(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 100, 1e9, print)
    log.start()
    log.put(read_event(READ))
    log.stop()
    (file,) = tmp_path.glob("*.db")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE events SET record = replace(CAST(record AS TEXT), '\"version\":2', '\"version\":9')")
    connection.close()
    with pytest.raises(StoreError, match=f"{re.escape(str(file))}.*version 9"):
        list(read_events(tmp_path))


def test_acts_of_version_1_in_the_database_are_audit_events(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    with store._database.writing() as connection:
        connection.execute("INSERT INTO acts (at, record) VALUES (4.0, ?)", (ACT,))
        connection.execute("INSERT INTO acts (at, record) VALUES (5.0, ?)",
                           (msgspec.json.encode(act_of("key.revoke", "k", "a", "", 5.0)),))  # fmt: skip
    assert [(act.kind, act.act) for act in store.acts()] == [("audit", "key.create"), ("audit", "key.revoke")]
    store.close()


def test_what_a_source_cannot_know_says_unknown() -> None:
    turned = EarlyRejection(Finding("flood.penalised", "d", 429, "throttle"), "192.0.2.7", "192.0.2.7", "GET", "/a", "r", 1.0, 2.0,
                    count=4, response_bytes=40, took_us=100)  # fmt: skip
    early = early_event(turned, SOURCE, "SE", 1)
    assert (early.kind, early.count, early.program, early.api, early.shell) == (
        "early", 4, UNKNOWN, "shop", "gateway",
    )  # fmt: skip
    assert (early.principal, early.operation, early.upstream_status, early.took_us) == ("", "", 0, 25)
    head = HeadReader().read(
        method="GET", scheme="https", raw_path=b"/a", raw_query=b"", headers=((b"host", b"a"),), http_version="1.1",
        peer="192.0.2.1", request_id="0" * 32, now=1.0,
    )  # fmt: skip
    whole = to_event(Exchange(head, ALLOW, 200), SOURCE)
    assert (whole.kind, whole.api, whole.shell, whole.policy, whole.program) == (
        "exchange", "shop", "gateway", "abc", "none",
    )  # fmt: skip
    assert whole.records is None and whole.sensitive_records is None
    assert whole.asked == ()
    asked = to_event(
        Exchange(head, ALLOW, 200, asked=((b"/orders/1\xff" + b"x" * 500, 200), *[(b"/o", 0)] * 40)), SOURCE
    )
    assert asked.asked[0][0].startswith("/orders/1\\xffxx") and len(asked.asked[0][0]) == 256
    assert asked.asked[1] == ("/o", 0) and len(asked.asked) == 16
