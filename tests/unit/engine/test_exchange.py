"""The exchange driver without a shell: what it is told (`>>`), and what it wants done (`<<`)."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
from typing import Any

import pytest
from msgspec.structs import replace

from bench import break_phase
from gatehouse import NOW, House, Request, policy_text
from sallygate.controls.flood import FloodControl
from sallygate.controls.limits import LimitsControl
from sallygate.engine.request_body import OFFLOADED_BYTES
from sallygate.model import driver as d
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.outcome import Rest
from sallygate.model.restriction import Restriction
from sallygate.services.restriction_tables import add_restrictions
from support import OPENAPI
from transcript import JSON, UPLOAD, Transcript, house, one_slot, post, slots

NAMED = b'{"name":"a"}'


def terminate(made: House, act: Any = "terminate", account: str = "acme") -> None:
    """Make a restriction, as an operator does while requests are under way."""
    add_restrictions(
        made.state, [Restriction("r1", (("account", account),), act, "test", "me", 0.0, NOW + 1e6, "")], NOW
    )


# the way to the API ----------------------------------------------------------------------------------------------------


def test_a_good_request_and_its_response() -> None:
    told = Transcript(made := house())
    assert slots(made) == 3, "of the network, the address and the plan"
    told.answer()
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 12 bytes
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)
    assert told.driver.ended and not slots(made)
    assert told.record.upstream_status == 200 and told.record.response_bytes == 12


def test_a_refusal_is_answered_and_recorded() -> None:
    told = Transcript(made := house(), Request())
    told.feed(d.Sent)
    assert told.reads("""
        << Reply 401 identity.missing
        >> Sent
        << Record 401 deny: identity.missing
    """)
    assert not slots(made) and told.record.upstream_status == 0


def test_an_answer_of_the_gate_itself() -> None:
    told = Transcript(house(), Request(path="/openapi.json"))
    told.feed(d.Sent)
    assert told.reads("""
        << Reply 200
        >> Sent
        << Record 200 allow
    """)


def test_work_is_asked_for_and_what_it_may_cost_is_held_meanwhile() -> None:
    told = Transcript(made := house(in_memory=False))
    assert slots(made) == len(told.driver._ledger.reserved)
    told.feed(d.WorkDone, tuple([asyncio.run(made.work(item)) for item in told.of(d.Work)[0].items]))
    told.answer()
    assert told.reads("""
        << Work LoadCredential
        >> WorkDone
        << CallApi 0 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 12 bytes
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)
    assert not slots(made)


def test_a_store_that_fails_refuses() -> None:
    told = Transcript(made := house(in_memory=False, store_fails=True))
    told.feed(d.WorkDone, tuple([asyncio.run(made.work(item)) for item in told.of(d.Work)[0].items]))
    told.feed(d.Sent)
    assert told.reads("""
        << Work LoadCredential
        >> WorkDone
        << Reply 503 identity.unavailable
        >> Sent
        << Record 503 deny: identity.unavailable
    """)


def test_work_that_raises_refuses_and_the_operator_is_told() -> None:
    made = house(in_memory=False)
    failures: list[str] = []
    made.failed = lambda what, error: failures.append(f"{what}: {error}")  # type: ignore[method-assign]
    told = Transcript(made)
    told.feed(d.WorkFailed, OSError("no store"))
    told.feed(d.Sent)
    assert told.reads("""
        << Work LoadCredential
        >> WorkFailed with an error
        << Reply 503 control.failed
        >> Sent
        << Record 503 deny: control.failed
    """)
    assert failures == ["engine: no store"] and not slots(made)


def test_whoever_leaves_while_work_is_done_pays_for_having_tried() -> None:
    told = Transcript(made := house(in_memory=False))
    reserved = told.driver._ledger.reserved
    told.close()
    assert told.reads("""
        << Work LoadCredential
        >> close
        << Record 499 allow
    """)
    assert told.record.charges == reserved and not slots(made)


# bodies that are read whole --------------------------------------------------------------------------------------------


def test_a_whole_body() -> None:
    told = Transcript(house(), post(NAMED))
    told.body(NAMED)
    told.answer()
    assert told.reads("""
        << ReadBody of 4194304 bytes at most, paced
        >> BodyRead whole 12 bytes
        << CallApi 12 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 12 bytes
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)
    assert told.of(d.CallApi)[0].body == NAMED and told.record.request_bytes == 12


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("large", 413, "contract.body_size"),
        ("slow", 408, "flood.slow_body"),
        ("late", 408, "request.body_time"),
        ("cut", 400, "request.body_cut"),
    ],
)
def test_bodies_that_do_not_come_whole(outcome: str, status: int, code: str) -> None:
    told = Transcript(made := house(), post(NAMED))
    told.body(outcome=outcome, waited_s=70.0)
    told.feed(d.Sent)
    assert told.reads(f"""
        << ReadBody of 4194304 bytes at most, paced
        >> BodyRead {outcome} 0 bytes
        << Reply {status} {code}
        >> Sent
        << Record {status} deny: {code}
    """)
    assert not slots(made)


def test_a_body_against_the_contract() -> None:
    told = Transcript(house(), post(b'{"count":1}'))
    told.body(b'{"count":1}')
    told.feed(d.Sent)
    assert told.reads("""
        << ReadBody of 4194304 bytes at most, paced
        >> BodyRead whole 11 bytes
        << Reply 422 contract.body
        >> Sent
        << Record 422 deny: contract.body
    """)
    assert told.record.request_bytes == 11


def large() -> bytes:
    return json.dumps({"name": "a", "more": "x" * OFFLOADED_BYTES}).encode()


def test_a_large_body_is_examined_off_the_loop() -> None:
    told = Transcript(house(), post(large()))
    (offload,) = told.body(large())
    told.feed(d.Offloaded, offload.call())
    assert told.reads(f"""
        << ReadBody of 4194304 bytes at most, paced
        >> BodyRead whole {len(large())} bytes
        << Offload
        >> Offloaded
        << Reply 422 contract.body
    """)


def test_what_reads_state_runs_on_the_loop_after_the_rest() -> None:
    """The rate of a name is looked at on the loop, once the body was read; reading a large body is not."""
    text, _, _ = policy_text().rpartition("\noperations:")
    rated = "createThing: {rates: [{by: 'body:/name', rate: 1/min burst 1}]}"
    made = House(text=f"{text}\noperations: {{{rated}}}\n")
    body = b'{"name":"kim","count":1}' + b" " * OFFLOADED_BYTES
    for passes in (True, False):
        told = Transcript(made, post(body))
        (offload,) = told.body(body)
        rest = offload.call()
        assert isinstance(rest, Rest)
        (command,) = told.feed(d.Offloaded, rest)
        assert isinstance(command, d.CallApi) == passes
        told.close()
    assert told.record.decision.reasons == ("limits.field",)


@pytest.mark.parametrize("error", [MemoryError("secret"), None])
def test_examining_that_fails_refuses(error: BaseException | None) -> None:
    told = Transcript(made := house(), post(large()))
    told.body(large())
    told.feed(d.Offloaded, None, error)
    told.feed(d.Sent)
    assert told.record.decision.reasons == ("control.failed",) and told.record.status == 503
    assert not told.of(d.CallApi) and not slots(made)


# bodies that stream ----------------------------------------------------------------------------------------------------


def test_a_streamed_body_takes_its_slot_with_the_last_piece() -> None:
    told = Transcript(made := house(), UPLOAD)
    told.sent(b"x" * 1000, waited_s=1.0)
    assert made.state.shedder.under_way == 0
    told.sent(b"x" * 500, more=False)
    assert made.state.shedder.under_way == 1
    told.answer()
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Chunk client 1000 bytes, more
        << Deadline client 21 s
        << SendToApi 1000 bytes, more
        >> Chunk client 500 bytes
        << Deadline client none
        << SendToApi 500 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 12 bytes
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)
    assert told.record.request_bytes == 1500 and made.state.shedder.under_way == 0


def test_a_streamed_body_waits_for_a_slot_with_its_last_piece() -> None:
    made, other = one_slot()
    told = Transcript(made, UPLOAD)
    told.sent(b"last", more=False)
    made.state.shedder.leave(other, 0.0)
    told.feed(d.SlotTaken)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Chunk client 4 bytes
        << Deadline client none
        << TakeSlot within 0.5 s
        >> SlotTaken
        << SendToApi 4 bytes
    """)


def test_a_streamed_body_that_gets_no_slot_is_stopped_and_refused() -> None:
    made, _ = one_slot()
    told = Transcript(made, UPLOAD)
    told.sent(b"last", more=False)
    told.feed(d.SlotRefused)
    told.feed(d.ApiFailed)
    told.feed(d.Sent)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Chunk client 4 bytes
        << Deadline client none
        << TakeSlot within 0.5 s
        >> SlotRefused
        << Cut api, stop
        >> ApiFailed
        << Reply 503 flood.shed
        >> Sent
        << Record 503 throttle: flood.shed
    """)
    assert not slots(made) and not sum(made.state.shedder.waiting)


def test_a_client_that_leaves_while_its_last_piece_waits() -> None:
    made, _ = one_slot()
    told = Transcript(made, UPLOAD)
    told.sent(b"last", more=False)
    told.feed(d.ClientGone)
    assert not sum(made.state.shedder.waiting), "the slot is left at once, not when the API is done"
    told.feed(d.End)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Chunk client 4 bytes
        << Deadline client none
        << TakeSlot within 0.5 s
        >> ClientGone
        << EndToApi
        >> End
        << Record 499 allow
    """)


def test_a_streamed_body_that_is_too_large() -> None:
    told = Transcript(house(contract="upload: 1KB"), UPLOAD)
    told.sent(b"x" * 1001)
    told.feed(d.ApiFailed)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Chunk client 1001 bytes, more
        << Cut api, stop
        >> ApiFailed
        << Reply 413 contract.body_size
    """)


def test_a_streamed_body_that_is_too_slow() -> None:
    told = Transcript(house(), UPLOAD)
    told.feed(d.Expired, "client", after_s=20.0)
    told.feed(d.ApiFailed)
    told.feed(d.Sent)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Expired client
        << Cut api, stop
        >> ApiFailed
        << Reply 408 flood.slow_body
        >> Sent
        << Record 408 deny: flood.slow_body
    """)


def test_an_upload_that_was_stopped_gets_the_refusal_whatever_the_api_answers() -> None:
    told = Transcript(house(contract="upload: 1KB"), UPLOAD)
    told.sent(b"x" * 1001)
    told.head(201)
    told.chunk(b"made")
    told.feed(d.End)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> Chunk client 1001 bytes, more
        << Cut api, stop
        >> ResponseHead 201
        << Reply 413 contract.body_size
        >> Chunk api 4 bytes
        >> End
        << Record 413 deny: contract.body_size
    """)


def test_an_upload_that_was_stopped_is_refused_where_the_api_answers_nothing() -> None:
    told = Transcript(house(contract="upload: 1KB"), UPLOAD)
    told.sent(b"x" * 1001)
    told.feed(d.End)
    told.feed(d.Sent)
    assert told.lines[-3:] == ["<< Reply 413 contract.body_size", ">> Sent", "<< Record 413 deny: contract.body_size"]


def test_after_a_stop_no_piece_goes_to_the_api() -> None:
    """An application that swallows the stop and asks for more gets no more."""
    told = Transcript(house(), UPLOAD)
    told.feed(d.Expired, "client", after_s=20.0)
    told.sent(b"more", more=False)
    assert not told.of(d.SendToApi) and told.lines[-1] == "<< Cut api, stop"


def test_an_upload_stopped_under_a_response_cuts_it_and_says_why() -> None:
    """An early response has begun: it can be cut, not replaced, and must not look whole."""
    told = Transcript(house(contract="upload: 1KB"), UPLOAD)
    told.head()
    told.chunk(b"half", more=True)
    told.sent(b"x" * 1001)
    told.feed(d.ApiFailed)
    assert told.reads("""
        << Deadline client 20 s
        << CallApi streaming
        >> ResponseHead 200
        << Deadline client none
        << SendHead 200
        >> Chunk api 4 bytes, more
        << SendToClient 4 bytes, more
        >> Chunk client 1001 bytes, more
        << Cut api, stop
        >> ApiFailed
        << Record 599 deny: contract.body_size
        << Cut client, reset
    """)


# slots -----------------------------------------------------------------------------------------------------------------


def test_a_slot_is_waited_for() -> None:
    made, other = one_slot()
    told = Transcript(made)
    made.state.shedder.leave(other, 0.0)
    told.feed(d.SlotTaken)
    told.answer()
    assert told.reads("""
        << TakeSlot within 0.5 s
        >> SlotTaken
        << CallApi 0 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 12 bytes
        << SendToClient 12 bytes
        >> End
        << Record 200 allow
    """)


def test_a_slot_that_does_not_come_refuses() -> None:
    made, _ = one_slot()
    told = Transcript(made)
    told.feed(d.SlotRefused, after_s=0.5)
    told.feed(d.Sent)
    assert told.reads("""
        << TakeSlot within 0.5 s
        >> SlotRefused
        << Reply 503 flood.shed
        >> Sent
        << Record 503 throttle: flood.shed
    """)
    assert not slots(made) and not sum(made.state.shedder.waiting)


def test_a_client_that_leaves_while_it_waits() -> None:
    made, _ = one_slot()
    told = Transcript(made)
    told.feed(d.ClientGone)
    assert told.reads("""
        << TakeSlot within 0.5 s
        >> ClientGone
        << Record 499 allow
    """)
    assert not slots(made) and not sum(made.state.shedder.waiting)


def test_changed_restrictions_do_not_disturb_what_waits() -> None:
    made, other = one_slot()
    told = Transcript(made)
    told.feed(d.Interrupted)
    made.state.shedder.leave(other, 0.0)
    told.feed(d.SlotTaken)
    assert told.reads("""
        << TakeSlot within 0.5 s
        >> Interrupted
        >> SlotTaken
        << CallApi 0 bytes
    """)


def test_a_refusal_for_want_of_a_slot_keeps_what_was_found_before() -> None:
    made, _ = one_slot(modes={"contract": "shadow"})
    told = Transcript(made, Request(key="large", query="limit=0"))
    told.feed(d.SlotRefused)
    told.feed(d.Sent)
    assert set(told.found) == {("contract.parameter", "shadow"), ("flood.shed", "enforce")}
    assert told.record.status == 503 and told.record.decision.status == 503


# the response ----------------------------------------------------------------------------------------------------------


def test_a_response_that_cannot_be_counted_is_replaced() -> None:
    told = Transcript(made := house(data="records: 100/day"))
    told.head(200, (b"content-type", b"text/csv"))
    told.chunk(b"a,b\n", more=True)
    told.chunk(b"c,d\n")
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << Reply 502 limits.uncountable
        >> Chunk api 4 bytes, more
        >> Chunk api 4 bytes
        >> End
        << Record 502 deny: limits.uncountable
    """)
    assert not slots(made)


@pytest.mark.parametrize("end", [d.End, d.ApiFailed, None])
def test_a_replaced_response_is_whole_whatever_the_api_does_then(end: type[d.Event] | None) -> None:
    told = Transcript(house(data="records: 100/day"))
    told.head(200, (b"content-type", b"text/csv"))
    told.feed(end) if end is not None else told.close()
    assert told.lines[-1] == "<< Record 502 deny: limits.uncountable"


def test_the_records_of_a_response_are_charged_once() -> None:
    told = Transcript(made := house(data="records: 100/day"))
    told.head(200, JSON, (b"content-encoding", b"gzip"))
    body = gzip.compress(b'{"items":[1,2,3]}')
    told.chunk(body[:10], more=True)
    told.chunk(body[10:])
    told.feed(d.End)
    table = made.state.tables["plan:large:records"]
    assert told.record.learned.records == 3 and table.look("acme", NOW, 0).remaining == 97


def test_a_response_is_cut_at_the_budget() -> None:
    told = Transcript(made := house(limits="on_exceed: cut"))
    told.head()
    told.chunk(b"x" * 900, more=True)
    told.chunk(b"x" * 200, more=True)
    told.feed(d.ApiFailed)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 900 bytes, more
        << SendToClient 900 bytes, more
        >> Chunk api 200 bytes, more
        << Cut client, reset
        >> ApiFailed
        << Record 599 terminate: limits.data.bytes
    """)
    assert made.state.tables["plan:large:bytes"].look("acme", NOW, 0).remaining == 100


def test_nothing_leaves_after_a_cut() -> None:
    """An application that swallows the cut and goes on with a piece that would fit."""
    told = Transcript(house(limits="on_exceed: cut"))
    told.head()
    told.chunk(b"x" * 900, more=True)
    told.chunk(b"x" * 200, more=True)
    told.chunk(b"x" * 50)
    told.feed(d.End)
    assert [command.data for command in told.of(d.SendToClient)] == [b"x" * 900]
    assert told.lines[-2:] == ["<< Record 599 terminate: limits.data.bytes", "<< Cut client, reset"]


def test_nothing_leaves_after_a_restriction_cut_it() -> None:
    told = Transcript(made := house())
    told.head()
    told.chunk(b"half", more=True)
    terminate(made)
    told.chunk(b"more", more=True)
    told.chunk(b"more")
    told.feed(d.End)
    assert [command.data for command in told.of(d.SendToClient)] == [b"half"]
    assert told.found == [("restriction.terminate", "enforce")] and told.record.status == 599


def test_a_slow_reader_is_cut() -> None:
    told = Transcript(house(data="bytes: 1GB/day"))
    told.head()
    told.chunk(b"x" * 5000, more=True)
    told.feed(d.Sent, 10.0)
    told.feed(d.Sent, 11.0)
    told.feed(d.ApiFailed)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 5000 bytes, more
        << SendToClient 5000 bytes, more
        >> Sent
        >> Sent
        << Cut client, reset
        >> ApiFailed
        << Record 599 terminate: flood.slow_reader
    """)


def test_a_restriction_cuts_what_is_under_way() -> None:
    told = Transcript(made := house())
    told.head()
    told.chunk(b"half", more=True)
    told.feed(d.Interrupted)
    terminate(made, "deny")
    told.feed(d.Interrupted)
    terminate(made)
    told.feed(d.Interrupted)
    told.feed(d.ApiFailed)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << SendHead 200
        >> Chunk api 4 bytes, more
        << SendToClient 4 bytes, more
        >> Interrupted
        >> Interrupted
        >> Interrupted
        << Cut client, reset
        >> ApiFailed
        << Record 599 terminate: restriction.terminate
    """)


def test_a_restriction_that_fails_open_does_not_hide_another_that_ends_it() -> None:
    """Two rows may speak of what is under way: the first that is enforced ends it."""
    told = Transcript(made := house())
    told.head()
    told.chunk(b"half", more=True)
    terminate(made)
    found = Finding("control.failed", "", 503, mode="shadow")
    engine = made.gate.engine
    judge = engine._ending[0]
    engine._ending = (replace(judge, judge=lambda _: Judgement((found,)), mode="shadow"), *engine._ending)
    told.chunk(b"more", more=True)
    assert told.lines[-1] == "<< Cut client, reset"


def test_a_long_response_is_charged_while_it_leaves_and_noted_once() -> None:
    told = Transcript(made := house(data="bytes: 1GB/day"))
    table = made.state.tables["plan:large:bytes"]
    told.head()
    told.chunk(b"x" * 70_000, more=True)
    assert table.most - table.look("acme", NOW, 0).remaining == 70_000
    told.chunk(b"x" * 5)
    told.feed(d.End)
    assert table.most - table.look("acme", NOW, 0).remaining == 70_005
    assert [charge.amount for charge in told.record.charges if charge.table == table.name] == [70_005]


def test_an_api_that_fails_before_its_head() -> None:
    told = Transcript(made := house())
    told.feed(d.ApiFailed)
    assert told.reads("""
        << CallApi 0 bytes
        >> ApiFailed
        << Record 500 allow
    """)
    assert not slots(made)


def test_an_api_that_fails_after_its_head() -> None:
    told = Transcript(house())
    told.head()
    told.feed(d.ApiFailed)
    assert told.lines[-1] == "<< Record 599 allow"


def test_a_response_that_was_not_finished_does_not_look_whole() -> None:
    told = Transcript(house())
    told.head()
    told.chunk(b"half", more=True)
    told.feed(d.End)
    assert told.lines[-3:] == [">> End", "<< Record 599 allow", "<< Cut client, reset"]


def test_a_client_that_leaves_while_the_api_works() -> None:
    told = Transcript(made := house())
    made.state.shedder.connections = 10
    made.state.shedder.concurrency.expected_s = lambda operation: 3.0  # type: ignore[method-assign]
    told.feed(d.ClientGone, after_s=1.0)
    told.feed(d.ApiFailed)
    assert told.reads("""
        << CallApi 0 bytes
        >> ClientGone
        << EndToApi
        >> ApiFailed
        << ReleaseSlot after 2 s
        << Record 499 allow
    """)
    assert made.state.shedder.under_way == 1
    told.of(d.ReleaseSlot)[0].leave(5.0)
    assert made.state.shedder.under_way == 0


def test_findings_that_the_application_reports() -> None:
    told = Transcript(house())
    told.head(401)
    told.chunk(b"{}")
    told.feed(d.Reported, (Finding("login.wrong", "Wrong.", 401),))
    told.feed(d.End)
    assert told.lines[-3:] == [">> Reported", ">> End", "<< Record 401 deny: login.wrong"]


def test_a_head_request_is_not_read() -> None:
    told = Transcript(house(data="records: 100/day"), Request("HEAD", "/things", key="large"))
    told.answer(b"not sent")
    assert told.of(d.SendToClient) == [d.SendToClient(b"", False)], "whatever the application sends"
    assert told.record.operation.id == "listThings" and told.record.response_bytes == 0
    made = House(text="openapi: none\nidentity: none\nplans: {}\noperations: {}\n")
    told = Transcript(made, Request("HEAD", "/a"))
    told.head()
    told.chunk(b"")
    told.feed(d.End)
    assert told.lines[-1] == "<< Record 200 allow" and told.record.response_bytes == 0


# odd applications ------------------------------------------------------------------------------------------------------


def test_a_body_before_its_head_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="before its head"):
        Transcript(house()).chunk(b"x")


def test_a_second_head_is_an_error() -> None:
    told = Transcript(house())
    told.head()
    with pytest.raises(RuntimeError, match="a second head"):
        told.head(201)
    told.feed(d.ApiFailed)
    assert len(told.of(d.SendHead)) == 1


def test_a_second_head_after_a_replaced_response_is_swallowed_like_its_body() -> None:
    told = Transcript(house(data="records: 100/day"))
    told.head(200, (b"content-type", b"text/csv"))
    told.head(200, JSON)
    told.chunk(b'{"items":[]}')
    told.feed(d.End)
    assert not told.of(d.SendHead) and not told.of(d.SendToClient)
    assert told.lines[-1] == "<< Record 502 deny: limits.uncountable"


def test_a_body_after_its_end_is_an_error() -> None:
    told = Transcript(house())
    told.head()
    told.chunk(b"whole")
    with pytest.raises(RuntimeError, match="after its end"):
        told.chunk(b"more")
    told.feed(d.End)
    assert told.record.response_bytes == 5


def test_nothing_comes_of_events_after_the_end() -> None:
    told = Transcript(house())
    told.answer()
    for event in (d.End, d.ClientGone, d.ApiFailed, d.Interrupted, d.Expired):
        assert told.feed(event, *(["client"] if event is d.Expired else [])) == ()
    assert told.close() == () and len(told.of(d.Record)) == 1


# close -----------------------------------------------------------------------------------------------------------------

STAGES: dict[str, tuple[Any, list[tuple[Any, ...]], int]] = {
    "before the start": (None, [], 499),
    "while work is done": ({"in_memory": False}, [], 499),
    "while the body is read": (post(NAMED), [], 499),
    "while a large body is examined": (post(large()), [(d.BodyRead, large())], 499),
    "while a refusal is sent": (Request(), [], 401),
    "while the gate answers": (Request(path="/openapi.json"), [], 200),
    "while the API is called": (Request(key="large"), [], 499),
    "while a body streams": (UPLOAD, [(d.Chunk, "client", b"x", True)], 499),
    "after the head": (Request(key="large"), [(d.ResponseHead, 200, (JSON,))], 499),
    "after half of the body": (
        Request(key="large"), [(d.ResponseHead, 200, (JSON,)), (d.Chunk, "api", b"x", True)], 499,
    ),
    "after the whole body": (
        Request(key="large"), [(d.ResponseHead, 200, (JSON,)), (d.Chunk, "api", b"x", False)], 200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_close_gives_back_and_records(stage: str) -> None:
    request, events, status = STAGES[stage]
    made = house(**request) if isinstance(request, dict) else house()
    told = Transcript(
        made, request if isinstance(request, Request) else Request(key="large"), start=stage != "before the start"
    )
    for event in events:
        told.feed(*event)
    assert not told.of(d.Record)
    told.close()
    assert told.record.status == status
    for held in told.of(d.ReleaseSlot):
        held.leave(told.tick + held.after_s)
    assert not slots(made) and not made.state.shedder.under_way and not sum(made.state.shedder._open)


def test_close_while_a_slot_is_waited_for() -> None:
    made, _ = one_slot()
    told = Transcript(made)
    told.close()
    assert told.lines == ["<< TakeSlot within 0.5 s", ">> close", "<< Record 499 allow"]
    assert not slots(made) and not sum(made.state.shedder.waiting)


# what breaks -----------------------------------------------------------------------------------------------------------


def test_an_engine_that_fails_at_the_response_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Transcript(made := house())
    monkeypatch.setattr(made.gate.engine, "release", _raises)
    told.head()
    told.chunk()
    told.feed(d.End)
    assert told.reads("""
        << CallApi 0 bytes
        >> ResponseHead 200
        << Reply 503 control.failed
        >> Chunk api 12 bytes
        >> End
        << Record 503 deny: control.failed
    """)


def test_headers_for_the_api_that_cannot_be_made_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    made = house()
    monkeypatch.setattr(made, "identity_headers", _raises)
    told = Transcript(made)
    told.feed(d.Sent)
    assert told.reads("""
        << Reply 503 control.failed
        >> Sent
        << Record 503 deny: control.failed
    """)
    assert not slots(made)


def test_controls_that_fail_at_the_response_are_told_of_each() -> None:
    """Allowed by `on_error`, then cut by another's failure: both are in the event."""
    made = house(flood="on_error: allow", limits="on_error: allow")
    for kind in (FloodControl, LimitsControl):
        break_phase(made.gate.engine, kind, "release")
    told = Transcript(made)
    told.answer()
    assert [finding.rule for finding in told.record.decision.findings] == ["flood", "limits"]
    assert told.record.status == 200


def test_inspecting_that_fails_does_not_lose_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Transcript(made := house())
    monkeypatch.setattr(made.gate.engine, "inspect", _raises)
    told.answer()
    assert told.record.status == 200 and not slots(made)


def _raises(*_: object, **__: object) -> Any:
    raise MemoryError("secret")


# what only some exchanges come to --------------------------------------------------------------------------------------


def test_an_upload_that_was_stopped_says_why_when_its_client_leaves() -> None:
    told = Transcript(house(contract="upload: 1KB"), UPLOAD)
    told.sent(b"x" * 1001)
    told.close()
    assert told.lines[-1] == "<< Record 499 deny: contract.body_size"


def test_close_tells_when_it_was() -> None:
    """A slot is held for as long as the API is still taken to work, and not for what has passed since the last event."""
    told = Transcript(made := house())
    made.state.shedder.connections = 10
    made.state.shedder.concurrency.expected_s = lambda operation: 3.0  # type: ignore[method-assign]
    told.close(after_s=2.0)
    assert told.reads("""
        << CallApi 0 bytes
        >> close
        << ReleaseSlot after 1 s
        << Record 499 allow
    """)
    assert told.record.took_us == 2_000_000


def test_a_restriction_made_while_the_body_is_read_keeps_it_from_the_api() -> None:
    """Whoever sends a body slowly does not so get past a restriction."""
    told = Transcript(made := house(), post(NAMED))
    terminate(made)
    told.body(NAMED)
    told.feed(d.Sent)
    assert told.reads("""
        << ReadBody of 4194304 bytes at most, paced
        >> BodyRead whole 12 bytes
        << Reply 403 restriction.terminate
        >> Sent
        << Record 403 terminate: restriction.terminate
    """)
    assert not slots(made) and not made.state.shedder.under_way


def test_a_restriction_in_shadow_is_found_of_what_waits() -> None:
    told = Transcript(made := house(modes={"restrictions": "shadow"}), post(NAMED))
    terminate(made)
    told.body(NAMED)
    told.answer()
    assert told.lines[-1] == "<< Record 200 allow: restriction.terminate (shadow)"


def test_the_gates_own_time_is_measured_between_events_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([100, 250])
    made = house()
    monkeypatch.setattr(made, "tick_us", lambda: next(ticks))
    told = Transcript(made)
    told.feed(d.ResponseHead, 200, (JSON,), after_s=1.0)
    told.chunk()
    told.feed(d.End)
    assert (told.record.admit_us, told.record.gate_us, told.record.took_us) == (100, 250, 1_000_000)


@pytest.mark.parametrize("part", ["tables", "shedder", "slots"])
def test_a_state_that_fails_refuses_and_is_recorded(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = house()
    if part == "tables":
        monkeypatch.setattr(made.state.tables["address"], "take", _raises)
    else:
        monkeypatch.setattr(getattr(made.state, part), "open" if part == "shedder" else "take", _raises)
    told = Transcript(made)
    told.feed(d.Sent)
    assert told.reads("""
        << Reply 503 control.failed
        >> Sent
        << Record 503 deny: control.failed
    """)
    assert not slots(made)


# the request as the API gets it ----------------------------------------------------------------------------------------


def test_a_cookie_in_pieces_reaches_the_api_as_one() -> None:
    """HTTP/2 clients split it (RFC 9113, section 8.2.3)."""
    pieces = tuple((b"cookie", b"c%d=%d" % (number, number)) for number in range(110))
    told = Transcript(house(), Request(key="large", headers=(*pieces, (b"accept", b"a/b"))))
    (call,) = told.of(d.CallApi)
    assert [value for name, value in call.headers if name == b"cookie"] == [b"; ".join(value for _, value in pieces)]
    assert (b"accept", b"a/b") in call.headers
    many = tuple((b"x-field", b"a") for _ in range(110))
    assert Transcript(house(), Request(key="large", headers=many)).lines == ["<< Reply 431 request.headers"]


@pytest.mark.parametrize(
    "name",
    ["X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Proxy", "X-Forwarded-Ssl", "X_Client_IP", "True_client-IP",
     "X-Original-Host", "Front-End-Https", "X-SSL-Client-Verify"],
)  # fmt: skip
def test_claims_of_who_the_client_is_do_not_reach_the_api(name: str) -> None:
    told = Transcript(house(), Request(key="large", headers=((name.lower().encode(), b"127.0.0.1"), (b"x-own", b"1"))))
    names = [sent for sent, _ in told.of(d.CallApi)[0].headers]
    assert name.lower().encode() not in names and b"x-own" in names


def test_a_claim_that_the_contract_declares_as_a_parameter_reaches_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = copy.deepcopy(OPENAPI)
    own = {"name": "X-Client-IP", "in": "header", "schema": {"type": "string"}}
    contract["paths"]["/things"]["get"].setdefault("parameters", []).append(own)
    claims = ((b"x-client-ip", b"203.0.113.9"), (b"true-client-ip", b"203.0.113.9"))
    monkeypatch.setattr("gatehouse.OPENAPI", contract)
    told = Transcript(house(extra="# with a parameter\n"), Request(key="large", headers=claims))
    names = [sent for sent, _ in told.of(d.CallApi)[0].headers]
    assert b"x-client-ip" in names and b"true-client-ip" not in names
