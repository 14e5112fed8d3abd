"""Exclusions proposed from what injection found in shadow."""

from __future__ import annotations

import yaml

from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.offline.tuning import EXAMPLES_MAX, as_patch, propose
from sallygate.policy.schema import Injection


def event(
    where: str,
    family: str = "xss",
    address: str = "192.0.2.1",
    operation: str = "",
    path: str = "/posts/7",
    mode: str = "shadow",
    **more: object,
) -> Event:
    finding = Finding(f"injection.{family}", "x", where=where, rule="fragment", mode=mode, evidence="score 5: '<b>'")  # type: ignore[arg-type]
    return Event(
        1.0,
        "r",
        "t",
        "allow",
        200,
        "POST",
        path,
        address,
        Location(address),
        findings=(finding,),
        operation=operation,
        **more,
    )  # type: ignore[arg-type]


def test_what_several_callers_send_is_proposed_as_narrow_as_it_can_be() -> None:
    events = [event(f"body:/items/{n}/html", address=f"192.0.2.{n}", path=f"/posts/{n}") for n in range(3)]
    events += [event("query:q", "sql", address="198.51.100.9") for _ in range(9)]
    events += [event("body:/items/0/html", mode="enforce", address="203.0.113.1")]
    proposed, few = propose(events, callers_min=2)
    (one,) = proposed
    assert (one.family, one.field, one.operation, one.path) == ("xss", "body:/items/*/html", "", "/posts/*")
    assert (one.requests, one.callers, one.rules) == (3, 3, ("fragment",)) and len(one.examples) == 3
    assert [(lone.family, lone.requests) for lone in few] == [("sql", 9)]


def test_with_a_contract_the_operation_says_where_and_counts_are_those_events_stand_for() -> None:
    events = [event("body:/text", operation="createPost", account=f"a{n}", count=5, sampled=2) for n in range(9)]
    (one,), _ = propose(events, 2)
    assert (one.operation, one.path, one.requests, one.callers) == ("createPost", "", 90, 9)
    assert len(one.examples) == EXAMPLES_MAX


def test_nothing_is_proposed_of_findings_without_a_field_or_of_other_controls() -> None:
    other = Finding("contract.body", "x", where="body:/a", mode="shadow")
    bare = Finding("injection.effort", "x", where="body:", mode="shadow")
    events = [
        Event(1.0, "r", "t", "allow", 200, "GET", "/", f"192.0.2.{n}", Location("x"), findings=(other, bare))
        for n in range(5)
    ]
    assert propose(events, 1) == ([], [])


def test_the_patch_is_a_section_of_a_policy() -> None:
    events = [event('body:/a "b"/c', address=f"192.0.2.{n}", path="/p") for n in range(2)]
    section = yaml.safe_load(as_patch(propose(events, 2)[0]))["injection"]
    (exclusion,) = Injection.model_validate(section).exclude
    assert (exclusion.family, exclusion.field, exclusion.path) == ("xss", 'body:/a "b"/c', "/p")
    assert exclusion.reason == "2 requests of 2 callers: fragment"
