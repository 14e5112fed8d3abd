"""The response side of `limits`, `flood` and `restrictions` in each mode: enforced it refuses, ends or cuts, and the event
says why; in shadow the event says the same and no byte changes; off, nothing is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import break_phase
from gatehouse import NOW, House, Request
from sallygate.controls.flood import FloodControl
from sallygate.controls.limits import LimitsControl
from sallygate.model import driver as d
from sallygate.model.restriction import Restriction
from sallygate.services.restriction_tables import add_restrictions
from transcript import JSON, UPLOAD, Transcript, house, post

CSV = (b"content-type", b"text/csv")
NAMED = b'{"name":"a"}'


def restrict(made: House) -> None:
    """Make a restriction that ends what its account has under way."""
    one = Restriction("r1", (("account", "acme"),), "terminate", "test", "me", 0.0, NOW + 1e6, "")
    add_restrictions(made.state, [one], NOW)


def uncountable(made: House) -> Transcript:
    """Records in a form that cannot be counted."""
    told = Transcript(made)
    told.head(200, CSV)
    told.chunk(b"a,b\n", more=True)
    told.chunk(b"c,d\n")
    told.feed(d.End)
    return told


def over_budget(made: House) -> Transcript:
    """More bytes than the caller's budget has left."""
    told = Transcript(made, Request(path="/things/1", key="large"))
    told.head(200, (b"content-type", b"text/plain"))
    for number in range(3):
        if told.of(d.Cut):
            break
        told.chunk(b"x" * 600, more=number < 2)
        if number < 2 and not told.of(d.Cut):
            told.feed(d.Sent)
    told.feed(d.ApiFailed if told.of(d.Cut) else d.End)
    return told


def slow_reader(made: House) -> Transcript:
    """A response of which 300 bytes are read in a minute."""
    told = Transcript(made)
    told.head()
    for number in range(3):
        if told.of(d.Cut):
            break
        told.chunk(b"x" * 100, more=number < 2)
        if number < 2:
            told.feed(d.Sent, 20.0, after_s=20.0)
    told.feed(d.ApiFailed if told.of(d.Cut) else d.End)
    return told


def restricted(made: House) -> Transcript:
    """A restriction made while the response leaves."""
    told = Transcript(made)
    told.head()
    told.chunk(b"x" * 100, more=True)
    restrict(made)
    told.chunk(b"x" * 100, more=True)
    if not told.of(d.Cut):
        told.feed(d.Interrupted)
        told.chunk(b"x" * 100)
    told.feed(d.ApiFailed if told.of(d.Cut) else d.End)
    return told


def slow_body(made: House) -> Transcript:
    """A whole body that takes 50 s for its 12 bytes: a shell that was given a pace says `slow`."""
    told = Transcript(made, post(NAMED))
    paced = told.of(d.ReadBody)[0].pace is not None
    if paced:
        told.body(outcome="slow", waited_s=21.0)
        told.feed(d.Sent)
    else:
        told.body(NAMED, waited_s=50.0)
        told.answer()
    return told


def late_body(made: House) -> Transcript:
    """A whole body that comes fast enough, and after more than a minute."""
    told = Transcript(made, post(b"x"))
    if told.of(d.ReadBody)[0].pace is not None:
        told.body(outcome="late", waited_s=60.0)
        told.feed(d.Sent)
    else:
        told.body(b'{"name":"a"%s}' % (b" " * 60_000), waited_s=70.0)
        told.answer()
    return told


def slow_upload(made: House) -> Transcript:
    """A streamed body of which 10 bytes come in half a minute."""
    told = Transcript(made, UPLOAD)
    if told.of(d.Deadline):
        told.feed(d.Expired, "client", after_s=20.0)
        told.feed(d.ApiFailed)
        told.feed(d.Sent)
    else:
        told.sent(b"x" * 10, waited_s=30.0)
        told.sent(b"x" * 10, more=False, waited_s=1.0)
        told.answer()
    return told


CASES: dict[str, tuple[str, Callable[[House], Transcript], int, str, dict[str, str]]] = {
    "records that cannot be counted": ("limits", uncountable, 502, "limits.uncountable", {"data": "records: 100/day"}),
    "a response over the budget": ("limits", over_budget, 599, "limits.data.bytes", {"limits": "on_exceed: cut"}),
    "a slow reader": ("flood", slow_reader, 599, "flood.slow_reader", {"data": "bytes: 1GB/day"}),
    "a slow body": ("flood", slow_body, 408, "flood.slow_body", {}),
    "a late body": ("flood", late_body, 408, "request.body_time", {}),
    "a slow upload": ("flood", slow_upload, 408, "flood.slow_body", {}),
    "a restriction made meanwhile": ("restrictions", restricted, 599, "restriction.terminate", {}),
}
"""Section, what happens, status and finding where it is enforced, and what the policy says besides."""
ALL = pytest.mark.parametrize("case", CASES)


@ALL
def test_enforced_it_refuses_or_cuts_and_the_event_says_why(case: str) -> None:
    _, play, status, code, own = CASES[case]
    told = play(house(**own))
    assert (told.record.status, told.found) == (status, [(code, "enforce")])
    assert told.record.decision.verdict != "allow"
    assert told.of(d.Cut) or told.of(d.Reply)


@ALL
def test_in_shadow_the_event_says_so_and_no_byte_changes(case: str) -> None:
    section, play, _, code, own = CASES[case]
    told, off = (play(house(modes={section: mode}, **own)) for mode in ("shadow", "off"))
    assert (told.record.status, told.found) == (200, [(code, "shadow")])
    assert told.record.decision.verdict == "allow"
    assert not told.of(d.Cut) and not told.of(d.Reply)
    assert told.to_client == off.to_client


@ALL
def test_off_nothing_is_said(case: str) -> None:
    section, play, _, _, own = CASES[case]
    told = play(house(modes={section: "off"}, **own))
    assert (told.record.status, told.found) == (200, [])
    assert not told.of(d.Cut) and not told.of(d.Reply)


def test_a_budget_is_found_once_in_shadow_and_charged_all_the_same() -> None:
    """Or the user would be told that nobody takes too much, and enforce it."""
    told = over_budget(made := house(modes={"limits": "shadow"}, limits="on_exceed: cut"))
    assert told.found == [("limits.data.bytes", "shadow")]
    assert sum(len(command.data) for command in told.of(d.SendToClient)) == 1800
    assert made.state.tables["plan:large:bytes"].look("acme", NOW, 0).remaining == 0
    assert [one.amount for one in told.record.charges if one.table == "plan:large:bytes"] == [1800]


def test_a_shell_that_waits_no_longer_refuses_in_its_own_name() -> None:
    """Without a pace that is enforced, a body that never comes is not held for ever."""
    told = Transcript(house(modes={"flood": "shadow"}), post(NAMED))
    for outcome in ("late", "slow"):
        told = Transcript(house(modes={"flood": "shadow"}), post(NAMED))
        told.body(outcome=outcome, waited_s=300.0)
        told.feed(d.Sent)
        assert (told.record.status, told.found) == (408, [("request.body_time", "enforce")])


def test_a_long_upload_is_not_found_late_in_shadow() -> None:
    """Enforced, a body that streams has no time for all of it."""
    for mode in ("enforce", "shadow"):
        told = Transcript(house(modes={"flood": mode}), UPLOAD)
        told.sent(b"x" * 100_000, waited_s=100.0)
        told.sent(b"x", more=False, waited_s=1.0)
        told.answer()
        assert told.found == []


@pytest.mark.parametrize("kind", [LimitsControl, FloodControl])
@pytest.mark.parametrize(("on_error", "status"), [("allow", 200), ("deny", 503)])
def test_a_control_that_raises_at_the_head(kind: type, on_error: str, status: int) -> None:
    made = house(**{kind.section: f"on_error: {on_error}"})
    break_phase(made.gate.engine, kind, "release")
    told = Transcript(made)
    told.head(200, JSON)
    told.chunk()
    told.feed(d.End)
    assert told.record.status == status
    assert told.found == [("control.failed", "shadow" if on_error == "allow" else "enforce")]


@pytest.mark.parametrize(("on_error", "mode"), [("allow", "shadow"), ("deny", "enforce")])
def test_a_control_that_raises_at_the_body_is_in_the_event(on_error: str, mode: str) -> None:
    made = house(limits=f"on_error: {on_error}")
    break_phase(made.gate.engine, LimitsControl, "inspect")
    told = Transcript(made)
    told.answer()
    assert (told.record.status, told.found) == (200, [("control.failed", mode)])


def test_every_mode_of_every_case_ran() -> None:
    assert len(CASES) * 3 == 21 and {case[0] for case in CASES.values()} == {"limits", "flood", "restrictions"}


def test_limits_in_shadow_ask_for_no_other_coding() -> None:
    accepts = (b"accept-encoding", b"br, gzip")
    for mode, asked in (("enforce", b"gzip"), ("shadow", b"br, gzip"), ("off", b"br, gzip")):
        told = Transcript(
            house(modes={"limits": mode}, data="records: 5/day"), Request(key="large", headers=(accepts,))
        )
        assert dict(told.of(d.CallApi)[0].headers)[b"accept-encoding"] == asked
