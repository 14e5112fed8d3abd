"""Recognition of style sheets that run or load something, or that two readers read differently.

Found are `expression(`, bindings, behaviours, imports, addresses that run, documents as fonts or content; declarations
within addresses and strings, and escaped marks.

Comments, backslashes and control characters within a word count for nothing, as in old browsers. Sheets of the well-known
font services pass.

Refuses to know which element or attribute a style stands in.

Cost: a search for a few words, and one expression where one of them stands.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, Evidence

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
    r"|url\s*\(\s*['\"]?\s*(?:javascript|vbscript|livescript|data:(?:text/(?!css|plain)))|[:;]\s*ex\s*pression|\[\s*(?:value|name|content|href|src|action)\s*[\^$*|~]=[^\]{}]{0,80}+\][^{}]{0,80}+\{[^{}]{0,400}?url\s*\(\s*['\"]?(?:https?:)?//|\[\s*value\s*[\^$*|~]?=[^\]{}]{0,80}+\][^{}]{0,80}+\{[^{}]{0,400}?url\s*\("
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


STYLE_CHARS_MAX = 2048
"""Of a `style` attribute, read for what is torn: longer ones only hold pictures as data."""
_DECLARED = r"[a-z-]{3,30}\s{0,4}"
_LEFT = re.compile(
    rf"url\(\s{{0,4}}['\"]?(?!\s{{0,4}}data:)[^()'\"?]{{0,200}}?[;}}]{{1,2}}\s{{0,4}}{_DECLARED}:[^()'\"]{{0,200}}['\"]?\s{{0,4}}\)"
    rf"|[:,\s](?P<quote>['\"])[^'\"]{{0,200}}?;\s{{0,4}}{_DECLARED}:[^'\"]{{0,200}}(?P=quote)"
    rf"|\A[^{{}}]{{0,200}}\}}\s{{0,4}}{_DECLARED}[:=]|(?:\A|;)\s{{0,4}}\[[^\[\]]{{0,80}}\]\s{{0,4}}{_DECLARED}"
)
"""A declaration within an address or a string, or behind a bracket nobody opened: where another reader ends it earlier."""
_SPELLED = re.compile(r"\\0{0,4}(?:2[27-9af]|3[ab]|7[bd])(?![0-9a-f])|(?:\\0{0,4}[4-7][0-9a-f](?![0-9a-f])\s?){3}")
"""Marks that end a string or a declaration, or a whole word, spelled by their numbers."""
_LOADED = re.compile(
    r"(?<![a-z-])content\s{0,4}:\s{0,4}url\s{0,4}\((?!\s{0,4}['\"]?data:image/(?!svg))"
    r"|(?:clip-path|filter|mask|marker(?:-start|-mid|-end)?|fill|stroke)\s{0,4}:\s{0,4}url\(\s{0,4}['\"]?[^#'\"()\s]{1,200}\.svg#"
)
"""Another document put in the place of an element's content, or parts of an SVG document that is not the page's own."""
_SVG_FONT = re.compile(r"@font-face\s{0,4}\{(?:(?!url)[^{}]){0,200}url\(\s{0,4}['\"]?[^'\")]{1,200}\.svg#")
"""A font that is an SVG document before it is anything else. Where it is the last resort, others stand before it."""
_UNCLOSED = re.compile(r":[^;{}\[\]'\"()]{0,80}\[[^\]{};'\"]{0,80};")


def torn_style(value: str) -> str:
    """By which rule the value of a `style` attribute reads otherwise than it looks, or loads a document; empty if none."""
    plain = value[:STYLE_CHARS_MAX].lower()
    if "\\" in plain and _SPELLED.search(plain):
        return "spelled-style"
    if "url(" in plain and _LOADED.search(plain):
        return "loading-style"
    return "torn-style" if ("}" in plain or ";" in plain or "[" in plain) and _LEFT.search(plain) else ""


def is_torn_sheet(lower: str) -> bool:
    """Whether the text of a `style` element, in lower case, leaves a bracket open or loads a font that is a document."""
    return ("[" in lower and _UNCLOSED.search(lower) is not None) or has_svg_font(lower)


def has_svg_font(lower: str) -> bool:
    """Whether a style sheet loads a font in SVG format."""
    return "@font-face" in lower and _SVG_FONT.search(lower) is not None


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
    if has_svg_font(lower):
        return Evidence("xss", "loading-style", LIKELY, 0, len(text))
    if "/*" not in lower and not any(literal in lower for literal in _LITERALS):
        return None
    seen = _in(lower)
    if seen is None and ("/*" in lower or "\\" in lower) and _in(_COMMENT.sub("", lower)):
        return Evidence("xss", "active-style", ATTACK, 0, len(text))
    return None if seen is None else Evidence("xss", "active-style", ATTACK, seen.start(), seen.end())
