"""Redaction of recorded requests in a published report: no id of a recorded user or session is published."""

from __future__ import annotations

import re

GONE = "…"
_QUERY_VALUE = re.compile(r"(?<=[?&])([\w.\[\]-]{1,64})=[^&\s]*")
_LAST_NAME = re.compile(r"(?<=&)[\w.\[\]-]{1,64}(?= )")
"""A query that was cut within a name or value."""
_GENERATED = re.compile(r"(?<=/)(?=[^/\s?]*\d)[\w-]{5,}(?=[/\s?]|$)")
"""Path segments of letters with digits: ids, or generated for a session."""
_IDS = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\d{6,}|(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,}|[\w.+-]+@[\w-]+\.[\w.-]+"
)
"""UUIDs, long numbers, digests, addresses of e-mail."""


def redacted(example: str) -> str:
    """`example` of a recorded request without the values of its query, generated path segments and ids."""
    request, arrow, found = example.partition(" → ")
    request = _LAST_NAME.sub(GONE, _QUERY_VALUE.sub(rf"\1={GONE}", request + " "))[:-1]
    return _IDS.sub(GONE, _GENERATED.sub(GONE, request) + arrow + found)
