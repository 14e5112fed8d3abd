"""Texts and requests of people and their programs that were refused once and pass: names, lists, labels, mails, bodies of
editors and clients, written by somebody who had not read the rules."""

from __future__ import annotations

import json

import pytest

from injection_harness import PLACES, recorded, stories, verdict

HONEST = stories("honest")


@pytest.mark.parametrize("place", [*PLACES, "request"])
def test_what_was_refused_once_passes(place: str) -> None:
    refused = {
        json.dumps(story, ensure_ascii=False): decision.findings
        for story in HONEST
        if ("request" in story) == (place == "request")
        and (decision := verdict(recorded(story, place)).decision).verdict != "allow"
    }
    assert refused == {}


def test_how_many() -> None:
    assert len(HONEST) > 380
