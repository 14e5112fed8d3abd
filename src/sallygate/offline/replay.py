"""Replay of a recording for `sallygate replay`: each request decided in order, its members copied to the output."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from sallygate.offline.decide import Offline
from sallygate.offline.recordings import UnreadableRequest, from_json

LINE_BYTES_MAX = 64 << 20
"""Of one recorded request; a longer line is not a record but a broken file."""


class Summary:
    """What a replay came to."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.shadow_reasons: Counter[str] = Counter()
        self.us: list[float] = []
        self.unreadable = 0
        self.seconds = 0.0

    @property
    def requests(self) -> int:
        """Number of decided requests."""
        return sum(self.decisions.values())

    def quantile_us(self, q: float) -> float:
        """Quantile `q` (0 to 1) of the decision times, in microseconds."""
        ordered = sorted(self.us)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def replay(
    offline: Offline,
    source: IO[bytes],
    write: Callable[[bytes], object] | None,
    advance: Callable[[int], None],
) -> Summary:
    """Decide every line of `source`. `write` gets one line of JSON each; `advance`, the bytes read."""
    summary, encoder, decoder = Summary(), msgspec.json.Encoder(), msgspec.json.Decoder()
    started = time.perf_counter()
    for number, line in enumerate(iter(lambda: source.readline(LINE_BYTES_MAX), b""), 1):
        advance(len(line))
        if not line.strip():
            continue
        record, outcome = _decide_line(offline, decoder, line, number, summary)
        if write is not None:
            write(encoder.encode({**record, **outcome}) + b"\n")
    summary.seconds = time.perf_counter() - started
    return summary


def _decide_line(
    offline: Offline, decoder: msgspec.json.Decoder[Any], line: bytes, number: int, summary: Summary
) -> tuple[dict[str, Any], dict[str, Any]]:
    record: dict[str, Any] = {}
    try:
        decoded = decoder.decode(line)
        record = decoded if isinstance(decoded, dict) else {}
        recorded = from_json(decoded)
    except (msgspec.DecodeError, UnreadableRequest, RecursionError) as error:
        summary.unreadable += 1
        summary.decisions["deny"] += 1
        summary.reasons["replay.unreadable"] += 1
        said = f"line {number}: {error}"
        return record, {
            "decision": "deny",
            "status": 400,
            "reasons": ["replay.unreadable"],
            "us": 0.0,
            "error": said,
        }
    before = time.perf_counter_ns()
    verdict = offline.decide(recorded, number)
    us = (time.perf_counter_ns() - before) / 1000
    decision = verdict.decision
    summary.decisions[decision.verdict] += 1
    summary.us.append(us)
    for reason in decision.reasons:
        summary.reasons[reason] += 1
    outcome: dict[str, Any] = {
        "decision": decision.verdict,
        "status": verdict.status,
        "reasons": list(decision.reasons),
        "us": round(us, 1),
    }
    if shadow := [finding.code for finding in decision.findings if finding.mode == "shadow"]:
        outcome["shadow"] = shadow
        summary.shadow_reasons.update(shadow)
    return record, outcome


@contextmanager
def open_recorded(file: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """(plain bytes, the file as it lies on disk, for progress)."""
    with file.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            with gzip.open(raw) as plain:
                yield plain, raw  # type: ignore[misc]  # GzipFile reads like the rest
        else:
            raw.seek(0)
            yield raw, raw
