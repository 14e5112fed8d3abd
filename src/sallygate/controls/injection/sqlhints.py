"""Where a long text is worth reading as SQL: around the words that hint, and which literals of `IN_TEXT` it holds.

One scan finds all of them. Of a text in which almost everything hints no more is asked: all of it is worth reading.

Refuses to know what a hint hints at.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache

import hyperscan

from sallygate.controls.injection.sqlrules import IN_TEXT

AROUND_BEFORE, AROUND_BEHIND = 32, 160
"""Characters read blind before and behind a word that hints."""
HITS_MAX = 256
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
_own = threading.local()


def _compiled(expressions: Sequence[str], flag: int) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    numbers = list(range(len(expressions)))
    flags = [flag | hyperscan.HS_FLAG_DOTALL] * len(numbers)
    database.compile(expressions=[one.encode() for one in expressions], ids=numbers, flags=flags)
    return database


@cache
def _databases() -> tuple[hyperscan.Database, hyperscan.Database]:
    """Every hint, and which entries of `IN_TEXT` have a literal in a text."""
    hints = _compiled([*map(re.escape, _WORDS), _BROKEN_OUT], 0)
    literals = ["|".join(map(re.escape, literals)) for literals, _ in IN_TEXT]
    return hints, _compiled(literals, hyperscan.HS_FLAG_SINGLEMATCH)


def _scratches() -> tuple[hyperscan.Scratch, hyperscan.Scratch]:
    """Working memory of this thread."""
    scratches: tuple[hyperscan.Scratch, hyperscan.Scratch] | None = getattr(_own, "scratches", None)
    if scratches is None:
        hints, literals = _databases()
        scratches = _own.scratches = hyperscan.Scratch(hints), hyperscan.Scratch(literals)
    return scratches


def held_in(lower: str) -> list[int]:
    """The entries of `IN_TEXT` that may match."""
    held: list[int] = []

    def hit(number: int, start: int, end: int, flags: int, context: object) -> None:
        held.append(number)

    data = lower.encode("latin-1", "replace")
    _databases()[1].scan(data, match_event_handler=hit, scratch=_scratches()[1])
    held.sort()
    return held


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

    data = lower.encode("latin-1", "replace")
    try:
        _databases()[0].scan(data, match_event_handler=hit, scratch=_scratches()[0])
    except hyperscan.ScanTerminated:
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
