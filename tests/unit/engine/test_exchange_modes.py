"""Ways in which a body or a response is judged whole, record by record, from a file or message by message, what is asked
of the API meanwhile, and what is changed on the way; each by a control of the tests."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest

from gatehouse import NOW, House, Request
from sallygate.model import driver as d
from sallygate.model.decision import Edit
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement, ResponsePlan
from sallygate.model.request import BodyPlan
from sallygate.model.restriction import Restriction
from sallygate.model.work import ApiAnswered, AskApi, Charge, LoadLocations, LocationsLoaded
from sallygate.services.restriction_tables import add_restrictions
from transcript import JSON, UPLOAD, Transcript, add, house, one_slot, post, slots

NAMED = b'{"name":"a"}'
SECRET = b'{"items":[{"id":1,"secret":"x"},{"id":2}]}'
OWN = Finding("own.seen", "The response holds a secret.", 403)
NDJSON = (b"content-type", b"application/x-ndjson")
HOLD = ResponsePlan("hold", bytes_max=100)
RECORDS = ResponsePlan("records", bytes_max=20)


def holding(judge: Any = lambda at: None, mode: Any = "enforce", plan: ResponsePlan = HOLD, made: Any = None) -> House:
    """A gate with a control that has responses leave by `plan`, and judges them by `judge`."""
    made = made or house()
    add(made, "release", lambda at: Judgement(response=plan), mode)
    add(made, "message" if plan.mode == "records" else "inspect", judge, mode)
    return made


def terminate(made: House) -> None:
    one = Restriction("r1", (("account", "acme"),), "terminate", "test", "me", 0.0, NOW + 1e6, "")
    add_restrictions(made.state, [one], NOW)


def finds(secret: bytes) -> Any:
    """A judge of held responses and of records."""
    return lambda at: Judgement((OWN,)) if secret in (at.response_body or at.message) else None


# held responses --------------------------------------------------------------------------------------------------------


def test_a_held_response_leaves_once_it_was_inspected() -> None:
    seen: list[Any] = []
    told = Transcript(made := holding(lambda at: seen.append((at.response_body, at.tree))))
    told.head()
    told.chunk(b'{"items":', more=True)
    told.chunk(b"[]}")
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << HoldHead 100 bytes at most
        >> Chunk api 9 bytes, more
        >> Chunk api 3 bytes
        << SendHead 200
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)
    assert seen == [(b'{"items":[]}', {"items": []})]
    assert told.record.response_bytes == 12 and not slots(made)


def test_a_held_response_is_refused() -> None:
    told = Transcript(holding(finds(b"secret")))
    told.head()
    told.chunk(SECRET)
    told.feed(d.Sent)
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << HoldHead 100 bytes at most
        >> Chunk api 42 bytes
        << Reply 403 own.seen
        >> Sent
        >> End
        << Record 403 deny: own.seen
    """)
    assert told.record.upstream_status == 200


def test_a_held_response_is_edited_and_only_there() -> None:
    made = holding(lambda at: Judgement(edits=(Edit("body:/items/0/secret", None),)))
    add(made, "inspect", lambda at: Judgement(edits=(Edit("body:/items/1/id", b"7"),)) if at.tree["items"][1] else None)
    seen: list[Any] = []
    add(made, "inspect", lambda at: seen.append((at.tree, at.response_body)))
    told = Transcript(made)
    told.head(200, JSON, (b"content-length", b"42"), (b"etag", b'"a"'), (b"x-own", b"1"))
    told.chunk(SECRET)
    left = b'{"items":[{"id":1},{"id":7}]}'
    assert told.of(d.SendToClient) == [d.SendToClient(left, False)]
    headers = dict(told.of(d.SendHead)[0].headers)
    assert headers[b"content-length"] == b"%d" % len(left) and b"etag" not in headers and headers[b"x-own"] == b"1"
    assert seen == [({"items": [{"id": 1}, {"id": 7}]}, left)], "each sees what the ones before it left"


def test_an_edit_of_what_is_not_there_lets_nothing_leave() -> None:
    told = Transcript(holding(lambda at: Judgement(edits=(Edit("body:/nothing", None),))))
    told.head()
    told.chunk(SECRET)
    assert told.lines[-1] == "<< Reply 503 control.failed"


def test_a_held_response_that_is_coded_is_read_plain_and_leaves_as_it_came() -> None:
    packed = gzip.compress(SECRET)
    seen: list[Any] = []
    told = Transcript(holding(lambda at: seen.append(at.response_body)))
    told.head(200, JSON, (b"content-encoding", b"gzip"))
    told.chunk(packed)
    assert seen == [SECRET] and told.of(d.SendToClient) == [d.SendToClient(packed, False)]
    edited = Transcript(holding(lambda at: Judgement(edits=(Edit("body:", b"{}"),))))
    edited.head(200, JSON, (b"content-encoding", b"gzip"))
    edited.chunk(packed)
    headers = dict(edited.of(d.SendHead)[0].headers)
    assert edited.of(d.SendToClient) == [d.SendToClient(b"{}", False)] and b"content-encoding" not in headers


def test_what_cannot_be_read_is_said_to_the_control() -> None:
    seen: list[Any] = []
    told = Transcript(holding(lambda at: seen.append((at.unread, at.response_body))))
    told.head()
    told.chunk(b"{")
    assert seen == [(True, b"{")]
    text = Transcript(holding(lambda at: seen.append((at.unread, at.response_body, at.tree))))
    text.head(200, (b"content-type", b"text/html"))
    text.chunk(b"<p>")
    assert seen[1:] == [(False, b"<p>", None)]


def test_a_response_too_large_to_hold_is_refused_once() -> None:
    told = Transcript(holding())
    told.head()
    told.chunk(b"x" * 60, more=True)
    told.chunk(b"x" * 60, more=True)
    told.feed(d.Sent)
    told.chunk(b"x" * 60)
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << HoldHead 100 bytes at most
        >> Chunk api 60 bytes, more
        >> Chunk api 60 bytes, more
        << Reply 502 response.too_large
        >> Sent
        >> Chunk api 60 bytes
        >> End
        << Record 502 deny: response.too_large
    """)


@pytest.mark.parametrize("size", [42, 300])
def test_in_shadow_nothing_is_held_refused_or_edited(size: int) -> None:
    def judge(at: Any) -> Judgement | None:
        return Judgement((OWN,), edits=(Edit("body:/items", None),)) if at.tree else None

    body = SECRET + b" " * (size - len(SECRET))
    told = Transcript(holding(judge, "shadow"))
    told.head()
    told.chunk(body[:40], more=True)
    told.feed(d.Sent)
    told.chunk(body[40:])
    told.feed(d.End)
    assert told.lines[2] == "<< SendHead 200"
    assert b"".join(one.data for one in told.of(d.SendToClient)) == body
    assert told.found == [("own.seen", "shadow")] and told.record.decision.verdict == "allow"


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_is_not_held(status: int) -> None:
    told = Transcript(holding())
    told.head(status)
    told.chunk(b"")
    told.feed(d.End)
    assert not told.of(d.HoldHead) and told.record.status == status


def test_a_held_response_is_charged_as_it_leaves_and_not_where_it_is_refused() -> None:
    made = holding(made=house(limits="on_exceed: cut", data="bytes: 50/day"))
    told = Transcript(made)
    told.answer(SECRET)
    assert ("plan:large:bytes", 42) in [(one.table, one.amount) for one in told.record.charges]
    over = Transcript(made)
    over.head()
    over.chunk(SECRET)
    assert over.lines[-1] == "<< Reply 429 limits.data.bytes", "nothing has left: no cut is needed"


def test_a_client_that_leaves_a_held_response() -> None:
    told = Transcript(made := holding())
    told.head()
    told.chunk(b"x", more=True)
    told.feed(d.ClientGone)
    told.feed(d.ApiFailed)
    assert told.record.status == 499 and told.record.response_bytes == 0 and not slots(made)


def test_an_api_that_fails_while_its_response_is_held() -> None:
    told = Transcript(holding())
    told.head()
    told.chunk(b"x", more=True)
    told.feed(d.ApiFailed)
    assert told.record.status == 500 and not told.to_client


# records ---------------------------------------------------------------------------------------------------------------


def test_records_leave_one_by_one_each_judged() -> None:
    seen: list[bytes] = []
    told = Transcript(holding(lambda at: seen.append((at.side, at.message)), plan=RECORDS))
    told.head(200, NDJSON)
    told.feed(d.RecordRead, "api", b'{"a":1}\n')
    told.feed(d.RecordRead, "api", b'{"a":2}\n')
    told.feed(d.RecordRead, "api", None)
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << ReadRecord api, lines of 20 bytes at most
        << SendHead 200
        >> RecordRead api 8 bytes
        << SendToClient 8 bytes, more
        >> RecordRead api 8 bytes
        << SendToClient 8 bytes, more
        >> RecordRead api end
        << SendToClient 0 bytes
        >> End
        << Record 200 allow
    """)
    assert seen == [("api", b'{"a":1}\n'), ("api", b'{"a":2}\n')] and told.record.response_bytes == 16


def test_a_record_that_is_refused_ends_the_response() -> None:
    told = Transcript(holding(finds(b"secret"), plan=RECORDS))
    told.head(200, NDJSON)
    told.feed(d.RecordRead, "api", b'{"a":1}\n')
    told.feed(d.RecordRead, "api", b'{"secret":1}\n')
    told.feed(d.ApiFailed)
    assert told.lines[-3:] == ["<< Cut client, reset", ">> ApiFailed", "<< Record 599 deny: own.seen"]
    assert told.record.response_bytes == 8


def test_a_record_is_edited_and_the_others_are_not() -> None:
    made = holding(lambda at: Judgement(edits=(Edit("body:/b", None),)) if b'"b"' in at.message else None, plan=RECORDS)
    told = Transcript(made)
    told.head(200, NDJSON)
    told.feed(d.RecordRead, "api", b'{"a":1,"b":2}\n')
    told.feed(d.RecordRead, "api", b'{"a":3}\n')
    assert [one.data for one in told.of(d.SendToClient)] == [b'{"a":1}\n', b'{"a":3}\n']


def test_a_record_larger_than_can_be_judged_ends_the_response_and_in_shadow_does_not() -> None:
    told = Transcript(holding(plan=RECORDS))
    told.head(200, NDJSON)
    told.feed(d.RecordRead, "api", b"x" * 30, True)
    assert told.lines[-1] == "<< Cut client, reset"
    told.feed(d.ApiFailed)
    assert told.found == [("response.too_large", "enforce")]
    shadow = Transcript(holding(finds(b"secret"), "shadow", plan=RECORDS))
    shadow.head(200, NDJSON)
    shadow.feed(d.RecordRead, "api", b'{"secret":1}\n')
    shadow.feed(d.RecordRead, "api", b"x" * 30, True)
    shadow.feed(d.RecordRead, "api", None)
    shadow.feed(d.End)
    assert b"".join(one.data for one in shadow.of(d.SendToClient)) == b'{"secret":1}\n' + b"x" * 30
    assert shadow.found == [("own.seen", "shadow"), ("response.too_large", "shadow")]


def test_records_are_charged_one_by_one() -> None:
    made = holding(lambda at: Judgement(charges=(Charge("plan:large:hour", "acme", 2),)), plan=RECORDS)
    told = Transcript(made)
    told.head(200, NDJSON)
    for _ in range(3):
        told.feed(d.RecordRead, "api", b"{}\n")
    assert made.state.tables["plan:large:hour"].look("acme", NOW, 0).remaining == 100 - 1 - 6


def uploading(judge: Any = lambda at: None, mode: Any = "enforce") -> House:
    """A gate with a control that reads request bodies record by record."""
    made = house()
    plan = BodyPlan("records", bytes_max=1000, framing="lines", record_bytes_max=20)
    add(made, "plan", lambda at: Judgement(body=plan) if at.body_plan.mode == "stream" else None)
    add(made, "message", judge, mode)
    return made


def test_records_of_a_request_are_judged_before_the_api_has_them() -> None:
    told = Transcript(uploading(), UPLOAD)
    told.feed(d.RecordRead, "client", b'{"a":1}\n')
    told.feed(d.RecordRead, "client", None)
    told.answer()
    assert [line for line in told.lines if "Deadline" not in line] == [
        "<< ReadRecord client, lines of 20 bytes at most",
        "<< CallApi streaming",
        ">> RecordRead client 8 bytes",
        "<< SendToApi 8 bytes, more",
        ">> RecordRead client end",
        "<< SendToApi 0 bytes",
        ">> ResponseHead 200",
        "<< SendHead 200",
        ">> Chunk api 12 bytes",
        "<< SendToClient 12 bytes",
        ">> End",
        "<< Record 200 allow",
    ]


@pytest.mark.parametrize(
    ("record", "large", "code"), [(b'{"secret":1}\n', False, "own.seen"), (b"x" * 30, True, "contract.body_size")]
)
def test_a_record_of_a_request_that_is_refused_stops_the_rest(record: bytes, large: bool, code: str) -> None:
    told = Transcript(made := uploading(finds(b"secret")), UPLOAD)
    told.feed(d.RecordRead, "client", b'{"a":1}\n')
    told.feed(d.RecordRead, "client", record, large)
    assert told.lines[-1] == "<< Cut api, stop"
    told.feed(d.ApiFailed)
    told.feed(d.Sent)
    assert [reason for reason, _ in told.found] == [code] and told.of(d.Reply) and not slots(made)
    assert [one.data for one in told.of(d.SendToApi)] == [b'{"a":1}\n']


# files -----------------------------------------------------------------------------------------------------------------


def spooling(judge: Any = lambda at: None) -> House:
    """A gate with a control that has request bodies written to a file, and reads that."""
    made = house()
    plan = BodyPlan("spool", bytes_max=100)
    add(made, "plan", lambda at: Judgement(body=plan) if at.body_plan.mode == "stream" else None)
    add(made, "examine", lambda at: judge(at.spool.getvalue()) if at.spool is not None else None)
    return made


def test_a_request_in_a_file_is_judged_and_sent_from_there() -> None:
    seen: list[bytes] = []
    file = io.BytesIO(b"x" * 50)
    told = Transcript(spooling(seen.append), UPLOAD)
    told.feed(d.Spooled, file, 50)
    told.feed(d.Offloaded, told.of(d.Offload)[0].call())
    told.answer()
    assert told.lines[:5] == ["<< Spool client, 100 bytes at most", ">> Spooled 50 bytes", "<< Offload",
                              ">> Offloaded", "<< CallApi spooled"]  # fmt: skip
    assert told.of(d.CallApi)[0].spool is file and seen == [b"x" * 50] and told.record.request_bytes == 50
    bad = Transcript(spooling(lambda data: Judgement((OWN,))), UPLOAD)
    bad.feed(d.Spooled, file, 50)
    bad.feed(d.Offloaded, bad.of(d.Offload)[0].call())
    assert bad.lines[-1] == "<< Reply 403 own.seen"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ((d.Spooled, io.BytesIO(), 101), "contract.body_size"),
        ((d.BodyRead, b"", "large"), "contract.body_size"),
        ((d.BodyRead, b"", "cut"), "request.body_cut"),
        ((d.BodyRead, b"", "failed"), "control.failed"),
        ((d.BodyRead, b"", "late", 70.0), "request.body_time"),
    ],
)
def test_a_request_that_does_not_come_into_the_file_whole(event: Any, code: str) -> None:
    told = Transcript(spooling(), UPLOAD)
    kind, *values = event
    told.feed(kind, *values)
    assert isinstance(reply := told.commands[-1], d.Reply) and code.encode() in reply.body


def test_a_response_in_a_file_is_judged_and_sent_from_there() -> None:
    file = io.BytesIO(SECRET)
    plan = ResponsePlan("spool", bytes_max=100)
    told = Transcript(holding(lambda at: None, plan=plan))
    told.head()
    told.feed(d.Spooled, file, 42)
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << Spool api, 100 bytes at most
        >> Spooled 42 bytes
        << SendHead 200
        << SendSpool
        >> End
        << Record 200 allow
    """)
    assert told.record.response_bytes == 42 and told.of(d.SendSpool)[0].file is file
    for event in ((d.Spooled, file, 101), (d.BodyRead, b"", "large"), (d.BodyRead, b"", "failed")):
        large = Transcript(holding(plan=plan))
        large.head()
        large.feed(event[0], *event[1:])
        assert large.lines[-1] == "<< Reply 502 response.too_large"
    bad = Transcript(holding(lambda at: Judgement((OWN,)) if b"secret" in at.spool.getvalue() else None, plan=plan))
    bad.head()
    bad.feed(d.Spooled, file, 42)
    assert bad.lines[-1] == "<< Reply 403 own.seen"


# messages --------------------------------------------------------------------------------------------------------------


def connected(judge: Any = lambda at: None, **more: Any) -> Transcript:
    """A connection for messages that the API has accepted, as a shell that carries them has it."""
    made = house(**more)
    made.gate.engine.carries_messages = True
    add(made, "message", judge)
    told = Transcript(made, Request(key="large", headers=((b"upgrade", b"websocket"), (b"connection", b"upgrade"))))
    told.feed(d.ResponseHead, 101, ((b"sec-websocket-protocol", b"chat"),))
    return told


def test_messages_go_both_ways() -> None:
    told = connected()
    told.feed(d.Message, "client", b"hello", True)
    told.feed(d.Message, "api", b"good day", True)
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 101
        << Accept
        >> Message client 5 bytes
        << SendMessage to api 5 bytes
        >> Message api 8 bytes
        << SendMessage to client 8 bytes
        >> End
        << Close client 1000
        << Record 101 allow
    """)
    assert told.record.response_bytes == 8 and not slots(told.house)
    assert (b"sec-websocket-protocol", b"chat") in told.of(d.Accept)[0].headers


@pytest.mark.parametrize("side", ["client", "api"])
def test_a_message_that_is_refused_closes_the_connection(side: str) -> None:
    told = connected(finds(b"secret"))
    told.feed(d.Message, side, b"secret")
    assert told.lines[-2:] == ["<< Close api 1008", "<< Close client 1008"]
    told.feed(d.Message, side, b"more")
    told.feed(d.ApiFailed)
    assert told.found == [("own.seen", "enforce")] and told.record.status == 599
    assert not told.of(d.SendMessage)


def test_a_client_that_leaves_a_connection_for_messages() -> None:
    told = connected()
    told.feed(d.ClientGone)
    told.feed(d.End)
    assert told.of(d.Close)[0] == d.Close("api", 1001) and told.record.status == 499


def test_a_restriction_closes_a_connection_for_messages() -> None:
    told = connected()
    terminate(told.house)
    told.feed(d.Interrupted)
    assert told.lines[-2:] == ["<< Close api 1008", "<< Close client 1008"]


def test_messages_of_the_api_are_metered() -> None:
    told = connected(limits="on_exceed: cut", data="bytes: 50/day")
    told.feed(d.Message, "api", b"x" * 40)
    told.feed(d.Message, "api", b"x" * 40)
    assert told.lines[-2:] == ["<< Close api 1008", "<< Close client 1008"] and len(told.of(d.SendMessage)) == 1


def test_a_shell_that_carries_no_messages_refuses_the_connection() -> None:
    told = Transcript(house(), Request(key="large", headers=((b"upgrade", b"websocket"),)))
    assert told.lines == ["<< Reply 501 clients.websocket"]


# trailers --------------------------------------------------------------------------------------------------------------


def test_trailers_leave_without_what_frames_the_body_or_is_the_gates_own() -> None:
    made = house()
    add(made, "release", lambda at: Judgement(drop_headers=frozenset((b"x-internal",))))
    told = Transcript(made)
    told.head()
    told.chunk()
    sent = ((b"x-sum", b"1"), (b"x-internal", b"1"), (b"set-cookie", b"a"), (b"content-length", b"1"),
            (b"x-request-id", b"2"), (b"strict-transport-security", b"0"))  # fmt: skip
    told.feed(d.Trailers, "api", sent)
    assert told.lines[-1] == "<< SendTrailers to client x-sum"
    told.feed(d.End)
    assert told.record.response_bytes == 12 + 6
    assert not told.feed(d.Trailers, "api", sent), "after the end"


def test_no_trailers_follow_what_was_refused() -> None:
    told = Transcript(holding(finds(b"secret")))
    told.head()
    told.chunk(SECRET)
    assert not told.feed(d.Trailers, "api", ((b"x-sum", b"1"),))


# restrictions ----------------------------------------------------------------------------------------------------------


def test_a_restriction_ends_a_response_that_has_stalled() -> None:
    told = Transcript(made := house())
    told.head()
    told.chunk(b"x", more=True)
    assert not told.feed(d.Interrupted)
    terminate(made)
    told.feed(d.Interrupted)
    told.feed(d.ApiFailed)
    assert told.lines[-3:] == [
        "<< Cut client, reset",
        ">> ApiFailed",
        "<< Record 599 terminate: restriction.terminate",
    ]


def test_a_restriction_refuses_a_response_that_is_held() -> None:
    told = Transcript(made := holding())
    told.head()
    told.chunk(b"x", more=True)
    terminate(made)
    told.feed(d.Interrupted)
    assert told.lines[-1] == "<< Reply 403 restriction.terminate"
    told.feed(d.Sent)
    told.chunk(b"x")
    told.feed(d.End)
    assert told.record.status == 403 and not told.of(d.SendHead)


# work and what is asked of the API -------------------------------------------------------------------------------------

ASK = AskApi(b"/things/1")


def asking(phase: Any, work: Any = (ASK,), made: Any = None) -> tuple[House, list[Any]]:
    """A gate with a control that asks before it says, in a phase."""
    seen: list[Any] = []

    def judge(at: Any) -> Judgement | None:
        if not at.done:
            return Judgement(work=work)
        seen.extend(at.done)
        return Judgement((OWN,)) if any(getattr(one, "failed", False) for one in at.done) else None

    made = made or house()
    if phase == "inspect":
        add(made, "release", lambda at: Judgement(response=HOLD))
    add(made, phase, judge)
    return made, seen


def test_the_api_is_asked_before_a_request_is_sent() -> None:
    made, seen = asking("examine")
    told = Transcript(made, post(NAMED))
    told.body(NAMED)
    (asked,) = told.of(d.Work)[0].items
    names = [name for name, _ in asked.headers]
    assert asked.raw_path == b"/things/1" and b"x-sallygate-account" in names and b"x-api-key" not in names
    assert b"content-length" not in names and b"content-type" not in names
    assert made.state.shedder.under_way == 1, "what is asked takes a slot"
    told.feed(d.WorkDone, (ApiAnswered(asked, 200, (), b"{}"),))
    told.answer()
    assert told.reads("""
        << ReadBody of 4194304 bytes at most, paced
        >> BodyRead whole 12 bytes
        << Work AskApi
        >> WorkDone
        << CallApi 12 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 12 bytes
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)
    assert told.record.asked == ((b"/things/1", 200),) and [one.body for one in seen] == [b"{}"]
    assert made.state.shedder.under_way == 0
    assert sorted(one.table for one in told.record.charges if "hour" in one.table) == ["plan:large:hour"]


def test_a_question_that_fails_is_said_to_the_control() -> None:
    made, _ = asking("examine")
    told = Transcript(made)
    asked = told.of(d.Work)[0].items[0]
    told.feed(d.WorkDone, (ApiAnswered(asked, failed=True),))
    assert told.lines[-1] == "<< Reply 403 own.seen"
    told.feed(d.Sent)
    assert told.record.asked == ((b"/things/1", 0),)


def test_a_shell_that_cannot_ask_refuses() -> None:
    told = Transcript(asking("examine")[0])
    told.feed(d.WorkFailed)
    assert told.lines[-1] == "<< Reply 503 control.failed"


def test_a_question_waits_for_its_slot() -> None:
    made, _ = asking("examine", made=one_slot()[0])
    told = Transcript(made)
    assert told.lines == ["<< TakeSlot within 0.5 s"]
    told.feed(d.SlotRefused)
    told.feed(d.Sent)
    assert told.found == [("flood.shed", "enforce")] and told.record.status == 503
    gone = Transcript(made)
    gone.feed(d.ClientGone)
    assert gone.record.status == 499 and not gone.of(d.Work)


def test_the_api_is_asked_before_a_held_response_leaves() -> None:
    made, seen = asking("inspect")
    told = Transcript(made)
    told.head()
    told.chunk(SECRET)
    asked = told.of(d.Work)[0].items[0]
    assert told.lines[-1] == "<< Work AskApi" and made.state.shedder.under_way == 1
    told.feed(d.WorkDone, (ApiAnswered(asked, 200),))
    assert told.lines[-2:] == ["<< SendHead 200", "<< SendToClient 42 bytes"] and len(seen) == 1
    told.feed(d.End)
    assert told.record.asked == ((b"/things/1", 200),) and made.state.shedder.under_way == 0 and not slots(made)


@pytest.mark.parametrize("leaves", ["gone", "close", "restricted"])
def test_whatever_happens_while_the_api_is_asked_gives_everything_back(leaves: str) -> None:
    made, _ = asking("inspect")
    told = Transcript(made)
    told.head()
    told.chunk(SECRET)
    asked = told.of(d.Work)[0].items[0]
    if leaves == "gone":
        told.feed(d.ClientGone)
        told.feed(d.ApiFailed)
    elif leaves == "close":
        told.close()
    else:
        terminate(made)
        told.feed(d.Interrupted)
        told.feed(d.Sent)
        told.feed(d.WorkDone, (ApiAnswered(asked, 200),))
        told.feed(d.End)
    for release in told.of(d.ReleaseSlot):  # the API is taken to work on
        release.leave(told.tick + release.after_s)
    assert not told.of(d.SendHead) and not slots(made) and made.state.shedder.under_way == 0
    assert told.record.status == {"gone": 499, "close": 499, "restricted": 403}[leaves]


def test_several_things_are_found_out_at_once_and_at_most_three_times() -> None:
    work = (LoadLocations("a"), LoadLocations("b"))
    made = house()
    add(made, "examine", lambda at: Judgement(work=work, reserved=()))
    told = Transcript(made)
    for _ in range(3):
        assert told.of(d.Work)[-1].items == work
        told.feed(d.WorkDone, tuple(LocationsLoaded(one.principal, ()) for one in work))
    assert len(told.of(d.Work)) == 3 and told.lines[-1] == "<< Reply 503 control.failed"


def test_a_streamed_response_does_not_wait_for_work() -> None:
    made = house()
    add(made, "inspect", lambda at: Judgement(work=(ASK,)))
    told = Transcript(made)
    told.answer()
    assert told.record.status == 200 and not told.of(d.Work) and not slots(made)


# what else a judgement says --------------------------------------------------------------------------------------------


def test_a_refusal_is_not_sent_before_its_time() -> None:
    made = house()
    add(made, "caller", lambda at: Judgement((OWN,), answer_at=NOW + 2.5))
    add(made, "caller", lambda at: Judgement(answer_at=NOW + 9), "shadow")
    assert Transcript(made).of(d.Reply)[0].not_before == NOW + 2.5


def test_what_a_request_costs_in_its_body_is_charged_once() -> None:
    made = house()
    add(made, "examine", lambda at: Judgement(charges=(Charge("plan:large:hour", "acme", 5),)))
    told = Transcript(made)
    told.answer()
    assert made.state.tables["plan:large:hour"].look("acme", NOW, 0).remaining == 100 - 1 - 5


def test_edits_of_a_request_compose_and_keep_every_other_byte() -> None:
    made = house()
    body = b'{"name" : "a"  }'
    add(made, "examine", lambda at: Judgement(edits=(Edit("body:/name", b'"b"'), Edit("query", b"limit=2"))))
    seen: list[Any] = []
    add(made, "examine", lambda at: seen.append((at.body.tree, at.head.raw_query)))
    add(made, "examine", lambda at: Judgement(edits=(Edit("body:/name", None),)), "shadow")
    told = Transcript(made, post(body))
    told.body(body)
    (call,) = told.of(d.CallApi)
    assert call.body == b'{"name" : "b"  }' and call.raw_query == b"limit=2"
    assert dict(call.headers)[b"content-length"] == b"%d" % len(call.body)
    assert seen == [({"name": "b"}, b"limit=2")]
