"""Code within prose: the parts of a text that show code to a reader, by structure, and the text without them.

Markdown and reStructuredText (fences, spans, indented blocks), prompts of shells and interpreters, stack traces, quoted
statements. The marks on both sides make a part, never what stands in it.

Refuses to know attacks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal

from msgspec import Struct

PartKind = Literal["block", "span", "trace", "statement", "mark", "program"]
"""`block`: lines of code. `span`: code within a line. `trace`: lines of a stack trace. `statement`: a statement of SQL
after a colon. `mark`: a link, a substitution or a cell between bars. `program`: a whole text that is one."""
WORDS_MIN = 3
"""Words of prose that a text has besides its code. A value that is code alone shows it to nobody."""
HEADING_WORDS_MIN = 2
"""The same beside a block: a heading is enough."""
TRACE_LINES_MIN = 2
"""Lines of a stack trace that need no prose beside them."""
PROGRAM_LINES_MIN = 3
"""Lines of a program that needs no prose beside it."""
RUNS_AHEAD = 40
"""Runs of backticks looked at for the one that ends a span."""
TEXT_MAX = 262_144
"""Characters of a text that is looked at in this way."""

_FENCE = re.compile(
    r"[ \t]{0,8}(?:[-*+>]\s+|\d+[.)]\s+)?(`{3,}|~{3,})[ \t]*(?:[\w+#.-]{0,30}(?: ?\{[\w .#=:-]{0,60}\}|(?: [\w-]{1,20}=[\w./-]{1,40}){1,3})?)[ \t]*$"
)
"""Beginning of a fence with its info string, which holds words alone: it is not judged."""
_INDENTED = re.compile(r"(?: {4}|\t)")
_PROMPT = re.compile(
    r"\s*(?:\$ |> |>>>(?: |$)|\.\.\.(?: |$)|In \[\d+\]: |(?:PS )?[A-Z]:\\[\w\\ .-]{0,80}> ?|[\w.-]+@[\w.-]+:[\w~/.-]*[$#] )"
)
_TRACE = re.compile(
    r"\s*(?:at [\w.$<>/\[\]]+(?: \[as [\w.]+\])? ?\([^()\n]{0,200}\)|at (?:async )?[\w./:<>-]+:\d+(?::\d+)?|File \"[^\"\n]{1,200}\", line \d+"
    r"|Caused by: [\w.$]+|\.\.\. \d+ more|[\w./-]+\.(?:go|rs|rb|py|java|kt|php|js|ts):\d+(?::in |:\d+| \+0x|$)|goroutine \d+ \["
    r"|Traceback \(most recent call last\):|#\d+ [\w/.{}-]+\(\d+\):|(?:[a-z_]+\.)+[A-Z]\w*(?:Exception|Error)\b(?!\())"
)
_BACKTICKS = re.compile(r"`+")
_LINK = re.compile(
    r"\[([^\[\]\n]{1,200})\]\(((?:https?://|[\w./#-]{0,80}[./#])[^\s()<>'\"]{0,500})(?: \"([^\"\n]{0,200})\")?\)"
)
_PROGRAM_LINE = re.compile(
    r"\s*(?:(?:import|from|export|const|let|var|def|class|function|async|public|private|package|namespace)\b(?:[^.?!]*|.*[;{}):,])$"
    r"|(?:if|for|while|elif|else|try|with|return|use|using)\b.*[;{}:)]$|[\w.\[\]'\"]{1,80}\s?(?:=|\+=|:=)\s?\S"
    r"|[\w.]{1,80}\(.*\)?[;,{]?$|!?(?:pip|npm|apt|conda|%\w+)\b|[})\];]+[;,]?$|#|//|/\*|\*|@\w)"
)
_BETWEEN_BARS = re.compile(r"(?<![^\s|])\|(?=[A-Z]|[a-z0-9]+[ .+-])[A-Za-z][\w .+-]{0,40}\|(?=[\s|\d]|\Z)")
_READING = re.compile(r"\((?:reading|setting) '[\w$]{1,60}'\)")
"""Property that an error of JavaScript names."""
_VERB = re.compile(
    r"(?<=[:\n])[ \t\n]{1,8}((?:select|insert|update|delete|create|alter|drop|with|explain|grant|merge|truncate)\b)",
    re.IGNORECASE,
)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_SENTENCE = re.compile(r"(?:[^\W\d_]{2,}[,;:]? ){5}").search
"""Words in a row, as no line of code has them outside of a comment."""
_WORD = re.compile(r"[^\W\d_]{2,}")


class Part(Struct, frozen=True, gc=False):
    """One part of a text that shows code."""

    kind: PartKind
    start: int
    end: int
    """End of the part with its marks."""
    code: str
    """What stands between the marks."""


def code_parts(text: str) -> tuple[Part, ...]:
    """The parts of a text that show code, in order; none for a text without prose beside them."""
    if len(text) > TEXT_MAX:
        return ()
    blocks = list(_blocks(text))
    parts = [*blocks, *_within_lines(text, blocks)]
    parts.sort(key=lambda part: part.start)
    if sum(part.kind == "trace" for part in parts) >= TRACE_LINES_MIN:
        return tuple(parts)
    words = len(_WORD.findall(without_code(text, parts))) if parts else 0
    has_block = any(part.kind == "block" for part in parts)
    if words >= (HEADING_WORDS_MIN if has_block else WORDS_MIN):
        return tuple(parts)
    if words and text.lstrip().partition("\n")[0].rstrip().endswith(":"):
        return tuple(parts)
    return (Part("program", 0, len(text), text),) if _is_program(text) else ()


def without_code(text: str, parts: list[Part] | tuple[Part, ...], span: str = "that") -> str:
    """The text with a word in the place of each part, which no judge reads as anything; `span` in that of each span."""
    left: list[str] = []
    at = 0
    for part in parts:
        if part.start >= at:
            left.append(text[at : part.start])
            left.append("\n" if part.kind in ("block", "trace") else span if part.kind == "span" else "that")
            at = part.end
    return "".join([*left, text[at:]])


def with_spans_inline(text: str, parts: tuple[Part, ...], apart: Collection[Part]) -> tuple[str, list[tuple[int, int]]]:
    """The text without blocks and marks of spans, whose code stays but for those `apart`; and where that is. A database
    or shell may take the backticks of a span for its own and read what stands around it in one go with it."""
    left: list[str] = []
    inside: list[tuple[int, int]] = []
    at = size = 0
    for part in parts:
        if part.start < at:
            continue
        between = text[at : part.start]
        shown = "\n" if part.kind != "span" else "that" if part in apart else part.code
        left += (between, shown)
        size += len(between)
        inside.append((size, size + len(shown)))
        size += len(shown)
        at = part.end
    return "".join([*left, text[at:]]), inside


def _is_program(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) >= PROGRAM_LINES_MIN and all(map(_PROGRAM_LINE.match, lines))


def _blocks(text: str) -> Iterator[Part]:
    """Fences, indented blocks, lines of prompts and traces."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    at, after_blank = _ended_by_the_first_fence(lines), True
    if at:
        yield Part("block", 0, starts[at], "".join(lines[: at - 1]))
    read_to = 0  # lines whose paragraph was read, so that each is read once
    while at < len(lines):
        line = lines[at]
        end = at
        kind: PartKind = "block"
        inner = ""
        if (fence := _FENCE.match(line)) is not None:
            closing = _closing(lines, at, fence[1])
            end, inner = min(closing + 1, len(lines)), "".join(lines[at + 1 : closing])
        elif _TRACE.match(line):
            kind, end, inner = "trace", at + 1, line
        elif (
            after_blank
            and at >= max(read_to, 1)
            and (read_to := _end_of_paragraph(lines, at))
            and _is_program_from(lines[at:read_to])
        ):
            end = read_to
            inner = "".join(lines[at:end])
        elif after_blank and _INDENTED.match(line) and line.strip():
            end = at + 1
            while end < len(lines) and (_INDENTED.match(lines[end]) or not lines[end].strip()):
                end += 1
            inner = "".join(lines[at:end])
        elif _PROMPT.match(line):
            end = at + 1
            inner = _PROMPT.sub("", line, count=1)
        if end > at:
            yield Part(kind, starts[at], starts[end], inner)
            at, after_blank = end, True
        else:
            after_blank = not line.strip() or line.rstrip().endswith(":")
            at += 1


def _end_of_paragraph(lines: list[str], at: int) -> int:
    """Number of the next blank line."""
    while at < len(lines) and lines[at].strip():
        at += 1
    return at


def _is_program_from(paragraph: list[str]) -> bool:
    """Whether the lines are a program's, and end as statements of one do."""
    return (
        bool(paragraph)
        and all(map(_PROGRAM_LINE.match, paragraph))
        and paragraph[-1].rstrip().endswith((";", "}", ")", "{", ":"))
    )


def _ended_by_the_first_fence(lines: list[str]) -> int:
    """Number of lines up to a fence that has no beginning, as in a piece that was cut out of a longer text; 0 for none: the
    first fence names no language, and the fences do not come in pairs."""
    fences = [at for at, line in enumerate(lines) if _FENCE.match(line) is not None]
    if not fences or len(fences) % 2 == 0 or lines[fences[0]].strip().strip("`~"):
        return 0
    if any(_SENTENCE(line) for line in lines[: fences[0]] if not line.lstrip().startswith(("#", "//"))):
        return 0
    return fences[0] + 1


def _closing(lines: list[str], opened: int, marks: str) -> int:
    """Number of the line that ends a fence; without one it goes to the end of the text (CommonMark, section 4.5)."""
    for at in range(opened + 1, len(lines)):
        stripped = lines[at].strip().lstrip("> ")
        if stripped.startswith(marks) and not stripped.strip(marks[0]):
            return at
    return len(lines)


def _within_lines(text: str, blocks: list[Part]) -> Iterator[Part]:
    """Spans, marks between bars and statements outside the blocks."""
    at = 0
    for start, end in [*((block.start, block.end) for block in blocks), (len(text), len(text))]:
        outside = text[at:start]
        yield from _moved(_spans(outside), at)
        for found in _LINK.finditer(outside):
            texts = filter(None, (found[1].strip("`"), found[2], found[3]))
            yield from (Part("mark", at + found.start(), at + found.end(), shown) for shown in texts)
        for found in _READING.finditer(outside):
            yield Part("mark", at + found.start(), at + found.end(), "")
        for found in _BETWEEN_BARS.finditer(outside):
            yield Part("mark", at + found.start(), at + found.end(), found[0][1:-1])
        yield from _moved(_statements(outside), at)
        at = end


def _statements(text: str) -> Iterator[Part]:
    """Statements of SQL after a colon or on lines of their own, to the end of the paragraph, with words before them."""
    until = 0
    for found in _VERB.finditer(text):
        start = found.start(1)
        if start < until or len(_WORD.findall(text, max(0, start - 200), start)) < 2:
            continue
        blank = _BLANK_LINE.search(text, start)
        until = blank.start() if blank is not None else len(text)
        yield Part("statement", start, until, text[start:until])


def _moved(parts: Iterator[Part], by: int) -> Iterator[Part]:
    for part in parts:
        yield Part(part.kind, part.start + by, part.end + by, part.code)


def _spans(text: str) -> Iterator[Part]:
    """Code between runs of backticks of one length, within one paragraph (CommonMark, section 6.1)."""
    runs = [(found.start(), found.end()) for found in _BACKTICKS.finditer(text)]
    at = 0
    while at < len(runs):
        start, inside = runs[at]
        if start and (text[start - 1].isalnum() or text[start - 1] in "_)]}$"):
            at += 1  # a template that something is called with, not a span
            continue
        for ahead in range(at + 1, min(at + 1 + RUNS_AHEAD, len(runs))):
            until, end = runs[ahead]
            if end - until == inside - start:
                inner = text[inside:until]
                if "\n\n" not in inner:
                    yield Part("span", start, end, inner)
                    at = ahead
                break
        at += 1
