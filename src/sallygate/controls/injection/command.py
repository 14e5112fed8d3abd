r"""Command injection: values by which a shell would run something.

**Threat.** `; cat /etc/passwd`, `$(id)`, `| nc -e sh`, `& dir c:\`, `() { :;};` (CWE-78, CWE-88; MITRE T1059).

**Evidence.** `injection.command` with the rule: `shellshock`, `device`, `substitution`, `chained`, `obfuscated`,
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

from sallygate.controls.injection.commandtriggers import GROUP_OF, TRIGGERS
from sallygate.controls.injection.commandwords import BUSY, CMDLETS, PLAIN_WORDS, TOOLS, UNIX, WINDOWS
from sallygate.controls.injection.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence

__all__ = ["TRIGGERS", "judge"]

_NAMES = UNIX | WINDOWS
_LONG_NAMES = "|".join(sorted((re.escape(name) for name in _NAMES if len(name) > 1), key=len, reverse=True))

_SHELLSHOCK = re.compile(
    r"(?:\A[\s'\"=;]{0,8}|(?<![\w$\])>])(?=\(\s{0,8}\)\s{0,8}\{\s{0,4}[:_\"]))\(\s{0,8}\)\s{0,8}\{(?!\s{0,8}(?:return|var|let|const|this)\b)"
)
_DEVICE = re.compile(
    r"/dev/(?:tcp|udp)/|\b(?:nc|ncat|netcat)(?:\.\w+)? (?:-\w+ ){0,4}-\w*e\b|\b(?:ba|z|k|da)?sh -i\b|0<&\d|>& ?/dev/|\bmkfifo /|"
    r"\b(?:python[23]?|perl|ruby|php|lua|node) -[cer] ?['\"]|\b(?:ba|z|k|c|da)?sh -l?c\b|\bpty\.spawn|<<< ?['\"$`a-z]",
    re.IGNORECASE,
)
_EXPANSION = re.compile(
    r"\$\{?IFS\b|\$\{?(?:PATH|SHELL|HOME|PWD|OLDPWD|BASH|HOSTNAME|LS_COLORS)(?::[0-9-]|\}|\b(?=[ /;|&]))|\$\{#?[A-Za-z_]\w{0,24}[:#%@^,/]|\{[a-z./?*-]*,[^{}:\" ]{0,80}\}(?=$|[\s;|&'\"`)])|"
    r"(?:/[a-z]?[?*]{1,4}[a-z?*]{0,12}){2}|/(?:[a-z]*\[[a-z!?^/-]{1,12}\][a-z]*)(?:/|\b)|/etc/[a-z]*[\[?*]|\$\(\(|\$\[[\]\d($]|\$'\\|"
    r"(?<![=\w-])[<>]\([a-z/]|(?<![\w)])\$\{![A-Za-z_]",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\s*(?:~[+-]\d{0,4}|!-?\d{1,4}(?:[!:-].{0,20})?|!!(?::.{0,20})?|\$\(.{0,400}\)|`[^`]{1,400}`)\s*$", re.DOTALL
)
_SUBSTITUTION = re.compile(r"\$\(\s{0,8}|`\s{0,8}")
_CHAIN = re.compile(r"(?:\|\|?&?|&&?|;|[\r\n]|(?<=[\w\d])%0[ad])[\s({!]{0,16}")
_PREFIX = re.compile(
    r"(?:(?:sudo|time|nohup|exec|command|builtin|env|xargs|watch|nice|eval|then|do|else|if|while|busybox|doas|setsid|stdbuf|timeout [0-9.]+[smh]?|start /b|call|@)\s{1,8}(?:-\S{1,12}\s{1,4}){0,3}){1,4}",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?:[a-z]:)?(?:[./~\\$\w{}-]{0,64}[/\\])?([A-Za-z_][\w.-]{0,31})", re.IGNORECASE)
_PROGRAM = re.compile(
    rf"(?:^|[\s;|&`$('\"=,>])[./]{{0,3}}/?(?:(?:usr|opt|system)/)?(?:local/)?s?bin/(?:{_LONG_NAMES})\b", re.IGNORECASE
)
_ARGUMENT = re.compile(
    r"\s{0,8}(?:-{1,2}[a-zA-Z0-9?]|/[a-zA-Z?*\[]|[a-z]:[\\/]|\.{1,2}[/\\]|~(?:/|$|\w)|[<>]|\$|%|\d+(?:\.\d+)*\s*(?:$|[;|&`)'\"#])|https?:|ftp:|"
    r"[\w.-]+\.(?:txt|sh|php|py|pl|log|conf|exe|bat|ps1|ini|cgi|elf|zip|tar|gz|c|jpg)\b|\d{1,3}(?:\.\d{1,3}){3}|localhost|\*|\\\\|@)"
)
_END = re.compile(r"\s*(?:$|[;|&`)}'\"#\r\n]|<!--|//)")
_WINDOWS = re.compile(
    r"\bcmd(?:\.exe)?['\"]? {0,4}/[ckqrsv]\b|%(?:comspec|systemroot|windir|programfiles|appdata|temp|userprofile|path(?:ext)?)(?::~|%)|"
    r"\bfor\s{1,20}(?:/[dflr]\s{1,20}(?:['\"(\w:\\.*%-][^%]{0,60}?\s{1,9})?)?%{1,2}[^\s]{0,12}\s{1,9}in\s{0,9}\(|"
    r"\bif\s{1,20}(?:/i\s{1,20})?(?:not\s{1,20})?(?:exist\s{1,20}\S|defined\s{1,20}\S|errorlevel\s{1,20}\d|cmdextversion\s|\S{1,40}\s{1,20}(?:equ|neq|lss|leq|gtr|geq)\s{1,20}\S|"
    r"[\"'(%!\w][^\n=]{0,40}==\s{0,9}[\"'(%!\w][^\n]{0,40}[\s)])|"
    r"\bnet1? {1,4}(?:user|localgroup|view|use|share|start|stop|accounts|group|session|config)\b|\breg {1,4}(?:add|query|delete|save|export)\b|"
    r"\bcertutil\b.{0,40}-(?:urlcache|decode|encode|f)\b|\bbitsadmin\b.{0,20}/\w|\bwmic\b.{0,24}\b(?:process|os|call|get|useraccount|service|product)\b|"
    r"\bregsvr32\b.{0,20}/|\brundll32\b.{0,20}[.,]|\bmshta\b.{0,8}(?:http|vb|java)|\bnetsh {1,4}(?:firewall|advfirewall|wlan|interface|int)\b|"
    r"\b(?:dir|type|del|copy|move|cd|md|rd|attrib|more|tree) {1,4}(?:/\w+ {1,4}){0,3}\"?[a-z]:\\",
    re.IGNORECASE,
)
_POWERSHELL = re.compile(
    rf"\b(?:{'|'.join(CMDLETS)})\b|\bpowershell(?:\.exe)?\b.{{0,12}}-[a-z]|\b(?:iex|iwr|irm)\b ?[\s($'\"]{{1,4}}(?:\(|http|\$|new-|'|\")|"
    r"net\.webclient|downloadstring|downloadfile|-e(?:nc|ncodedcommand)? [A-Za-z0-9+/=]{16}|\[(?:system\.)?(?:convert|text\.encoding|io\.file|reflection\.assembly|net\.\w+)\]::",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(?:^|\s|=)-(?:oProxyCommand|wrapper)\b|--(?:exec|upload-pack|receive-pack|use-compress-program|checkpoint-action|open-files-in-pager|to-command|rsh|"
    r"pre-invoke|post-file|output-document|os-shell|os-cmd)[= ]|\bext::|-oPermitLocalCommand",
    re.IGNORECASE,
)
_NOISE = re.compile(r"(?<=[A-Za-z/._])(?:''|\"\"|\\(?=[A-Za-z/])|\$@|\$\*|\$\(\)|\$\{?[a-z]{0,12}\}|\^|`(?:echo)?`|\\\r?\n)(?=[A-Za-z/._])|"
                    r"(?<=[A-Za-z/])(['\"])(?=[A-Za-z]{1,6}\1[A-Za-z/ ])|(?<=[A-Za-z])['\"](?=[A-Za-z]{1,3}['\"\\]?[A-Za-z/]{0,6}(?:[\s;|&/]|$))")  # fmt: skip
_QUOTED_NAME = re.compile(r"(?<![\w])(['\"])([A-Za-z][\w./-]{1,24})\1(?=[\s;|&]|$)")
_TEXT = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,} [a-z]{2,}|[.!?,] [A-Z][a-z]+ [a-z]{2,}|[一-鿿぀-ヿ֐-׿؀-ۿ]")
"""Prose."""
_MARKUP = re.compile(r"</?[a-z][^<>]{0,200}>|function\s{0,4}\(|\bvar \w|[{,]\"\w+\":", re.IGNORECASE)


def judge(text: str, hits: list[int]) -> Evidence | None:
    """The strongest reading of `text` as something a shell would run."""
    looks = {GROUP_OF[number] for number in hits}
    if "shellshock" in looks and (found := _SHELLSHOCK.search(text)) is not None:
        return Evidence("command", "shellshock", CERTAIN, found.start(), min(found.end() + 16, len(text)))
    markup = _MARKUP.search(text) is not None
    best = _always(text, looks, markup)
    if looks.isdisjoint(_SHELL_LOOKS):
        return best
    plain = _cleaned(text)
    prose = _TEXT.search(plain) is not None
    for found_at in (_chained(plain, prose, markup), _substituted(plain, prose, markup), _line(plain, prose, markup)):
        if found_at is not None and (best is None or found_at.score > best.score):
            best = found_at
    if best is not None and plain is not text:
        return Evidence(best.family, best.rule, best.score, min(best.start, len(text)), min(best.end, len(text)))
    return best


_SHELL_LOOKS = frozenset(("shell", "expansion", "device"))
"""Where a command may stand among it."""


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


def _always(text: str, looks: set[str], markup: bool) -> Evidence | None:
    """What no honest text holds, wherever it stands."""
    for rule, pattern, score in _ALWAYS:
        found = pattern.search(text) if rule in looks else None
        if found is not None:
            return Evidence("command", rule, ODD if markup and score < CERTAIN else score, *found.span())
    return None


_ALWAYS: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("device", _DEVICE, ATTACK),
    ("powershell", _POWERSHELL, ATTACK),
    ("windows", _WINDOWS, LIKELY),
    ("expansion", _EXPANSION, LIKELY),
    ("option", _OPTION, LIKELY),
)


def _chained(text: str, prose: bool, markup: bool) -> Evidence | None:
    """A program's name after a separator."""
    best: Evidence | None = None
    lines, listed = text.count("\n"), text.count("|") > 3
    for separator in _CHAIN.finditer(text):
        at = separator.end()
        if at >= len(text):
            break
        named = _name_at(text, at)
        if named is None:
            continue
        name, end, pathed = named
        score = _weigh(name, text, end, pathed)
        sign = separator.group().strip()[:1] or "\n"
        lead = text[: separator.start()].strip()
        alone = _ARGUMENT.match(text, end) is None
        if sign == "\n" and (prose or lines > 3):
            score -= 2 if name not in PLAIN_WORDS and not prose and not (alone and name not in BUSY) else 4
        if sign == "|" and listed and text[end : end + 1] == "|":
            continue  # a list between bars
        if name in PLAIN_WORDS and not pathed:
            if (alone and name not in TOOLS) or (
                alone and lead and ((sign == "&" and separator.group().strip() == "&") or " " in lead)
            ):
                score = ODD
            if prose:
                score -= 2
        if markup:
            score -= 4
        if best is None or score > best.score:
            best = Evidence("command", "chained", max(score, 1), separator.start(), min(end + 12, len(text)))
    return best


def _substituted(text: str, prose: bool, markup: bool) -> Evidence | None:
    best: Evidence | None = None
    for opened in _SUBSTITUTION.finditer(text):
        named = _name_at(text, opened.end())
        if named is None:
            continue
        name, end, pathed = named
        score = _weigh(name, text, end, pathed)
        if opened.group().startswith("`"):
            if text.find("`", opened.end()) < 0:
                continue
            before = text[opened.start() - 1 : opened.start()]
            if before in (" ", "\n", "(") and prose:
                score -= 4  # Markdown
        if markup:
            score -= 4
        if best is None or score > best.score:
            best = Evidence("command", "substitution", max(score, 1), opened.start(), min(end + 12, len(text)))
    whole = _WHOLE.match(text) or _braced(text)
    if whole is not None and (best is None or best.score < LIKELY):
        return Evidence("command", "substitution", LIKELY, *whole.span())
    return best


_BRACED = re.compile(r"\s*(\w{0,12})\{([^{}\s:]{1,80}),([^{}\s:]{0,80})\}(\w{0,12})")


def _braced(text: str) -> re.Match[str] | None:
    """`{cat,/etc/passwd}`, `c{a,}t`: words a shell makes of braces, the first of them a program."""
    found = _BRACED.match(text)
    if found is None:
        return None
    before, first, rest, after = found.groups()
    words = (before + word.strip("$'\"") + after for word in (*first.split(","), *rest.split(",")) if word)
    return found if next(words, "").lower() in _NAMES else None


def _line(text: str, prose: bool, markup: bool) -> Evidence | None:
    """A value that is a command line from its start, or names a program by its path."""
    if markup:
        return None
    path = _PROGRAM.search(text)
    if path is not None and not prose and "://" not in text[: path.start()]:
        return Evidence("command", "program-path", ATTACK if path.start() == 0 else LIKELY, *path.span())
    at = len(text) - len(text.lstrip(" \t\r\n'\"(!+"))
    named = _name_at(text, at)
    if named is None or prose:
        return None
    name, end, _ = named
    argument = _ARGUMENT.match(text, end)
    if (
        name in ("which", "whereis")
        and (program := _name_at(text, end + 1)) is not None
        and program[1] == len(text.rstrip())
    ):
        return Evidence("command", "command-line", LIKELY, at, len(text))
    if name in BUSY and (argument is not None or not text[end:].strip(" '\";#)")):
        return Evidence("command", "command-line", LIKELY, at, end)
    if argument is None or text[end : end + 1] not in " \t;|&<>\r\n":
        return None
    if name in ("at", "go", "more", "look", "see"):
        return None
    strong = re.match(
        r"\s{1,8}(?:-{1,2}[a-zA-Z]|/[a-zA-Z]|[a-zA-Z]:\\|https?:|ftp:|\d{1,3}(?:\.\d{1,3}){3}|[<>] ?/|\$|~/|\.\.?/|\*$)",
        text[end:],
    )
    if strong is None:
        strong = re.match(r"\s{1,8}\d+\s*$", text[end:]) if name in ("sleep", "ping") else None
    if strong is None or name not in _NAMES:
        return Evidence("command", "command-line", ODD, at, end)
    return Evidence("command", "command-line", LIKELY, at, end)


def _name_at(text: str, at: int) -> tuple[str, int, bool] | None:
    """The program named at `at`, where its name ends, and whether it was named by a path."""
    prefix = _PREFIX.match(text, at)
    if prefix is not None:
        at = prefix.end()
    while text[at : at + 1] and text[at] in "'\"(\\{@!+":
        at += 1
    word = _WORD.match(text, at)
    if word is None:
        return None
    name = word.group(1).lower().rstrip(".-")
    if name not in _NAMES:
        name = name.removesuffix(".exe")
        if name not in _NAMES:
            return None
    end = word.start(1) + len(word.group(1).rstrip(".-"))
    if text[end : end + 1] in ("'", '"'):
        end += 1
    following = text[end : end + 1]
    if following and following not in " \t\r\n\x0b\x0c;|&<>$'\"`)}#\\/@^\xa0":
        return None
    return name, end, word.start(1) > at or prefix is not None


def _weigh(name: str, text: str, end: int, pathed: bool) -> int:
    """How much a name says by what follows it."""
    if name not in PLAIN_WORDS:
        return ATTACK
    if _ARGUMENT.match(text, end) is not None:
        return ATTACK
    if _END.match(text, end) is not None or pathed:
        return LIKELY
    return ODD
