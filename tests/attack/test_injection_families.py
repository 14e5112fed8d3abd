"""What got past the gate once, by family: attacks written by people who had not read it, and what they tried when they had.

Each line of the file is a text or a whole request that an application would run, follow or read back; a text stands in a
query, a form, a part of a form and a JSON string in turn.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from injection_harness import PLACES, recorded, stories, verdict

ATTACKS = stories("attacks")


@pytest.mark.parametrize("place", [*PLACES, "request"])
def test_what_got_past_once_is_refused(place: str) -> None:
    passed = [
        json.dumps(story, ensure_ascii=False)
        for story in ATTACKS
        if ("request" in story) == (place == "request") and verdict(recorded(story, place)).decision.verdict == "allow"
    ]
    assert passed == []


def test_how_many_of_which() -> None:
    families = Counter(story["family"] for story in ATTACKS)
    assert len(ATTACKS) > 350
    assert {
        "sql",
        "xss",
        "command",
        "traversal",
        "template",
        "nosql",
        "ssrf",
        "crlf",
        "deserialisation",
        "code",
        "xxe",
    } <= set(families)
