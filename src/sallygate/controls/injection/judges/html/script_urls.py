"""Recognition of URLs that run script: `javascript:` and its relatives, and `data:` of a type that a browser executes.

White space and control characters inside a scheme count for nothing, as in browsers. What pages honestly report as the
address of something clicked passes: `javascript:void(0)`, `javascript:;`, and, alone, one call of a function by name.

Refuses to know which attributes an element has.

Cost: one expression over the text, and a bounded look at what follows each scheme.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.html.javascript import script_in
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.pattern_scans import possible

ADDRESSES_MAX = 60
"""Addresses of a scheme that runs, in one window. Reports of clicks hold some ten, of nothing."""
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]+")
_SCHEME = re.compile(
    r"(?:feed:|view-source:|x-|jar:|mhtml:|url=|url\(|['\"(]|\d{1,6}[;,]?)*+(javascript|vbscript|livescript|mocha|data):(.*)",
    re.DOTALL,
)
_DATA_ACTIVE = re.compile(
    r"(?:text/(?:html|xml|xsl|javascript|ecmascript|x-scriptlet|vbscript|css)|image/svg|application/(?:xhtml|xml|javascript|ecmascript|x-)|[;,])"
)
_NOTHING = (
    r"(?:/\*+/)?(?:void\(?(?:0|null|'')?\)?|\(void\)|\(\)|false|true|null|undefined|#|\d[\d.]*|returnfalse)[;,!]*"
    r"|[;,!]+"
)
_INERT = re.compile(r"(?:" + _NOTHING + r")?(?:$|[\"'](?:$|[,}\]>]))|(?:" + _NOTHING + r")[&\"']")
_INERT_WHOLE = re.compile(r"(?:" + _NOTHING + r")\"?'?")
_NAMED_CALL = re.compile(
    r"(?:webform_dopostback|__dopostback|[a-z_$][\w$]*+(?:\.[a-z_$][\w$]*+)*+\((?:[^<>`\[\]{}=\\()]|\([^<>`\[\]{}=\\()]*+\))*+\)[;)}\"]*+(?:return(?:true|false);?)?(?:$|[&\"',]))"
)
_WHOLE_URL = re.compile(
    r"(?:^|[=,('\"\s?&;:#>/])(?:j[\s\x00-\x20]*a[\s\x00-\x20]*v[\s\x00-\x20]*a|v[\s\x00-\x20]*b|l[\s\x00-\x20]*i[\s\x00-\x20]*v[\s\x00-\x20]*e)"
    r"[\s\x00-\x20]*s[\s\x00-\x20]*c[\s\x00-\x20]*r[\s\x00-\x20]*i[\s\x00-\x20]*p[\s\x00-\x20]*t[\s\x00-\x20]*:",
    re.IGNORECASE,
)
_DATA_URL = re.compile(
    r"(?:^|[=,('\"\s:])data\s{0,4}:\s{0,4}(?:text/(?:html|xml|xsl|javascript)|application/(?:xhtml\+xml|xml|(?:x-)?javascript))\s{0,4}[;,]",
    re.IGNORECASE,
)
_possible = possible([_DATA_URL, _WHOLE_URL])
_CODE = re.compile(r"[(`{\[\\]|=|;|//")
_PROSE = re.compile(
    r"\s{0,3}(?!(?:var|let|const|new|return|void|throw|with|if|for|while|function|delete|typeof|do)\b)"
    r"[A-Za-z][a-z]* [A-Za-z]"
)
ENTITY_CALL = re.compile(
    r"&\{\s{0,3}(?:[a-z]{4,20}(?:\.[a-z]{2,20}){0,3}\s{0,3}\([^(){}]{0,100}\)|document\s{0,3}[.\[]|\(\)\})",
    re.IGNORECASE,
)
_OBSCURED = re.compile(
    r"[\s\x00-\x20]*+(?:h[a-z\s\x00-\x20]{0,20}[\t\r\n][a-z\s\x00-\x20]{0,20}:|https?://(?:\d{8,10}|0x[0-9a-f]|0\d{2,11}\.0|[a-z0-9.-]{0,60}https?:|%[0-9a-f]{2}|(?!127\.|10\.|192\.168\.)\d{1,3}(?:\.\d{1,3}){3}(?:[:/]|\Z)))"
)
URL_ATTRIBUTES = frozenset(
    "href src action formaction data from to values value by background poster dynsrc lowsrc code content "
    "codebase cite profile usemap longdesc classid archive manifest icon srcset ping folder implementation handler "
    "location template xlink:href xml:base".split()
)


def address_in(element: str, name: str, value: str) -> tuple[str, int]:
    """What an attribute's value does as an address, white space and control characters in its scheme left out."""
    plain = _CONTROL.sub("", value[:2048]).lower()
    if "script:" in plain or "data:" in plain or "mocha:" in plain:
        seen = _SCHEME.match(plain)
    elif name not in ("href", "src", "action") and "&{" not in plain:
        return "", 0
    else:
        seen = None
    if seen is None:
        seen = _SCHEME.match(plain, plain.find("url=")) if "url=" in plain else None
    if seen is None:
        if name in ("href", "src", "action") and _OBSCURED.match(value[:120].lower()):
            return "obscured-address", LIKELY
        if "&{" in plain and ENTITY_CALL.search(plain):
            return "script-entity", ATTACK
        if "javascript:" in plain and script_in(value) is not None:
            return "script-address", ATTACK
        return "", 0
    scheme, rest = seen[1], seen[2].lstrip("'\"")
    if scheme == "data":
        if (
            element in ("img", "image", "source", "video", "audio")
            and name in ("src", "srcset", "href", "xlink:href", "poster")
        ) or name not in URL_ATTRIBUTES:
            return "", 0
        return ("data-address", ATTACK) if _DATA_ACTIVE.match(rest) and not rest.startswith("text/css") else ("", 0)
    if not rest:
        return "script-address", LIKELY
    if scheme == "javascript" and _INERT_WHOLE.fullmatch(rest):
        return "", 0
    if name in URL_ATTRIBUTES:
        return "script-address", CERTAIN
    return "script-address", ATTACK if _CODE.search(rest) or scheme != "javascript" else ODD


def address_alone(text: str) -> Evidence | None:
    """A whole address, or one in a parameter, of a scheme that runs."""
    if ":" not in text:
        return None
    candidates = _possible(text)
    data = _DATA_URL.search(text) if 0 in candidates else None
    if data is not None:
        return Evidence("xss", "data-address", ATTACK, data.start(), data.end())
    if 1 not in candidates:
        return None
    best: Evidence | None = None
    for number, seen in enumerate(_WHOLE_URL.finditer(text)):
        if number >= ADDRESSES_MAX:
            return Evidence("xss", "address-flood", LIKELY, 0, len(text))
        at = seen.end()
        rest = _CONTROL.sub("", text[at : at + 160]).lower()
        if not rest or _INERT.match(rest):
            continue
        named = _NAMED_CALL.match(rest) or _PROSE.match(text, at) or not _CODE.search(rest)
        score = ODD if named and "b" not in seen.group().lower() else LIKELY
        if best is None or score > best.score:
            best = Evidence("xss", "script-address", score, seen.start(), at)
        if score > ODD:
            break
    return best
