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
from sallygate.offline.time_order import Line, lines_in_time


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
    """Decide every line of `source`, by time. `write` gets one line of JSON each; `advance`, the bytes read."""
    summary, encoder = Summary(), msgspec.json.Encoder()
    started = time.perf_counter()
    for line in lines_in_time(source, advance):
        outcome = _decide_line(offline, line, summary)
        if write is not None:
            write(encoder.encode({**line.record, **outcome}) + b"\n")
    summary.seconds = time.perf_counter() - started
    return summary


def _decide_line(offline: Offline, line: Line, summary: Summary) -> dict[str, Any]:
    if line.request is None:
        summary.unreadable += 1
        summary.decisions["deny"] += 1
        summary.reasons["replay.unreadable"] += 1
        return {
            "decision": "deny",
            "status": 400,
            "reasons": ["replay.unreadable"],
            "us": 0.0,
            "error": line.error,
        }
    before = time.perf_counter_ns()
    verdict = offline.decide(line.request, line.number)
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
    return outcome


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
