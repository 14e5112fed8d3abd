"""What another policy would have decided: of recorded requests, and of events, which keep less."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patterns import prefilter
from sallygate.cli import app
from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.offline.policy_diff import differences
from sallygate.offline.what_if import Comparison, FromEvents, compare_events
from sallygate.policy.load import load_policy
from sallygate.stores.events import EventLog
from support import administration, make_key, write_policy

NOW = 1_790_000_000.0


def event(path: str = "/things", **more: Any) -> Event:
    given: dict[str, Any] = {
        "at": NOW,
        "decision": "allow",
        "status": 200,
        "method": "GET",
        "client_address": "192.0.2.1",
        **more,
    }
    return Event(request_id="r", trace_id="t", path=path, location=Location("192.0.2.1"), **given)


class World:
    """A policy, a key of a large plan, and what another policy makes of events."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.policy = write_policy(directory)
        make_key(self.policy)
        with administration(self.policy) as admin:
            self.credentials = admin.all_keys()
        self.who = {"principal": f"key:{self.credentials[0].id}", "account": "acme", "plan": "large"}

    def compare(self, text: str, *events: Event) -> Comparison:
        loaded = load_policy(write_policy(self.directory, text), "replay")
        comparison = Comparison()
        compare_events(events, FromEvents(loaded, self.credentials, prefilter(), NOW), comparison)
        return comparison


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_under_the_same_policy_nothing_changes(world: World) -> None:
    body = Finding("contract.body", "d", 422, where="body:/name")
    found = world.compare(
        "",
        event(operation="listThings", filters=(("limit", "n2"), ("q", "t3")), **world.who),
        event("/things/a b", operation="getThing", **world.who),
        event("/status", operation="getStatus"),
        event(decision="deny", status=401, findings=(Finding("identity.missing", "d", 401),)),
        event(decision="deny", status=401, findings=(Finding("identity.invalid", "d", 401),)),
        event("/nothing", decision="deny", status=404, findings=(Finding("clients.path", "d", 404),)),
        event(method="DELETE", decision="deny", status=405, findings=(Finding("clients.method", "d", 405),)),
        event(method="POST", decision="deny", status=422, findings=(body,), operation="createThing", **world.who),
        event(decision="deny", status=403, findings=(Finding("restriction.deny", "d", 403),), **world.who),
        event(
            decision="throttle", status=429, findings=(Finding("limits.concurrent", "d", 429, "throttle"),), **world.who
        ),
        event(status=502, upstream_status=0, operation="listThings", **world.who),
        event(decision="throttle", status=503, findings=(Finding("flood.shed", "d", 503, "throttle"),), **world.who),
        event("/status", decision="throttle", status=429, findings=(Finding("flood.penalty", "d", 429, "throttle"),)),
        event(method="POST", decision="deny", status=408, findings=(Finding("flood.slow_body", "d", 408),),
              operation="createThing", **world.who),
        event(kind="audit", act="key.create"),
    )  # fmt: skip
    assert (found.requests, found.changed, found.changes()) == (14, 0, [])


def test_what_hung_on_load_follows_the_switch_of_the_new_policy(world: World) -> None:
    shed = event("/status", decision="throttle", status=503, findings=(Finding("flood.shed", "d", 503, "throttle"),),
                 operation="getStatus")  # fmt: skip
    found = world.compare("flood: {shedding: {mode: shadow}}", shed)
    assert [(one.was, one.would_be) for one in found.changes()] == [("flood.shed", "allow")]


def test_shadow_to_enforce_and_back(world: World) -> None:
    shadow = event(method="POST", operation="createThing", findings=(Finding("injection.sql", "d", mode="shadow", where="body:/name"),),
                   **world.who)  # fmt: skip
    enforced = event(
        decision="deny", status=403, findings=(Finding("injection.xss", "d", where="query:q"),), **world.who
    )
    found = world.compare("injection: {mode: enforce}", shadow, enforced)
    assert [(one.operation, one.principal, one.was, one.would_be) for one in found.changes()] == [
        ("createThing", "acme", "allow", "injection.sql")
    ]
    assert found.newly_refused == 1 and found.newly_allowed == 0
    found = world.compare("injection: {mode: shadow}", shadow, enforced)
    assert [(one.was, one.would_be) for one in found.changes()] == [("injection.xss", "allow")]
    excluded = "injection: {exclude: [{family: xss, field: 'query:q'}, {family: sql, field: 'body:/name', operation: createThing}]}"
    assert world.compare(excluded, shadow, enforced).newly_refused == 0


def test_plans_scopes_routes_and_rates_are_judged_again(world: World) -> None:
    listed = [event(at=NOW + n / 100, operation="listThings", **world.who) for n in range(30)]
    slower = 'plans: {large: {rate: 1/s burst 10, scopes: ["*"]}}\noperations: {}'
    found = world.compare(slower, *listed)
    assert [(one.was, one.would_be, one.requests) for one in found.changes()] == [("allow", "limits.rate", 20)]
    assert found.changes()[0].examples == ("GET /things",)
    unscoped = "plans: {large: {scopes: [things:write]}}\noperations: {}"
    assert [one.would_be for one in world.compare(unscoped, *listed[:1]).changes()] == ["identity.scope"]
    gone = 'plans: {other: {scopes: ["*"]}}\noperations: {}'
    assert [one.would_be for one in world.compare(gone, *listed[:1]).changes()] == ["identity.plan"]
    public = "identity: {public: [listThings]}"
    missing = event(decision="deny", status=401, findings=(Finding("identity.missing", "d", 401),))
    assert [one.would_be for one in world.compare(public, missing).changes()] == ["allow"]


def test_networks_and_countries_are_judged_again(world: World) -> None:
    brazil, nowhere = "200.160.2.3", "192.0.2.1"
    served = [event(operation="listThings", client_address=one, **world.who) for one in (brazil, nowhere)]
    found = world.compare("network: {countries: {deny: [BR]}, deny: [192.0.2.0/24]}\n", *served)
    assert {one.would_be for one in found.changes()} == {"network.country", "network.denied"}
    found = world.compare("network: {mode: shadow, countries: {deny: [BR]}}\n", *served)
    assert found.changed == 0
    denied = Finding("network.country", "d", 403, evidence="BR")
    refused = event(decision="deny", status=403, client_address=brazil, findings=(denied,), **world.who)
    assert [one.would_be for one in world.compare("", refused).changes()] == ["allow"]
    challenged = Finding("challenge.required", "d", 403, "challenge", rule="r1")
    kept = event(decision="challenge", status=403, findings=(challenged,), operation="listThings", **world.who)
    assert world.compare("", kept).changed == 0, "a restriction is taken as it was found"
    assert world.compare("restrictions: {mode: shadow}\n", kept).newly_allowed == 1


def test_one_event_may_stand_for_many(world: World) -> None:
    flood = event(
        decision="throttle", status=429, count=500, findings=(Finding("limits.address", "d", 429, "throttle"),)
    )
    found = world.compare(
        "limits: {address: 10/s burst 10}", flood, event("/status", at=NOW + 0.01, operation="getStatus")
    )
    assert found.requests == 501
    assert ("allow", "limits.address", 1) in [(one.was, one.would_be, one.requests) for one in found.changes()]


def test_accounts_whose_keys_are_gone_are_still_judged(world: World) -> None:
    lost = {"principal": "key:AAAAAAAAAAAA", "account": "gone", "plan": "large"}
    assert world.compare("", event(operation="listThings", **lost)).changed == 0


# the commands --------------------------------------------------------------------------------------------------------


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{words}: {result.output}{result.exception!r}"
    return result.output


def test_callers_with_tokens_are_judged_again_though_nobody_can_sign_theirs(world: World) -> None:
    who = {"principal": "jwt:id.example:alice", "account": "staff:alice", "plan": "large"}
    issuer = (
        "identity: {jwt: [{issuer: 'https://id.example', jwks: 'https://id.example/k', audience: shop, plan: small}]}"
    )
    assert world.compare(issuer, *[event(**who)] * 5).changes() == []
    slow = "\nplans:\n  large: {rate: 1/day burst 1, scopes: ['*']}\n  small: {}"
    [change] = world.compare(issuer + slow, *[event(**who)] * 5).changes()
    assert (change.would_be, change.requests, change.principal) == ("limits.rate", 4, "staff:alice")


def test_against_events_and_against_a_file(world: World, tmp_path: Path) -> None:
    log = EventLog(tmp_path / "state" / "events", 1000, 1e9, lambda line: None)
    log.start()
    log.put(event(at=time.time(), operation="listThings", **world.who))
    log.stop()
    new = tmp_path / "new.yaml"
    new.write_text(world.policy.read_text().replace("large: {rate", "huge: {rate"))
    shown = run("check", new, "--against", "events", "--since", "1h")
    assert "1 of 1 requests would be decided differently" in shown and "identity.plan" in shown and "acme" in shown
    lines = [
        {"method": "GET", "url": "/status"},
        {"method": "GET", "url": "/nothing"},
        {"method": "PATCH", "url": "/status"},
    ]
    file = tmp_path / "recorded.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\nnonsense\n")
    found = json.loads(run("check", new, "--against", file, "--json"))
    assert (found["requests"], found["changed"], found["unreadable"]) == (3, 2, 1)
    assert json.loads(run("check", new, "--against", file, "--old", world.policy, "--json"))["changed"] == 0
    decided = tmp_path / "decided.jsonl"
    run("replay", world.policy, file, "--out", decided, code=1)
    assert json.loads(run("check", new, "--against", decided, "--json"))["changed"] == 0
    run("check", new, "--against", "nowhere.jsonl", code=2)
    run("check", new, "--against", "events", "--old", new, code=2)
    run("check", new, "--against", "events", "--state-dir", tmp_path / "none", code=3)


def test_what_differs_and_which_way(tmp_path: Path) -> None:
    old = write_policy(tmp_path / "a", "injection: {mode: enforce}\nidentity: {public: []}\n")
    new = write_policy(
        tmp_path / "b",
        'injection: {mode: shadow}\nidentity: {public: [listThings]}\nlimits: {address: 5/s burst 5}\nplans: {large: {scopes: ["*"]}}\n',
    )
    found = {one.field: one for one in differences(load_policy(old, "replay"), load_policy(new, "replay"))}
    assert found["injection.mode"].way == "weaker" and found["identity.public"].way == "weaker"
    assert found["limits.address"].way == "tighter" and found["limits.address"].new == "5/s burst 5"
    assert found["plans.large.rate"].way == "tighter"
    assert "plans.small.rate" in found and "clients" not in found
    assert run("diff", old, old) == "the two policies are equal\n"
    shown = run("diff", old, new, code=1)
    assert "injection.mode" in shown and "weaker" in shown
    contract = json.loads((tmp_path / "b" / "openapi.json").read_text())
    del contract["paths"]["/things"]["post"]
    contract["paths"]["/things"]["get"]["security"] = []
    (tmp_path / "b" / "openapi.json").write_text(json.dumps(contract))
    found = {one.field: one for one in differences(load_policy(old, "replay"), load_policy(new, "replay"))}
    assert found["contract createThing"].way == "tighter" and found["contract createThing"].old == "POST /things"
    assert found["contract listThings"].way == "weaker"
