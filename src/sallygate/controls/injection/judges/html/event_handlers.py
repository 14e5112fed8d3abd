"""Event handlers of HTML: names of events, and handlers that stand outside a tag.

Refuses to know the tags around it.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.html.javascript import script_in
from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.literal_rules import lowered

HANDLERS_MAX = 16
"""Handlers looked at one by one outside a tag. Tags snippets have a few, and those are judged as tags."""
EVENTS = (
    "abort|activate|after|gesture|security|snap|visibility|animation|auxclick|autocomplete|before|begin|blur|bounce|cache|cancel|canplay|cellchange|change|click|close|"
    "command|enter|leave|composition|contextmenu|controlselect|copy|cue|cut|data|dbl|deactivate|device|drag|drop|duration|emptied|end|error|fetch|filter|finish|"
    "focus|form|fullscreen|got|hashchange|help|input|invalid|key|languagechange|layout|load|lose|lost|media|message|mouse|move|moz|ms|offline|"
    "online|open|orientation|out|page|paste|pause|play|pointer|popstate|popup|progress|propert|ratechange|reader|ready|repeat|reset|resize|resume|reverse|"
    "row|scroll|search|seek|select|show|size|slotchange|stalled|start|stop|storage|submit|suspend|sync|time|toggle|touch|track|transition|"
    "unhandled|unload|url|volume|waiting|webkit|wheel|zoom|viewport|content|x"
)
EVENT_NAME = re.compile(r"on(?:" + EVENTS + r")[a-z]{0,22}")
_HANDLER_ALONE = re.compile(
    r"on(?=[a-z]{1,40}+[\x00-\x20/]{0,8}=)(?:(?<=^on)|(?<=[\s\"'`/\x00-\x1f\u201c\u201d>]on))(?:"
    + EVENTS
    + r")[a-z]{0,22}[\x00-\x20/]{0,8}=[\x00-\x20]{0,8}(?![\s>=&])"
)
RUNS = re.compile(r"[(`{\[\\]|=|;|javascript|location|//|eval|throw|import", re.IGNORECASE)
_CALLS = re.compile(r"[\"']?[\w$.]{1,40}+[(`]")
EVENT_JUNK = re.compile(r"on(?:" + EVENTS + r")[a-z]{0,22}+[^a-z0-9_:.@-]")
_QUOTED_BEFORE = re.compile(r"[\"'`\u201d\u201c]")


def handler_alone(text: str) -> Evidence | None:
    """A handler where a tag's inside is continued: after a quote that leaves a value, or first of all."""
    best: Evidence | None = None
    for number, seen in enumerate(_HANDLER_ALONE.finditer(lowered(text))):
        if number >= HANDLERS_MAX:
            return Evidence("xss", "handler-flood", LIKELY, 0, len(text))
        score = _continuation_score(text, seen.start(), text[seen.end() : seen.end() + 240])
        if score and (best is None or score > best.score):
            best = Evidence("xss", "handler-continued", score, seen.start(), min(seen.end() + 240, len(text)))
            if score >= ATTACK:
                break
    return best


def _continuation_score(text: str, at: int, value: str) -> int:
    if value[:2] in ('""', "''"):
        return 0
    leaves = _QUOTED_BEFORE.search(text, max(0, at - 240), at) is not None
    runs = RUNS.search(value) is not None
    if runs and leaves:
        return ATTACK
    if runs and script_in(value) is not None:
        return ATTACK
    before = text[max(0, at - 4) : at].rstrip("/ \t\n")[-1:]
    if leaves and (value[:1] in "\"'`" or (before and before in "\"'`")):
        return LIKELY
    return LIKELY if at and _CALLS.match(value) else ODD
