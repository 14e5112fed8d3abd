"""Reader of STIX patterns (STIX 2.1, section 9) that name addresses and nothing more.

    [ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value ISSUBSET '198.51.100.0/24'] OR [ipv6-addr:value = '2001:db8::1']

What is joined by OR holds alone, and is taken; a name of a host beside an address is left. What is joined by AND,
follows, repeats, is denied or is bound to a time asks for more than an address: such a pattern is not used, for an
address alone would meet more than was meant. One pass over its words; no grammar is built.
"""

from __future__ import annotations

import re

from sallygate.parsing.indicators.blocks import Block, blocks_of

PATTERN_CHARS_MAX = 64 * 1024
"""The longest of public collections are about 8 KiB."""
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\['\\])*+')"
    r"|(?P<word>[A-Za-z][A-Za-z0-9_-]*(?::[A-Za-z0-9_.\[\]*'\"-]+)?)"
    r"|(?P<mark>!=|<>|<=|>=|==|[\[\]()=<>,])"
    r"|(?P<number>[+-]?[0-9][0-9.]*))"
)
_PATHS = frozenset(
    ("ipv4-addr:value", "ipv6-addr:value", "network-traffic:src_ref.value", "network-traffic:dst_ref.value")
)
_MORE = {word.lower(): f"pattern: {word}" for word in ("AND", "FOLLOWEDBY", "NOT", "REPEATS", "WITHIN", "START")}
OTHER = "pattern: no address"


class Unused(Exception):
    """The reason, one of few."""


def blocks_of_pattern(pattern: str) -> tuple[Block, ...]:
    """The prefixes a pattern names. Raises `Unused` for a pattern that asks for something else, `ValueError` for what
    is no pattern."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise ValueError(f"a pattern longer than {PATTERN_CHARS_MAX >> 10} KiB")
    words = _words(pattern)
    for kind, word in words:
        if kind == "word" and (reason := _MORE.get(word.lower())) is not None:
            raise Unused(reason)
    found: list[Block] = []
    at = 0
    while True:
        at = _observation(words, at, found)
        if at == len(words):
            break
        if not _is(words, at, "word", "or"):
            raise ValueError("not a pattern: observations are joined by OR")
        at += 1
    if not found:
        raise Unused(OTHER)
    return tuple(found)


def _words(pattern: str) -> list[tuple[str, str]]:
    words, at, end = [], 0, len(pattern.rstrip())
    while at < end:
        match = _TOKEN.match(pattern, at)
        if match is None:
            raise ValueError("not a pattern")
        kind = match.lastgroup or ""
        words.append((kind, match[kind]))
        at = match.end()
    if not words:
        raise ValueError("an empty pattern")
    return words


def _is(words: list[tuple[str, str]], at: int, kind: str, word: str) -> bool:
    return at < len(words) and words[at][0] == kind and words[at][1].lower() == word


def _observation(words: list[tuple[str, str]], at: int, found: list[Block]) -> int:
    """From `[` to after `]`."""
    if not _is(words, at, "mark", "["):
        if _is(words, at, "mark", "("):
            raise Unused("pattern: parentheses")
        raise ValueError("not a pattern: an observation begins with [")
    at += 1
    while True:
        at = _comparison(words, at, found)
        if _is(words, at, "mark", "]"):
            return at + 1
        if not _is(words, at, "word", "or"):
            raise ValueError("not a pattern: comparisons are joined by OR")
        at += 1


def _comparison(words: list[tuple[str, str]], at: int, found: list[Block]) -> int:
    if _is(words, at, "mark", "("):
        raise Unused("pattern: parentheses")
    if at + 2 >= len(words) or words[at][0] != "word" or ":" not in words[at][1]:
        raise ValueError("not a pattern: a comparison begins with an object's path")
    path, operator = words[at][1], words[at + 1][1].lower()
    values, at = _values(words, at + 2)
    if path not in _PATHS:
        return at
    if operator not in ("=", "==", "in", "issubset"):
        raise Unused("pattern: another operator")
    for text in values:
        found.extend(blocks_of(text))
    return at


def _values(words: list[tuple[str, str]], at: int) -> tuple[list[str], int]:
    """One constant or a list of them, and what comes after."""
    if not _is(words, at, "mark", "("):
        return [_constant(words, at)], at + 1
    values = []
    at += 1
    while True:
        values.append(_constant(words, at))
        at += 1
        if _is(words, at, "mark", ")"):
            return values, at + 1
        if not _is(words, at, "mark", ","):
            raise ValueError("not a pattern: a list goes on with a comma")
        at += 1


def _constant(words: list[tuple[str, str]], at: int) -> str:
    if at >= len(words) or words[at][0] == "mark":
        raise ValueError("not a pattern: a constant is missing")
    kind, word = words[at]
    # A date or bytes (`t'…'`, `b'…'`) is a word and a text; nothing that names an address is one.
    if kind == "word" and word in ("t", "b", "h") and at + 1 < len(words) and words[at + 1][0] == "text":
        raise Unused("pattern: another constant")
    return re.sub(r"\\(['\\])", r"\1", word[1:-1]) if kind == "text" else word
