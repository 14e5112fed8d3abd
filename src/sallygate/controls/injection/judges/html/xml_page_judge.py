"""Judge of XML shown as a page: handlers, addresses that run and fetched scripts in the tags of a document.

Threat: a document is stored as XML, and shown as a page or a picture (SVG) by a browser (CWE-79). Evidence: an event's
attribute whose value runs something, an address of a scheme that runs, a script element with a source. The texts, sections
and quoted values of a document are judged by themselves, as any value is; this judge covers what only the position in the document shows.

In a private vocabulary the name alone identifies no element and no event attribute: `<a onTime="5">` passes.

Known bypasses: white space within a scheme; values longer than three hundred characters before they run anything.
Cost: one search, and a bounded look at what stands where it finds something.

Refuses to know which vocabulary a document is written in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sallygate.controls.injection.judges.html.event_handlers import EVENTS
from sallygate.controls.injection.judges.html.script_urls import address_in
from sallygate.controls.injection.judges.html.tag_tokenizer import Attribute, attributes_of
from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, Evidence
from sallygate.controls.injection.pipeline.judge_interface import XML, Judge

TRIGGERS: tuple[str, ...] = (
    r"[\s/\x60'\"]on[a-z]{3,26}\s*=",
    r"=[\s'\"\x60]*(?:java|vb|live)script\s*:",
    r"<(?:[a-z]{1,12}:)?script[\s/]",
)

LOOKED_AT_MAX = 64
VALUE_CHARS_MAX = 320
_FOUND = re.compile(
    r"[\s/`'\"](?P<event>on(?:" + EVENTS + r")[a-z]{0,22}+\s*+=)"
    r"|=[\s'\"`]*+(?P<scheme>(?:java|vb|live)script\s*+:)|<(?:[a-z]{1,12}:)?(?P<script>script[\s/])",
    re.IGNORECASE,
).finditer
_RUNS = re.compile(r"[(`{\\]|=|;|javascript|location|eval|throw|import", re.IGNORECASE).search

_QUOTE = re.compile(r"[\"'`]").search


class XmlPageJudge(Judge):
    """Judge of whole documents of XML that a browser would show as a page."""

    name = "xml_page"
    triggers = TRIGGERS
    kinds = XML

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The first thing in the tags of `text` that a page would run."""
        for number, seen in enumerate(_FOUND(text)):
            if number >= LOOKED_AT_MAX:
                return Evidence("xss", "handler-flood", LIKELY, 0, len(text))
            kind = seen.lastgroup or ""
            at = seen.start(kind)
            closed = text.rfind(">", 0, at)
            if text.rfind("<", 0, at) <= closed and not _QUOTE(text, closed, at):
                continue  # between tags, where no quoted value may have held the bracket
            rule = _ruled(kind, text[at : at + VALUE_CHARS_MAX])
            if rule:
                return Evidence("xss", rule, ATTACK, at, min(at + VALUE_CHARS_MAX, len(text)))
        return None


JUDGE: Judge = XmlPageJudge()


def _ruled(kind: str, text: str) -> str:
    """What `text`, from where something was found, would do; empty for nothing."""
    if kind == "scheme":
        value = re.split(r"[\"'`>]", text, maxsplit=1)[0]
        return "script-address" if address_in("a", "href", value)[1] >= ATTACK else ""
    attributes = attributes_of(text if kind == "event" else text[len("script") :], 0)[0]
    if kind == "event":
        return "event-handler" if attributes and _RUNS(attributes[0].value) else ""
    return "script-element" if any(_is_source(attribute) for attribute in attributes) else ""


def _is_source(attribute: Attribute) -> bool:
    return attribute.name in ("src", "href", "xlink:href") and bool(attribute.value)
