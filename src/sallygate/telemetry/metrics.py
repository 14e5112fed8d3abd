"""Metrics: counts and durations of exchanges as plain numbers; an update takes about two microseconds.

Names are OpenTelemetry's where it has them (semantic conventions for HTTP, 1.23) and `sallygate.…` otherwise. Labels
are operations, methods, statuses, reasons: never who called, or with what. Their combinations are bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from msgspec import Struct

from sallygate.model.exchange import EarlyRejection, Exchange
from sallygate.model.finding import Finding

SERIES_MAX = 4_000
"""Combinations of route, method and status; further ones are counted by the hundred of their status alone. A contract
of 300 operations makes some 2,000."""
REASONS_MAX = 1_000
"""Combinations of decision and reason, of code and mode: there are about 200 codes."""
OTHER = "_OTHER"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"))
"""Others are `_OTHER`, as the conventions say."""
REQUEST_US = (5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000,
              5_000_000, 7_500_000, 10_000_000)  # fmt: skip
"""Upper bounds the conventions give for `http.server.request.duration`."""
PHASE_US = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000)
PHASES = ("admit", "examine", "answer")
"""From the head to the admission; on to the API, the body's arrival included; and its answer, to the last byte."""


class Histogram:
    """How many fell below each bound, the last one above all; and their sum. Microseconds."""

    __slots__ = ("bounds", "counts", "sum_us")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_us = 0

    def add(self, us: int) -> None:
        """Count one duration, in microseconds."""
        self.counts[bisect_left(self.bounds, us)] += 1
        self.sum_us += us

    def copy(self) -> Histogram:
        """Independent copy."""
        other = Histogram(self.bounds)
        other.counts, other.sum_us = self.counts.copy(), self.sum_us
        return other

    @property
    def count(self) -> int:
        """Number of durations."""
        return sum(self.counts)


class Snapshot(Struct, frozen=True):
    """All numbers at one moment, to be read on any thread."""

    requests: dict[tuple[str, str, int], Histogram]
    phases: dict[str, Histogram]
    decisions: dict[tuple[str, str], int]
    """By verdict and reason."""
    findings: dict[tuple[str, str], int]
    """By mode and code."""
    request_bytes: int
    response_bytes: int


class Metrics:
    """Written by the loop's thread alone, which also takes the snapshots."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], Histogram] = {}
        self._admit, self._examine, self._answer = (Histogram(PHASE_US) for _ in PHASES)
        self._decisions: dict[tuple[str, str], int] = {}
        self._findings: dict[tuple[str, str], int] = {}
        self._request_bytes = 0
        self._response_bytes = 0

    def observe(self, exchange: Exchange) -> None:
        """Count one finished exchange."""
        operation, decision = exchange.operation, exchange.decision
        key = (operation.path if operation is not None else "", exchange.head.method, exchange.status)
        requests = self._requests.get(key)
        if requests is None:
            requests = self._series(key)
        took, gate, admit = exchange.took_us, exchange.gate_us, exchange.admit_us
        requests.counts[bisect_left(REQUEST_US, took)] += 1
        requests.sum_us += took
        self._admit.add(admit)
        if gate > admit:
            self._examine.add(gate - admit)
        if took > gate:
            self._answer.add(took - gate)
        self._request_bytes += exchange.request_bytes
        self._response_bytes += exchange.response_bytes
        if decision.findings:
            self._find(decision.verdict, decision.findings)
        else:
            _count(self._decisions, (decision.verdict, ""))

    def count_early(self, rejection: EarlyRejection) -> None:
        """Count early rejections of one kind: their number, time (microseconds) and response bytes."""
        times = rejection.count
        requests = self._series(("", rejection.method, rejection.finding.status))
        requests.counts[0] += times
        requests.sum_us += rejection.took_us
        self._admit.counts[0] += times
        self._admit.sum_us += rejection.took_us
        self._response_bytes += rejection.response_bytes
        _count(self._decisions, (rejection.finding.verdict, rejection.finding.code), times)
        _count(self._findings, (rejection.finding.mode, rejection.finding.code), times)

    def _find(self, verdict: str, findings: tuple[Finding, ...]) -> None:
        reason = next((finding.code for finding in findings if finding.mode == "enforce"), "")
        _count(self._decisions, (verdict, reason))
        for finding in findings:
            _count(self._findings, (finding.mode, finding.code))

    def _series(self, key: tuple[str, str, int]) -> Histogram:
        route, method, status = key
        if method not in METHODS:
            method = OTHER
        if len(self._requests) >= SERIES_MAX and (route, method, status) not in self._requests:
            route, method, status = OTHER, OTHER, min(status // 100, 9) * 100
        return self._requests.setdefault((route, method, status), Histogram(REQUEST_US))

    def snapshot(self) -> Snapshot:
        """Copy of all numbers, for an exposition or export."""
        phases = dict(zip(PHASES, (self._admit.copy(), self._examine.copy(), self._answer.copy()), strict=True))
        requests = {key: histogram.copy() for key, histogram in self._requests.items()}
        return Snapshot(requests, phases, dict(self._decisions), dict(self._findings),
                        self._request_bytes, self._response_bytes)  # fmt: skip


def _count(counts: dict[tuple[str, str], int], key: tuple[str, str], times: int = 1) -> None:
    known = counts.get(key)
    if known is None and len(counts) >= REASONS_MAX:
        key, known = (key[0], OTHER), counts.get((key[0], OTHER))
    counts[key] = (known or 0) + times


def cumulative(histogram: Histogram) -> Iterator[tuple[str, int]]:
    """(upper bound in seconds, how many up to it), the last bound `+Inf`."""
    total = 0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        total += count
        yield repr(bound / 1e6), total
    yield "+Inf", total + histogram.counts[-1]
