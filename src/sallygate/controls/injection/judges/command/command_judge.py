r"""Judge of command injection: values by which a shell would run something.

**Threat.** `; cat /etc/passwd`, `$(id)`, `| nc -e sh`, `& dir c:\`, `() { :;};` (CWE-78, CWE-88; MITRE T1059).

**Evidence.** `injection.command` with the rule: `shellshock`, `device`, `substitution`, `chained`, `next-line`,
`expansion`, `program-path`, `command-line`, `windows`, `powershell`, `option`.

**How.** The value is read as a shell would: quotes and escapes that change nothing are taken out (`c'a't`, `c\at`, `w$@ho`),
then every place where a command may stand (after `;`, `|`, `&`, a line break, in `` ` ` `` and `$( )`, at the start) is looked at
for the name of a program. A name that is also a word of prose must come with something a word does not come with: an option, a
path, a number, the end.

**Known bypasses.** Programs no list names, called in a place that prose has too. A whole command line where the application
expects one.

**Cost.** Linear: one pass to clean, one over the separators, a set looked up for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.entities import html5

from sallygate.controls.injection.judges.command.command_signatures import NAME_CHARS_MAX, signature_in
from sallygate.controls.injection.judges.command.command_substitutions import acting_substitution, between_quotes
from sallygate.controls.injection.judges.command.command_triggers import GROUP_OF, TRIGGERS
from sallygate.controls.injection.judges.command.command_words import (
    BARE,
    BUSY,
    CALLING,
    NAMED_ALONE,
    NAMES,
    PLAIN_WORDS,
    RARE,
    TERSE,
    TOOLS,
    alternatives,
)
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.judge_interface import HOP, TEXTS, Judge
from sallygate.controls.injection.pipeline.literal_rules import lowered

_NAMES_MAX = 256
"""Programs named where commands stand in one text, before it is refused for that alone: no honest window of 8,192
characters names half as many, and one that does was made to keep the judge busy."""
PLUS_CHARS = 512
"""Of a value with plus signs and no space, which is read a second time: longer than command lines are."""
_ENTITIES = frozenset(name for name in NAMES if name + ";" in html5)
"""`&reg;` is a trade mark."""


# All expressions below read lower-case text, and begin with a character that is rare: that is what they are searched by.
_SHELLSHOCK = re.compile(r"\(\s{0,8}+\)\s{0,8}+\{(?!\s{0,8}(?:return|var|let|const|this)\b)")
_SHELLSHOCK_LEAD = re.compile(r"[\s'\"=;]{0,8}\Z")
_SHELLSHOCK_BODY = re.compile(r"\(\s{0,8}+\)\s{0,8}+\{\s{0,4}+[:_\"]")
_WHOLE = re.compile(
    r"\s*+(?:[;&|]{1,2}\s*+(?=[$`]))?(?:~[+-]\d{0,4}|!-?\d{1,4}(?:[!:-].{0,20})?|\$\((?!['\"]|document\b|this\b|window\b).{0,400}\)|`[^`]{1,400}`)\s*+\Z",
    re.DOTALL,
)
_PREFIX = (
    r"(?:(?:sudo|time|nohup|exec|command|builtin|env|xargs|watch|nice|eval|then|do|else|if|while|busybox|doas|setsid|stdbuf|"
    r"timeout [0-9.]{1,9}[smh]?|start /b|call|@)\s{1,8}+(?:-\S{1,12}+\s{1,4}+){0,3}+){1,4}+"
)
_PATH = r"(?:[a-z]:)?(?:[./~\\$\w{}-]{0,64}[/\\])?"
_NAME = rf"({_PREFIX})?['\"(\\{{@!+]{{0,64}}+({_PATH})({alternatives(NAMES)})(?:\.exe)?[.-]*+(?![\w.-])"
_ARGUMENT = (
    r"\s{0,8}+(?:-{1,2}[a-z0-9?]|/(?:[a-z?*\[]|(?=\s*+(?:\Z|[-;|&'\"#>])))|[a-z]:[\\/]|\.{1,2}[/\\]|~(?:/|\Z|\w)|\d?[<>]|\$|%|\d++(?:\.\d++)*+\s*+(?:\Z|[;|&`)'\"#])|https?:|ftp:|"
    r"[\w-][\w.-]{0,63}\.(?:txt|sh|php|py|pl|log|conf|exe|bat|ps1|ini|cgi|elf|zip|tar|gz|c|jpg)\b|\d{1,3}(?:\.\d{1,3}){3}|localhost|\*|\\\\|@)"
)
_END = r"\s*+(?:\Z|[;|&`)}'\"#\r\n]|<!--|//)"
_NAMED = (
    rf"{_NAME}(?:['\"]|(?!['\"]))(?=\Z|[ \t\r\n\x0b\x0c;|&<>$'\"`)}}#\\/@^\xa0])(?:(?={_ARGUMENT})()|(?={_END})())?+"
)
"""A program's name: 1 what runs it, 2 its path, 3 the name; 4 is set when an argument follows, 5 when nothing does."""
_NAME_HERE = re.compile(_NAMED)
_BEGINS = r"(?=[\w'\"(\\{@!+./~$}-])"
"""What a command line may begin with: the quick way past separators that are followed by others."""
_CHAINED = re.compile(rf"((?>\|\|?&?|&&?|;|\r|\n|%(?<=\w%)0[ad]))[\s({{!]{{0,16}}+{_BEGINS}{_NAMED}")
_SUBSTITUTED = re.compile(rf"(\$\(|`)\s{{0,8}}+{_BEGINS}{_NAMED}")
_PROGRAM = re.compile(rf"bin/(?:{alternatives(name for name in NAMES if len(name) > 1)})\b")
_PROGRAM_LEAD = re.compile(r"(?:^|[\s;|&`$('\"=,>])[./]{0,3}/?(?:(?:usr|opt|system)/)?(?:local/)?s?\Z")
_NOISE = re.compile(
    r"'(?<=[A-Za-z/._]')(?:'(?=[A-Za-z/._])|(?<=[A-Za-z/]')(?=[A-Za-z]{1,6}+'[A-Za-z/ ])|(?<=[A-Za-z]')(?=[A-Za-z]{1,3}+['\"\\]?[A-Za-z/]{0,6}(?:[\s;|&/]|$)))|"
    r"\"(?<=[A-Za-z/._]\")(?:\"(?=[A-Za-z/._])|(?<=[A-Za-z/]\")(?=[A-Za-z]{1,6}+\"[A-Za-z/ ])|(?<=[A-Za-z]\")(?=[A-Za-z]{1,3}+['\"\\]?[A-Za-z/]{0,6}(?:[\s;|&/]|$)))|"
    r"\\(?<=[A-Za-z/._]\\)(?:(?=[A-Za-z/])|\r?\n(?=[A-Za-z/._]))|\$(?<=[A-Za-z/._]\$)(?:@|\*|\(\)|\{?[a-z]{0,12}+\})(?=[A-Za-z/._])|"
    r"\^(?<=[A-Za-z/._]\^)(?=[A-Za-z/._])|`(?<=[A-Za-z/._]`)(?:echo)?`(?=[A-Za-z/._])"
)
_QUOTED_NAME = re.compile(r"(['\"])(?<!\w.)([A-Za-z][\w./-]{1,24}+)\1(?=[\s;|&]|$)")
_FOUR_WORDS = re.compile(r" (?<=[a-z]{2} )[a-z]{2,}+ [a-z]{2,}+ [a-z]{2}")
_WORDS_LISTED = re.compile(r"[A-Za-z]{2,20}(?:[;,|] [A-Za-z]{2,20}){2,40}")
_SENTENCE = re.compile(r"[.!?,] [A-Z][a-z]++ [a-z]{2}")
_OTHER_SCRIPTS = re.compile(r"[一-鿿぀-ヿ֐-׿؀-ۿ]")
_MARKUP = tuple(
    map(re.compile, (r"</?[a-z][^<>]{0,200}+>", r"function\s{0,4}+\(", r"var (?<!\wvar )\w", r"[{,]\"\w++\":"))
)


class CommandJudge(Judge):
    """Judge of shells and their commands."""

    name = "command"
    triggers = TRIGGERS
    kinds = TEXTS | HOP
    cost = 0.5

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest reading of `text` as something a shell would run; also of what one decoding more of a form makes of
        it."""
        found = _judge(text, hits)
        if found is None and len(text) <= PLUS_CHARS and "+" in text and " " not in text:
            found = _judge(text.replace("+", " "), hits)
        return found


JUDGE: Judge = CommandJudge()


def _judge(text: str, hits: Sequence[int]) -> Evidence | None:
    looks = {GROUP_OF[number] for number in hits}
    lower = lowered(text)
    if "shellshock" in looks and (shock := _shellshock(lower)) is not None:
        return shock
    markup = any(pattern.search(lower) is not None for pattern in _MARKUP)
    best = signature_in(lower, looks, markup)
    if looks.isdisjoint(_SHELL_LOOKS):
        return best
    plain = _cleaned(text)
    prose = _is_prose(plain)
    if plain is not text:
        lower = lowered(plain)
    if best is None or best.score < ATTACK:
        acting, rule = acting_substitution(lower), "substitution"
        if acting is None:
            acting, rule = between_quotes(lower), "chained"
        if acting is not None:
            start, end = acting.span()
            return Evidence("command", rule, ATTACK, min(start, len(text)), min(end, len(text)))
    for look in (_chained, _substituted, _line):
        if best is not None and best.score >= (ODD if markup else ATTACK):
            break  # no look that is left finds more
        found = look(lower, prose, markup)
        if found is not None and (best is None or found.score > best.score):
            best = found
    if best is not None and plain is not text:
        return Evidence(best.family, best.rule, best.score, min(best.start, len(text)), min(best.end, len(text)))
    return best


_SHELL_LOOKS = frozenset(("shell", "expansion", "device"))
"""Where a command may stand among it."""


def _shellshock(text: str) -> Evidence | None:
    """A function's definition as Bash exports them: at the start of a value, or with a body no other language begins so."""
    for found in _SHELLSHOCK.finditer(text):
        at = found.start()
        if (at <= 8 and _SHELLSHOCK_LEAD.match(text, 0, at)) or (
            not _follows_a_name(text, at) and _SHELLSHOCK_BODY.match(text, at)
        ):
            return Evidence("command", "shellshock", CERTAIN, at, min(found.end() + 16, len(text)))
    return None


def _follows_a_name(text: str, at: int) -> bool:
    before = text[at - 1 : at]
    return before.isalnum() or (before != "" and before in "_$])>")


def _cleaned(text: str) -> str:
    """Without what a shell takes out of a word before it looks the command up."""
    if (
        "'" not in text
        and '"' not in text
        and "\\" not in text
        and "$" not in text
        and "^" not in text
        and "`" not in text
    ):
        return text
    once = _QUOTED_NAME.sub(r"\2", text)
    for _ in range(3):
        cleaned = _NOISE.sub("", once)
        if cleaned == once:
            break
        once = cleaned
    return once


def _is_prose(text: str) -> bool:
    return (
        _WORDS_LISTED.fullmatch(text) is not None
        or _FOUR_WORDS.search(text) is not None
        or _SENTENCE.search(text) is not None
        or (not text.isascii() and _OTHER_SCRIPTS.search(text) is not None)
    )


_CELL = re.compile(r"[^\n|]*+[\n|]?")


def _chained(text: str, prose: bool, markup: bool) -> Evidence | None:
    """A program's name after a separator."""
    best: Evidence | None = None
    lines, listed = text.count("\n"), text.count("|") > 3
    begins = len(text) - len(text.lstrip(" \t'\")"))
    if lines + text.count("|") > 2 * _NAMES_MAX:
        text = "".join(dict.fromkeys(_CELL.findall(text)))  # columns of words are honest, and each is read once
    first = len(text) - len(text.lstrip())
    space = text.find(" ", first)
    words_from = len(text) - len(text[space:].lstrip()) if space >= 0 else len(text)
    named = 0
    for found in _CHAINED.finditer(text):
        sign, running, path, name, argument, ending = found.groups()
        if sign not in ("\n", "\r", "|") or not (lines > 3 or listed):
            named += 1
            if named > _NAMES_MAX:
                return Evidence("command", "chained", LIKELY, 0, found.end())
        if argument is None and name in CALLING and _HOST.match(text, found.end()) is not None:
            argument = ""
        if sign == "&" and name in _ENTITIES and text.startswith(";", found.end()):
            continue
        plain = name in PLAIN_WORDS or (sign == "&" and argument is None and name not in BUSY and found.start() > first)
        pathed = running is not None or path != ""
        alone = argument is None
        excused = markup and _SYSTEM_PATH.match(text, found.end()) is None
        score = _weight(plain, alone, pathed or ending is not None) - (4 if excused else 0)
        if prose and plain and not pathed:
            score -= 2
        if best is not None and best.score >= score:
            continue  # what follows only takes away
        start, end = found.start(), found.end()
        if sign in "\r\n":
            if prose or lines > 3:
                score -= 2 if not plain and not prose and not (alone and name not in BUSY) else 4
        elif sign[0] == "|" and listed and text[end : end + 1] == "|":
            continue  # a list between bars
        amid = start > first and (sign == "&" or start > words_from)
        if (plain and not prose and start <= begins and _is_led(sign, name, text, found)) or (
            name in TERSE and sign not in "\r\n" and _follows_a_value(text, found)
        ):
            score = max(score, LIKELY)
        elif plain and alone and not pathed and (amid or name not in TOOLS):
            score = min(score, ODD - (2 if prose else 0) - (4 if markup else 0))
        if best is None or score > best.score:
            rule = "next-line" if sign in "\r\n" else "chained"
            best = Evidence("command", rule, max(score, 1), start, min(end + 12, len(text)))
            if score >= ATTACK:
                break
    return best


def _is_led(sign: str, name: str, text: str, found: re.Match[str]) -> bool:
    """Whether a separator with nothing before it, a name that is a word too, and little else is a command: a value that goes
    on like a list or a title puts a space between, and begins so with few of the names."""
    rest = text[found.end() :].split(None, 4)
    if sign in "\r\n" or len(rest) > 3:
        return False
    attached = found.start(3) == found.end(1)
    return (
        name in BARE
        or (not rest and (name in TERSE or sign not in "|&"))
        or (attached and (sign not in "|&" or name in TERSE))
    )


_VALUE = re.compile(r"[\s'\")]{0,4}(?=[^\s;|&]{0,60}[0-9.])[\w.:/@-]{1,60}['\")]{0,2}")
_FEW_WORDS = re.compile(r"\s{1,4}[\w./'\"$*?{}-]{1,40}(?:\s[\w./'\"$*?{}-]{1,40}){0,2}['\")\s;&|#]{0,4}")


def _follows_a_value(text: str, found: re.Match[str]) -> bool:
    """Whether a separator without a space around it stands between an address, file or number and a command of few words."""
    return (
        found.start(3) == found.end(1)
        and _VALUE.fullmatch(text, 0, found.start()) is not None
        and _FEW_WORDS.fullmatch(text, found.end()) is not None
    )


_HOST = re.compile(r"\s{1,4}+(?:-\S{1,12}+\s{1,4}+){0,3}+['\"]?[a-z0-9_-]{1,63}+(?:\.[a-z0-9_-]{1,63}+){1,6}+(?![\w(])")
"""What programs that call other hosts are given."""
_SYSTEM_PATH = re.compile(r"[^;|&\n<>]{0,40}?\s['\"]?/(?:etc|bin|usr|var|proc|dev|tmp|root)/")
"""What markup and scripts have no reason to name after a command."""


def _weight(plain: bool, alone: bool, evident: bool) -> int:
    """How much a name says by what follows it."""
    return ATTACK if not plain or not alone else LIKELY if evident else ODD


def _substituted(text: str, prose: bool, markup: bool) -> Evidence | None:
    """A program's name where its output would be put in."""
    best: Evidence | None = None
    last_quote = text.rfind("`")
    spoken = prose or len(_WORDS_OUTSIDE(text)) > PROSE_WORDS
    for number, found in enumerate(_SUBSTITUTED.finditer(text)):
        if number == _NAMES_MAX:
            return Evidence("command", "substitution", LIKELY, 0, found.end())
        sign, running, path, name, argument, ending = found.groups()
        evident = ending is not None or running is not None or path != ""
        score = _weight(name in PLAIN_WORDS, argument is None, evident) - (4 if markup else 0)
        if best is not None and best.score >= score:
            continue
        start = found.start()
        if sign == "`":
            if last_quote < found.start(3):
                break
            if text[start - 1 : start] in (" ", "\n", "("):
                score -= 4 if spoken else 0  # Markdown
        if best is None or score > best.score:
            best = Evidence("command", "substitution", max(score, 1), start, min(found.end() + 12, len(text)))
            if score >= (ODD if markup else ATTACK):
                break
    whole = _WHOLE.match(text) or _braced(text)
    if whole is not None and (best is None or best.score < LIKELY):
        return Evidence("command", "substitution", LIKELY, *whole.span())
    return best


_WORDS_OUTSIDE = re.compile(r"(?:(?<=\s)|(?<=\A))[a-z]{2,20}(?=[\s.,:;!?])").findall
PROSE_WORDS = 4
"""Words, each by itself, that a sentence about programs has more of, and a command line seldom."""


_BRACED = re.compile(
    r"\s*+(\w{0,12})\{([^{}\s:]{1,80}),([^{}\s:]{0,80}|[^{}\s:]{0,40}(?:https?|ftp)://[^{}\s]{1,80})\}(\w{0,12})"
)


def _braced(text: str) -> re.Match[str] | None:
    """`{cat,/etc/passwd}`, `c{a,}t`: words a shell makes of braces, the first of them a program."""
    found = _BRACED.match(text)
    if found is None:
        return None
    before, first, rest, after = found.groups()
    words = (before + word.strip("$'\"") + after for word in (*first.split(","), *rest.split(",")) if word)
    return found if next(words, "") in NAMES else None


_STRONG = re.compile(
    r"\s{1,8}(?:-{1,2}[a-z]|/[a-z]|[a-z]:\\|https?:|ftp:|\d{1,3}(?:\.\d{1,3}){3}|[<>] ?/|\$|~/|\.\.?/|\*\Z)"
)
_ALIAS = re.compile(r"\s{1,4}(?:[-+][a-z]\+?\s{1,4})?['\"]?[\w.-]{1,24}['\"]?\s?=")
_SEARCHED = frozenset(("at", "go", "more", "look", "see", "java", "free", "fetch", "jobs"))
"""What people begin a search with."""
_SECONDS = re.compile(r"\s{1,8}\d++\s*+\Z")


def _line(text: str, prose: bool, markup: bool) -> Evidence | None:
    """A value that is a command line from its start, or names a program by its path."""
    if markup or prose:
        return None
    if (path := _program_path(text)) is not None:
        return path
    at = len(text) - len(text.lstrip(" \t\r\n'\"(!+"))
    found = _NAME_HERE.match(text, at)
    if found is None:
        return None
    name, end = found[3], found.end()
    if name in ("which", "whereis"):
        program = _NAME_HERE.match(text, end + 1)
        if program is not None and program.end() == len(text.rstrip()):
            return Evidence("command", "command-line", LIKELY, at, len(text))
    if name == "alias" and _ALIAS.match(text, end) is not None:
        return Evidence("command", "command-line", LIKELY, at, end)
    if name in NAMED_ALONE and not text[end:].strip():
        return None
    if name in RARE or (name in BUSY and (found[4] is not None or not text[end:].strip(" \t\r\n'\";#)"))):
        return Evidence("command", "command-line", LIKELY, at, end)
    if found[4] is None or text[end : end + 1] not in " \t;|&<>\r\n" or name in _SEARCHED:
        return None
    strong = (
        _STRONG.match(text, end) is not None
        or (name in ("sleep", "ping") and _SECONDS.match(text, end) is not None)
        or (name in TOOLS and text[end:].strip() == "/")
    )
    return Evidence("command", "command-line", LIKELY if strong else ODD, at, end)


def _program_path(text: str) -> Evidence | None:
    """`/usr/bin/id`, at the start of a word that is no part of an address."""
    scheme = text.find("://")
    for found in _PROGRAM.finditer(text):
        at = found.start()
        if 0 <= scheme < at:
            return None
        lead = _PROGRAM_LEAD.search(text, max(at - NAME_CHARS_MAX, 0), at)
        if lead is not None:
            return Evidence(
                "command", "program-path", ATTACK if lead.start() == 0 else LIKELY, lead.start(), found.end()
            )
    return None
