"""Substitutions of a shell that act: `$(curl … | sh)` does something, `$(uname -m)` only asks.

Documentation is full of the second sort. The first runs wherever a shell expands the text around it, in double quotes and
within any Markdown. Refuses to know what the text is.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.command.command_words import NAMES, PLAIN_WORDS, alternatives

_PROGRAM = rf"(?:[\w./~-]{{0,40}}/)?({alternatives(NAMES)})(?=\s|\$\{{?ifs|[<>)|;&])"
_NAMED = re.compile(
    rf"(?:\$[(\[]{{1,2}}[\s\d+]{{0,8}}(?:\$\()?|[<>]\()(?:shell\s{{1,4}})?\s{{0,8}}{_PROGRAM}((?:'[^'\n]{{0,160}}'|\"[^\"\n]{{0,160}}\"|[^()`'\"]){{0,200}})"
)
_POWERSHELL = re.compile(
    r"\$\(\s{0,4}(?:\[[a-z.]{3,60}\]::|&\s?['\"]|(?:iex|iwr|irm|saps|start-process|invoke-[a-z]{3,20}|new-object)\b)"
)
_BETWEEN_QUOTES = re.compile(
    rf"(['\"])\s{{0,4}}(?:[;&|]{{1,2}}[\s({{!]{{0,8}}(?:\w{{1,12}}\(\)\s?\{{\s?)?(?:sudo\s)?{_PROGRAM}[^'\"\n]{{1,160}}[;&|#]{{1,2}}\s{{0,4}}(?:(?::|echo|true|printf)\s{{0,4}})?(?:['\"]|\Z)"
    rf"|\n\s{{0,8}}{_PROGRAM}\s[^'\"\n]{{1,160}}\n[^'\"\n]{{0,24}}(?<!\1)\1)(?!\1)"
)
"""Commands from the end of one string to the beginning of the next, as a script reads them that puts the text between quotes."""
_BRACED = re.compile(
    rf"[;&|]\s?\{{(?:{alternatives(NAMES)}),|[;&|]\s?(?:{alternatives(NAMES)})\s?<\s?/(?:etc|proc|root|home|var)/"
)
_ASKS = re.compile(
    r"(?:arch|basename|brew --prefix|cat|command -v|date|dirname|docker (?:ps|images|inspect)|echo|find|getconf|git|go env|grep|head|hostname|"
    r"id -[gnu]+|kubectl get|ls|lsb_release|mktemp|node -[ep]|nproc|npm (?:bin|config|prefix|root)|pwd|python[\d.]* -c|readlink|realpath|seq|tail|tput|type|uname|wc|which)\b"
)
"""Commands whose output a script needs to go on, and which change nothing."""
_ACTS = re.compile(r"[|<>;&]|(?:https?|ftp):|/(?:etc|tmp|dev|proc|root|srv|var)/|\$\{?ifs")
"""Where its output goes besides, or a file of the system that it reads."""
_OPTION = re.compile(r"\s-{1,2}[a-z]")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_RUNS = re.compile(r"system|popen|subprocess|child_process|exec|eval|socket|urllib|requests|open\(|https?:")


def acting_substitution(lower: str) -> re.Match[str] | None:
    """The first substitution in a lower-case text that names a program and acts."""
    for found in _NAMED.finditer(lower):
        name, rest = found.groups()
        plain = _QUOTED.sub("", rest)
        if _ACTS.search(plain) is None:
            if _ASKS.match(name + rest) is not None and _RUNS.search(rest) is None:
                continue
            if name in PLAIN_WORDS and _OPTION.search(plain) is None:
                continue
        return found
    return _POWERSHELL.search(lower)


def between_quotes(lower: str) -> re.Match[str] | None:
    """Commands that stand between two strings, or that no text names in this form."""
    for found in _BETWEEN_QUOTES.finditer(lower):
        at = found.start()
        if lower[max(0, at - 2) : at] != found[1] * 2:  # three of them, as around a text of several lines
            return found
    return _BRACED.search(lower)
