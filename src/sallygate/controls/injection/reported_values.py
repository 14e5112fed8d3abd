"""Values by which a browser or telemetry reports what it met, and which nobody runs, fetches or sends on.

A page of a developer's machine is named by an internal address; a policy for content (CSP) reports the script that it
refused; a trace (OTLP) has the head of a request as an attribute; a browser repeats a search in `Referer`. What
would break out of whatever such a value is written into is judged like any other.

The members are those of the reports' own formats, from the document's root on, and of CSP in its own media types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from sallygate.controls.injection.judges.ssrf import is_internal, is_metadata
from sallygate.controls.injection.pipeline.decodings import Forms
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.controls.injection.pipeline.judging import Seen
from sallygate.controls.injection.pipeline.values import Value

_CSP_MEDIA = ("application/csp-report", "application/reports+json")
_CSP = re.compile(
    r"body:/csp-report/(?:document-uri|blocked-uri|source-file|referrer)|"
    r"body:/\d{1,3}/(?:url|body/(?:documentURL|blockedURL|sourceFile|referrer))"
)
_SAMPLE = re.compile(r"body:/csp-report/script-sample|body:/\d{1,3}/body/sample")
_TRACE = re.compile(
    r"body:/resource(?:Spans|Logs|Metrics)/[\w/]{1,200}/attributes/\d{1,4}/value/(?:stringValue|arrayValue/values/\d{1,4}/stringValue)"
)
_REFERER = re.compile(r"header:referer")
_NAMING = re.compile(r"header:(?:referer|origin)")
_PAGE = re.compile(r"(https?://)(\[[0-9a-f:.]+\]|[^/:?#\\@\s\[\]]+)(?=[:/?#]|\Z)", re.IGNORECASE)
_SEARCHED = frozenset(("group-by", "having", "in-text", "list", "order-by", "statement", "where"))
_SCRIPTS = frozenset(("dialog-call", "document-sink", "fetched", "global-subscript", "module-loaded"))
_PASSES: tuple[tuple[re.Pattern[str], Family, frozenset[str], re.Pattern[str]], ...] = (
    (_REFERER, "sql", _SEARCHED, re.compile(r"['\"`\\;]")),
    (_SAMPLE, "xss", _SCRIPTS, re.compile(r"[<>]|['\"`]\s*[\w-]*\s*on\w+\s*=|\A\s*['\"`]|javascript:", re.IGNORECASE)),
    (_TRACE, "crlf", frozenset(("header", "request")), re.compile(r"(?!)")),
)
"""Place, family, the rules that say what such a value is made of, and what breaks out of one."""


class Reports:
    """What one request may report, by its media type: no form or script of an ordinary page sends those of CSP."""

    def __init__(self, media: str) -> None:
        self._is_csp = media.lower().startswith(_CSP_MEDIA)

    def without_own_host(self, value: Value) -> Value:
        """A value as it is judged: without the internal address of a page that it names. What follows the address stays,
        and so does an address that only machines have."""
        where = value.where
        if not (_NAMING.fullmatch(where) or _TRACE.fullmatch(where) or (self._is_csp and _CSP.fullmatch(where))):
            return value
        named = _PAGE.match(value.text)
        if named is None or not is_internal(named[2]) or is_metadata(named[2]):
            return value
        return replace(value, text=f"{named[1]}page.invalid{value.text[named.end() :]}")

    def at(self, where: str) -> bool:
        """Whether a place holds what is reported, so that one piece of evidence there is not the last."""
        return any(place.fullmatch(where) for place, *_ in self._passes())

    def holds(self, seen: Seen) -> bool:
        """Whether evidence is what a report at its place is made of, and nothing breaks out of it in any form."""
        for place, family, rules, breaks_out in self._passes():
            evidence = seen.evidence
            if evidence.family == family and evidence.rule in rules and place.fullmatch(seen.value.where):
                return not any(map(breaks_out.search, (form.text for form in Forms(seen.value.text))))
        return False

    def _passes(self) -> Iterator[tuple[re.Pattern[str], Family, frozenset[str], re.Pattern[str]]]:
        return (one for one in _PASSES if self._is_csp or one[0] is not _SAMPLE)
