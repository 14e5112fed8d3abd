"""Whatever is sent, the detectors answer: no exception, spans within the text, the same answer twice, nothing unseen."""

from __future__ import annotations

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from injection_harness import as_json, gate, query, said
from sallygate.controls.injection import compile_patterns
from sallygate.controls.injection.forms import forms_of
from sallygate.controls.injection.judges import JUDGES, make_prefilter
from sallygate.controls.injection.judging import WINDOW, Effort, Judging
from sallygate.controls.injection.values import Value

PIECES = (
    "'", '"', "`", "--", "#", "/*", "*/", " or ", " and ", "1=1", "union", "select", "(", ")", ";", "|", "&", "&&", "$(", "${", "}", "{{", "}}",
    "<", ">", "<script", "</", "<img ", "onerror=", "alert(1)", "javascript:", "../", "..\\", "%2e", "%00", "%c0%af", "\x00", "\\x3c", "\\u003c", "&lt;",
    "&#x", "/etc/passwd", "c:\\", "cat ", "id", "curl ", "\n", "\r\n", "Set-Cookie:", "jndi:", "ldap://", "__proto__", "$ne", "*)(", "<!ENTITY", "<?php",
    "<%", "system(", "eval(", "O:1:\"", "rO0AB", "//*[", "{a{", "query ", "@", "\ud800", "\uff1c", "\u202e", "a", " ", "=", ",", ".", "\\", "/", "%", "+",
)  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.text(max_size=120),
    st.binary(max_size=80).map(lambda data: data.decode("latin-1")),
)
SETTINGS = settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
JUDGING = Judging(JUDGES, make_prefilter(compile_patterns()))


@SETTINGS
@given(texts)
def test_every_judge_answers_whatever_its_triggers_say(text: str) -> None:
    for judge in JUDGES:
        for form in forms_of(text)[0]:
            every_trigger = list(range(len(judge.triggers)))
            found = judge.judge(form.text, every_trigger)
            assert found == judge.judge(form.text, every_trigger)
            if found is not None:
                event(found.family)
                assert 0 <= found.start <= found.end <= len(form.text) and 1 <= found.score <= 9 and found.rule


@SETTINGS
@given(texts)
def test_what_a_value_is_refused_for_the_surface_is_hit_for(text: str) -> None:
    """Otherwise an attack would pass unseen: the values are only looked at when the surface was hit."""
    seen = JUDGING.judge(Value("query:q", text, "query"), Effort(len(text)), 10)
    if any(one.evidence.score >= 5 for one in seen):
        event("attack")
        sendable = text.encode("utf-8", "replace").decode()
        if sendable == text and len(text) > 1:  # one character is nothing to attack with
            assert said(as_json({"a": text})) != []
            assert said(as_json([{"b": 1, "c": text}])) != []


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts)
def test_a_request_always_gets_an_answer(text: str) -> None:
    plain = text.encode("utf-8", "replace").decode()
    for recorded in (as_json({"a": plain, plain: 1}), query(plain)):
        decided = gate().decide(recorded).decision
        assert all(finding.code != "control.failed" for finding in decided.findings), decided.findings
        assert decided == gate().decide(recorded).decision


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PIECES), st.sampled_from(PIECES))
def test_hostile_repetitions_end(one: str, other: str) -> None:
    text = ((one + other) * (WINDOW // len(one + other) + 1))[:WINDOW]
    JUDGING.judge(Value("body:", text, "body"), Effort(len(text)), 10)
