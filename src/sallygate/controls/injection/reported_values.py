"""Values by which a browser or telemetry reports what it met, and which nobody runs, fetches or sends on.

A page of a developer's machine is named by an internal address; a policy for content (CSP) reports the script that it
refused; a trace (OTLP) has the head of a request as an attribute; a browser repeats a search in `Referer`. What
would break out of whatever such a value is written into is judged like any other.

The members are those of the reports' own formats, from the document's root on, so that no other field gains by them.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from sallygate.controls.injection.judges.ssrf import is_internal
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.controls.injection.pipeline.judging import Seen
from sallygate.controls.injection.pipeline.values import Value

_CSP = r"body:/csp-report/(?:document-uri|blocked-uri|source-file|referrer)|body:/\d{1,3}/(?:url|body/(?:documentURL|blockedURL|sourceFile|referrer))"
_SAMPLE = r"body:/csp-report/script-sample|body:/\d{1,3}/body/sample"
_TRACE = r"body:/resource(?:Spans|Logs|Metrics)/[\w/]{1,200}/attributes/\d{1,4}/value/(?:stringValue|arrayValue/values/\d{1,4}/stringValue)"
_names_page = re.compile(rf"header:(?:referer|origin)|{_CSP}|{_TRACE}").fullmatch
_PAGE = re.compile(r"(https?://)(\[[0-9a-f:.]+\]|[^/:?#\\@\s\[\]]+)(?=[:/?#]|\Z)", re.IGNORECASE)
_SEARCHED = frozenset(("group-by", "having", "in-text", "list", "order-by", "statement", "where"))
_SCRIPTS = frozenset(("dialog-call", "document-sink", "fetched", "global-subscript", "module-loaded"))
_PASSES: tuple[tuple[re.Pattern[str], Family, frozenset[str], re.Pattern[str]], ...] = (
    (re.compile(r"header:referer"), "sql", _SEARCHED, re.compile(r"['\"`\\;]")),
    (re.compile(_SAMPLE), "xss", _SCRIPTS, re.compile(r"[<>]")),
    (re.compile(_TRACE), "crlf", frozenset(("header", "request")), re.compile(r"(?!)")),
)
"""Place, family, the rules that say what such a value is made of, and what breaks out of one."""


def without_own_host(value: Value) -> Value:
    """A value as it is judged: without the internal address of a page that it names. What follows the address stays."""
    if not _names_page(value.where) or (named := _PAGE.match(value.text)) is None or not is_internal(named[2]):
        return value
    return replace(value, text=f"{named[1]}page.invalid{value.text[named.end() :]}")


def reports(where: str) -> bool:
    """Whether a place holds what is reported, so that one piece of evidence there is not the last."""
    return any(place.fullmatch(where) for place, *_ in _PASSES)


def is_reported(seen: Seen) -> bool:
    """Whether evidence is what a report at its place is made of, and nothing breaks out of it."""
    return any(
        seen.evidence.family == family
        and seen.evidence.rule in rules
        and place.fullmatch(seen.value.where) is not None
        and breaks_out.search(seen.form.text) is None
        for place, family, rules, breaks_out in _PASSES
    )
