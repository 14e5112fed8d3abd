"""Judge of cross-site scripting: values that would run or load something in the page they are put into.

Threat: the value is echoed as markup, inside an attribute, inside a script's string, as a link's address or as style.
Evidence: markup which runs (a script element, an event handler, an address of a scheme that executes, a style which
executes), an element which loads a foreign document or changes where the page's own addresses lead, an attribute's
value left by a quote and followed by a handler, script where none belongs, a style that is read in two ways or puts a
document in an element's place, a piece that a page was to go on with (`page_fragments`).

Inert markup passes: text formatting, links and pictures without handlers, plain styles. So do `javascript:void(0)` and
its like, which pages report as the address of what was clicked.

Known bypasses: a call of an application's own function without leaving a string (`deleteAll()`), markup whose danger
lies in the page's framework (custom attributes, gadgets), clobbering by names alone (`<a id=config>`); an element whose
danger is none of the plainest (`<set attributeName=...>`) amid more than a hundred others on both sides; a torn style
or an open piece (`page_fragments`) in more than two thousand characters; pictures and links of other hosts, which are honest.
Cost: the markup is read once, and of a flood of tags the first and the last; script is sought by literals first. Under
two milliseconds for 8,192 characters, however hostile.

Refuses to know where the application puts the value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sallygate.controls.injection.judges.html.event_handlers import EVENT_JUNK, EVENT_NAME, RUNS, handler_alone
from sallygate.controls.injection.judges.html.javascript import script_in
from sallygate.controls.injection.judges.html.page_fragments import piece_in
from sallygate.controls.injection.judges.html.script_urls import ENTITY_CALL, address_alone, address_in
from sallygate.controls.injection.judges.html.style_sheets import (
    is_active_style,
    is_font_sheet,
    is_torn_sheet,
    style_alone,
    torn_style,
)
from sallygate.controls.injection.judges.html.tag_tokenizer import Tag, tags_of
from sallygate.controls.injection.judges.html.trusted_embeds import is_own_pdf, is_own_sprite, is_player
from sallygate.controls.injection.judges.html.xss_triggers import TRIGGERS
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.judge_interface import Judge
from sallygate.controls.injection.pipeline.literal_rules import lowered
from sallygate.controls.injection.pipeline.pattern_scans import possible

_FRAGMENT = re.compile(
    r"['\"`]\s{1,4}[a-z]{1,20}\s{0,2}=\s{0,2}['\"`]|"
    r"(?=[a-z]{1,9}\s)(?:j\s?a\s?v\s?a|v\s?b|l\s?i\s?v\s?e)\s?s\s?c\s?r\s?i\s?p\s?t\s{0,3}:|"
    r"['\"]\s{0,3}formaction\s{0,3}=|<link[\s/]{1,4}[^<>]{0,40}href[\s/]{0,4}=(?!\s{0,3}['\"]?https://fonts\.googleapis\.com/)|<\W{0,3}(?:vmlframe|on[a-z]{8,40})\b|"
    r"[\s\S]{0,200}?<\s{0,2}(?:[a-z]:\s?)?(?:s\s(?:c\s?r\s?i\s?p\s?t|v\s?g|t\s?y\s?l\s?e)|i\s(?:m\s?g|f\s?r\s?a\s?m\s?e)|(?:o\s?b\s|e\s?m\s|b\s|f\s|m\s|l\s|a\s|x\s)(?:[a-z]\s){1,10}[a-z]?\s?[=>/])|"
    r".{0,60}(?:(?:window|self|top|parent)\.location|document\.(?:cookie|domain|write|location|referrer(?!\Z)|body|forms|queryselector)|\.(?:innerhtml|outerhtml|textcontent)\s{0,2}=)[^\n]{0,60}\Z|"
    r".{0,40}\b(?:setinterval|settimeout|atob|btoa)\s{0,2}\([^\n]{0,40}\)[;\s]{0,3}\Z|"
    r"(?:.{0,120}?[\"'`]{2,3}--?>)|\s{0,8}(?:</[a-z](?![a-z0-9-]{0,40}>\s{0,8}\Z)|</(?:script|style|title|textarea|noscript|iframe|xmp|template|select|svg|math|form|body|head|html|a|div|table|t[rdh]|image|fe[a-z]{3,20}|object|embed|applet|frameset|option|button)\b|"
    r"<(?:plaintext|xmp|param)[\s/>]|<(?:textarea|noscript|template)[\s/>](?![\s\S]{0,2048}</(?:textarea|noscript|template)>)|<svg:|<!(?:--(?!(?:[^<>]|<(?![a-z/!?])){0,400}?-->)|--\s[^<>]{0,200}\s-->\s{0,8}\Z|\[|attlist|element)|-->|<\?xml(?![^<>]{0,200}\?>\s{0,8}<[a-z][\w.:-]{0,60}\s[^<>]{0,400}?xmlns)|\]\]?>|<style[^<>]{0,40}>?\s{0,4}\Z|<svg[\s>/](?![\s\S]{0,2048}</svg)|"
    r"<(?:math|form|input|textarea|body|head|html|xml|xmp|template|select|image|listing|plaintext|noscript|feimage|stylesheet|isindex|marquee|meta|base|embed|object|applet)"
    r"(?:\s{0,4}/?>(?!\s{0,4}[a-z]{2,20}\b|[\s\S]{0,2048}</(?:html|select|math|textarea|form|marquee|noscript)>\s{0,8}\Z)|[\s/]{1,4}(?!charset=['\"]?utf-8['\"]?\s?/?>)[^<>]{0,400}?(?:[=:<]|\Z)(?![\s\S]{0,2048}</(?:html|math|textarea)>\s{0,8}\Z))|"
    r"<[a-z]{1,12}(?:\s[^<>]{0,80})?>[^<]{0,40}<(?:[?!](?!doctype html|--[^<>]{0,200}-->)|svg(?![\s\S]{0,2048}</svg)|style|form|input(?![^<>]{0,200}type=.?checkbox)|xml|xmp|html|body)|"
    r"(?:&(?:\#x?0{0,6}(?:3c|60)|lt);?|\\(?:x|u00)3c)\s{0,8}\Z)",
    re.IGNORECASE,
)
"""A piece of a page's skeleton, or of something active, where a value begins: nothing that formatted text begins with."""
FRAGMENT_CHARS_MAX = 2048
"""Longer values are whole documents."""

_STYLE_ELEMENT = re.compile(r"<(?:[a-z]{1,8}:)?style(?![a-z0-9-])", re.IGNORECASE)
_DIRECTIVE = re.compile(
    r"x-(?:init|data|html|effect|on:.*)|hx-on.*|v-(?:html|on:.*)|@(?:click|load|error|focus|blur|mouse\w{1,8}|key\w{1,8}|input|change|submit)(?:\.[a-z.]{1,40})?"
).fullmatch
"""Attributes that frameworks run as script (Alpine, htmx, Vue, hyperscript)."""
_VALUE_LEFT = re.compile(r"[^<>A-Za-z]{0,16}?[\"'`]\s{0,4}/?>\s{0,4}<[/!]?[a-z]", re.IGNORECASE)
LEFT_CHARS_MAX = 2048
"""Longer texts are windows of documents, which may well begin inside a tag."""
_ELEMENT_ALONE = re.compile(
    r"<[\x00-\x1f/]{0,4}s[\x00-\x1f]*c[\x00-\x1f]*r[\x00-\x1f]*i[\x00-\x1f]*p[\x00-\x1f]*t(?![a-z0-9_-])", re.IGNORECASE
)
_STRIPPED = re.compile(r"<\s{0,4}s\s{0,4}cr?\s{0,4}i?\s{0,4}<|<scr\s{0,4}ipt|&<?script")
_ANIMATED = re.compile(r"(?:[a-z]+:)?href|on[a-z]|srcdoc|innerhtml|src$|style$")
_COMMENT_ACTIVE = re.compile(r"<!--#\s{0,4}(?:exec|include|echo|config|set|printenv)|<\?import\b|<\?xml-stylesheet\b")
_INNER_TAG = re.compile(r"</?[A-Za-z]{0,10}>")
_SPLITTING = re.compile(r"<(?<=[A-Za-z]<)/?[A-Za-z]{0,10}>[A-Za-z(]")
_TORN = (
    (_ELEMENT_ALONE, "script-element", ATTACK),
    (_STRIPPED, "split-element", LIKELY),
    (_COMMENT_ACTIVE, "active-comment", LIKELY),
)
"""Markup no tokenizer sees as such, but a filter that takes parts away leaves."""
_possibly_torn = possible([pattern for pattern, *_ in _TORN])
_possibly_splitting = possible([_SPLITTING])
_UTF7 = re.compile(r"\+A[A-H][A-Za-z0-9/]{1,38}-?")
UTF7_MAX = 64
"""ASCII characters in UTF-7. No honest value holds so many behind one that opens a tag."""
_UTF7_TAG = re.compile(r"\+AD[wx]-?/?[a-z]", re.IGNORECASE)
_HIGH_BIT = (("\u00bc", "<"), ("\u00be", ">"), ("\u00a2", '"'), ("\u00a7", "'"))

_RUNNING = {"script": CERTAIN, "frameset": LIKELY, "isindex": LIKELY, "?import": ATTACK, "?xml-stylesheet": ATTACK}
"""Elements which run or load by being there. `import` or `layer` alone are names honest XML uses too."""
_LINKED = ("href", "xlink:href")
_LOADING = {
    "iframe": ("src", "srcdoc"), "frame": ("src",), "fencedframe": ("src",), "portal": ("src",), "vmlframe": ("src",),
    "embed": ("src", "code", "href"), "object": ("data", "classid", "codebase"), "base": ("href",),
    "xml": ("src", "id"),
    "applet": ("code", "codebase", "archive", "object", "src"), "import": ("implementation",), "bgsound": ("src",),
    "layer": ("src",), "ilayer": ("src",), "event-source": ("src",), "use": _LINKED, "feimage": _LINKED,
    "animation": _LINKED, "listener": ("handler",), "handler": ("event", "ev:event"),
}  # fmt: skip
"""Elements which load a document, or lead the page's own addresses elsewhere, by these attributes."""
_NOTED = frozenset(
    "style svg math form input button textarea select body meta link xml marquee template slot video audio".split()
)


TAGS_EFFORT, TAIL_EFFORT, TAIL_CHARS = 288, 72, 1024
"""Tags (two each) and attributes read from the start of a text and in its last characters. Of a longer flood, what is
between is only searched for what is never honest amid so much markup."""
INERT_MAX = 512
"""Tags in one read whose names and attributes say nothing. More of them in a window leave no room for what they tag."""
_AMID_TAGS = re.compile(
    r"<(?:script|iframe|object|embed|base|meta|frameset)(?![a-z0-9:-])|on(?<![\w-]..)[a-z]{3,26}\s{0,4}=\s{0,4}['\"]?[^\s'\">=]"
    r"|(?:java|vb)script\s{0,4}:(?!\s{0,3}(?:void|;|['\"]))|srcdoc\s{0,4}="
)
_possibly_amid = possible([_AMID_TAGS])


class XssJudge(Judge):
    """Judge of what runs in a page."""

    name = "xss"
    triggers = TRIGGERS
    cost = 1.25
    least = 256

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest evidence of script in one text."""
        best: Evidence | None = None
        if len(text) < 24 and text.strip().lower() == "<script":
            return _evidence("script-element", ODD, 0, len(text))  # reports count elements under such names
        if "<" in text:
            best = _markup(text)
            if best is not None and best.score >= CERTAIN:
                return best
        alone = _alone(text)
        if best is not None and alone is not None and best.score >= LIKELY and alone.score >= ATTACK:
            return _evidence(best.rule, CERTAIN, best.start, best.end)  # an element that may run, and script for it
        for other in (alone, _recoded(text)):
            if other is not None and (best is None or other.score > best.score):
                best = other
        if (best is None or best.score < LIKELY) and len(text) <= FRAGMENT_CHARS_MAX:
            fragment = _FRAGMENT.match(text)
            if fragment is not None:
                return _evidence("fragment", LIKELY, *fragment.span())
            best = _stronger(best, piece_in(text, lowered(text)))
        return best


JUDGE: Judge = XssJudge()


def _evidence(rule: str, score: int, start: int, end: int) -> Evidence:
    return Evidence("xss", rule, score, start, end)


def _stronger(best: Evidence | None, other: Evidence | None) -> Evidence | None:
    return other if best is None or (other is not None and other.score > best.score) else best


def _markup(text: str) -> Evidence | None:
    lower = lowered(text)
    best, read_to = _of_tags(text, 0, TAGS_EFFORT)
    if read_to < len(text) and (best is None or best.score < CERTAIN):
        tail = max(read_to, len(text) - TAIL_CHARS)
        last, _ = _of_tags(text[tail:], tail, TAIL_EFFORT)
        if last is not None and (best is None or last.score > best.score):
            best = last
        if (best is None or best.score < LIKELY) and _possibly_amid(lower[read_to:]):
            amid = _AMID_TAGS.search(lower, read_to)
            best = best if amid is None else _evidence("tag-flood", LIKELY, *amid.span())
    if best is not None and best.score >= ATTACK:
        return best
    styled = _STYLE_ELEMENT.search(text) if "style" in lower else None
    if styled is not None and is_active_style(text[styled.end() :]):
        return _evidence("active-style", ATTACK, styled.start(), len(text))
    if styled is not None and len(text) <= FRAGMENT_CHARS_MAX and is_torn_sheet(lower[styled.end() :]):
        best = _stronger(best, _evidence("torn-style", LIKELY, styled.start(), len(text)))
    for number in _possibly_torn(text):
        pattern, rule, score = _TORN[number]
        seen = pattern.search(text)
        if seen is not None and (best is None or best.score < score):
            best = _evidence(rule, score, seen.start(), seen.end())
    if (best is None or best.score < LIKELY) and len(text) <= LEFT_CHARS_MAX:
        left = _VALUE_LEFT.match(text)
        if left is not None:
            best = _evidence("attribute-left", LIKELY, left.start(), left.end())
    return best


def _of_tags(text: str, offset: int, effort: int) -> tuple[Evidence | None, int]:
    """The strongest of the tags of `text` so much effort is enough for, and how far that went."""
    best: Evidence | None = None
    for tag in tags_of(text, INERT_MAX):
        if not tag.name:
            return best, tag.end
        rule, score = _of_tag(tag)
        if score and (best is None or score > best.score):
            best = _evidence(rule, score, tag.start + offset, tag.end + offset)
            if score >= CERTAIN:
                break
        effort -= 2 + len(tag.attributes)
        if effort < 0:
            return best, tag.end
    return best, len(text)


def _of_tag(tag: Tag) -> tuple[str, int]:
    """What one tag would do, strongest first."""
    if tag.flooded:
        return "attribute-flood", LIKELY
    name = tag.name
    best = ("", 0)
    if (
        not tag.closed
        and tag.attributes
        and not tag.attributes[-1].value
        and EVENT_NAME.fullmatch(tag.attributes[-1].name)
    ):
        best = ("event-handler", LIKELY)
    if name in _RUNNING:
        best = (f"{name.lstrip('?')}-element", _RUNNING[name])
    elif name == "/script":
        best = ("script-closed", LIKELY)
    elif name in _NOTED:
        best = ("active-element", ODD)
    for attribute in tag.attributes:
        found = _of_attribute(name, attribute.name, attribute.value)
        if found[1] > best[1]:
            best = found
    if best[1] < ATTACK and name in _LOADING:
        found = _loads(tag)
        if found[1] > best[1]:
            best = found
    if best[1] < ATTACK and name in ("meta", "link", "form"):
        found = _redirects(tag)
        if found[1] > best[1]:
            best = found
    return best


_JSX = re.compile(r"\{(?:\.{3}\}?|\([\w,]{0,40}\)?|[\w.]{1,60}\})?").fullmatch
"""What a browser makes of a handler in JSX, `onClick={() => close()}` and `{this.close}`: it calls nothing."""


def _of_attribute(element: str, name: str, value: str) -> tuple[str, int]:
    plain = name.strip("\"'`[]<\u201c\u201d\x00\x0b")
    handler = plain.rpartition('"')[2].rpartition("'")[2] if '"' in plain or "'" in plain else plain
    if handler[:2] == "on" and len(handler) > 4 and not value and EVENT_JUNK.match(handler):
        return "event-handler", LIKELY
    if value[:1] == "{" and _JSX(value):
        return "", 0
    if handler[:2] == "on" and len(handler) > 4 and value.strip():
        if EVENT_NAME.match(handler):
            return "event-handler", CERTAIN
        if handler.isalpha() and RUNS.search(value):
            return "event-handler", ATTACK
    if not value:
        return "", 0
    if _DIRECTIVE(handler) and (RUNS.search(value) or handler in ("v-html", "x-html")):
        return "directive", LIKELY
    if handler in ("ev:event", "ev:handler"):
        return "event-listened", LIKELY
    if handler == "srcdoc":
        return "framed-markup", ATTACK
    if handler == "style":
        if is_active_style(value):
            return "active-style", ATTACK
        rule = "split-style" if "*//*" in value else torn_style(value)
        return rule, LIKELY if rule else 0
    if handler == "attributename" and element in ("set", "animate", "animatemotion", "animatetransform"):
        return ("attribute-animated", LIKELY) if _ANIMATED.match(value.strip().lower()) else ("", 0)
    if ":" in value or "&" in value:
        found = address_in(element, handler, value)
        if found[1]:
            return found
    if handler == "formaction":
        return "form-redirected", LIKELY
    if handler in ("datasrc", "dataformatas") and element not in ("object",):
        return "data-bound", LIKELY
    if (
        handler == "http-equiv"
        and element == "meta"
        and value.strip("'\" ").lower() in ("refresh", "set-cookie", "link")
    ):
        return "meta-directive", ATTACK
    return "", 0


def _loads(tag: Tag) -> tuple[str, int]:
    names = {attribute.name: attribute.value for attribute in tag.attributes}
    wanted = _LOADING[tag.name]
    source = next((names[name] for name in wanted if name in names), None)
    if source is None:
        return f"{tag.name}-element", ODD
    if tag.name == "iframe" and is_player(source.strip("\\\"' \t\r\n")) and ".." not in source:
        return "player-frame", ODD
    if tag.name in ("use", "feimage") and is_own_sprite(source.strip("\"' ")):
        return "", 0
    if tag.name in ("object", "embed") and is_own_pdf(source.strip("\"' ")) and "codebase" not in names:
        return f"{tag.name}-element", ODD
    return f"{tag.name}-element", LIKELY


def _redirects(tag: Tag) -> tuple[str, int]:
    names = {attribute.name: attribute.value.strip().lower() for attribute in tag.attributes}
    if tag.name == "link":
        relation = names.get("rel", "")
        if (
            "href" in names
            and not is_font_sheet(names["href"])
            and ("stylesheet" in relation or "import" in relation or "manifest" in relation)
        ):
            return "style-linked", LIKELY
    if tag.name == "meta" and "utf-7" in names.get("charset", "") + names.get("content", "") + names.get(
        "charset", ""
    ).replace("utf7", "utf-7"):
        return "meta-charset", LIKELY
    if tag.name == "form" and names.get("action", "").startswith(("http:", "https:", "//", "\\\\")):
        return "form-redirected", LIKELY
    return "", 0


def _alone(text: str) -> Evidence | None:
    """What the text is outside markup: script, an address, an attribute's continuation, style."""
    best: Evidence | None = None
    found = script_in(text)
    if found is not None:
        best = _evidence(found.name, found.score, found.start, found.end)
        if found.score >= CERTAIN:
            return best
    for other in (handler_alone(text), address_alone(text), style_alone(text)):
        if other is not None and (best is None or other.score > best.score):
            best = other
    return best


def _recoded(text: str) -> Evidence | None:
    """What only an encoding taken for another makes markup of: UTF-7, seven-bit ASCII; and entities that call."""
    if "&{" in text and (seen := ENTITY_CALL.search(text)):
        return _evidence("script-entity", ATTACK, seen.start(), seen.end())
    if "<" in text and _possibly_splitting(text) and _SPLITTING.search(text):
        joined = _INNER_TAG.sub("", text)
        found = _alone(joined) or (_markup(joined) if "<" in joined else None)
        if found is not None and found.score >= ATTACK:
            return _evidence("split-by-tags", ATTACK, 0, len(text))
    again = text
    if "+AD" in text:
        again, count = _UTF7.subn(_from_utf7, text, UTF7_MAX)
        if count >= UTF7_MAX:
            return _evidence("recoded-flood", LIKELY, 0, len(text))
    elif "\u00bc" in text:
        for high, low in _HIGH_BIT:
            again = again.replace(high, low)
    if again is text or "<" not in again:
        return None
    found = _markup(again)
    if found is not None and found.score >= LIKELY:
        return _evidence("recoded-markup", found.score, 0, len(text))
    return _evidence("recoded-markup", LIKELY, 0, len(text)) if _UTF7_TAG.search(text) else None


def _from_utf7(found: re.Match[str]) -> str:
    try:
        return found.group().encode("ascii").decode("utf-7")
    except UnicodeDecodeError:
        return found.group()
