"""No fault turns a deny into an allow; asking again charges once; the same question gets the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from gatehouse import CREDENTIALS, NOW, UNSTORED, House, Request, charges, requests, restrictions
from sallygate.controls.identity import IdentityControl
from sallygate.engine.order import ORDER, Row
from sallygate.state.penalty_box import UNITS

CONTROLS_BY_NAME = {row.control.name: row.control for row in ORDER}
FAULTS = (
    *(f"{row.control.name}.{row.phase}" for row in ORDER),
    "routes.match", "credentials.get", "credentials.is_missing", "tables.look", "tables.take", "slots.count",
    "restrictions.find", "ring.proves", "ring.made", "store.work", "guard.identity_headers", "guard.work",
)  # fmt: skip
"""Where something breaks: each control in each of its phases, each table, the store, the services."""


class Broken(Exception):
    """Something failed."""


class Breaking:
    """An object like another, some of whose methods raise from a given call on."""

    def __init__(self, inner: Any, methods: set[str], after: int) -> None:
        self._inner, self._methods, self._left = inner, methods, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._methods or not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Broken(name)
            return found(*args, **kwargs)

        return call


def break_(house: House, faults: set[str], after: int) -> None:
    """Put something breaking at each of `faults`."""
    engine, state = house.gate.engine, house.state
    by_part: dict[str, set[str]] = {}
    for fault in faults:
        part, _, method = fault.partition(".")
        by_part.setdefault(part, set()).add(method)
    controls = engine.controls
    for part, methods in by_part.items():
        broken = lambda inner: Breaking(inner, methods, after)  # noqa: B023, E731  # used within this turn
        if part in CONTROLS_BY_NAME and (control := controls.get(CONTROLS_BY_NAME[part])) is not None:
            controls.put(CONTROLS_BY_NAME[part], broken(control))
            engine.compile()
        if part == "restrictions":
            state.restrictions.by_location = broken(state.restrictions.by_location)
            state.restrictions.by_name = broken(state.restrictions.by_name)
        elif part == "routes":
            engine.routes = broken(engine.routes)
        elif part == "credentials":
            state.credentials = broken(state.credentials)
        elif part == "slots":
            state.slots = broken(state.slots)
        elif part == "tables":
            _break_tables(house, methods, after)
        elif part == "ring":
            identity = controls.get(IdentityControl)
            inner = getattr(identity, "_inner", identity)
            inner._keys._ring = broken(inner._keys._ring)
        elif part == "store":
            house.store_fails = True
        elif part == "guard":
            for method in methods:
                setattr(house, method, _raising)


def _break_tables(house: House, methods: set[str], after: int) -> None:
    """Limits keep their tables in compiled counters, so the tables themselves are made to break."""
    for table in house.state.tables.values():
        for method in methods:
            setattr(table, method, getattr(Breaking(table, methods, after), method))


def _raising(*_: Any) -> Any:
    raise Broken


SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(
    requests,
    st.lists(restrictions, max_size=3),
    charges,
    st.sets(st.sampled_from(FAULTS), min_size=1, max_size=4),
    st.integers(0, 3),
    st.booleans(),
)
@example(Request(key="revoked"), [], [], {"credentials.get"}, 0, True)
@example(Request(key=UNSTORED), [], [], {"store.work"}, 0, False)
@example(Request(key="small", path="/things/1"), [], [("plan:small:hour", "bit", 9)], {"tables.look"}, 1, True)
def test_no_fault_turns_a_deny_into_an_allow(
    request: Request, made: list[Any], taken: list[Any], faults: set[str], after: int, in_memory: bool
) -> None:
    sound = House(made=made, taken=taken, in_memory=in_memory)
    passed = sound.passes(request)
    house = House(made=made, taken=taken, in_memory=in_memory)
    break_(house, faults, after)
    try:
        passed_broken = house.passes(request)
    except Broken:  # reached the server, which answers 500; what matters is whether the application was reached
        passed_broken = house.reached > 0
    event(f"sound {'passes' if passed else 'refuses'}, broken {'passes' if passed_broken else 'refuses'}")
    assert passed or not passed_broken


EARLY = [row for row in ORDER if row.phase == "early"]
LATER = [row for row in ORDER if row.phase != "early"]


@pytest.mark.parametrize("row", EARLY, ids=lambda row: row.control.name)
@pytest.mark.parametrize("boxed", [False, True])
def test_a_control_that_fails_early_leaves_the_request_to_the_full_path(row: Row, boxed: bool) -> None:
    house = House()
    house.watched = False
    if house.gate.engine.controls.get(row.control) is None:
        assert row.control.name in ("intelligence", "network"), "the policy does without"
        return
    if boxed:
        house.state.penalties.take("192.0.2.1", NOW, 1_000 * UNITS)
    house.gate.early.expect_more(NOW)
    break_(house, {f"{row.control.name}.early", f"{row.control.name}.idle"}, 0)
    assert house.passes(Request(key="large"))
    assert house.passes(Request(path="/status")) != boxed
    refused_before = boxed and row.control.name in ("limits", "shedding")  # by the penalty box, which is asked first
    assert len(house.exchanges) == 2 - refused_before and len(house.rejections.take()) == refused_before


@pytest.mark.parametrize("row", LATER, ids=lambda row: f"{row.control.name}.{row.phase}")
def test_a_control_that_fails_refuses(row: Row) -> None:
    """Each control's phases are on the way of this request: breaking one is seen, in the response's too."""
    request = Request("POST", key="large", body=b'{"name":"a"}', headers=((b"content-type", b"application/json"),))
    if row.phase == "inspect":  # asked of responses whose records are counted
        request = Request(key="large")
    assert House().passes(request)
    house = House()
    if house.gate.engine.controls.get(row.control) is None:
        assert row.control.name in ("intelligence", "location"), "the policy does without"
        return
    if (row.control.name, row.phase) == ("clients", "release"):
        assert not row.control.applies(house.gate.engine.controls.get(row.control), "release", None), "no origins here"
        return
    break_(house, {f"{row.control.name}.{row.phase}"}, 0)
    passed = house.passes(request)
    exchange = house.exchanges[-1]
    if row.phase == "inspect":  # the response has left: what could not be counted is found
        assert passed and exchange.decision.findings[-1].code == "control.failed"
        return
    assert passed == (row.phase == "release")
    assert exchange.decision.reasons == ("control.failed",)
    assert (exchange.status, house.said[0]["status"]) == (503, 503)


@SETTINGS
@given(requests, charges, st.booleans())
@example(Request(key="large"), [], False)
@example(Request(key=UNSTORED), [], False)
def test_asking_again_after_work_never_charges_twice(request: Request, taken: list[Any], fails: bool) -> None:
    known = House(taken=taken)
    asked = House(taken=taken, in_memory=False, store_fails=fails)
    before = asked.rows()
    known.passes(request)
    asked.passes(request)
    event(f"work done {asked.worked} times")
    assert len(asked.exchanges) == 1
    charged = asked.exchanges[0].charges
    assert len({(charge.table, charge.subject) for charge in charged}) == len(charged), "one charge a counter"
    if not (fails and asked.worked):
        assert asked.rows() == known.rows()
        assert charged == known.exchanges[0].charges
    else:
        assert {charge.table for charge in charged} <= {"address", "flood:prefix"}, (
            "a caller nobody could check pays for its address"
        )
    if not charged:
        assert asked.rows() == before


@SETTINGS
@given(requests, st.lists(restrictions, max_size=3), charges)
def test_the_same_question_gets_the_same_answer_and_changes_nothing(
    request: Request, made: list[Any], taken: list[Any]
) -> None:
    house = House(made=made, taken=taken)
    head, engine = house.head(request), house.gate.engine
    assert house.head(request) == head
    before = house.rows()
    first = engine.admit(head, NOW)
    assert engine.admit(head, NOW) == first
    assert House(made=made, taken=taken).gate.engine.admit(head, NOW) == first
    assert house.rows() == before


def test_the_world_has_every_kind_of_caller() -> None:
    """The properties above are worth something only if their requests pass as well as fail."""
    assert House().passes(Request(key="large")) and House().passes(Request(path="/status"))
    assert not any(House().passes(Request(key=key)) for key in (None, "revoked", "expired", "gone", UNSTORED, "x"))
    assert set(CREDENTIALS) >= {"large", "small"}
