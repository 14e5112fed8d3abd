"""A lexer for SQL of every dialect at once: MySQL, PostgreSQL, SQL Server, Oracle, SQLite, DB2.

A value in a statement is read from where it may begin to be code (its start, or behind a quote that ends the literal it
was meant to stay in) to where a bound of tokens stops. Where dialects disagree, what helps an attacker is assumed: `#`
and `--` are comments, `/*!50000 x */` is `x`, `"a"` is a string, `\\'` does not end a string.

Cost: one pass, one match a token, every alternative possessive. Refuses to know what is an attack.
"""

from __future__ import annotations

import re

from msgspec import Struct

from sallygate.controls.injection.sqlwords import CATALOGUE, CLASS_OF, DANGEROUS, FUNCTIONS, PACKAGES

TOKENS_MAX = 96
"""Tokens read from one starting point; the structures looked for take 4 to 12 behind it."""

_SPELLING = r"""[\s\x00-\x1f\u200b]*+(?:
    ([^\W\d][\w$]*+(?![\w$'&])\(?+)  # 1 words, called at once or not
    |([(]++|[)]++|[,;{}!])  # 2 marks
    |(0x[0-9a-f]*+|0b[01]++(?!\w)|\d++(?!\.\d{0,9}e[.(])(?:\.\d*+)?+(?:e[+-]?\d++|[fd](?=union))?+|\.\d++(?:e[+-]?\d++)?+)  # 3 numbers
    |(/\*!\d{0,6}+|\*/|\d{1,9}\.\d{0,9}e(?=[.(])|::\s?[a-z]\w{1,20}+(?:\(\d{1,4}\))?+(?:\[\])?+)  # 4 as good as white space
    |(%COMMENT%)  # 5 comments
    |(%STRING%)  # 6 strings
    |(@@?(?:[\w$.]++%QUOTED%)|@(?=:=|[|)]|\s(?!')))  # 7 variables
    |(%NAME%\[[\w ]{1,64}+\])  # 8 quoted identifiers
    |([^\W\d][\w$]*+\(?+)  # 9 words
    |(@>|<@|@[@?](?=\s?')|->>?(?=\s?')|\#(?>>>?|-)|(?<=['b]\s)\?[|&]?(?=\s?(?:'|array\b))
      |<=>|<>|!=|!<|!>|==|>=|<=|:=|<(?!<)|>(?!>)|=)  # 10 comparisons
    |(&&|\|\|)  # 11 logic
    |(<<|>>|::|[-+/%^|~])  # 12 arithmetic
    |(\\n(?:(?!\w)|(?=union|from|or\b|and\b|xor\b)))  # 13 null
    |([^\w\s'"`(),;.*!{}&=<>@#$/\\:+|^~%?\[\x00-\x1f-]++|.)  # 14 the rest
    |$)"""
PARENS_MAX = 8
"""Of a run of parentheses, so many are kept."""
_FLAGS = re.IGNORECASE | re.VERBOSE | re.DOTALL


def _lexer(comment: str, string: str, name: str, quoted: str) -> re.Pattern[str]:
    spelled = _SPELLING.replace("%COMMENT%", comment).replace("%STRING%", string)
    return re.compile(spelled.replace("%NAME%", name).replace("%QUOTED%", quoted), _FLAGS)


_READING = _lexer(
    r"""/\*(?>[^*]++|\*(?!/))*+(?:\*/)?+|--[^\n]*+|\#(?!>{1,2}\s?'|-\s?')[^\n]*+""",
    r"""(?:n?q'(?:\[[^\]]{0,400}+\]|\{[^}]{0,400}+\}|\([^)]{0,400}+\)|<[^>]{0,400}+>|![^!]{0,400}+!)')
      |(?:[nxbe]|u&|_[a-z]\w{1,9}+\s?)?+'(?>[^'\\]++|''|\\.)*+'?+|"(?>[^"\\]++|""|\\.)*+"?+|\$\$(?>[^$]++|\$(?!\$))*+\$\$""",
    r"`[^`]*+`|",
    r"""|`[^`]*+`|'[^']*+'|"[^"]*+["]""",
).finditer
"""As a database reads: a string is one token, a comment hides what is in it."""
_BLIND = _lexer(
    r"""/\*(?>[^*]|\*(?!/)){0,80}+\*/|/\*|--(?:[ +]-?)?|\#(?!>{1,2}\s?'|-\s?')""", r"""['"`]""", "", ""
).finditer
"""Nothing hides anything: every quote and every mark of a comment is a token, what stands between is read."""

_PLAIN, _MARK, _NUMBER, _SPACE, _COMMENT, _STRING, _VARIABLE, _QUOTED, _WORD = range(1, 10)
_COMPARED, _LOGIC, _SUM, _NULL, _REST = range(10, 15)
_WORDS = (_PLAIN, _WORD)
_SIMPLE = {_NUMBER: "1", _VARIABLE: "v", _QUOTED: "i", _COMPARED: "=", _LOGIC: "&", _SUM: "+", _NULL: "N"}
_REST_CLASSES = {".": ".", "*": "*", "&": "~"}


_EXPECTING = "S,&=+*(!A"
"""Behind these an operand is due."""


class Tokens(Struct, frozen=True, gc=False):
    """The tokens from one starting point."""

    kinds: str
    """A class a token, parentheses with them."""
    flat: str
    """The same without parentheses, which break-outs close and open as they need."""
    spans: list[tuple[int, int]]
    """Start and end of each token in `flat`."""
    comment: str
    """The text of the comment that runs to the end, without its mark; empty when there is none."""
    words: list[str]
    """Lower-case text of each token in `flat`."""


def tokens_of(text: str, start: int, tokens_max: int = TOKENS_MAX, *, blind: bool = False) -> Tokens:
    """Read `text` from `start`. Comments that end count as white space, one that does not ends the statement: `c`.
    Read `blind`, quotes are tokens of their own, and a comment hides nothing."""
    kinds: list[str] = []
    flat: list[str] = []
    spans: list[tuple[int, int]] = []
    words: list[str] = []
    comment = ""
    last = before = ""
    size = len(text)
    known = CLASS_OF.get
    for found in (_BLIND if blind else _READING)(text, start):  # every character is some token: nothing is skipped
        group = found.lastindex
        if group == _SPACE or group is None:
            continue
        if len(kinds) >= tokens_max:
            break
        word = found[group]
        opens = False
        if group in _WORDS:
            opens = word[-1] == "("
            word = word[:-1].lower() if opens else word.lower()
            kind = called_class(word) if opens else known(word) or _plain_class(word)
            if kind == "t" and last not in ("d", "G", "U"):
                kind = "i"
        elif group == _MARK:
            kind = word[0]
            if kind in "()":
                if kind == "(" and last == "i" and (not before or before in _EXPECTING):
                    called = called_class(words[-1])
                    if called == "f" or (called == "T" and before):  # `sleep (8 hours)` is none
                        kinds[-1] = flat[-1] = called  # MySQL and others let white space stand before the parenthesis
                kinds.append(word[:PARENS_MAX])
                before, last = last, kind
                continue
        elif group == _REST:
            kind = _REST_CLASSES.get(word, "?")
        elif group == _STRING:
            kind = "q" if blind else _string_class(word)
        elif group == _COMMENT:
            if word[0] == "/" and len(word) > 3 and word.endswith("*/"):
                continue
            if not blind and word[0] != "/" and found.end() < size:
                continue
            kind = "c"
            comment = word[1:] if word[0] == "#" else word[2:]
        else:
            kind = "Y" if group == _QUOTED and word[1:-1].lower() in CATALOGUE else _SIMPLE[group]
        kinds.append(kind)
        flat.append(kind)
        spans.append(found.span(group))
        words.append(word)
        before, last = last, kind
        if opens:
            kinds.append("(")
            before, last = kind, "("
    return Tokens("".join(kinds), "".join(flat), spans, comment, words)


def _string_class(word: str) -> str:
    """`s` when it is closed, otherwise `q`."""
    return "s" if len(word) > 1 and word[-1] in "'\"$" and not (len(word) == 2 and word[0] not in "'\"") else "q"


def _plain_class(word: str) -> str:
    return "Y" if word.startswith(("xp_", "sp_")) else "i"


def called_class(word: str) -> str:
    """The class of a word with a parenthesis behind it."""
    if word in DANGEROUS:
        return "T"
    if word in FUNCTIONS or word.startswith(PACKAGES):
        return "f"
    kind = CLASS_OF.get(word, "e")
    return "m" if kind == "e" else kind
