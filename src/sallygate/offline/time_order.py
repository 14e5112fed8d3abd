"""Reader of a recording in the order of its times.

Rates and quotas count forwards: a request from before the last one would find counters of its future. Servers write a
line when a response ends, so lines of a recording are seldom in order of their times, and seldom far from it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec

from sallygate.offline.recordings import Recorded, UnreadableRequest, from_json

LINE_BYTES_MAX = 64 << 20
"""Of one recorded request; a longer line is not a record but a broken file."""
LINES_HELD = 10_000
"""Lines that are sorted at once: the requests of ten seconds at a thousand a second."""
HELD_BYTES_MAX = 64 << 20
"""Of those lines; bodies may be large."""


class Line(msgspec.Struct, frozen=True):
    """One line of a recording: its number, from 1, its members, and the request or why it is none."""

    number: int
    record: dict[str, Any]
    request: Recorded | None
    error: str = ""


def lines_in_time(source: IO[bytes], advance: Callable[[int], None]) -> Iterator[Line]:
    """Every line that is not empty, by time; a line without a time follows the one before. `advance` gets the bytes
    read. A line from before one that was given out has an error instead of a request."""
    held: list[tuple[float, int, int, Line]] = []
    decoder, held_bytes, at, given = msgspec.json.Decoder(), 0, float("-inf"), float("-inf")
    for number, text in enumerate(iter(lambda: source.readline(LINE_BYTES_MAX), b""), 1):
        advance(len(text))
        if not text.strip():
            continue
        line = _read(decoder, text, number)
        if line.request is not None and line.request.at is not None:
            at = line.request.at
        if at < given:
            line = msgspec.structs.replace(
                line, request=None, error=f"line {number}: `time` is before that of a line that was decided already; "
                "sort the recording by time",
            )  # fmt: skip
            at = given
        heapq.heappush(held, (at, number, len(text), line))
        held_bytes += len(text)
        while len(held) > LINES_HELD or held_bytes > HELD_BYTES_MAX:
            given, _, size, first = heapq.heappop(held)
            held_bytes -= size
            yield first
    while held:
        yield heapq.heappop(held)[3]


def _read(decoder: msgspec.json.Decoder[Any], text: bytes, number: int) -> Line:
    record: dict[str, Any] = {}
    try:
        decoded = decoder.decode(text)
        record = decoded if isinstance(decoded, dict) else {}
        return Line(number, record, from_json(decoded))
    except UnreadableRequest as error:
        return Line(number, record, None, f"line {number}: {error}")
    except (msgspec.DecodeError, RecursionError):
        return Line(number, record, None, f"line {number}: not JSON; write one JSON object a line")
