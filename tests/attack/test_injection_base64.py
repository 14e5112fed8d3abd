"""Attacks in base64 as transports change it: `+` read as a blank, other alphabets, lost or encoded padding, wrapped lines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from injection_harness import as_json, post, query, request, said
from sallygate.offline.recordings import Recorded

ATTACKS = (
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>>>",
    "~~~' union select a,b from users-- ",
    "?>><script>alert(document.cookie)</script>~>",
    "\u03f8\u03ff' or 1=1-- \u03f8",
)
"""Their base64 has `+` at its end, in its middle, not at all, and where ASCII puts none."""


def _wrapped(spelled: str, by: str, size: int = 19) -> str:
    return by.join(spelled[at : at + size] for at in range(0, len(spelled), size))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "a raw plus": lambda spelled: spelled,
    "without padding": lambda spelled: spelled.rstrip("="),
    "too much padding": lambda spelled: spelled + "==",
    "encoded padding": lambda spelled: spelled.replace("=", "%3D"),
    "padding encoded twice": lambda spelled: spelled.replace("=", "%253D"),
    "the other alphabet": lambda spelled: spelled.replace("+", "-").replace("/", "_"),
    "the other alphabet without padding": lambda spelled: spelled.translate(str.maketrans("+/", "-_", "=")),
    "everything encoded": lambda spelled: quote(spelled, safe=""),
    "everything encoded twice": lambda spelled: quote(quote(spelled, safe=""), safe=""),
    "wrapped lines": lambda spelled: _wrapped(spelled, "%0D%0A"),
    "wrapped lines encoded twice": lambda spelled: _wrapped(spelled, "%250A"),
    "wrapped by blanks": lambda spelled: _wrapped(quote(spelled, safe=""), "%20", 33),
    "a line break at the end": lambda spelled: spelled + "%0A",
    "blanks around": lambda spelled: "%20" + quote(spelled, safe="") + "%20",
}


def _in_query(text: str) -> Recorded:
    return request("/", "page=2&d=" + text)


def _in_form(text: str) -> Recorded:
    return post(f"id=7&d={text}&lang=en", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("spelling", list(SPELLINGS))
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", [_in_query, _in_form])
def test_as_a_query_and_a_form_carry_it(spelling: str, attack: str, place: Callable[[str], Recorded]) -> None:
    spelled = base64.b64encode(attack.encode()).decode()
    assert said(place(SPELLINGS[spelling](spelled))), spelled


@pytest.mark.parametrize("attack", ATTACKS)
def test_wrapped_in_documents(attack: str) -> None:
    spelled = base64.b64encode(attack.encode()).decode()
    for text in (_wrapped(spelled, "\n"), _wrapped(spelled, "\r\n", 76) + "\r\n", spelled.replace("+", " ")):
        assert said(as_json({"a": [text]})), text
        assert said(query(json.dumps({"a": text}))), text
        assert said(as_json({"a": json.dumps({"b": text})})), text
        assert said(post(text, "text/plain")), text


@pytest.mark.parametrize(
    "text",
    [
        "red running shoes",
        "NEW YORK CITY HOTELS",
        "how to select a plan from the list",
        "Lorem ipsum dolor sit amet consectetur adipiscing elit",
        "QmFzZTY0IGlz IGEgdGV4dA",
        "a b c d e f g h i j k l m n o p",
        "line one\nline two\nline three",
        "AAAA BBBB CCCC DDDD",
    ],
)
def test_words_with_blanks_pass(text: str) -> None:
    for asked in (query(text), as_json({"a": text}), request("/", "d=" + quote(text).replace("%20", "+"))):
        assert said(asked) == []
