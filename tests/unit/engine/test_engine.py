"""The engine on values alone: who is refused, by what, in which order, at what cost; time is an argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import Bench, break_phase, code
from sallygate.controls.contract import ContractControl
from sallygate.engine.evaluation import Step
from sallygate.engine.order import ORDER, Row
from sallygate.model.outcome import Admission, Answer, Ask, Refuse
from sallygate.model.restriction import Restriction
from sallygate.model.work import CredentialLoaded
from sallygate.offline.decide import Offline
from sallygate.services.restriction_tables import add_restrictions
from support import make_key, write_policy


@pytest.fixture
def bench(tmp_path: Path):
    def make(text: str = "", plan: str = "large") -> Bench:
        policy = write_policy(tmp_path, text)
        key = make_key(policy, plan)
        return Bench(Offline(policy), key)

    return make


def test_a_good_call_is_admitted_with_who_what_and_limits(bench) -> None:
    outcome = bench().call("/things?limit=5")
    assert isinstance(outcome, Admission)
    assert outcome.operation.id == "listThings" and outcome.principal.account == "acme"
    names = [name for name, _ in outcome.headers]
    assert names == [b"ratelimit-policy", b"ratelimit"]
    assert {charge.table for charge in outcome.charges} == {"address", "plan:large:rate", "plan:large:hour"}


@pytest.mark.parametrize(
    ("target", "more", "expected", "status"),
    [
        ("/nothing", {}, "clients.path", 404),
        ("/things/", {}, "clients.path", 404),
        ("/things", {"method": "DELETE"}, "clients.method", 405),
        ("/things", {"key": None}, "identity.missing", 401),
        ("/things", {"key": "nonsense"}, "identity.invalid", 401),
        ("/things", {"key": "sg_" + "a" * 12 + "_" + "b" * 51}, "identity.invalid", 401),
        ("/things?limit=0", {}, "contract.parameter", 400),
        ("/things?x=1", {}, "contract.query_unknown", 400),
        ("/things/../status", {}, "request.path", 400),
        ("/things", {"method": "POST"}, "contract.body_missing", 400),
        ("/things", {"method": "POST", "content_type": "text/xml", "content_length": 3}, "contract.content_type", 415),
    ],
)
def test_what_is_refused(bench, target: str, more: dict[str, Any], expected: str, status: int) -> None:
    outcome = bench().call(target, **more)
    assert isinstance(outcome, Refuse)
    assert (code(outcome), outcome.decision.status) == (expected, status)


def test_a_refused_call_has_paid_at_its_address(bench) -> None:
    for more in ({"key": None}, {"key": "bad"}, {"method": "DELETE"}):
        outcome = bench().admit(**more)
        assert [charge.table for charge in outcome.charges] == ["address"]


def test_unknown_clients_get_the_specification_and_public_operations_only(bench) -> None:
    made = bench()
    assert isinstance(made.admit("/openapi.json", key=None), Answer)
    assert isinstance(made.admit("/status", key=None), Admission)
    refused = made.admit("/things", key=None)
    headers = dict(refused.headers)
    assert headers[b"link"] == b'</openapi.json>; rel="service-desc"' and b"www-authenticate" in headers
    assert dict(made.admit("/openapi.json", key=None, method="POST").headers)[b"allow"] == b"GET, HEAD"


def test_a_key_must_be_the_one_that_was_made(bench) -> None:
    made = bench()
    last = "A" if made.key[-1] != "A" else "B"
    middle = made.key[:20] + ("A" if made.key[20] != "A" else "B") + made.key[21:]
    for wrong in (made.key[:-1] + last, middle, made.key + "x", made.key.lower(), " " + made.key):
        outcome = made.admit(key=wrong)
        assert code(outcome) == "identity.invalid", wrong
        assert "detail" not in outcome.decision.findings[0].detail


def test_work_is_asked_for_once_and_never_charged_twice(bench) -> None:
    made = bench()
    credential = made.offline.state.credentials._known.popitem()[1]
    engine, head = made.offline.gate.engine, made.head()
    asked = engine.admit(head, made.now)
    assert isinstance(asked, Ask) and asked.work[0].id == credential.id
    assert not hasattr(asked, "charges")
    found = engine.admit(head, made.now, (CredentialLoaded(credential.id, credential),))
    assert isinstance(found, Admission) and len(found.charges) == 3
    assert code(engine.admit(head, made.now, (CredentialLoaded(credential.id, None),))) == "identity.invalid"
    dead = engine.admit(head, made.now, (CredentialLoaded(credential.id, None, failed=True),))
    assert (code(dead), dead.decision.status) == ("identity.unavailable", 503)


def test_invented_keys_ask_the_store_nothing(bench) -> None:
    made = bench()
    made.offline.state.credentials._known.clear()
    forged = made.key[:-8] + "A" * 8
    assert isinstance(made.admit(key=forged), Refuse)


def test_scopes_are_judged_after_limits_are_paid(bench) -> None:
    made = bench(plan="small")
    outcome = made.call("/things", method="POST", content_type="application/json", content_length=2)
    assert code(outcome) == "identity.scope"
    assert outcome.principal.account == "acme" and len(outcome.charges) > 1


def test_a_rate_says_when_to_come_back(bench) -> None:
    made = bench(plan="small")
    outcomes = [made.call() for _ in range(7)]
    assert [type(outcome) for outcome in outcomes] == [Admission] * 5 + [Refuse] * 2
    last = outcomes[-1]
    assert (code(last), last.decision.status, last.decision.verdict) == ("limits.rate", 429, "throttle")
    assert dict(last.headers)[b"retry-after"] == b"1"
    made.now += 1.0
    assert isinstance(made.call(), Admission)


def test_quotas_and_data_budgets_end(bench) -> None:
    made = bench(
        "plans: {small: {rate: 1000/s burst 1000, quota: {hour: 3}, data: {records: 10/day}, scopes: ['*']}}", "small"
    )
    assert [code(made.call()) for _ in range(4)] == ["", "", "", "limits.quota.hour"]
    made.now += 3600
    assert code(made.call()) == ""
    made.offline.state.tables["plan:small:records"].take("acme", made.now, 10)
    assert code(made.call()) == "limits.data.records"


def test_an_operation_may_cost_more_and_have_a_rate_of_its_own(bench) -> None:
    made = bench("operations: {listThings: {cost: 4, rate: 1/s burst 8}}", "large")
    assert [code(made.call()) for _ in range(3)] == ["", "", "limits.operation"]
    assert code(made.call("/things/a")) == ""


def test_addresses_are_limited_before_identity_and_by_64(bench) -> None:
    made = bench("limits: {address: 1/s burst 2}")
    assert [code(made.call(key=None, client="2001:db8::1")) for _ in range(2)] == ["identity.missing"] * 2
    assert code(made.call(key=None, client="2001:db8::ffff")) == "limits.address"
    assert code(made.call(key=None, client="2001:db8:0:1::1")) == "identity.missing"


def test_too_many_at_once(bench) -> None:
    made = bench("plans: {large: {rate: 100/s burst 100, concurrent: 2, scopes: ['*']}}")
    held = made.offline.state.slots
    for table, subject, _ in made.admit().slots * 2:
        held.take(table, subject)
    assert code(made.admit()) == "limits.concurrent"


@pytest.mark.parametrize(
    ("scope", "hit", "missed"),
    [
        ((("address", "192.0.2.1"),), {}, {"client": "192.0.2.2"}),
        ((("prefix", "192.0.2.0/24"),), {}, {"client": "192.0.3.1"}),
        ((("account", "acme"),), {}, {"target": "/status", "key": None}),
        ((("operation", "listThings"),), {}, {"target": "/status"}),
        ((("account", "acme"), ("operation", "listThings")), {}, {"target": "/things/1"}),
        ((("address", "192.0.2.1"), ("operation", "listThings")), {}, {"client": "192.0.2.2"}),
        ((("prefix", "192.0.2.0/24"), ("account", "acme")), {}, {"client": "192.0.3.1"}),
    ],
)
def test_restrictions_cover_what_they_say(bench, scope, hit: dict[str, Any], missed: dict[str, Any]) -> None:
    made = bench()
    one = Restriction("r1", scope, "deny", "because", "me", made.now, made.now + 60)
    add_restrictions(made.offline.state, [one], made.now)
    refused = made.admit(**hit)
    assert code(refused) == "restriction.deny" and refused.decision.findings[0].rule == "r1"
    assert "because" not in refused.decision.findings[0].detail
    assert isinstance(made.admit(**missed), Admission)
    made.now += 61
    assert isinstance(made.admit(**hit), Admission), "it has ended"


def test_a_throttle_leaves_its_rate(bench) -> None:
    made = bench()
    one = Restriction("r1", (("account", "acme"),), "throttle", "slow", "me", made.now, made.now + 60, "1/s burst 1")
    add_restrictions(made.offline.state, [one], made.now)
    assert [code(made.call()) for _ in range(2)] == ["", "restriction.throttle"]
    made.now += 1
    assert code(made.call()) == ""


def test_shadow_finds_and_lets_pass(bench) -> None:
    made = bench("contract: {mode: shadow}\nidentity: {mode: shadow, api_keys: {header: X-API-Key}}")
    head = made.head("/things?limit=0&x=1", key=None)
    outcome = made.offline.gate.engine.admit(head, made.now)
    assert isinstance(outcome, Admission)
    passed = made.offline.gate.engine.examine(outcome, head, None)
    assert [f.code for f in passed.decision.findings] == [
        "identity.missing",
        "contract.parameter",
        "contract.query_unknown",
    ]
    assert passed.decision.verdict == "allow" and passed.decision.reasons == ()


def test_off_does_not_look(bench) -> None:
    made = bench("contract: {mode: off}")
    assert isinstance(made.call("/things?limit=0&x=1"), Admission)


ASKED = [row for row in ORDER if row.phase not in ("early", "release", "inspect")]
OFF = ("network", "intelligence", "location", "transport", "field_rates")
"""Controls that the policy of the next test does without."""


@pytest.mark.parametrize("row", ASKED, ids=lambda row: f"{row.phase}-{row.control.name}")
def test_a_control_that_fails_refuses(bench, row: Row) -> None:
    made = bench("flood: {mode: enforce}\ninjection: {mode: enforce}")
    controls = made.offline.gate.engine.controls
    control = controls.get(row.control)
    if control is None:
        assert row.control.name in OFF
        return
    break_phase(made.offline.gate.engine, row.control, row.phase)
    outcome = made.call()
    assert isinstance(outcome, Refuse)
    failed = outcome.decision.findings[-1]
    assert (code(outcome), outcome.decision.status, failed.rule) == ("control.failed", 503, control.name)
    assert "boom" not in failed.detail


def test_a_control_may_fail_open_only_where_the_policy_says(bench) -> None:
    made = bench("contract: {on_error: allow}")
    break_phase(made.offline.gate.engine, ContractControl, "examine")
    assert isinstance(made.call(), Admission)


def test_preflights_are_answered_by_the_policy(bench) -> None:
    asked = {"method": "OPTIONS", "key": None, "origin": "https://app.example", "access_control_request_method": "GET"}
    made = bench("clients: {cors: {origins: ['https://app.example']}}")
    answer = made.admit("/things", **asked)
    assert isinstance(answer, Answer)
    assert dict(answer.reply.headers)[b"access-control-allow-methods"] == b"GET, HEAD, POST"
    stranger = made.admit("/things", **{**asked, "origin": "https://evil.example"})
    assert b"access-control-allow-methods" not in dict(stranger.reply.headers)
    assert code(bench().admit("/things", **asked)) == "clients.method"


def test_the_engine_says_what_it_did(bench) -> None:
    made, trace = bench(), []
    made.offline.gate.engine.admit(made.head(), made.now, (), trace)
    assert [(step.control, step.phase) for step in trace][:3] == [
        ("restrictions", "address"),
        ("limits", "address"),
        ("clients", "admit"),
    ]
    assert all(isinstance(step, Step) for step in trace)


def test_asking_again_gives_the_same_answer(bench) -> None:
    made = bench()
    head = made.head("/things?limit=3")
    first = made.offline.gate.engine.admit(head, made.now)
    assert all(made.offline.gate.engine.admit(head, made.now) == first for _ in range(5))
