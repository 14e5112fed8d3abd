r"""Judge of SQL injection: values that do not stay one literal in the statement they are put into.

Threat: an application glues a value into a statement. Evidence: read as SQL from where the value could begin to be
code (its start, where a number was expected; behind its first quote, where a string was), it goes on as SQL: a
comparison, `union select`, a second statement, a comment that cuts off the rest, a subselect, a function that waits.
What stands before must be able to stand there: `1 or 10=10` alters a statement, `the 5 best or 10 = good` breaks it.

Short values are also reported if they are only a call, a name or a statement of a database (`version()`,
`information_schema.tables`, `drop table x`): no form asks for them.

Known bypasses: a break-out behind a quote that is not the first of its kind, unless a constant comparison, a comment or
an SQL keyword stands at it; one amid thousands of keywords, since so many tokens are read blind and the last ones first;
values split over two parameters; second-order injection; a dialect's own words that the tables do not hold; what could as
well be said: `1=id`, `1 and pw+0`, `pw=0x61`, and without `;` before it `1 delete users`, `1 select pw from users`; behind
`{`, `[` or `:` what closes its quote as a list would and does not begin or end as a break-out.

Cost: a bounded lexer pass from the start and behind the first quote of each kind, one pass that hides nothing around the
words that hint, and about ninety linear expressions, of which only those are tried whose classes are present: 20
microseconds a short value, under two milliseconds for 8,192 characters, however hostile.
Refuses to know where the value came from and which database is behind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from sallygate.controls.injection.judges.sql.sql_hints import held_in, regions_of
from sallygate.controls.injection.judges.sql.sql_lexer import TOKENS_MAX, Tokens, marked, read, read_blind
from sallygate.controls.injection.judges.sql.sql_oracles import is_oracle_behind, is_oracle_from_start
from sallygate.controls.injection.judges.sql.sql_rules import (
    COMPUTED,
    IN_TEXT,
    PARENTHESISED,
    PROBE,
    TAIL,
    TAUTOLOGY,
    Context,
    Rule,
    folded,
    rules_for,
)
from sallygate.controls.injection.judges.sql.sql_triggers import TRIGGERS
from sallygate.controls.injection.judges.sql.sql_words import DANGEROUS, FUNCTIONS, INQUIRING
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.judge_interface import Judge

_QUOTES = "'\"`"
_PREFIXED = "abcdefghijklmnopqrstuvwxyz_ "
"""What stands before the quote of a typed literal."""
BLIND_MAX = 2_048
"""Tokens of a text read blind: all of a window that is text, the first quarter of one that is punctuation."""
BEHIND_MAX = 64
"""Tokens read behind a quote; what stands further off is read blind."""
WHOLE_MAX = 200
"""Longer values are no single call, name or number, and no few words in one."""
QUERY_TEXT_MIN = 64
BEFORE_MAX = 64
NEEDING_CLEAN = frozenset(("quoted-compare", "quoted-list", "quoted-commented", "quoted-stacked"))
"""Rules whose structure stands in JSON, markup and URLs too, so that what is before the quote must be a plain value."""
_CUT_NUMBER = re.compile(r"(?:\s*\d+(?:\s*\*\s*\d+)*(?:\s*/\*|\s+--)|\s*\d+(?:\s*\*\s*\d+)+\s*--)[\s+]*").fullmatch
_CONSTANTS = re.compile(r"[fTi+j&]\((?:[1svNqTf(),+&]|i[,)])*[c;]?").fullmatch
_BEGUN = re.compile(r"\s*(?:select\w{0,3}\s)?(\w{2,30})\s?=?\\?\s?\(\s*").fullmatch
_SPEAKING = ("", "i", "e")
"""Classes of what most texts begin with, behind which no operand of several tokens alters a statement."""
_TYPES = frozenset("int integer char varchar nvarchar text numeric decimal signed unsigned".split())
_IN_WORDS = re.compile(r"(?<=['\"])(\s+)in(?=\s+[a-z])").sub
_LABEL = re.compile(
    r"(?:order|group) by(?: (?!(?:x?or|and|[gr]?like|glob|regexp|collate|div|mod|between|in|is|not|as)\b)\w{1,30}){1,5}"
    r"([\"'`])(?:\s+[a-z]|[.?!]?\s*$)",
    re.IGNORECASE,
).match
"""What a button says, and the sentence going on: no literal may follow a name there."""
_ELIDED = re.compile(r"(?:^|[\W_])[dl]$", re.IGNORECASE).search
"""`d'or`, `l'or`: French."""
_CELL = re.compile(r"[a-z]{1,3}\d{1,7}").fullmatch
"""Of a spreadsheet."""
_SAME = re.compile(r"[1N](?:&+[!+]*|=+)[1N]").fullmatch
_WHOLE = re.compile(
    r"""\s*(?:(?:\w{1,30}\.{1,2}){0,3}(?:information_schema|pg_catalog|xp_\w{3,40}|sysobjects|syscolumns|sqlite_master|all_tab_columns
    |msysaccessobjects|sp_(?:password|executesql|configure|oacreate|oamethod|addlogin|makewebtask|helptext)|sysdatabases|sysusers)
      (?:\.{1,2}\w{1,30})?(?:\s{1,3}['"@;].{0,60})?
    |mysql\.(?:user|db)|tempdb|msdb|schema_name|\)\s{0,3}like\s{0,3}\(
    |["'`](?:[-^*&=|<>!%+]{1,2}|\s(?:like|regexp|rlike)\s)["'`]?|\S{1,80}::(?:jsonb?|int\d?|bigint|text|varchar|numeric|double\ precision)
    |'|`{1,2}|\d'\d|\d{1,9}(?:\s?--(?:\s-?)?|\s?;--)|\d{1,4}/0--
    |drop\s{1,5}(?:table|database|schema|user|login|function|procedure|trigger)\s{1,5}\w{1,30}|truncate\s{1,5}table\s{1,5}\w{1,30}|/?create\s{1,5}table\s{1,5}\w{1,30}
    |grant\s{1,5}(?:all|all\s{1,5}privileges|select|execute)\s{1,5}on\s{1,5}\S{1,40}\s{1,5}to\s.{1,60}|create\s{1,5}user\s{1,5}\w{1,30}\s{1,5}identified\b.{0,60}
    |load\s{1,5}data\s{1,5}(?:local\s{1,5})?infile\b.{1,80}|create\s{1,5}function\b.{1,80}\b(?:soname|returns)\b.{0,80})\s*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
).fullmatch
"""Values which are nothing but a name, a call or a statement of a database."""
_OPENERS = ("{", "[", ":")
"""Before a quote that may begin a JSON key or value rather than end a literal."""
_LITERAL = {
    quote: re.compile(rf"([^\\{quote}]*+(?:\\.[^\\{quote}]*+)*+){quote}\s*(?:[,:}}\])]|$)", re.DOTALL).match
    for quote in _QUOTES
}
_JOINS = re.compile(
    r"(?:[\s|&+*/=<>^;)-]|(?:x?or|and|[gr]?like|glob|regexp|between|in|is|not|union|order|group|having)\b)"
    r".*(?:[\s|&+*/=<>^(,-](?:[nxbe]|u&|_\w{2,9})?|\b(?:x?or|and|[gr]?like|glob|regexp|between|in))",
    re.DOTALL,
).fullmatch
"""What a literal holds that is a break-out between two others."""
_SPACED_WORDS = ("select", "union", "from", "where", "or", "and", "like", "having", "by", "into")
_BEFORE_PLUS = tuple(word + "+" for word in _SPACED_WORDS)
_PLUS_BEFORE = re.compile(r"\+(?:" + "|".join(_SPACED_WORDS) + r")\b").search
_PLUS_BEHIND = re.compile(r"\b(?:" + "|".join(_SPACED_WORDS) + r")\+").search
_UNCLEAN = re.compile(r"[{}\[\]<>=:\"'`\\]").search


class SqlJudge(Judge):
    """Judge of SQL."""

    name = "sql"
    triggers = TRIGGERS
    least = 448

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest sign of SQL in `text`, `+` read as itself and, where it may be one, as a space."""
        twice = "+" in text and (" " not in text or _plus_for_space(text.lower()))
        budget = BLIND_MAX // 3 if twice else BLIND_MAX
        best = _judged(text, budget)
        if twice and (best is None or best.score < CERTAIN):
            other = _judged(text.replace("+", " "), budget)
            if other is not None and (best is None or other.score > best.score):
                return other
        return best


JUDGE: Judge = SqlJudge()


def _plus_for_space(lower: str) -> bool:
    """Whether a word of SQL has a `+` for a neighbour."""
    if any(word in lower for word in _BEFORE_PLUS) and _PLUS_BEHIND(lower):
        return True
    return _PLUS_BEFORE(lower) is not None


def _judged(text: str, budget: int) -> Evidence | None:
    lower = marked(text)
    tokens = read(lower, 0, TOKENS_MAX)
    best = _from_start(text, tokens)
    quoted = False
    for quote in _QUOTES:
        at = text.find(quote)
        if at < 0:
            continue
        quoted = True
        best = stronger(best, _behind_quote(text, lower, at + 1))
        if at > 0 and text[at - 1] == "\\":  # an escape that holds keeps this one inside the literal
            at = text.find(quote, at + 1)
            if at >= 0:
                best = stronger(best, _behind_quote(text, lower, at + 1))
        if best is not None and best.score >= CERTAIN:
            return best
    if "$$" in text:  # a dollar quote of PostgreSQL
        best = stronger(best, _behind_quote(text, lower, text.find("$$") + 2))
    if (quoted or len(tokens.kinds) >= TOKENS_MAX or tokens.flat.endswith("c")) and (
        best is None or best.score < CERTAIN
    ):
        found = _blindly(lower, budget)
        if found is not None and not (best is not None and best.score == ODD and found.rule == best.rule):
            best = stronger(best, found)
    return best


def _from_start(text: str, tokens: Tokens) -> Evidence | None:
    """`text` read from its start, as where a number was expected, and as a whole."""
    best = _by_rules("anywhere", tokens.flat, tokens, 0)
    found = _by_rules("from-start", tokens.flat.replace("m", "f"), tokens, 0)
    if found is not None and found.rule == "commented" and tokens.comment.strip(" -+/*"):
        found = None
    if found is not None and found.rule == "logic" and _is_reported(tokens):
        found = None
    best = stronger(best, found)
    if best is None:
        best = _of_folded("from-start", tokens, 0) or _of_whole(text, tokens)
    if best is None and len(text) <= WHOLE_MAX and is_oracle_from_start(tokens):
        best = Evidence("sql", "oracle", LIKELY, 0, len(text))
    return _discounted(best, tokens)


def _is_reported(tokens: Tokens) -> bool:
    """`'a' and 'b' in words`: of all that is compared, only what is in something that is no list."""
    if len(tokens.text) > WHOLE_MAX or tokens.flat[:1] == "1" or tokens.flat[-1:] == "c":
        return False
    said = _IN_WORDS(r"\1to", tokens.text)
    return said != tokens.text and TAUTOLOGY(read(said, tokens.start, TOKENS_MAX).flat) is None


def _behind_quote(text: str, lower: str, start: int) -> Evidence | None:
    """`text` read from `start`, behind a quote that may have ended the literal it stands in."""
    tokens = read(lower, start, BEHIND_MAX)
    best = _by_rules("anywhere", tokens.flat, tokens, start)
    called = tokens.flat.replace("m", "f")
    found = _by_rules("behind-quote", called, tokens, start) or _of_folded("behind-quote", tokens, start)
    if found is not None and not _holds(text, start, found):
        found = None
    best = stronger(best, found)
    if best is None:
        end = tokens.spans()[-1][1] if tokens.flat else len(text)
        if PROBE.search(called) and _is_probe(text, start, tokens):
            best = Evidence("sql", "quoted-probe", LIKELY, start - 1, end)
        elif _is_oracle(text, start, tokens):
            best = Evidence("sql", "quoted-oracle", ATTACK, start - 1, end)
    return _discounted(best, tokens)


def _is_oracle(text: str, start: int, tokens: Tokens) -> bool:
    """Whether a condition without a comparison follows the quote at `start - 1`, and no literal of JSON or code."""
    if not is_oracle_behind(tokens, text[start - 1]) or (
        text[: start - 1].rstrip()[-1:] in _OPENERS and _is_literal(text, start)
    ):
        return False
    if tokens.flat.lstrip("s;1N")[0] in "&H":
        return True
    return _is_bare(text, start) and (text[start - 1] == "'" or bool(text[: start - 1].strip()))


def _is_label(text: str, start: int) -> bool:
    """Whether a sentence quotes `Order by date` behind the quote at `start - 1`."""
    found = _LABEL(text, start)
    before = text[: start - 1]
    return found is not None and found[1] == text[start - 1] and before[-1:] == " " and len(before.split(None, 1)) > 1


def _is_literal(text: str, start: int) -> bool:
    """Whether the quote at `start - 1` begins a literal of a list, of an object or of a pair that ends the text."""
    found = _LITERAL[text[start - 1]](text, start)
    return found is not None and _JOINS(found[1].lower()) is None


def _of_folded(context: Context, tokens: Tokens, start: int) -> Evidence | None:
    """What the rules say where operands of several tokens are one."""
    kinds = folded(tokens.spelled) if tokens.flat[:1] not in _SPEAKING else None
    if kinds is None:
        return None
    simpler = replace(tokens, kinds=kinds, flat=kinds.replace("(", "").replace(")", ""))
    found = _by_rules(context, simpler.flat.replace("m", "f"), simpler, start)
    return found and Evidence("sql", found.rule, found.score, start, tokens.spans()[-1][1])


def _holds(text: str, start: int, found: Evidence) -> bool:
    """Whether what stands before the quote at `start - 1` may end there."""
    if text[: start - 1].rstrip()[-1:] in _OPENERS and _is_literal(text, start):
        return False
    if found.rule == "quoted-clause" and _is_label(text, start):
        return False
    if found.rule == "quoted-commented" and len(text[:start].split()) > 1:
        return False
    return found.rule not in NEEDING_CLEAN or _is_bare(text, start)


def _blindly(lower: str, budget: int) -> Evidence | None:
    """`lower` read with nothing hidden, for what stands behind decoys: more quotes, words and comments."""
    best: Evidence | None = None
    for low, high in reversed(regions_of(lower)):  # an attack behind padding stands last
        tokens = read_blind(lower[low:high], budget)
        budget -= len(tokens.kinds)
        flat = tokens.flat if high == len(lower) else tokens.flat + "?"  # `$` is the end of the text alone
        found = _by_rules("anywhere", flat, tokens, 0, whole=low == 0)
        ended = _by_rules("blind", flat, tokens, 0)
        if ended is not None and ended.rule == "padded-comment" and tokens.words()[-1][0] == "#":
            ended = None  # `"red '#"`: too common where nothing else tells
        found = stronger(found, ended)
        if found is not None:
            best = stronger(best, Evidence("sql", found.rule, found.score, found.start + low, found.end + low))
        if budget <= 0 or (best is not None and best.score >= CERTAIN):
            break
    return best


def _discounted(found: Evidence | None, tokens: Tokens) -> Evidence | None:
    if found is not None and found.rule == "statement" and _is_query_with_text(tokens):
        return Evidence("sql", "statement", ODD, found.start, found.end)
    return found


def stronger(one: Evidence | None, other: Evidence | None) -> Evidence | None:
    """The one with the higher score, the first when they are equal."""
    if one is None or (other is not None and other.score > one.score):
        return other
    return one


def _by_rules(context: Context, flat: str, tokens: Tokens, start: int, *, whole: bool = True) -> Evidence | None:
    best: tuple[Rule, re.Match[str]] | None = None
    for rule in rules_for(context, frozenset(flat)):
        if best is not None and rule.score <= best[0].score:
            continue
        found = rule.search.search(tokens.kinds if rule.parens else flat, len(flat) - TAIL if rule.tail else 0)
        if found is not None and (whole or found.start()):  # `^` is the start of the text alone
            best = rule, found
            if rule.score >= CERTAIN:
                break
    return None if best is None else _evidence(*best, tokens, start)


def _of_whole(text: str, tokens: Tokens) -> Evidence | None:
    for number in held_in(tokens.text):
        found = IN_TEXT[number].search(tokens.text)
        if found is not None:
            return Evidence("sql", "in-text", ATTACK, found.start(), found.end())
    if len(text) > WHOLE_MAX or not tokens.flat:
        return None
    ended = tokens.kinds.endswith("c") and not tokens.comment.strip(" -+")
    if ended and text[tokens.spans()[-1][0]] != "#" and (PARENTHESISED(tokens.kinds) or _CUT_NUMBER(text)):
        return Evidence("sql", "commented", LIKELY, 0, len(text))
    if _is_call(text, tokens) or _is_same(tokens) or _is_computed(tokens) or _WHOLE(text):
        return Evidence("sql", "whole", LIKELY, 0, len(text))
    return None


def _is_call(text: str, tokens: Tokens) -> bool:
    """One call of a database's function, with constants, or its beginning."""
    begun = _BEGUN(text)
    if begun is not None:
        word = begun.group(1).lower()
        return word in FUNCTIONS or word in DANGEROUS or word in INQUIRING
    if tokens.flat[0] not in "fTi+j&" or tokens.kinds[1:2] != "(":
        return False
    words = tokens.words()
    named = [word for word, kind in zip(words[1:], tokens.flat[1:], strict=True) if kind == "i"]
    return words[0] in INQUIRING and not set(named) - _TYPES and _CONSTANTS(tokens.kinds) is not None


def _is_same(tokens: Tokens) -> bool:
    """`1 or 1`, `5 = 5`."""
    if not _SAME(tokens.flat):
        return False
    words = tokens.words()
    first, operator, second = words[0], words[1], words[-1]
    if {first, second} <= {"true", "false"} and tokens.flat[1] == "&":
        return False  # `false or true`: it is asked about
    if tokens.flat[1] == "=" and operator not in ("=", "like", "<=>"):
        return False
    return first == second or (tokens.flat[1] == "&" and second in ("0", "1", "true", "false"))


def _is_computed(tokens: Tokens) -> bool:
    """`1-(id=2)`, `if(pw>'m',id,name)`: neither of a spreadsheet nor of mathematics."""
    found = COMPUTED(tokens.kinds) if "=" in tokens.flat else None
    if found is None:
        return False
    words, at = tokens.words(), tokens.flat.index("=")
    name, operator, literal = words[at - 1 - (tokens.flat[at - 1] == "!")], words[at], words[at + 1]
    if found.lastgroup == "match":
        wild = found[0][0] == "(" and operator in ("like", "glob") and any(mark in literal for mark in "%*_")
        return operator in ("regexp", "rlike") or wild
    if found.lastgroup == "number":
        return len(name) > 1 and not _CELL(name)
    return literal.startswith(("'", "0x")) and not _CELL(name)


def _is_query_with_text(tokens: Tokens) -> bool:
    """`select * from x where a = '...'`, as beacons wrap their data in: one table, one long literal, nothing else."""
    return (
        tokens.flat.startswith("S*FiWi=") and tokens.flat[7:8] in ("s", "q") and len(tokens.words()[7]) > QUERY_TEXT_MIN
    )


def _evidence(rule: Rule, found: re.Match[str], tokens: Tokens, start: int) -> Evidence:
    if rule.parens:
        before = found.string[: found.start()]
        first = found.start() - before.count("(") - before.count(")")
        last = first + sum(kind not in "()" for kind in found.group()) - 1
    else:
        first, last = found.start(), found.end() - 1
    spans = tokens.spans(last + 1)
    last = min(max(last, first), len(spans) - 1)
    first = min(first, last)
    return Evidence("sql", rule.name, rule.score, min(start, spans[first][0]), spans[last][1])


def _is_bare(text: str, start: int) -> bool:
    """Whether a plain value stands before the quote at `start - 1`: no JSON, markup or URL."""
    before = text[: start - 1].removesuffix("\\")
    return len(before) <= BEFORE_MAX and text[start - 1] != "`" and not _UNCLEAN(before)


def _is_probe(text: str, start: int, tokens: Tokens) -> bool:
    """Whether a weak structure is all there is: at most one plain word before it and no prose behind."""
    before, mark = text[: start - 1], text[start - 1]
    if before.endswith(_OPENERS) and not _is_literal(text, start):
        before = before[:-1]
    if len(before) > BEFORE_MAX or len(before.split()) > 1 or _UNCLEAN(before.replace('"', "").replace("\\", "")):
        return False
    if mark == "'" and tokens.flat == "&" and text[start:].lower() == "or" and _ELIDED(before):
        return False
    spoken = any(word.isalpha() for word in tokens.words()) and "!" not in tokens.flat and "+" not in tokens.flat
    if mark != "'" and tokens.flat != "c" and (not before.strip() or spoken):
        return False
    if tokens.flat[-1:] == "q" and (
        tokens.words()[-1].lstrip(_PREFIXED)[:1] != mark or len(tokens.words()[-1].split()) > 3
    ):
        return False
    if tokens.flat[-1:] == "c":
        said = tokens.comment.split()
        if said and mark != "'":
            return False
        return len(said) <= 2 and (tokens.words()[-1][0] != "#" or not said or not said[0][:1].strip("+").isalnum())
    return True
