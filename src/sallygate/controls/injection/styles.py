"""Style sheets that run or load: `expression(`, bindings, behaviours, imports, addresses that run.

Comments, backslashes and control characters within a word count for nothing, as in old browsers. Sheets of the well-known
font services pass.

Refuses to know which element or attribute a style stands in.

Cost: a search for a few words, and one expression where one of them stands.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.evidence import ATTACK, Evidence

_COMMENT = re.compile(r"/\*[^*]{0,200}+\*++/|\\(?![0-9a-f])|[\x00-\x1f]")
_FONTS = (
    r"(?!\s*(?:url\s*\(\s*)?['\"]?\s*(?:https?:)?//(?:fonts\.googleapis\.com|use\.typekit\.net|fonts\.bunny\.net)/)"
)
is_font_sheet = re.compile(r"(?:https?:)?//(?:fonts\.googleapis\.com|use\.typekit\.net|fonts\.bunny\.net)/").match
_BEHAVIOUR = r"(?<![\w-])behaviou?r\s*:\s*(?:expression|url\s*\((?!\s*['\"]?#default#(?:vml|ieooui)))"
"""Word's own HTML names `#default#VML`; `scroll-behavior` is another property."""
_ACTIVE = re.compile(
    r"expression\s*\(|(?:-moz-)?binding\s*:\s*url|@i\s*m\s*port"
    + _FONTS
    + "|"
    + _BEHAVIOUR
    + r"|-o-link\s*:|javascript:"
    r"|url\s*\(\s*['\"]?\s*(?:javascript|vbscript|livescript|data:(?:text/(?!css|plain)))|[:;]\s*ex\s*pression|\[\s*value\s*[\^$*|~]?=[^\]{}]{0,80}+\][^{}]{0,80}+\{[^{}]{0,400}?url\s*\("
)
_ALONE = tuple(
    (word, re.compile(pattern).search)
    for word, pattern in (
        ("expression", r"(?:[:;]|^)\s*expression\s*\((?!s\))"),
        ("binding", r"-moz-binding\s*:\s*url"),
        ("behavi", _BEHAVIOUR),
        ("@import", r"@import\s*(?:url\s*\(\s*)?['\"]?(?:javascript|data):|^\s*@import\s*(?:['\"]|url\s*\()" + _FONTS),
        ("url", r"url\s*\(\s*['\"]?\s*(?:javascript|vbscript)\b"),
    )
)
_LITERALS = ("expression", "binding", "behavi", "@import", "url(", "ession")
_ACTIVE_WORDS = ("pression", "binding", "@i", "behav", "-o-link", "javascript:", "url")


def is_active_style(value: str) -> bool:
    """Whether the value of a `style` attribute, or the text of such an element, runs or loads something."""
    plain = value.lower()
    if _active(plain):
        return True
    undone = _COMMENT.sub("", plain)
    return undone != plain and _active(undone)


def _active(plain: str) -> bool:
    return any(word in plain for word in _ACTIVE_WORDS) and _ACTIVE.search(plain) is not None


def _in(lower: str) -> re.Match[str] | None:
    for word, search in _ALONE:
        if word in lower and (seen := search(lower)) is not None:
            return seen
    return None


def style_alone(text: str) -> Evidence | None:
    """Such a style in a text that is no markup."""
    lower = text.lower()
    if "/*" not in lower and not any(literal in lower for literal in _LITERALS):
        return None
    seen = _in(lower)
    if seen is None and ("/*" in lower or "\\" in lower) and _in(_COMMENT.sub("", lower)):
        return Evidence("xss", "active-style", ATTACK, 0, len(text))
    return None if seen is None else Evidence("xss", "active-style", ATTACK, seen.start(), seen.end())
