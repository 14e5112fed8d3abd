"""Taking away never gives: restrictions, scopes, plans and limits. And shadow never refuses, yet finds the same."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, event, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gatehouse import (
    CREDENTIALS,
    OWN,
    PLANS,
    SECTIONS,
    SETTINGS,
    House,
    Request,
    charges,
    policy_text,
    requests,
    restrictions,
)


def _not_more(request: Request, before: House, after: House) -> None:
    passed, passes = before.passes(request), after.passes(request)
    event(f"{'passed' if passed else 'refused'}, then {'passes' if passes else 'refused'}")
    assert passed or not passes


@SETTINGS
@given(requests, st.lists(restrictions, max_size=3), restrictions, charges)
def test_a_restriction_more_lets_no_more_through(
    request: Request, made: list[Any], more: Any, taken: list[Any]
) -> None:
    made = [replace(one, id=f"{one.id}-{number}") for number, one in enumerate(made)]
    _not_more(request, House(made=made, taken=taken), House(made=[*made, more], taken=taken))


@SETTINGS
@given(requests, st.sampled_from(list(CREDENTIALS)), st.sampled_from([(), ("things:read",), ("other",)]))
@example(Request(key="second"), "second", ())
def test_fewer_scopes_of_a_key_let_no_more_through(request: Request, name: str, scopes: tuple[str, ...]) -> None:
    text, credential = CREDENTIALS[name]
    had = credential.scopes
    fewer = scopes if had is None else tuple(scope for scope in scopes if scope in had)
    after = House(credentials={**CREDENTIALS, name: (text, replace(credential, scopes=fewer))})
    _not_more(request, House(), after)


@SETTINGS
@given(requests, st.sampled_from(["small", "large"]), st.booleans())
def test_a_plan_less_or_its_scopes_let_no_more_through(request: Request, plan: str, whole: bool) -> None:
    plans = dict(PLANS)
    if whole:
        del plans[plan]
    else:
        plans[plan] = plans[plan].partition("scopes:")[0] + "scopes: []}"
    _not_more(request, House(), House(policy_text(plans=plans)))


@SETTINGS
@given(requests, charges, st.sampled_from(["rate", "hour", "bytes", "address", "operation"]))
def test_lower_limits_let_no_more_through(request: Request, taken: list[Any], which: str) -> None:
    lower = {
        "rate": ("rate: 50/s burst 50", "rate: 3/s burst 2"),
        "hour": ("quota: {hour: 100}", "quota: {hour: 1}"),
        "bytes": ("bytes: 1000/day", "bytes: 1/day"),
        "address": ("address: 20/s burst 20", "address: 1/s burst 1"),
        "operation": ("rate: 10/s burst 10", "rate: 1/s burst 1"),
    }[which]
    text = policy_text()
    assert lower[0] in text
    _not_more(request, House(text, taken=taken), House(text.replace(*lower), taken=taken))


@SETTINGS
@given(requests, st.lists(restrictions, max_size=3), charges)
@example(Request(scheme="http", key="large"), [], [])
@example(Request(path="/nothing"), [], [])
def test_shadow_refuses_nobody_and_finds_what_enforce_finds_first(
    request: Request, made: list[Any], taken: list[Any]
) -> None:
    enforce = House(made=made, taken=taken)
    shadow = House(policy_text(dict.fromkeys(SECTIONS, "shadow")), made=made, taken=taken)
    enforce.passes(request)
    passed_shadow = shadow.passes(request)
    judged, tried = enforce.exchanges[-1].decision, shadow.exchanges[-1].decision
    first = judged.findings[0].code if judged.findings else ""
    # A head that reads two ways is refused whatever the modes, and so is what cannot be carried; neither is a control's.
    assume(not tried.findings or tried.findings[-1].code.partition(".")[0] != "request")
    assume(not any(finding.code == "clients.websocket" for finding in tried.findings))
    event(f"enforce: {first or 'nothing'}")
    assert tried.verdict == "allow"
    assert passed_shadow or (shadow.exchanges[-1].upstream_status == 0 and request.path == "/openapi.json")
    if first:
        assert tried.findings[0].code == first
        assert all(finding.mode == "shadow" for finding in tried.findings)


@SETTINGS
@given(requests, st.sampled_from(SECTIONS))
def test_one_control_in_shadow_refuses_no_more(request: Request, section: str) -> None:
    text = policy_text({section: "shadow"})
    _not_more(request, House(text), House())


def test_the_sections_are_all_named() -> None:
    assert set(OWN) <= set(SECTIONS)
