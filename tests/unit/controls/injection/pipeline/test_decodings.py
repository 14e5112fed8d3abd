"""What a value may turn into, and what it may not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sallygate.controls.injection.pipeline.decodings import FORMS_MAX, ROUNDS_MAX, forms_of, from_base64, utf8

REACHED = [
    ("%3Cscript%3E", "<script>"), ("%253Cscript%253E", "<script>"), ("%25253Cscript", "<script"), ("%u003cscript", "<script"),
    ("%U003Cscript", "<script"), ("&lt;script&gt;", "<script>"), ("&#60;script", "<script"), ("&#x3c;script", "<script"),
    ("&#x3cscript", "<script"), ("&colon;", ":"), ("&tab;x", "\tx"), ("\\x3cscript", "<script"), ("\\u003cscript", "<script"),
    ("\\u{3c}script", "<script"), ("\\074script", "<script"), ("j\\61vascript", "javascript"), ("a\\nid", "a\nid"),
    ("\uff1cscript\uff1e", "<script>"), ("java\u200bscript", "javascript"), ("\u2032 or", "' or"), ("\u2215etc\u2215passwd", "/etc/passwd"),
    ("%c0%af", "/"), ("%c0%ae%c0%ae/", "../"), ("%e0%80%af", "/"), ("%f0%80%80%af", "/"), ("%f8%80%80%80%ae", "."), ("%c0%2e", "."),
    ("PHNjcmlwdD4K", "<script>\n"), ("PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg", "<script>alert(1)</script>"),
    ("%26lt%3Bscript", "<script"), ("a\x00b", "ab"), ("%2527", "'"), ("%%32%37", "'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), REACHED)
def test_decodings_reach_what_a_lenient_reader_would(text: str, wanted: str) -> None:
    assert wanted in {form.text for form in forms_of(text)[0]}


def test_how_many_there_are() -> None:
    assert len(REACHED) == 33


@pytest.mark.parametrize("text", ["", "hello", "a b", "50%", "100%25x"[:4], "AT&T", "a & b", "x=1&y=2", "550e8400-e29b-41d4-a716-446655440000", "C:", "ünïcode"])  # fmt: skip
def test_plain_values_have_one_form(text: str) -> None:
    assert [form.text for form in forms_of(text)[0]] == [text]


def test_steps_say_what_was_undone() -> None:
    forms, endless = forms_of("%2526lt%253b")
    assert not endless
    assert {form.text: form.steps for form in forms}["<"] == ("percent", "percent", "unescaped")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Pj4 Pj4 IGE8Yj4", ">>>>>> a<b>"),
        ("Pj4 Pj4 Pj4 Pj4 ", ">>>>>>>>>>>>"),
        ("Pj4+\r\nPj4+\r\nIGE=\r\n", ">>>>>> a"),
        (" PHN2ZyBvbmxvYWQ9 YWxlcnQoMSk ", "<svg onload=alert(1)"),
        ("PHN2ZyBvbmxvYWQ9YWxlcnQoMSk =", "<svg onload=alert(1)>\n<svg onload=alert(1)"),
        ("PHN2ZyBvbmxvYWQ9YWxlcnQoMSkx", "<svg onload=alert(1)1"),
        ("PHN2ZyBvbmxvYWQ9YWxlcnQoMSkxA", "<svg onload=alert(1)1"),
        ("red running shoes", None),
        ("Add to your list", None),
    ],
)
def test_base64_with_blanks_lines_and_lost_letters(text: str, spelled: str | None) -> None:
    assert from_base64(text) == spelled


def test_going_on_decoding_is_reported() -> None:
    text = "%27"
    for _ in range(ROUNDS_MAX + 1):
        text = text.replace("%", "%25")
    assert forms_of(text)[1]
    assert not forms_of("%2525252527")[1], "addresses in addresses are honestly encoded five times"


def test_random_tokens_are_no_base64_of_text() -> None:
    assert from_base64(base64.b64encode(bytes(range(200, 255))).decode()) is None
    assert from_base64("GA1.2.1171044093") is None
    assert (
        from_base64(base64.urlsafe_b64encode("gr\u00fc\u00dfe \u00fcberall hin".encode()).decode())
        == "gr\u00fc\u00dfe \u00fcberall hin"
    )


@settings(max_examples=400, deadline=None)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "%",
                "25",
                "27",
                "&#",
                "x3c",
                ";",
                "\\u",
                "003c",
                "\\",
                "a",
                "%u",
                "PHNj",
                "=",
                "\uff1c",
                "\x00",
                "%c0",
                "%af",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_it_is_total_and_bounded(text: str) -> None:
    forms, _ = forms_of(text)
    assert forms[0].text == text and 1 <= len(forms) <= FORMS_MAX + 1
    assert len({form.text for form in forms}) == len(forms)
    assert all(len(form.steps) <= ROUNDS_MAX for form in forms)


@given(st.binary(max_size=40))
def test_bytes_of_any_kind_are_text(data: bytes) -> None:
    assert isinstance(utf8(data), str)
