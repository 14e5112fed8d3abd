"""Whatever is sent, the detectors answer: no exception, spans within the text, the same answer twice, nothing unseen."""

from __future__ import annotations

import json
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from injection_harness import as_json, gate, query, said
from patterns import prefilter
from sallygate.controls.injection import InjectionControl
from sallygate.controls.injection.judges.registry import JUDGES
from sallygate.controls.injection.pipeline import judging
from sallygate.controls.injection.pipeline.decodings import forms_of, percent, utf8
from sallygate.controls.injection.pipeline.judging import WINDOW, Effort, Judging
from sallygate.controls.injection.pipeline.values import BETWEEN, Value
from sallygate.model.request import EMPTY_BODY, Body
from sallygate.parsing.http.head import HeadReader
from sallygate.policy.injection import Injection
from sallygate.state.cleared_texts import ClearedTexts

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
PREFILTER = prefilter()
JUDGING = Judging(JUDGES, PREFILTER)


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


FIELDS = (
    "session=PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "a=1; b=' or 1=1-- ", "' or 1=1-- ",
    "<script>alert(1)</script>", "dark", "a=b", '{"$ne": 1}', "${jndi:ldap://a/b}", "../../etc/passwd", "%2e%2e%2f" * 4 + "etc", "ring twice",
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(["header", "cookie", "credential", "name", "value"]), st.sampled_from(FIELDS)),
        max_size=8,
    ),
    st.sampled_from([0, 2, 4096]),
)
def test_what_was_sent_before_changes_nothing(sent: list[tuple[str, str]], texts_max: int) -> None:
    """Fields that were clean before are not scanned again: that must be for what they are alone, not for where they stood."""
    control = InjectionControl(Injection(), PREFILTER, cleared=ClearedTexts(texts_max))
    for place, text in sent * 2:
        field = {
            "header": ((b"x-note", text.encode()),),
            "cookie": ((b"cookie", text.encode()),),
            "credential": ((b"authorization", b"Bearer " + text.encode()),),
        }.get(place, ())
        head = HeadReader().read(method="POST", scheme="https", raw_path=b"/", raw_query=b"", headers=field,
                                 http_version="2", peer="192.0.2.7", request_id="0" * 32, now=0.0)  # fmt: skip
        tree = {text: 1} if place == "name" else {"a": text}
        body = EMPTY_BODY if field else Body(json.dumps(tree).encode(), "json", "application/json", tree)
        found = control.judge("", head, body)
        event(f"{place}: {'refused' if found[0] else 'passes'}")
        assert found == InjectionControl(Injection(), PREFILTER, cleared=ClearedTexts(0)).judge("", head, body)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(st.sampled_from([*PIECES, "%41", "%4", "%zz", "=", "=\n", "%3d", " "]), st.characters()), max_size=20
    ).map("".join)
)
def test_percent_is_undone_as_the_standard_library_does_it(text: str) -> None:
    if "%u" not in text.lower() and (decoded := percent(text)) is not None:
        event("decoded")
        assert decoded == utf8(unquote_to_bytes(text.encode("utf-8", "surrogatepass")))


@SETTINGS
@given(st.lists(st.text(st.sampled_from("ab'<"), max_size=12), min_size=30, max_size=120), st.integers(14, 40))
def test_a_joined_text_is_scanned_whole_and_cut_between_values(parts: list[str], size: int) -> None:
    text = BETWEEN.join(parts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(judging, "WINDOW", 4 * size)
        patched.setattr(judging, "OVERLAP", size)
        windows = list(judging._joined_windows(text))
    assert sum(map(len, windows)) <= 3 * len(text) + 5 * size
    assert all(any(text[at : at + size // 2] in window for window in windows) for at in range(0, len(text), size // 3))
    assert all(part in windows[0] for part in parts[:2])
    if len(windows) > 1:
        event("cut")
        assert all(set(window.split(BETWEEN)) <= set(parts) for window in windows), "no value is cut through"


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
