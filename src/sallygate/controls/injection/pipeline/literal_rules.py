"""Rules for lower-case text that are tried only where one of their literal words stands.

Most texts cost a few searches.

Refuses to know any language.
"""

from __future__ import annotations

import re

from msgspec import Struct


class Rule(Struct, frozen=True, gc=False):
    """One structure: looked for only when one of its literals is in the text, in lower case."""

    name: str
    score: int
    literals: tuple[str, ...]
    pattern: re.Pattern[str]


def rule_of(name: str, score: int, literals: str, pattern: str) -> Rule:
    """`literals`: words between spaces, in lower case."""
    return Rule(name, score, tuple(literals.split()), re.compile(pattern))


def lowered(text: str) -> str:
    """In lower case, character for character: only the dotted capital I would become two."""
    return text.lower() if text.isascii() else text.replace("\u0130", "i").lower()
