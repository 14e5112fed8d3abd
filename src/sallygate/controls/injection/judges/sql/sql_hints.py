"""Hints of SQL in a long text: the regions worth reading, and which rules of `IN_TEXT` may match there.

One scan finds all of them. Of a text in which almost everything hints no more is asked: all of it is worth reading.

Refuses to know what a hint hints at.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.sql.sql_rules import IN_TEXT
from sallygate.controls.injection.pipeline.pattern_scans import Scan, possible

AROUND_BEFORE, AROUND_BEHIND = 32, 160
"""Characters read blind before and behind a word that hints."""
HITS_MAX = 128
"""Of a text, before all of it is read."""
_WORDS = (
    "union", "select", "waitfor", "outfile", "dumpfile", "procedure", "declare", "exec", "insert", "update", "delete", "drop",
    "alter", "create", "truncate", "case", "iif(", "if(", "sleep", "benchmark", "blob(", "series(", "load_", "extractvalue",
    "updatexml", "name_const", "xmltype", "file(", "lo_", "pg_", "_to_xml", "dblink", "openrowset", "opendatasource", "openquery",
    "xp_", "sp_", "varbintohexstr", "sqlid_", "get_host", "receive_message", "gtid_", "st_lat", "st_point", "information_schema",
    "sysobjects", "syscolumns", "sqlite_", "shutdown", "handler", "having", "group", "order", "where", "begin", "call", "grant",
)  # fmt: skip
"""What one of the rules that hold anywhere needs, so that the rest of a long text need not be read."""
_BROKEN_OUT = r"['\"`)][\s\x85\xa0?)+;/*]{0,8}(?:or|and|xor|&&|\|\|)"
"""A `?` stands for what is not Latin-1, white space among it."""
_BROKEN_OUT_MIN, _BROKEN_OUT_MAX = 3, 12
_hints = Scan([*map(re.escape, _WORDS), _BROKEN_OUT])
held_in = possible(IN_TEXT)
"""The entries of `IN_TEXT` that may match."""


def regions_of(lower: str) -> list[tuple[int, int]]:
    """Stretches of `lower` around hints, and its end; in order, none touching another."""
    size, words = len(lower), len(_WORDS)
    hints: list[tuple[int, int]] = []

    def hit(number: int, start: int, end: int, flags: int, context: object) -> bool:
        if number < words:
            first = end - len(_WORDS[number])
            hints.append((first - AROUND_BEFORE, first + AROUND_BEHIND))
        else:
            hints.append((end - _BROKEN_OUT_MAX - AROUND_BEFORE, end - _BROKEN_OUT_MIN + AROUND_BEHIND))
        return len(hints) > HITS_MAX

    if not _hints(lower.encode("latin-1", "replace"), hit):
        return [(0, size)]
    hints.append((size - AROUND_BEFORE, size))
    hints.sort()
    regions: list[tuple[int, int]] = []
    start, end = hints[0]
    for low, high in hints:
        if low > end:
            regions.append((max(start, 0), end))
            start = low
        if high > end:
            end = high
    regions.append((max(start, 0), min(end, size)))
    return regions
