"""Splitter of a body into records: lines of JSON (NDJSON), or server-sent events (WHATWG HTML, section 9.2.6).

A record keeps the bytes that end it, so that records put together are the body. The splitter does not read records.
"""

from __future__ import annotations

import re
from typing import Final

from sallygate.model.request import Framing

_ENDS: Final = {
    "lines": re.compile(rb"\n"),
    # Two line ends in a row. A CR at the end of what has come may be the first half of a CRLF.
    "events": re.compile(rb"(?:\r\n|\n|\r(?=[^\n])){2}"),
}
_LONGEST_END: Final = 4


class RecordSplitter:
    """Splits one body. `bytes_max` bounds one record; what is larger ends the splitting."""

    __slots__ = ("_bytes_max", "_end", "_rest", "_searched", "large")

    def __init__(self, framing: Framing, bytes_max: int) -> None:
        self._end, self._bytes_max = _ENDS[framing], bytes_max
        self._rest = bytearray()
        self._searched = 0
        self.large = False
        """Whether a record was larger than it may be. What came of it is the last that `add` gave."""

    def add(self, data: bytes) -> list[bytes]:
        """The records that are whole with `data`; after one that is too large, pieces as they come."""
        if self.large:
            return [data]
        rest, made, at = self._rest, [], 0
        rest += data
        while (found := self._end.search(rest, max(at, self._searched))) is not None:
            if found.end() - at > self._bytes_max:
                break
            made.append(bytes(rest[at : found.end()]))
            at = self._searched = found.end()
        del rest[:at]
        self._searched = max(0, len(rest) - _LONGEST_END)
        if len(rest) > self._bytes_max:
            self.large = True
            made.append(self.end())
        return made

    def end(self) -> bytes:
        """What is left where the body ends: a record without an end, or nothing."""
        left = bytes(self._rest)
        self._rest.clear()
        return left
