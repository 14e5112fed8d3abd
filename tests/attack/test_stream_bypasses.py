"""Streams and edits that were meant to cost more than they may, or to slip by what was decided."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatehouse import NOW, Request
from sallygate.engine.answers import FINDINGS_MAX
from sallygate.engine.ledger import SUMMED_FROM
from sallygate.model import driver as d
from sallygate.model.decision import Edit
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement, ResponsePlan
from sallygate.model.restriction import Restriction
from sallygate.model.work import Charge, LoadLocations, LocationsLoaded
from sallygate.parsing import json_splice
from sallygate.parsing.json_splice import splice
from sallygate.services.restriction_tables import add_restrictions
from transcript import JSON, NDJSON, OCTETS, Transcript, add, house, recorded, slots

LENGTH = (b"content-length", b"9")


def test_an_edited_record_does_not_leave_under_the_length_of_the_whole() -> None:
    judge = lambda at: Judgement(edits=(Edit("body:/a", b"12345"),))  # noqa: E731
    told = Transcript(recorded(judge), Request("POST", key="large", headers=(OCTETS, LENGTH)))
    (call,) = told.of(d.CallApi)
    assert b"content-length" not in dict(call.headers) and dict(call.headers)[b"transfer-encoding"] == b"chunked"
    told.feed(d.RecordRead, "client", b'{"a": 1}\n')
    told.feed(d.RecordRead, "client", None)
    told.head(200, NDJSON, LENGTH)
    assert b"content-length" not in dict(told.of(d.SendHead)[0].headers)
    shadow = Transcript(recorded(judge, "shadow"))
    shadow.head(200, NDJSON, LENGTH)
    assert dict(shadow.of(d.SendHead)[0].headers)[b"content-length"] == b"9", "in shadow nothing is edited"


def test_an_endless_stream_makes_no_endless_event() -> None:
    def judge(at: Any) -> Judgement:
        finding = Finding("own.seen", at.message.decode(), 403, mode="shadow")
        return Judgement((finding,), charges=(Charge("plan:large:hour", "acme", 1),))

    told = Transcript(recorded(judge))
    told.head(200, NDJSON)
    for number in range(FINDINGS_MAX + 50):
        told.feed(d.RecordRead, "api", b"%d\n" % number)
    told.close()
    assert len(told.found) == FINDINGS_MAX and len(told.record.charges) < 2 * SUMMED_FROM
    assert sum(one.amount for one in told.record.charges if one.table == "plan:large:hour") == FINDINGS_MAX + 51


def test_a_list_with_a_value_removed_from_each_member_is_spliced_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def bisect(spans: list[Any], *wanted: Any) -> int:
        nonlocal looked
        found = json_splice_bisect(spans, *wanted)
        looked += len(spans) - found
        return found

    json_splice_bisect = json_splice.bisect_left
    monkeypatch.setattr(json_splice, "bisect_left", bisect)
    tree = [{"id": number, "secret": "x"} for number in range(2000)]
    changes: dict[str, bytes | None] = {f"/{number}/secret": None for number in range(2000)}
    left = splice(json.dumps(tree).encode(), changes | {"/7": None})
    assert json.loads(left) == [{"id": number} for number in range(2000) if number != 7]
    assert looked < 10_000, "each span is looked at with its own container"


@pytest.mark.parametrize("coding", [b"br", b"gzip, br", b"zstd"])
def test_a_coding_that_the_gate_cannot_undo_is_said_to_the_control_that_reads(coding: bytes) -> None:
    seen: list[Any] = []
    made = house()
    add(made, "release", lambda at: Judgement(response=ResponsePlan("hold", bytes_max=100)))
    add(made, "inspect", lambda at: seen.append((at.unread, at.response_body)))
    told = Transcript(made)
    told.head(200, (b"content-type", b"text/plain"), (b"content-encoding", coding))
    told.chunk(b"packed")
    assert seen == [(True, None)]


def test_codings_in_two_fields_are_read_as_both() -> None:
    seen: list[Any] = []
    made = house()
    add(made, "release", lambda at: Judgement(response=ResponsePlan("hold", bytes_max=100)))
    add(made, "inspect", lambda at: seen.append(at.unread))
    told = Transcript(made)
    told.head(200, JSON, (b"content-encoding", b"br"), (b"content-encoding", b"identity"))
    told.chunk(b"{}")
    assert seen == [True]


def test_a_body_after_a_head_that_has_none_does_not_leave() -> None:
    made = house()
    add(made, "release", lambda at: Judgement(response=ResponsePlan("hold", bytes_max=100)))
    told = Transcript(made)
    told.head(204)
    told.chunk(b"a secret")
    assert told.of(d.SendToClient) == [d.SendToClient(b"", False)]


@pytest.mark.parametrize("ends", ["gone", "interrupted", "asks for ever", "close"])
def test_who_leaves_while_something_is_found_out_has_tried_all_the_same(ends: str) -> None:
    reserved = Charge("plan:large:hour", "acme", 7)
    made = house()
    add(made, "release", lambda at: Judgement(response=ResponsePlan("hold", bytes_max=100)))
    add(made, "inspect", lambda at: Judgement(work=(LoadLocations("acme"),), reserved=(reserved,)))
    told = Transcript(made)
    told.head()
    told.chunk(b"{}")
    if ends == "close":
        told.close()
    else:
        if ends == "gone":
            told.feed(d.ClientGone)
        elif ends == "interrupted":
            one = Restriction("r1", (("account", "acme"),), "terminate", "test", "me", 0.0, NOW + 1e6, "")
            add_restrictions(made.state, [one], NOW)
            told.feed(d.Interrupted)
        else:
            for _ in range(3):
                told.feed(d.WorkDone, (LocationsLoaded("acme", ()),))
        told.feed(d.End)
    charged = [one.amount for one in told.record.charges if one.table == "plan:large:hour"]
    assert sum(charged) == 1 + 7 and not slots(made) and not told.of(d.SendHead)
