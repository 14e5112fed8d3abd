"""Judging of code that a text shows: which evidence in it is what such code is made of, and which would break out.

A command in a fence is what documentation is made of; a quote with logic behind it is not, since no fence keeps it from
ending the string that the whole text was put into. So a part is judged by itself, and only rules that need no breaking
out are passed, by the kind of the part; and the text without its parts is judged as if they were not there.

**Known bypasses.** A command or program in a fence or span within prose, sent to a field that hands its text to a shell or
an interpreter as a whole: it cannot be distinguished from documentation. Statements of SQL after a colon, likewise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from sallygate.controls.injection.pipeline.code_in_prose import (
    Part,
    PartKind,
    code_parts,
    with_spans_inline,
    without_code,
)
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.controls.injection.pipeline.judging import Effort, Judging, Seen
from sallygate.controls.injection.pipeline.placing import as_text, document_of
from sallygate.controls.injection.pipeline.values import Value

_COMMANDS = frozenset(
    "chained next-line command-line device expansion powershell program-path redirection substitution windows".split()
)
_PROGRAMS = frozenset("java-class node php-call php-variable python ruby".split())
_STATEMENTS = frozenset(
    "case catalogue group-by having in-text list order-by statement subselect table union-select where".split()
)
_SCRIPTS = frozenset("dialog-call document-sink fetched global-subscript module-loaded script-left string-left".split())
PASSES: Mapping[PartKind, Mapping[Family, frozenset[str]]] = {
    "block": {"command": _COMMANDS, "code": _PROGRAMS, "sql": _STATEMENTS, "xss": _SCRIPTS},
    "span": {"command": _COMMANDS - {"substitution"}, "code": _PROGRAMS, "sql": _STATEMENTS, "xss": _SCRIPTS},
    "trace": {"command": frozenset(), "code": frozenset(("java-class", "python", "node"))},
    "statement": {"sql": _STATEMENTS},
    "program": {"sql": _STATEMENTS},
    "mark": {"prototype": frozenset()},
}
"""Rules that say what a part of a kind is made of, by family. A rule that is not here stands."""
_BREAKS_OUT: Mapping[Family, Callable[[str], re.Match[str] | None]] = {
    "command": re.compile(r"[\s'\")\]}]*[;|&]").match,
    "sql": re.compile(
        r"\s*(?:[)'\"(;|&+*/-]|\d|(?:union|and|or|xor|not|exec|execute|where|having|order|group|limit|into|from|like|in|is|between)\b)"
        r"|\s*[\w.]{1,20}\s*['\")]",
        re.IGNORECASE,
    ).match,
    "xss": re.compile(r"\s*['\"`)}\];]").match,
}
"""How a part begins that goes on with something, or ends it, in whatever it was put into."""
_GOES_ON: Mapping[Family, Callable[[str], re.Match[str] | None]] = {
    "command": re.compile(r"['\";|&]\s*\Z").search,
    "sql": re.compile(
        r"(?:['\";|&(,=+*/-]|\b\d{1,9}\)*|\b(?:or|and|union|not|where|select|like|in|by|from))\s*\Z", re.IGNORECASE
    ).search,
}
"""How the text before a part ends that goes on in it: a quote, a separator, an operator, a number."""
_STATEMENT = re.compile(
    r"\s*(?:alter|create|delete|drop|insert|merge|select|show|truncate|update|with)\b", re.IGNORECASE
).match
_WORD_BEFORE = re.compile(r"(?<![\w'\"])(?:or|and|not|where|like|in|by|from)\s*\Z", re.IGNORECASE).search
"""Words of prose as much as of SQL. No statement goes on after one of them without a parenthesis."""
BEFORE_CHARS = 80
_NEVER = re.compile(r"(?!)").match
PARTS_MAX = 512
"""Parts of a text that are judged each by itself; one of more is judged as a whole."""
TEXT_MIN = 20
"""Characters of the shortest text that shows code beside prose."""


def _without(text: str, parts: tuple[Part, ...], family: Family) -> str:
    """The text without its parts. JavaScript calls what stands before a backtick, so but for shells and databases, which
    read backticks in their own way, a span leaves its marks."""
    return without_code(text, parts, "that" if family in ("command", "sql") else "`that`")


def _is_led_into(text: str, parts: tuple[Part, ...], family: Family) -> bool:
    """Whether the text goes on in one of its parts, so that neither can be judged by itself."""
    goes_on = _GOES_ON.get(family, _NEVER)
    for part in parts:
        if part.kind in ("block", "statement", "span", "program") and part.start:
            before = text[max(0, part.start - BEFORE_CHARS) : part.start]
            if goes_on(before) and not (family == "sql" and _STATEMENT(part.code) and _WORD_BEFORE(before)):
                return True
    return False


class ShownCode:
    """Code in prose, judged by the judges that found something in the text, with the score from which on they count, and
    what says that code leaves the string around the text."""

    def __init__(self, judging: Judging, threshold: int, breaks_out: Callable[[str, Family], bool]) -> None:
        self._judging = judging
        self._threshold = threshold
        self._breaks_out = breaks_out

    def left(self, seen: Seen) -> Seen | None:
        """The evidence that is left when code that a text shows is taken for what it is; None where there is none."""
        value, family = seen.value, seen.evidence.family
        if value.kind not in ("body", "json") or not any(family in passes for passes in PASSES.values()):
            return seen
        if (tree := document_of(value)) is not None:
            left, changed = self._without_shown(tree, value, family)
            return self._shown(as_text(value, left), family) if changed else seen
        parts = code_parts(value.text)
        if not parts or len(parts) > PARTS_MAX or _is_led_into(value.text, parts, family):
            return seen
        outside = self._shown(replace(value, text=_without(value.text, parts, family)), family) or self._around(
            value, parts, family
        )
        if outside is not None:
            return outside
        for part in parts:
            if (found := self._of_part(value, part, family)) is not None:
                return found
        return None

    def _around(self, value: Value, parts: tuple[Part, ...], family: Family) -> Seen | None:
        """Evidence that lies across the border of a span, or has nothing to do with one."""
        spans = [part for part in parts if part.kind == "span"]
        if not spans:
            return None
        whole = [part for part in spans if self._is_shown(value, part, family)]
        text, inside = with_spans_inline(value.text, parts, whole)
        shown = self._shown(replace(value, text=text), family)
        if shown is None or shown.evidence.rule not in PASSES["span"].get(family, frozenset()):
            return shown
        start, last = shown.evidence.start, shown.evidence.end - 1
        is_plain = not shown.form.steps and shown.form.text == text  # otherwise nobody knows where it begins
        return None if is_plain and any(begin <= start and last <= end for begin, end in inside) else shown

    def _without_shown(self, node: Any, value: Value, family: Family) -> tuple[Any, bool]:
        """A document without the code that its texts show, where that is made of nothing else; and whether it has any."""
        if type(node) is dict:
            pairs = [(name, *self._without_shown(child, value, family)) for name, child in node.items()]
            return {name: child for name, child, _ in pairs}, any(changed for *_, changed in pairs)
        if type(node) is list:
            children = [self._without_shown(child, value, family) for child in node]
            return [child for child, _ in children], any(changed for _, changed in children)
        parts = code_parts(node) if type(node) is str and len(node) >= TEXT_MIN else ()
        leaf = replace(value, text=node, kind="body") if parts else value
        if (
            not parts
            or len(parts) > PARTS_MAX
            or _is_led_into(node, parts, family)
            or self._around(leaf, parts, family) is not None
        ):
            return node, False
        if any(self._of_part(leaf, part, family) is not None for part in parts):
            return node, False
        return _without(node, parts, family), True

    def _is_shown(self, value: Value, part: Part, family: Family) -> bool:
        """Whether a part by itself is evidence of what such a part is made of: it needs nothing of what is around."""
        return self._shown(replace(value, text=part.code), family) is not None and (
            self._of_part(value, part, family) is None
        )

    def _of_part(self, value: Value, part: Part, family: Family) -> Seen | None:
        """The evidence in a part, unless such a part is made of it."""
        passes = PASSES[part.kind].get(family, frozenset())
        shown = self._shown(replace(value, text=part.code), family)
        if shown is None:
            return None
        leaves = _BREAKS_OUT.get(family, _NEVER)(part.code) or self._breaks_out(part.code, family)
        return shown if leaves or shown.evidence.rule not in passes else None

    def _shown(self, value: Value, family: Family) -> Seen | None:
        judged = self._judging.judge(value, Effort(len(value.text)), self._threshold)
        counts = (one for one in judged if one.evidence.family == family and one.evidence.score >= self._threshold)
        return next(counts, None)
