"""Recognition of page fragments: pieces that run nothing alone, and that were made for a page to complete.

An SVG document left open where a value ends, whose rest the page supplies; a namespace that lends its elements to other
names; an element of such a document, or a block, without what it stands in; a comment that opens in a style's bracket; a picture's address spelled letter by letter; the rest of a base64 document
with the end of the tag it stood in; a document type's end.

Refuses to know what would come before or behind.

Cost: a search for a word each, and an expression where it stands.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence

TRIGGERS: tuple[str, ...] = (
    r"\x1e\s{0,4}(?:xmlns[:=]|\$\(['\"])",
    r"\x1ephn(?:2zy|jcmlwd)",
    r"\.svg#[\w-]{0,40}['\"]?\s{0,2}\)\s{0,2}format",
    r"(?:\)\s{0,2};?\s{0,2}['\"]|\bautofocus)\s{0,2}/?>",
    r"\)\s{0,4}\{\s{0,8}\x1e",
    r"\x1e\s?[a-z]\s?=\s?\"[^\"\x1e]{1,80}\"{1,2}\s?;\s?\x1e",
    r"[a-z]/\*[^*{}\x1e]{0,80}\*/[a-z !]",
    r"\];\s{0,4}[a-z-]{3,24}:|\{\s{0,8}[a-z-]{3,24}\s{0,4}:[^{}\x1e;\[]{0,80}\[",
)
"""Besides those for markup, which `xss` has."""
CHARS_MAX = 2048
"""Longer values are whole documents, and windows of them end anywhere."""

_BEGINS = re.compile(
    r"\s{0,8}(?:"
    r"(?P<namespace>xmlns(?::[a-z]{1,12})?\s{0,2}=\s{0,2}['\"][^'\"<>]{0,200}['\"][^<>]{0,200}>)|"
    r"(?P<script>\$\(['\"][^'\"\n]{1,80}['\"]\)\s{0,2}\.[a-z]{2,20}\()|"
    r"(?P<encoded>(?-i:PHN(?:2Zy|jcmlwd))[\w+/%=]{8,1900}+['\"]\s{0,4}/?>)|"
    r"(?P<tag>[^<>]{0,40}<%\s{0,4}['\"]?\Z)|"
    r"(?P<attribute>[^<>]{0,80}(?:\)\s{0,2};?\s{0,2}['\"]|\bautofocus)\s{0,2}/?>)|"
    r"(?P<dangling>[^<>]{0,40}<(?:img|input|link|base|form|meta|a)\s[^<>]{0,80}(?:src|href|action|background|content)\s{0,2}=\s{0,2}(?:'(?:https?:)?//[^'<>]{0,200}|\"(?:https?:)?//[^\"<>]{0,200})\Z)|"
    r"(?P<statement>[a-z]\s?=\s?\"[^\"\n]{1,80}\"{1,2}\s?;\s{0,4}\Z)|"
    r"(?P<block>(?:function\s{1,4}[\w$]{1,40}\s{0,4}\([\w$, ]{0,80}\)|for\s{0,4}\([^()\n]{1,40};[^()\n]{1,40};[^()\n]{0,40}\))\s{0,4}\{\s{0,8}\Z)|"
    r"(?P<rule>[#.*a-z][\w\s#.:>,*-]{0,60}(?:\{\s{0,8}[a-z-]{3,24}\s{0,4}:[^{}]{0,200}[a-z]/\*[^*{}]{0,80}\*/[a-z !][^{}]{0,200}\}|\{\s{0,8}[a-z-]{3,24}\s{0,4}:[^{}\[;]{0,80}\[[^\]{};]{0,80};|\];\s{0,4}[a-z-]{3,24}:))"
    r")",
    re.IGNORECASE,
)
"""Where a value begins with it: an element's inside, a call of a page's library, a document cut out of an attribute, a
server's own tag; where it leaves an attribute, a block of a program or a style's rule open, or tears a rule's words apart."""
_SHAPE = re.compile(r"<(?:rect|circle|ellipse|polygon|polyline|foreignobject)[\s/]")
_BLOCK = re.compile(r"\s{0,8}<div\s[^<>]{1,200}>")
_OPEN_SVG = re.compile(r"<svg(?::[a-z]{1,12})?(?:[\s/][^<>]{0,1000})?(?<!/)>\s{0,8}\Z")
_UNFINISHED_SVG = re.compile(r"\s{0,8}<svg(?::[a-z]{1,12})?(?:[\s/][^<>]{0,1000})?\Z")
"""As a whole value only: reports of pages are cut off anywhere."""
_LETTERS = r"(?:&#(?:0{0,6}(?:6[5-9]|[78]\d|9[07-9]|1[01]\d|12[0-2])|x0{0,6}[4-7][0-9a-f]);?){4}"
_WITHIN: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (word, rule, re.compile(pattern))
    for word, rule, pattern in (
        ("xss", "probe", r"<[a-z:]{0,12}xss[\s>:/]"),
        ("&#", "spelled-address", rf"\bsrc\s{{0,4}}=\s{{0,4}}['\"]?\s{{0,2}}{_LETTERS}"),
        ("<!--", "comment-opened", r"\[\s{0,2}['\"]<!--"),
        (":namespace", "timed-elements", r"<\??xml:namespace\s[^<>]{0,80}prefix\s{0,4}=\s{0,4}['\"]?t\b"),
        ("com:time", "timed-elements", r"urn:schemas-microsoft-com:time"),
        ("1999/xhtml", "namespace-lent", r"xmlns:[a-z]{1,12}\s{0,4}=\s{0,4}['\"]?http://www\.w3\.org/1999/xhtml"),
        ("<math", "foreign-link", r"<math[^<>]{0,200}>\s{0,20}<[a-z]{1,12}\s[^<>]{0,200}xlink:href"),
        ("xmlns:xlink", "foreign-link", r"<a\s[^<>]{0,200}xmlns:xlink[^<>]{0,200}\sxlink:href"),
    )
)
"""What word is looked for, the rule, and the structure around the word; all in lower case."""


def piece_in(text: str, lower: str) -> Evidence | None:
    """The first such piece of `text`, which is `lower` in lower case and at most `CHARS_MAX` long."""
    begins = _BEGINS.match(text)
    if begins is not None:
        return _evidence(f"{begins.lastgroup}-left", begins)
    if "<" not in lower:
        return None
    at = lower.rfind("<svg")
    left = None if at < 0 else _OPEN_SVG.match(lower, at) or _UNFINISHED_SVG.match(lower)
    if left is not None and "data:image/" not in lower[:at]:
        return _evidence("svg-left", left)
    if at < 0 and "data:image/" not in lower and (shape := _SHAPE.search(lower)) is not None:
        return _evidence("shape-alone", shape)
    if lower.count("<div") > lower.count("</div") and (block := _BLOCK.match(lower)) is not None:
        return _evidence("element-left", block)
    for word, rule, pattern in _WITHIN:
        if word in lower and (seen := pattern.search(lower)) is not None:
            return _evidence(rule, seen)
    return None


def _evidence(rule: str, seen: re.Match[str]) -> Evidence:
    return Evidence("xss", rule, LIKELY, seen.start(), seen.end())
