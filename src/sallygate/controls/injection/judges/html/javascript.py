"""Recognition of JavaScript in a text that should be none: calls, sinks, and disguised spellings of them.

A word is no script. What is looked for is code's structure: a dialog's or an evaluator's name applied to something, a
global object subscripted and called, a constructor reached through a value, a quoted string left by an operator and
followed by a call. Comments are taken out first, since `alert/**/(1)` calls too.

Refuses to know whether the text stands in markup, in a URL or alone: that is judged in `xss_judge`.

Cost: one scan that says which rules may match, and an expression for those.
"""

from __future__ import annotations

import re

from msgspec import Struct

from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, ODD
from sallygate.controls.injection.pipeline.literal_rules import Rule, rule_of
from sallygate.controls.injection.pipeline.pattern_scans import possible

_COMMENT = re.compile(r"/\*[^*]{0,200}+\*++/")
_DIALOG = r"(?:alert|prompt|confirm)"
_GLOBAL = r"(?:window|self|top|this|parent|frames|globalthis|content|opener)"
_FREE = r"(?:(?<![a-z0-9_$])|(?<=script))"


RULES: tuple[Rule, ...] = (
    rule_of(
        "dialog-call",
        ATTACK,
        "alert prompt confirm",
        _FREE + _DIALOG + r"\)*+(?:\?\.)?(?:\.(?:call|apply|bind))?(?:\?\.)?"
        r"(?:\((?!(?:s|e|es|ed|er|ing|ation)\))(?=[^\sa-z\d.,;]|\d[\w.]*+\s*+(?:[^\w\s]|in\b|\Z)|(?:new|typeof|void|async|await|delete)\s|[a-z_$][\w$]*+\s*+(?:[^\w\s/]|/\s*+[^a-z\s]|(?:in|instanceof)\b|\Z))|\s*+\(\s*+(?:\)|['\"`/\\\[{]|\d[\w.]*+\s*+[^\w\s,]|document|window|self\b\s*+[.\[)]|top\b\s*+[.\[)]|this\b\s*+[.\[)]|location|string\.)|\s*+`)",
    ),
    rule_of(
        "dialog-passed",
        ATTACK,
        "alert prompt confirm",
        r"(?:[=,]\s*+"
        + _DIALOG
        + r"[,;][\w$]{1,20}+[(`]|['\"`]"
        + _DIALOG
        + r"['\"`]\s*+[\])]++\s*+[(`]|[\w$\])]\(\s*+"
        + _DIALOG
        + r"\s*+[),]"
        r"|=\s*+" + _DIALOG + r"\s*+(?:[;,]\s*+throw|\}\s*+\Z))",
    ),
    rule_of(
        "evaluator-call",
        ATTACK,
        "eval( eval` eval. eval? execscript importscripts $eval",
        _FREE + r"(?:eval|execscript|importscripts|\$eval(?:async)?)\s*+(?:\?\.)?(?:\.(?:call|apply))?\s*+[(`]"
        r"\s*+(?![.\s]|uat|s\))",
    ),
    rule_of(
        "evaluated-string",
        ATTACK,
        "settimeout setinterval setimmediate function( function`",
        r"(?:\bset(?:timeout|interval|immediate)\s*+[(`]\s*+(?:['\"`/]|alert|eval|atob|name\b|location)"
        r"|(?:\bnew\s|[=;,(!]|^)\s*+function\s*+(?:\(\s*+['\"`]|`)|\bset(?:timeout|interval)`)",
    ),
    rule_of(
        "decoded-string",
        ATTACK,
        "fromcharcode fromcodepoint atob unescape(",
        r"\bstring\s*+(?:\.\s*+|\[\s*+['\"])from(?:charcode|codepoint)['\"\]\s]*+[(`]|\batob\s*+[(`]\s*+['\"`\w]"
        r"|\bunescape\s*+\(\s*+['\"`/]",
    ),
    rule_of(
        "document-sink",
        ATTACK,
        "document",
        _FREE + r"document[\s)]*+(?:\?\.|\.)\s*+(?:write(?:ln)?\s*+[(`]"
        r"|(?:cookie|domain)\s*+(?:(?!\.(?:split|match|indexof|includes)\()[=),;.+\]\"'<]|$)|(?:location|url|referrer)\s*+[=)+;\]]"
        r"|body\s*+\.\s*+(?:innerhtml|outerhtml|appendchild|insertadjacent)|createelement\s*+\(\s*+['\"`]script|default[vw]iew|documenturi\b)",
    ),
    rule_of("document-subscript", LIKELY, "document", _FREE + r"document[\s)]*+(?:\?\.)?\[\s*+['\"`/(+!]"),
    rule_of("document-cookie", LIKELY, "document.cookie document.domain", _FREE + r"document\.(?:cookie|domain)\b"),
    rule_of(
        "location-set",
        LIKELY,
        "location",
        r"\b" + _GLOBAL + r"\s*+\.\s*+location\s*+(?:\.\s*+href\s*+)?=(?!=)"
        r"|(?:^|[;,(){}:|&?=+-]\s*+|['\"`])location\s*+(?:\.\s*+href\s*+)?=\s*+(?:['\"`]\s*+(?:javascript|https?:|//|\+)|name\b|atob|window|document)"
        r"|\blocation\s*+\.\s*+(?:assign|replace)\s*+[(`]|\blocation\s*+\.\s*+hash\s*+\.\s*+(?:slice|substr|split|replace)",
    ),
    rule_of(
        "global-subscript",
        ATTACK,
        "window self top this parent frames globalthis content opener",
        r"(?<![\w$.-])" + _GLOBAL + r"\)?(?:\s*+(?:\?\.)?\[\s*+['\"`/+!\\(\[][^\]\n]{0,300}+\][\])]*+\s*+[(`\[?]"
        r"|(?:\?\.)?\[[^\]\s'\"]{1,300}+\][\])]*+(?:\[[^\]\n]{1,80}+\])*+(?:[(`]|\?\.\(|\s*+\.\s*+(?:call|apply|bind)\b))",
    ),
    rule_of(
        "constructor-reached",
        ATTACK,
        "constructor",
        r"\.\s*+constructor(?:\s*+[`\[]|\(|\s++\((?=[^()]{0,80}\)\s*+\())|\bconstructor\s*+\.\s*+(?:constructor|prototype)\b|\[\s*+['\"`]constructor['\"`]\s*+\]",
    ),
    rule_of(
        "punctuation-code",
        ATTACK,
        "+[] ![] []) ([] ]+( ~[]",
        r"[\[\]()!+{}]{20}|\(!{1,2}\[\][+ ]++\[\]\)|=\s*+~\s*+\[\];|\(!\[\]\+\[\]\)|\[\+\[\]\]|\+!\+\[\]",
    ),
    rule_of("tagged-call", ATTACK, "`", r"(?:\]|reflect)\s*+\.\s*+[a-z]{2,20}+(?:\s*+\.\s*+[a-z]{2,20}+)?\s*+`"),
    rule_of("kana-code", ATTACK, "\uff9f\u03c9\uff9f \u309a\u03c9", r"\u03c9"),
    rule_of(
        "thrown",
        ATTACK,
        "throw onerror",
        r"\bthrow\s*+(?:onerror|/[^/]{0,60}+/|['\"`]?=?\s*+alert)|(?<![\w$])onerror\s*+=\s*+(?:alert|eval|prompt|confirm|print)\b",
    ),
    rule_of("module-loaded", ATTACK, "import( import` import'", r"(?<![\w$.])import\s*+[(`]\s*+(?:['\"`/]|\w+\))"),
    rule_of(
        "fetched",
        LIKELY,
        "fetch( fetch` new sendbeacon( getscript( vibrate(",
        r"(?<![\w$.-])fetch\s*+[(`]\s*+(?:['\"`/]|document|location|atob)"
        r"|\bnew\s++image\b[\s()]*+\.src\s*+="
        r"|\bnavigator\s*+\.\s*+(?:sendbeacon|vibrate)\s*+\(|\$\s*+\.\s*+getscript\s*+[(`]",
    ),
    rule_of("source-joined", LIKELY, ".source", r"\.source\s*+\+\s*+/|\+\s*+/[^/\s]{1,40}+/\s*+\.\s*+source"),
    rule_of("radix-spelled", LIKELY, "tostring(", r"\d{3,20}+(?:\.\.|\))?\.?tostring\s*+\(\s*+\d\d\s*+\)"),
    rule_of("with-document", LIKELY, "with(", r"\bwith\s*+\(\s*+(?:document|window|self|top)"),
    rule_of(
        "flash-call", ATTACK, "geturl asfunction:", r"\bgeturl\s*+[(,]\s*+['\"]?\s*+(?:java|vb)?script|\basfunction:"
    ),
    rule_of(
        "string-left",
        LIKELY,
        "' \" `",
        r"['\"`](?<!\s.)\s*+[)\]}]*+\s*+(?:;|[-+*/%^|&,]{1,2})\s*+(?:[a-z_$][\w$.]{0,60}+)\([^()\n]{0,120}+\)\s*+"
        r"(?:;?\s*+//|;\s*+[{'\"`]|[-+*/%^|&,]{1,2}\s*+['\"`](?:$|[^\w]))",
    ),
    rule_of(
        "string-left",
        LIKELY,
        "' \" `",
        r"['\"`]\s*+[)\]}]*+;\s*+(?:(?:document|window|self|top|location|jquery|\$)\s*+[.=(\[]|on[a-z]{3,20}+\s*+=)[^\n]{0,160}?(?://|;\s*+['\"`])"
        r"|['\"`]\s*+[-+*/^|&]\s*+[{\[][^'\"`\n]{1,60}[}\])]\s*+[-+*/^|&]\s*+['\"`]",
    ),
    rule_of(
        "window-opened",
        LIKELY,
        "window.open .html( .append( .after( .before(",
        r"\bwindow\.open\s*+\(\s*+['\"`]|\.(?:html|append|prepend|after|before)\s*+\(\s*+['\"`]\s*+<",
    ),
    rule_of(
        "dom-written",
        ODD,
        "innerhtml outerhtml postmessage xmlhttprequest localstorage sessionstorage",
        r"\b(?:inner|outer)html\s*+\+?=|\b(?:parent|top|opener|window)\s*+\.\s*+postmessage\s*+\(|\bnew\s+xmlhttprequest\b|\b(?:local|session)storage\s*+\.\s*+(?:getitem|setitem)",
    ),
)
"""Strongest first is not needed: the best of all is taken."""


_possible = possible([rule.pattern for rule in RULES])
SUBSCRIPT_MAX = 304
"""Characters of a subscript, with what may stand around it."""
_SUBSCRIPT = re.compile(r"(?:window|self|top|this|parent|frames|globalthis|content|opener)\)?\s*+(?:\?\.)?\[").finditer
_CALLED = re.compile(r"[\])]++\s*+[(`\[?]").match


class Found(Struct, frozen=True, gc=False):
    """A structure found, with its span; the whole text when comments were taken out."""

    name: str
    score: int
    start: int
    end: int


def _subscripted(pattern: re.Pattern[str], lower: str) -> re.Match[str] | None:
    """The first global object subscripted and called: asked about only where a subscript ends near and a call follows."""
    close, called = -1, False
    for begun in _SUBSCRIPT(lower):
        at = begun.end()
        if close < at:
            close = lower.find("]", at)
            if close < 0:
                return None
            called = _CALLED(lower, close) is not None
        if called and close - at <= SUBSCRIPT_MAX and (seen := pattern.match(lower, begun.start())) is not None:
            return seen
    return None


def script_in(text: str) -> Found | None:
    """The strongest structure of script in `text`."""
    lower = text.lower()
    size = len(text)
    moved = len(lower) != size
    if "/*" in lower:
        lower = _COMMENT.sub(" ", lower)
        moved = True
        if "alert (" in lower or "eval (" in lower or "prompt (" in lower or "confirm (" in lower:
            lower = lower.replace(" (", "(")
    best: Found | None = None
    for number in _possible(lower):
        rule = RULES[number]
        if (best is not None and rule.score <= best.score) or not any(literal in lower for literal in rule.literals):
            continue
        seen = _subscripted(rule.pattern, lower) if rule.name == "global-subscript" else rule.pattern.search(lower)
        if seen is not None:
            best = Found(rule.name, rule.score, 0 if moved else seen.start(), size if moved else seen.end())
            if best.score >= ATTACK:
                return best
    return best
