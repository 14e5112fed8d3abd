r"""Judge of GraphQL: documents that explore the schema or ask for more work than any client does.

**Threat.** Introspection (`{__schema{…}}`), selections nested without end, hundreds of aliases of one expensive field,
fragments that spread themselves, piles of directives, batches (CWE-400, CWE-770, CWE-200; OWASP API4 and API8).

**Evidence.** `injection.graphql` with the measure that was exceeded.

**How.** A document is read by a lexer and the grammar of selection sets (GraphQL specification, October 2021, section
2), only where the text begins as one; what the grammar does not allow is no GraphQL and ends the reading, so style
sheets, scripts, templates and prose are not measured. Introspection is also found in fragments of documents.

**Refuses to know** schema and cost: limits by operation are the application's. Variables are values of their own.

**Known bypasses.** Persisted queries. Deep documents in an encoding of the application's own. Work below the limits,
repeated. Measures end with the first window of a document: one padded beyond it with comments or space is read for
introspection alone, a longer batch is counted window by window.

**Cost.** One token at a time, each once; about 100 ns a character, 300 at the worst."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, Evidence
from sallygate.controls.injection.pipeline.judge_interface import JSON, TEXTS, Judge

DEPTH_MAX = 16
"""Selection sets in one another. Browsers' own applications have been seen to use half of it."""
ALIASES_MAX = 40
"""Fields under another name, in one document; likewise."""
FIELDS_MAX = 300
"""Fields of one selection set."""
SAME_FIELD_MAX = 100
"""Times one field is selected in one selection set."""
OPERATIONS_MAX = 10
"""Operations in one document or one batch; clients that batch by themselves stop at ten."""
DIRECTIVES_MAX = 20
"""Directives in a row: on one field, spread or operation."""
DIRECTIVES_ALL_MAX = 100
"""Directives in one document."""
NESTED_ARGUMENTS_MAX = 24
"""Brackets in one another inside arguments."""

TRIGGERS: tuple[str, ...] = (
    r"__schema[\s,{@#\\\x1e]",
    r"\x1e[\s,]*(?:query|mutation|subscription|fragment)[\s,{(@#]",
    r"\x1e[\s,]{0,40}\{[\s,]{0,40}(?:[a-z_][a-z0-9_]{0,60}[\s,({:@}]|\.\.\.|#)",
    r"\x1e[\s,]{0,40}#[^\n\x1e]{0,200}\n[\s,]{0,40}(?:query|mutation|subscription|fragment|#|\{)",
    r"\"query\"\s{0,8}:\s{0,8}\"[\s,\\nrt]{0,20}(?:query|mutation|subscription|fragment|\{|#)",
)

# Bounded, since names in comments begin again and again. Whole documents have no such bound.
_IGNORED = r"(?:[\s,\ufeff]{1,200}+|\\[nrt]|#[^\n]{0,80}+(?:\n|\Z)){0,12}+"
_SCHEMA = re.compile(r"(?<![\w$\"'.])__schema\b")
_SELECTS = re.compile(rf"{_IGNORED}[{{@]").match
_BATCHED = re.compile(
    r'[{,]\s*+"query"\s*+:\s*+"(?:\s|,|\\[nrt])*+(?:query\b|mutation\b|subscription\b|fragment\b|\{|#)'
)
_BEGINS = re.compile(r"(?:[\s,\ufeff]++|#[^\n]*+)*+(?:\{|(?:query|mutation|subscription|fragment)\b)", re.ASCII).match
_lexed = re.compile(
    r'[\s,\ufeff]++|#[^\n]*+|[A-Za-z_]\w*+|\.\.\.|[!$&()\[\]:=@{|}]|"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)'
    r'|"(?:[^"\\\n]|\\.)*+(?:"|\Z)|-?[0-9][0-9.eE+-]*+|\.{1,2}\Z',
    re.DOTALL | re.ASCII,
).findall
_SKIPPED = frozenset(" \t\r\n\f\v,\ufeff#")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_OPERATIONS = frozenset(("query", "mutation", "subscription"))


class GraphqlJudge(Judge):
    """Judge of documents of GraphQL."""

    name = "graphql"
    triggers = TRIGGERS
    kinds = TEXTS | JSON

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest evidence in one text: measures exceeded before introspection."""
        if text.lstrip()[:1] == "[":
            if sum(1 for _ in _BATCHED.finditer(text)) > OPERATIONS_MAX:
                return Evidence("graphql", "batch", ATTACK, 0, len(text))
        elif (rule := exceeded(text)) is not None:
            return Evidence("graphql", rule, LIKELY if rule == "introspection" else ATTACK, 0, len(text))
        return _introspection(text)

    def texts_in(self, text: str) -> list[str]:
        """The string literals of a document, which an application puts into what it asks its database. Empty for other texts."""
        if '"' not in text or not _BEGINS(text) or (tokens := _tokens(text)) is None or not _Reading().read(tokens):
            return []
        return [mark.strip('"').replace('\\"', '"') for mark in tokens if mark[0] == '"' and len(mark) > 3]


JUDGE: Judge = GraphqlJudge()


def _introspection(text: str) -> Evidence | None:
    """A question for the schema in a document or a piece of one."""
    found = None
    for named in _SCHEMA.finditer(text):
        at = named.start()
        if _SELECTS(text, named.end()) or text[max(at - 80, 0) : at].rstrip(" \t\r\n,").endswith("{"):
            found = named
            break
    return None if found is None else Evidence("graphql", "introspection", LIKELY, found.start(), found.end())


def exceeded(text: str) -> str | None:
    """The name of the first measure a document exceeds, or `introspection` when it only asks for the schema. None for
    other documents, and for what is none."""
    if not _BEGINS(text) or not (tokens := _tokens(text)):
        return None
    reading = _Reading()
    if not reading.read(tokens):
        return None
    if reading.rule is None and _circular(reading.spreads):
        return "circular-fragments"
    return reading.rule or ("introspection" if reading.introspects else None)


def _tokens(text: str) -> list[str] | None:
    """Names, marks and literals as they stand; None where something is no token of the language."""
    tokens: list[str] = _lexed(text)
    if sum(map(len, tokens)) != len(text):
        return None
    return [mark for mark in tokens if mark[0] not in _SKIPPED]


class _Reading:
    """One pass over a document's tokens."""

    def __init__(self) -> None:
        self.rule: str | None = None
        self.introspects = False
        self.spreads: dict[str, set[str]] = {}
        # Of each open selection set: how often it selects which field, and under "" all of them.
        self._sets: list[dict[str, int]] = []
        self._fragment = ""
        self._aliases = self._operations = self._directives = 0

    def read(self, tokens: list[str]) -> bool:
        """Whether the tokens are a document, or the beginning of one. Stops at the first measure exceeded: `rule`."""
        at: int | None = 0
        while at is not None and at < len(tokens) and self.rule is None:
            at = self._selection(tokens, at) if self._sets else self._definition(tokens, at)
        return at is not None

    def _definition(self, tokens: list[str], at: int) -> int | None:
        """An operation or fragment up to its first `{`."""
        self._fragment = ""
        if tokens[at] == "fragment":
            if len(tokens) <= at + 3:
                return len(tokens)
            if tokens[at + 2] != "on" or not (_is_name(tokens[at + 1]) and _is_name(tokens[at + 3])):
                return None
            self._fragment = tokens[at + 1]
            self.spreads.setdefault(self._fragment, set())
            at += 4
        else:
            self._operations += 1
            if self._operations > OPERATIONS_MAX:
                self.rule = "operations"
            if tokens[at] in _OPERATIONS:
                at += 1
                if at < len(tokens) and _is_name(tokens[at]):
                    at += 1
        return self._rest(tokens, at, opens=True)

    def _selection(self, tokens: list[str], at: int) -> int | None:
        """One field, spread or closing brace of the innermost selection set."""
        mark = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else ""
        if mark == "}":
            self._sets.pop()  # each was opened by `_rest`
            return at + 1
        if mark == "...":
            self._count(mark)
            if following == "on":
                return self._rest(tokens, at + 3) if at + 2 < len(tokens) and _is_name(tokens[at + 2]) else None
            if _is_name(following):
                if self._fragment:
                    self.spreads[self._fragment].add(following)
                return self._rest(tokens, at + 2)
            return self._rest(tokens, at + 1)
        if not _is_name(mark):
            return None
        if following == ":":
            self._aliases += 1
            at += 2
            if at >= len(tokens):
                return at
            mark = tokens[at]
            if not _is_name(mark):
                return None
            if self._aliases > ALIASES_MAX:
                self.rule = "aliases"
        self._count(mark)
        if mark == "__schema":
            self.introspects = True
        return self._rest(tokens, at + 1)

    def _count(self, field: str) -> None:
        names = self._sets[-1]
        names[""] = fields = names.get("", 0) + 1
        names[field] = same = names.get(field, 0) + 1
        if same > SAME_FIELD_MAX:
            self.rule = "same-field"
        elif fields > FIELDS_MAX:
            self.rule = "fields"

    def _rest(self, tokens: list[str], at: int, opens: bool = False) -> int | None:
        """Arguments, directives and the `{` that may follow a name; `opens`: that must."""
        in_a_row = 0
        while at < len(tokens):
            mark = tokens[at]
            if mark == "(":
                closed = self._arguments(tokens, at)
                if closed is None:
                    return None
                at = closed
            elif mark == "@":
                in_a_row += 1
                self._directives += 1
                if in_a_row > DIRECTIVES_MAX or self._directives > DIRECTIVES_ALL_MAX:
                    self.rule = "directives"
                if at + 1 < len(tokens) and not _is_name(tokens[at + 1]):
                    return None
                at += 2
            elif mark == "{":
                self._sets.append({})
                if len(self._sets) > DEPTH_MAX:
                    self.rule = "depth"
                return at + 1
            else:
                return None if opens else at
        return at

    def _arguments(self, tokens: list[str], at: int) -> int | None:
        """Behind the parenthesis that closes what opens at `at`."""
        open_marks: list[str] = []
        while at < len(tokens):
            mark = tokens[at]
            at += 1
            if mark in "([{":
                open_marks.append(mark)
                if len(open_marks) > NESTED_ARGUMENTS_MAX:
                    self.rule = "depth"
            elif mark in _CLOSES:
                if open_marks.pop() != _CLOSES[mark]:
                    return None
                if not open_marks:
                    return at
        return at


def _is_name(mark: str) -> bool:
    return mark[:1].isalpha() or mark[:1] == "_"


def _circular(spreads: dict[str, set[str]]) -> bool:
    """Whether a fragment comes back to itself: fragments that spread only what is known to end are taken away, until
    none is left or a circle is."""
    waits = {name: sum(used in spreads for used in uses) for name, uses in spreads.items()}
    users: dict[str, list[str]] = {}
    for name, uses in spreads.items():
        for used in uses:
            users.setdefault(used, []).append(name)
    ends = [name for name, count in waits.items() if count == 0]
    gone = 0
    while ends:
        gone += 1
        for user in users.get(ends.pop(), ()):
            waits[user] -= 1
            if waits[user] == 0:
                ends.append(user)
    return gone < len(waits)
