"""Code that a text shows, and that breaks out of the string which the whole text is put into.

A quote in code opens a string or closes it. One that opens a string whose first character is a shell's separator, or that
has no second, was not written to be read. Refuses to know which judge asks.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.command.command_substitutions import acting_substitution
from sallygate.controls.injection.judges.command.command_words import NAMES, alternatives
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.controls.injection.pipeline.literal_rules import lowered

_COMMAND_BEHIND_QUOTE = re.compile(
    rf"(['\"])[\s)]{{0,4}}(?:[;|&]{{1,2}}|\n)[\s({{!]{{0,8}}(?:\w{{1,12}}=\S{{1,40}} )?(?:sudo (?:-\S{{1,8}} )?)?(?:[\w./~-]{{0,40}}/)?(?:{alternatives(NAMES)})(?=[\s<>$;&|'\"])"
)
_CONDITION_BEHIND_QUOTE = re.compile(
    r"(?<=[\w)\]}%])(?<!\b[befnru])(['\"])[\s)]{0,4}(?:(?:or|and|xor|union|in|is|like|glob|having|except|intersect)\b|\|\||&&)"
)
_APOSTROPHE = re.compile(r"(?<=[a-z])'(?=[a-z])")


def breaks_out(code: str, family: Family) -> bool:
    """Whether a part of a text leaves the string around the text, for the language of a family."""
    plain = _APOSTROPHE.sub("_", lowered(code))
    if family == "sql":
        return any(_opens(plain, found) for found in _CONDITION_BEHIND_QUOTE.finditer(plain))
    if family != "command":
        return False
    if acting_substitution(plain) is not None:
        return True
    return any(
        (_opens(plain, found) or plain.count(found[1]) % 2)
        and plain[max(0, found.start() - 2) : found.start()] != found[1] * 2  # three, as around a text of several lines
        for found in _COMMAND_BEHIND_QUOTE.finditer(plain)
    )


def _opens(text: str, quoted: re.Match[str]) -> bool:
    """Whether a quote opens a string, by those before it on its line."""
    at = quoted.start()
    return text.count(quoted[1], text.rfind("\n", 0, at) + 1, at) % 2 == 0
