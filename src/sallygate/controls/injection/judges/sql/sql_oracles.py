"""Recogniser of blind oracles in SQL: conditions of names and calls alone, whose truth the answer of the API shows.

`x' or products.stock or '` compares nothing. A dotted name, a name with an underscore or a call is what distinguishes a
condition from prose, together with its end: a quote that waits for the application's own, a comment, or the end of a value
that begins as a number does.

Known bypasses: behind a number `1 or stock`, `1=p.stock`, `1-stock`, `1-p.stock` and `1 or p. stock`, which are said or name files too;
a value that begins with a column (`id or p.stock`); columns whose names are endings of files or hosts (`1 or p.com`).
Cost: three linear expressions over at most a hundred classes. Refuses to know what stands before a quote.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.sql.sql_lexer import Tokens

_NAMED = re.compile(r"[istYe](?:\.+[A-Za-z])+")
"""A name of several parts, which becomes `n`."""
_OPERANDS = "1svNifmTYn!+*~=,&A"
_BEHIND = re.compile(
    rf"s*+;?[1N]?[&=+*~H][{_OPERANDS}]*(?:(?:(?<=[&=+*~!,])|(?<=[1svNifmYn])(?:OB|H|L))(?:q|\?i?)|;?c|;)"
).fullmatch
_FROM_START = re.compile(rf"[!+,]*[1Ns][{_OPERANDS}]*[1svNifmYn](?:;?c|;)?").fullmatch
_SIDE_BY_SIDE = re.compile(r"[1svNin][1svNin]|[+*~][&=]|&=").search
"""Two operands without an operator, or operators without an operand: prose."""
_ENDINGS = frozenset(
    "com org net edu gov io html htm js jsx tsx py md txt pdf yaml yml csv jpg jpeg png gif svg gz exe docx xlsx pptx mp3 "
    "mp4 css php asp aspx jsp".split()
)
"""Last parts of names of hosts and files that hardly a column is called."""
_ROW_NAMES = frozenset(("rowid", "oid"))
_READING = frozenset(
    "instr substr substring mid ascii ord unicode hex unhex length char_length octet_length bit_length locate position "
    "strcmp charindex patindex starts_with find_in_set".split()
)
"""Functions that read a text letter by letter, none of them of mathematics."""
_CELL = re.compile(r"[a-z]{1,3}\d{1,7}").fullmatch
"""Of a spreadsheet."""
_ONLY_COMPUTING = frozenset(("*", "^", "|", "&", "<<", ">>"))
"""Operators that do not stand in names of files, in lists and in dates."""


def is_oracle_behind(tokens: Tokens, mark: str) -> bool:
    """Whether `tokens` behind a quote `mark` are a condition of a dotted name, a call or a name with an underscore, up to a
    quote of the same kind, a comment or a semicolon."""
    kinds = _NAMED.sub("n", tokens.flat)
    if _BEHIND(kinds) is None or _SIDE_BY_SIDE(kinds):
        return False
    words = tokens.words()
    if kinds[-1] == "q":
        last = words[-1].lstrip("abcdefghijklmnopqrstuvwxyz_ ")
        if last[:1] != mark or len(last.split()) > 3:
            return False
    elif (at := kinds.find("?")) >= 0 and (mark != "`" or words[at - len(kinds)] != mark):
        return False
    return any(kind in "nfmT" for kind in kinds) or _has_column(tokens, words)


def is_oracle_from_start(tokens: Tokens) -> bool:
    """Whether a whole value is a number and a condition or a computation with columns."""
    flat = tokens.flat
    if not ("." in flat or "i" in flat):
        return False
    kinds = _NAMED.sub("n", flat)
    if _FROM_START(kinds) is None or _SIDE_BY_SIDE(kinds):
        return False
    words = tokens.words()
    if kinds.lstrip("!+,")[0] == "s" and not words[0].strip("'\"").isdecimal():
        return False
    if "=" in words and "&" not in kinds:
        return False  # `204=Xy_z.w`, `1&page_size=20`: names with their values, and keys
    if "&" in kinds or "=" in kinds:
        return _names_column(tokens, words) or _has_column(tokens, words) or _reads(tokens, words)
    return _is_computed(tokens, words)


def _is_computed(tokens: Tokens, words: list[str]) -> bool:
    """`1*p.stock`, `1-(p.stock)`, `1-instr(name,'L')`."""
    if _reads(tokens, words):
        return True
    if not _names_column(tokens, words):
        return False
    return tokens.kinds.rstrip(")c;") != tokens.kinds.rstrip("c;") or not _ONLY_COMPUTING.isdisjoint(words)


def _reads(tokens: Tokens, words: list[str]) -> bool:
    """Whether a function reads a column's text."""
    pairs = list(zip(words, tokens.flat, strict=True))
    return any(kind == "f" and word in _READING for word, kind in pairs) and any(
        kind == "i" and not _CELL(word) for word, kind in pairs
    )


def _has_column(tokens: Tokens, words: list[str]) -> bool:
    """Whether a name stands there that no prose has."""
    return any(
        kind == "i" and ("_" in word or word[0] in "`[" or word in _ROW_NAMES)
        for word, kind in zip(words, tokens.flat, strict=True)
    )


def _names_column(tokens: Tokens, words: list[str]) -> bool:
    """Whether a dotted name is none of a host or a file, and its dot ends no sentence."""
    spans = tokens.spans()
    for found in _NAMED.finditer(tokens.flat):
        if words[found.end() - 1] in _ENDINGS:
            continue
        dots = [at for at in range(*found.span()) if tokens.flat[at] == "."]
        if not any(spans[at][1] < spans[at + 1][0] and spans[at - 1][1] == spans[at][0] for at in dots):
            return True
    return False
