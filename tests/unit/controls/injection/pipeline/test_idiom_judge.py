"""One expression is both what calls for a judge and what finds the span."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges import code, lookups_crlf_prototypes, template
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge, trigger_of


@pytest.mark.parametrize(
    ("expression", "trigger"),
    [
        ("abc", "abc"),
        (r"\x1e[^x]{0,60}abc", "abc"),
        (r"\x1e[a\]b]{0,90}abc", "abc"),
        (r"\x1e[^x]{0,60}abc|def", r"\x1e[^x]{0,60}abc|def"),
        (r"\x1e[^x]{0,60}(?:abc|def)", "(?:abc|def)"),
        (r"\x1e[^x]{0,60}(?:a(?:b|c)|d)[|]e", "(?:a(?:b|c)|d)[|]e"),
        (r"\x1e[^x]{0,60}a\|b", r"a\|b"),
        (r"\x1eabc", r"\x1eabc"),
    ],
)
def test_a_trigger_has_no_lead_that_only_says_where(expression: str, trigger: str) -> None:
    assert trigger_of(Idiom("code", "x", ODD, expression)) == trigger


def test_a_trigger_of_its_own_is_taken() -> None:
    assert trigger_of(Idiom("code", "x", ODD, "abc.*d", trigger="abc")) == "abc"


def test_the_strongest_of_the_hits_is_found_with_its_span() -> None:
    judge = IdiomJudge(
        "x",
        (
            Idiom("code", "weak", LIKELY, "ab"),
            Idiom("command", "strong", CERTAIN, "cd"),
            Idiom("code", "mid", ATTACK, "e"),
        ),
    )
    assert judge.triggers == ("ab", "cd", "e")
    found = judge.judge("xxABcde", [0, 1, 2])
    assert found is not None and (found.family, found.rule, found.score, found.start, found.end) == (
        "command",
        "strong",
        CERTAIN,
        4,
        6,
    )
    found = judge.judge("xxABcde", [0])
    assert found is not None and (found.rule, found.start, found.end) == ("weak", 2, 4)
    assert judge.judge("xxABcde", []) is None
    assert judge.judge("nothing", [1]) is None


def test_edges_count_as_characters_and_not_as_span() -> None:
    judge = IdiomJudge("x", (Idiom("code", "whole", ODD, r"\x1ea+\x1e"),))
    found = judge.judge("aaa", [0])
    assert found is not None and (found.start, found.end) == (0, 3)
    assert judge.judge("aab", [0]) is None


def test_long_texts_only_quote_it() -> None:
    judge = IdiomJudge("x", (Idiom("code", "short", ODD, "ab", chars_max=4),))
    assert judge.judge("abcd", [0]) is not None
    assert judge.judge("abcde", [0]) is None


def test_every_idiom_keeps_to_what_both_engines_read_alike() -> None:
    every = [*lookups_crlf_prototypes.IDIOMS, *code.IDIOMS, *template.IDIOMS]
    assert len(every) > 80
    for idiom in every:
        for expression in (idiom.expression, trigger_of(idiom)):
            plain = re.sub(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]", "", expression)
            look_around = r"(?!)" if idiom.trigger and expression != idiom.trigger else r"\(\?(?!:|-i:)"
            assert not re.search(look_around + r"|[*+?]\+|[$^]|\\[1-9]", plain), expression
            assert not re.search(r"\.[*+]|\{\d+,\}", plain), expression
