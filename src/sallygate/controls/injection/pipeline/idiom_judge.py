"""Judge whose attacks each have one expression, which is the trigger of the prefilter and finds the span.

Expressions stay within what Hyperscan and `re` read alike: no anchors, bounded repetition, no look-around unless they have
a trigger of their own. `BETWEEN`, `\\x1e`, stands before and after every text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from sallygate.controls.injection.pipeline.evidence import Evidence, Family
from sallygate.controls.injection.pipeline.judge_interface import TEXTS, Judge
from sallygate.controls.injection.pipeline.values import BETWEEN, Kind


class Idiom(Struct, frozen=True):
    """One attack that one expression finds, with its family, rule name and score."""

    family: Family
    rule: str
    score: int
    expression: str
    chars_max: int = 0
    """Only in texts so short: longer ones quote it, as mails and logs do. 0: in all."""
    trigger: str = ""
    """What the prefilter looks for where the whole expression would be too much for it: a necessary part."""
    balanced: bool = False
    """Whether what is found opens a bracket that something evaluates, so that its brackets and quotes must match. Those
    of random characters do not."""


_LEAD = re.compile(r"\\x1e\[(?:[^\]\\]|\\.)+\]\{0,(?:[2-9]\d|\d{3,})\}")
"""`\\x1e[^x]{0,60}`: an automaton would follow it through every text."""


def trigger_of(idiom: Idiom) -> str:
    """What the prefilter looks for: the expression without a lead that says only where in a text it may stand."""
    if idiom.trigger:
        return idiom.trigger
    lead = _LEAD.match(idiom.expression)
    return (
        idiom.expression[lead.end() :] if lead is not None and not _has_branches(idiom.expression) else idiom.expression
    )


def _has_branches(expression: str) -> bool:
    """Whether an expression is an alternative as a whole."""
    plain = re.sub(r"\\.|\[(?:[^\]\\]|\\.)*\]", "", expression)
    while (inner := re.sub(r"\([^()]*\)", "", plain)) != plain:
        plain = inner
    return "|" in plain


class IdiomJudge(Judge):
    """Judge of a language in which one expression is enough to recognise each attack."""

    def __init__(
        self,
        name: str,
        idioms: Sequence[Idiom],
        kinds: frozenset[Kind] = TEXTS,
        cost: float = Judge.cost,
        least: int = Judge.least,
    ) -> None:
        self.name = name
        self.triggers = tuple(map(trigger_of, idioms))
        self.kinds = kinds
        self.cost = cost
        self.least = least
        self._compiled = tuple(
            (idiom, re.compile(idiom.expression, re.IGNORECASE | re.DOTALL).search) for idiom in idioms
        )

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest of the idioms that were hit."""
        best: Evidence | None = None
        edged = f"{BETWEEN}{text}{BETWEEN}"
        for number in hits:
            idiom, search = self._compiled[number]
            if (best is not None and best.score >= idiom.score) or 0 < idiom.chars_max < len(text):
                continue
            found = _balanced(search, edged) if idiom.balanced else search(edged)
            if found is not None:
                start, end = max(found.start() - 1, 0), min(found.end() - 1, len(text))
                best = Evidence(idiom.family, idiom.rule, idiom.score, start, end)
        return best


DECOYS_MAX = 64
"""Finds whose brackets do not match, before one more counts: nobody writes so many but to hide another."""
UNCLOSED_MAX = 200
"""Characters of the longest find that may end within its brackets, as a value does that was cut."""
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


def _balanced(search: Callable[[str, int], re.Match[str] | None], text: str) -> re.Match[str] | None:
    """The first find whose brackets and quotes match, up to where the first bracket is closed."""
    at = 0
    for _ in range(DECOYS_MAX):
        found = search(text, at)
        if found is None or _closes(text, found.start(), found.end()) or not _is_chance(found[0]):
            return found
        at = found.start() + 1
    return found


_FLIP = re.compile(r"[a-z][A-Z]|[A-Z][a-z]")
_PAIR = re.compile(r"(?=[A-Za-z]{2})")
PAIRS_MIN, SHORT_MAX = 4, 60
"""Pairs of letters to judge by, and characters of a text with fewer that may have been written."""
FLIPS_SHARE_MIN = 0.25
"""Of pairs of letters, those that change case: of random ones a half do, in code one in ten."""


def _is_chance(text: str) -> bool:
    """Whether letters come as random ones do; what was written, with comments and quotes of any language, has words."""
    pairs = len(_PAIR.findall(text))
    return len(_FLIP.findall(text)) > FLIPS_SHARE_MIN * pairs if pairs >= PAIRS_MIN else len(text) > SHORT_MAX


def _closes(text: str, start: int, end: int) -> bool:
    """Whether the first bracket from `start` on is closed by `end`, with all within it; or the text ends soon."""
    expected: list[str] = []
    quote = ""
    escaped = False
    for character in text[start:end]:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"`" and expected:
            quote = character
        elif character in _CLOSERS:
            expected.append(_CLOSERS[character])
        elif expected and character in ")]}":
            if character != expected.pop():
                return False
            if not expected:
                return True
    return text[end - 1 : end] == BETWEEN and end - start <= UNCLOSED_MAX
