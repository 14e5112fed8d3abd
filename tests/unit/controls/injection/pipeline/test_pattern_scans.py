"""The judges' own scans: what `re` finds they say is possible, kept databases scan alike, broken ones are made anew."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sallygate.controls.injection.judges.html import javascript
from sallygate.controls.injection.pipeline import pattern_scans
from sallygate.controls.injection.pipeline.pattern_scans import SCANS, pack, superset, unpack


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (r"\bset\s*+\(", r"(?:^|\W)set[\s\x0b\x1c-\x1f?\x80-\xff]*\("),
        (r"(?<![a-z.])new(?!\w)", r"(?:^|[^a-z.])new"),
        (r"(?:(?<=script)|x)a{2}b{0,3}c{1,4}+d{5,}", r"(?:script|x)a{2,}b*c+d{5,}"),
        (r"[^\w]\b(?>a|b)?+[\d\]x]", r"[^\w](?:a|b)?[\d?\x80-\xff\]x]"),
        ("\u03c9?\\u03c9[\\u00e9\u2003-\u2009][^\\ue000a?\u2003-\u2009-]", r"\??\?[\xe9?][^a-]"),
        ("[\\x7f-\uffff][a-z\u00e9\\\\][^\\ws]", r"[\x7f-\xff?][a-z\xe9\\][^\ws]"),
        (r"a(?=(?:[)(]|\())b", "ab"),
    ],
)
def test_superset(expression: str, wanted: str) -> None:
    assert superset(expression) == wanted


PIECES = [literal for rule in javascript.RULES for literal in rule.literals] + [
    *"()[]{}'\"`/\\+-*=;,.!?:&|<>$% \n1a_",
    "\xa0", "\u2003", "\x1c", "é", "\u212a", "\ud800", "alert(1)", "name", "new ", "image", ".src", "string.", "cookie", "write(",
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_whatever_matches_is_possible(text: str) -> None:
    lower = text.lower()
    matching = {number for number, rule in enumerate(javascript.RULES) if rule.pattern.search(lower)}
    assert matching <= set(javascript._possible(lower))


def test_kept_scans_are_taken_and_broken_ones_made_anew() -> None:
    kept = pattern_scans.dump()
    assert unpack(pack(kept)) == kept and unpack(pack(kept)[:-1])[-1] == kept[-1][:-1]
    for dumped in (kept, kept[:-1], [b""] * len(kept)):
        for scan in SCANS:
            scan.database = None
        pattern_scans.load(dumped)
        assert all(scan.database is not None for scan in SCANS)
        assert javascript.script_in("alert(1)") is not None
