"""Reader of lists with one address, prefix or range a line: `192.0.2.1`, `192.0.2.0/24`, `192.0.2.1-192.0.2.9`. `#` and
`;` begin a comment, and so does anything after the first word (`1.10.16.0/20 ; SBL256894`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

from sallygate.parsing.indicators.blocks import blocks_of
from sallygate.parsing.indicators.reading import IndicatorError, Reading, Settings

LINE_BYTES_MAX = 64 * 1024
"""Comments of real lists stay below 1 KiB; a longer line is another format."""
_FIRST = re.compile(r"[^\s;#,]+(?:[ \t]+-[ \t]+[^\s;#,]+)?")


def lines_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without blanks around it) of those that are no comment and not empty. One line in memory at
    a time: a list of nothing but line ends must not become a list of objects."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise IndicatorError("is empty: a list that has become empty holds a comment at least")
    stream, number = BytesIO(data), 0
    while line := stream.readline(LINE_BYTES_MAX):
        number += 1
        if len(line) == LINE_BYTES_MAX and line[-1:] != b"\n":
            raise IndicatorError(f"line {number} is longer than {LINE_BYTES_MAX >> 10} KiB: not a list of addresses")
        line = line.strip()
        if line and line[:1] not in (b"#", b";") and line[:2] != b"//":
            yield number, line


def read_plain(data: bytes, settings: Settings, reading: Reading) -> None:
    """Read a list into `reading`. Raises `IndicatorError` above the reader's limits."""
    for number, line in lines_of(data):
        reading.read += 1
        found = _FIRST.match(line.decode("ascii", "replace"))
        try:
            if found is None:
                raise ValueError("not an address, prefix or range")
            blocks = blocks_of(found[0])
        except ValueError as error:
            reading.wrong(f"line {number}", str(error))
            continue
        reading.add((bits, start, length, 0.0, 0.0, settings.confidence) for bits, start, length in blocks)
