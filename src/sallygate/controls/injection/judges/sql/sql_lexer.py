"""Lexer of SQL for every dialect at once: MySQL, PostgreSQL, SQL Server, Oracle, SQLite, DB2.

A value in a statement is read from where it may begin to be code (its start, or behind a quote that ends the literal it
was meant to stay in) to where a bound of tokens stops. Where dialects disagree, what helps an attacker is assumed: `#`
and `--` are comments, `/*!50000 x */` is `x`, `"a"` is a string, `\\'` does not end a string.

Cost: one pass, one match a token, every alternative possessive; a token's class comes from a table by its text, and where
tokens stand is computed only for reported values. Refuses to know what is an attack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter

from msgspec import Struct

from sallygate.controls.injection.judges.sql.sql_words import (
    CATALOGUE,
    CLASS_OF,
    DANGEROUS,
    FUNCTIONS,
    PACKAGES,
    SPELLED,
)
from sallygate.controls.injection.pipeline.literal_rules import lowered

TOKENS_MAX = 96
"""Tokens read from one starting point; the structures looked for take 4 to 12 behind it."""

_SPELLING = r"""[\x00-\x20]*+(?:(?=[/*\d:%SKIPPED%\x7f-\uffff])(?:[\s\x00-\x1f\u200b]++|/\*!\d{0,6}+|\*/|%ENDED%
      |\d{1,9}\.\d{0,9}e(?=[.(])|::\s?[a-z]\w{1,20}+(?:\(\d{1,4}\))?+(?:\[\])?+)++)?+(  # white space, and what is as good
    [a-z_][a-z0-9_$]*+[\w$]*+%WHOLE%\(?+  # words, called at once or not
    |[,;{}!%QUOTES%]|[(]++|[)]++|\.(?!\d)|:(?![:=])|=(?!=)  # marks, and the commonest of the rest
    |0x[0-9a-f]*+|0b[01]++(?!\w)|\d++(?!\.\d{0,9}e[.(])(?:\.\d*+)?+(?:e[+-]?\d++|[fd](?=union))?+|\.\d++(?:e[+-]?\d++)?+  # numbers
    |%COMMENT%  # comments
    |%STRING%  # strings
    |@@?(?:[\w$.]++%QUOTED%)|\ue000  # variables
    |%NAME%\[[\w ]{1,64}+\]  # quoted identifiers
    |[^\W\d][\w$]*+\(?+  # words
    |@>|<@|@[@?](?=\s?')|->>?(?=\s?')|\#(?>>>?|-)|\ue001|(?<=['b]\s)\?[|&](?=\s?(?:'|array\b))
      |<=>|<>|!=|!<|!>|==|>=|<=|:=|<(?!<)|>(?!>)|=|\^@  # comparisons
    |&&|\|\|  # logic
    |<<|>>|::|[-+/%^|~]  # arithmetic
    |\\n(?:(?!\w)|(?=union|from|or\b|and\b|xor\b))  # null
    |[^\w\s'"`(),;.*!{}&=<>@#$/\\:+|^~%?\[\x00-\x1f\ue000\ue001-]++|.  # the rest
    |$)"""
_LONE_VARIABLE = re.compile(r"@(?=:=|[|)]|\s(?!'))").sub
_LONE_OPERATOR = re.compile(r"(?<=['b]\s)\?(?=\s?(?:'|array\b))").sub
"""Tokens of one character whose class depends on what is around them stand as characters of no text."""
PARENS_MAX = 8
"""Of a run of parentheses, so many are kept."""
WHOLE_MAX = 640
"""Texts this short are split at once, which costs less than a match object a token, and no more than a few more tokens."""


def _lexer(ended: str, comment: str, string: str, name: str, quoted: str) -> re.Pattern[str]:
    blind = not name
    spelled = _SPELLING.replace("%WHOLE%", "" if blind else r"(?![\w$'&])").replace("%QUOTES%", "'\"`" if blind else "")
    spelled = spelled.replace("%SKIPPED%", "" if blind else r"#\-")
    spelled = spelled.replace("%ENDED%", ended).replace("%COMMENT%", comment).replace("%STRING%", string)
    return re.compile(spelled.replace("%NAME%", name).replace("%QUOTED%", quoted), re.VERBOSE | re.DOTALL)


_READING = _lexer(
    r"""/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/|--[^\n]*+\n|\#(?!>{1,2}\s?'|-\s?')[^\n]*+\n""",
    r"""/\*[^*]*+(?:\*(?!/)[^*]*+)*+|--[^\n]*+|\#(?!>{1,2}\s?'|-\s?')[^\n]*+""",
    r"""(?:n?q'(?:\[[^\]]{0,400}+\]|\{[^}]{0,400}+\}|\([^)]{0,400}+\)|<[^>]{0,400}+>|![^!]{0,400}+!)')
      |(?:[nxbe]|u&|_[a-z]\w{1,9}+\s?)?+'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'?+|"[^"\\]*+(?:(?:""|\\.)[^"\\]*+)*+"?+|\$\$(?>[^$]++|\$(?!\$))*+\$\$""",
    r"`[^`]*+`|",
    r"""|`[^`]*+`|'[^']*+'|"[^"]*+["]""",
)
"""As a database reads: a string is one token, a comment hides what is in it."""
_BLIND = _lexer(r"/\*(?>[^*]|\*(?!/)){0,80}+\*/", r"/\*|--(?:[ +]-?)?|\#(?!>{1,2}\s?'|-\s?')", r"""['"`]""", "", "")
"""Nothing hides anything: every quote and every mark of a comment is a token, what stands between is read."""

_MARKS = {
    **dict.fromkeys("+ - / % ^ | ~ << >> ::".split(), "+"), **{mark: mark for mark in ",;{}!.*"},
    **dict.fromkeys("= < > \ue001 @> <@ @@ @? -> ->> #> #>> #- <=> <> != !< !> == >= <= := ?| ?& ^@".split(), "="),
    "&&": "&", "||": "&", "\\n": "N", "": "", "\ue000": "v", "&": "~",
    **dict.fromkeys("_utf8 _utf8mb3 _utf8mb4 _binary _latin1 _ascii _ucs2 _utf16 _utf32".split(), ""),
}  # fmt: skip
_FUNCTION, _DANGER, _TABLE_OR_FUNCTION = "\x01", "\x02", "\x03"
"""Words whose class hangs on their surroundings, until those are known: where an operand is due, white space may stand
between a function and its parenthesis."""
_TABLE = re.compile("([dGU]?)[t\x03]").sub
_FUNCTION_SPACED = re.compile(r"(?<![^S,&=+*(!A])\x01(?=\()").sub
_DANGER_SPACED = re.compile(r"(?<=[S,&=+*(!A])\x02(?=\()").sub  # `sleep (8 hours)` is none
_UNCALLED = str.maketrans("\x01\x02", "ii")
_UNPARENTHESISED = str.maketrans("", "", "()")


class Tokens(Struct, frozen=True, gc=False):
    """The tokens from one starting point."""

    kinds: str
    """A class a token, parentheses with them."""
    flat: str
    """The same without parentheses, which break-outs close and open as they need."""
    comment: str
    """The text of the comment that runs to the end, without its mark; empty when there is none."""
    spelled: str
    """`kinds`, with `SPELLED` where it was settled that a word is a name."""
    text: str
    """What was read, in lower case."""
    start: int
    blind: bool

    def spans(self, size: int | None = None) -> list[tuple[int, int]]:
        """Start and end of each token in `flat`, or of the first `size`."""
        spans: list[tuple[int, int]] = []
        size = len(self.flat) if size is None else min(size, len(self.flat))
        for found in (_BLIND if self.blind else _READING).finditer(self.text, self.start):
            if len(spans) >= size:
                break
            kind = (_BLIND_KINDS if self.blind else _KINDS)[found[1]]
            if kind and kind[0] not in "()":
                spans.append((found.start(1), found.end(1)))
        return spans

    def words(self) -> list[str]:
        """Lower-case text of each token in `flat`."""
        parts = (self.text[start:end] for start, end in self.spans())
        return [part[:-1] if part[-1] == "(" and part[0] not in "#-/'\"$" else part for part in parts]


def marked(text: str) -> str:
    """`text` in lower case, as long as it was, with the tokens that hang on their surroundings marked."""
    lower = lowered(text)
    if "@" in lower:
        lower = _LONE_VARIABLE("\ue000", lower)
    return _LONE_OPERATOR("\ue001", lower) if " ?" in lower else lower


def tokens_of(text: str, start: int, tokens_max: int = TOKENS_MAX) -> Tokens:
    """Read `text` from `start`. Comments that end count as white space, one that does not ends the statement: `c`."""
    return read(marked(text), start, tokens_max)


def read(lower: str, start: int, tokens_max: int) -> Tokens:
    """The same of a text that is `marked`."""
    kinds: list[str] = []
    comment = pending = ""
    count = 0
    parts: Iterable[str] = (
        _READING.findall(lower, start)
        if len(lower) - start < WHOLE_MAX
        else map(itemgetter(1), _READING.finditer(lower, start))
    )
    for part in parts:
        if part:
            pending = ""  # that comment ended
        kind = _KINDS[part]
        if not kind:
            continue
        if count >= tokens_max:
            break
        if kind == "c" or (part[0] == "#" and lower.endswith(part)):
            if part[0] != "/":
                pending = part
                continue
            comment = part
        kinds.append(kind)
        count += 2 if kind[-1] == "(" != kind[0] else 1
    if pending and lower.endswith(pending):
        comment = pending
        kinds.append("c")
    return _tokens("".join(kinds), comment[1:] if comment[:1] == "#" else comment[2:], lower, start, False)


def read_blind(lower: str, tokens_max: int) -> Tokens:
    """All of a `marked` text, every quote a token of its own, and no comment hiding anything."""
    if len(lower) < tokens_max:
        parts: list[str] = _BLIND.findall(lower)
    else:
        parts = _BLIND.split(lower, tokens_max)[1::2]
    known = {part: _BLIND_KINDS[part] for part in set(parts)}  # the most of a long text are repetitions
    return _tokens("".join(map(known.__getitem__, parts))[:tokens_max], "", lower, 0, True)


def _tokens(kinds: str, comment: str, lower: str, start: int, blind: bool) -> Tokens:
    """Settles the classes of words that hang on what stands before and behind them."""
    if "t" in kinds or _TABLE_OR_FUNCTION in kinds:
        kinds = _TABLE(_table_or_not, kinds)
    if _FUNCTION in kinds or _DANGER in kinds:
        kinds = _DANGER_SPACED("T", _FUNCTION_SPACED("f", kinds)).translate(_UNCALLED)
    spelled = kinds
    if SPELLED in kinds:
        kinds = kinds.replace(SPELLED + "(", "m(").replace(SPELLED, "i")
    return Tokens(kinds, kinds.translate(_UNPARENTHESISED), comment, spelled, lower, start, blind)


def _table_or_not(found: re.Match[str]) -> str:
    if found[1]:
        return found[1] + "t"
    return "i" if found[0] == "t" else _FUNCTION


class _Classes(dict[str, str]):
    """Class by text; of what is not in the table by its first character."""

    def __missing__(self, part: str) -> str:
        if part.isidentifier():
            return _plain_class(part) if "_" in part else "i"
        first = part[0]
        if first.isdecimal():
            return "" if part[-1] == "e" and "." in part else "1"
        if first.isalnum() or first == "_":
            if "'" in part:
                return _string_class(part)
            return called_class(part[:-1]) + "(" if part[-1] == "(" else _plain_class(part)
        if first in "'\"":
            return _string_class(part)
        if first in "()":
            return part[:PARENS_MAX]
        return _marked_class(first, part)


def _marked_class(first: str, part: str) -> str:
    if first in "#-/":
        return "c"
    if len(part) < 2:
        return "?"
    if first in "`[":
        return "Y" if part[1:-1] in CATALOGUE else "i"
    if first == ".":
        return "1"
    if first == "$":
        return _string_class(part)
    return "v" if first == "@" else "" if first == ":" else "?"


def _string_class(word: str) -> str:
    """`s` when it is closed, otherwise `q`."""
    return "s" if len(word) > 1 and word[-1] in "'\"$" and not (len(word) == 2 and word[0] not in "'\"") else "q"


def _plain_class(word: str) -> str:
    return "Y" if word.startswith(("xp_", "sp_")) else _FUNCTION if word.startswith(PACKAGES) else "i"


def called_class(word: str) -> str:
    """The class of a word with a parenthesis behind it."""
    if word in DANGEROUS:
        return "T"
    if word in FUNCTIONS or word.startswith(PACKAGES):
        return "f"
    kind = CLASS_OF.get(word, "e")
    return "m" if kind == "e" else kind


def _classes() -> dict[str, str]:
    known = dict.fromkeys(FUNCTIONS, _FUNCTION) | dict.fromkeys(DANGEROUS, _DANGER)
    known |= {word: "Y" for word in known if word.startswith(("xp_", "sp_"))} | CLASS_OF
    known |= {word: _TABLE_OR_FUNCTION for word in FUNCTIONS if CLASS_OF.get(word) == "t"}
    known |= {word + "(": called_class(word) + "(" for word in known}
    return known | _MARKS


_KINDS = _Classes(_classes())
_BLIND_KINDS = _Classes(_KINDS | {"`": "q"})
