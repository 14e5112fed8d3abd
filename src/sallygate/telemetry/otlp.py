"""Export of metrics and traces to an OpenTelemetry collector, by OpenTelemetry's exporters, over OTLP and HTTP.

Needs the extra `sallygate[otel]`; nothing else imports this module. Runs on threads of its own and may take its time: a
collector that is away, slow or broken costs its data and is counted, and no request waits for it.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from typing import Literal

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as OtelHistogram
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from sallygate.events.record import Pending
from sallygate.events.sink_queue import SinkQueue
from sallygate.model.exchange import Exchange
from sallygate.model.request import RequestHead
from sallygate.telemetry.metrics import Histogram, Snapshot
from sallygate.telemetry.status import FloodState
from sallygate.telemetry.status import Status as GateStatus

logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)  # a failure is one line of this log instead
EXPORT_S_MAX = 5.0
"""For one export, repetitions included; a stop waits no longer."""
SPANS_MAX = 2_048
"""Waiting at most; OpenTelemetry's own number. Further ones are dropped, and counted."""
CUMULATIVE = AggregationTemporality.CUMULATIVE
_Labels = tuple[tuple[str, str], ...]


class ExportFailed(Exception):
    """The collector did not take what was sent. What is lost is the data of that export."""


class OtlpExport:
    """`base` is the collector's address; `share` of exchanges, 0 to 1, become spans."""

    def __init__(self, base: str, service: str, share: float, started_at: float, instance: str, version: str) -> None:
        base = base.rstrip("/")
        self._resource = Resource(
            {"service.name": service, "service.version": version, "service.instance.id": instance}
        )
        self._scope = InstrumentationScope("sallygate", version)
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", timeout=EXPORT_S_MAX)
        self._traces = OTLPSpanExporter(f"{base}/v1/traces", timeout=EXPORT_S_MAX)
        self._started_ns = int(started_at * 1e9)
        self.share = share
        self.spans = SinkQueue(SPANS_MAX)
        """Exchanges that become spans."""

    # on the loop ---------------------------------------------------------------------------------------------------

    def sampled(self, head: RequestHead) -> bool:
        """The same answer in every process that sees the trace."""
        if self.share <= 0:
            return False
        parent = _parent_of(head)
        return (parent is not None and parent[2]) or zlib.crc32(head.trace_id.encode()) < self.share * 2**32

    def traceparent(self, head: RequestHead) -> bytes:
        """`traceparent` for the API: the parent is this exchange's span (W3C Trace Context, section 3.2)."""
        return f"00-{head.trace_id}-{span_id(head.request_id):016x}-{int(self.sampled(head)):02x}".encode()

    # on a thread ---------------------------------------------------------------------------------------------------

    def export_metrics(self, snapshot: Snapshot, status: GateStatus, now: float) -> None:
        """Raises `ExportFailed`."""
        at = int(now * 1e9)
        scope = ScopeMetrics(self._scope, list(self._all(snapshot, status, at)), "")
        data = MetricsData([ResourceMetrics(self._resource, [scope], "")])
        if self._metrics.export(data) is not MetricExportResult.SUCCESS:
            raise ExportFailed("the collector did not take the metrics")

    def export_spans(self) -> None:
        """Raises `ExportFailed`."""
        waiting = [one for one in self.spans.take() if isinstance(one, Pending)]
        if not waiting:
            return
        spans = [self._span(one.exchange) for one in waiting]
        if self._traces.export(spans) is not SpanExportResult.SUCCESS:
            self.spans.lose(*waiting)
            raise ExportFailed(f"the collector did not take {len(spans)} spans")

    def close(self) -> None:
        """Ends an export under way."""
        self._metrics.shutdown()
        self._traces.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's own

    def _all(self, taken: Snapshot, status: GateStatus, at: int) -> Sequence[Metric]:
        api = status.api
        requests = [
            self._histogram(
                one,
                at,
                {"api": api, "http.request.method": method, "http.response.status_code": code, "http.route": route},
            )
            for (route, method, code), one in taken.requests.items()
        ]
        phases = [self._histogram(one, at, {"api": api, "phase": phase}) for phase, one in taken.phases.items()]
        decisions: dict[_Labels, int] = {
            (("api", api), ("decision", verdict), ("control", reason.partition(".")[0]), ("reason", reason)): count
            for (verdict, reason), count in taken.decisions.items()
        }
        findings: dict[_Labels, int] = {
            (("api", api), ("code", code), ("mode", mode)): count for (mode, code), count in taken.findings.items()
        }
        return [
            Metric("http.server.request.duration", "Duration of requests", "s", OtelHistogram(requests, CUMULATIVE)),
            Metric("sallygate.phase.duration", "Duration of phases", "s", OtelHistogram(phases, CUMULATIVE)),
            self._sum("sallygate.decisions", decisions, at),
            self._sum("sallygate.findings", findings, at),
            self._sum("sallygate.events.dropped", {(): status.events.dropped}, at),
            self._sum("sallygate.events.removed", {(): status.events.removed}, at),
            self._sum("sallygate.failures", {(("what", what),): n for what, n in status.failures.items()}, at),
            self._gauge("http.server.active_requests", status.under_way, at),
            self._gauge("sallygate.ready", int(status.ready), at),
            self._gauge("sallygate.restrictions", status.restrictions, at),
            *self._flood(status.flood, at),
            self._gauge("process.memory.usage", status.memory_bytes, at, "By"),
        ]

    def _flood(self, flood: FloodState | None, at: int) -> list[Metric]:
        if flood is None:
            return []
        shed: dict[_Labels, int] = {}
        for mode, counts in (("enforce", flood.shedding.shed), ("shadow", flood.shedding.would_shed)):
            for name, count in counts.items():
                rank, _, reason = name.partition(".")
                shed[(("rank", rank), ("reason", reason), ("mode", mode))] = count
        return [
            self._sum("sallygate.shed.requests", shed, at),
            self._gauge("sallygate.upstream.limit", flood.shedding.limit, at),
            self._gauge("sallygate.upstream.working", sum(flood.shedding.working.values()), at),
            self._gauge("sallygate.boxed.sources", flood.penalised, at),
        ]

    def _histogram(self, one: Histogram, at: int, attributes: dict[str, str | int]) -> HistogramDataPoint:
        bounds = [bound / 1e6 for bound in one.bounds]
        lowest, highest = float("inf"), float("-inf")  # not kept, and left out by these
        return HistogramDataPoint(
            attributes, self._started_ns, at, one.count, one.sum_us / 1e6, one.counts, bounds, lowest, highest
        )

    def _sum(self, name: str, counts: Mapping[_Labels, int], at: int) -> Metric:
        points = [NumberDataPoint(dict(labels), self._started_ns, at, count) for labels, count in counts.items()]
        return Metric(name, "", "1", Sum(points, CUMULATIVE, is_monotonic=True))

    def _gauge(self, name: str, value: int, at: int, unit: Literal["1", "By"] = "1") -> Metric:
        return Metric(name, "", unit, Gauge([NumberDataPoint({}, self._started_ns, at, value)]))

    def _span(self, exchange: Exchange) -> ReadableSpan:
        head, operation, decision = exchange.head, exchange.operation, exchange.decision
        trace = int(head.trace_id, 16)
        parent = _parent_of(head)
        attributes: dict[str, str | int] = {
            "http.request.method": head.method, "http.response.status_code": exchange.status, "url.path": head.path,
            "url.scheme": head.scheme, "client.address": head.client_address, "sallygate.decision": decision.verdict,
            "sallygate.request_id": head.request_id,
        }  # fmt: skip
        if operation is not None:
            attributes["http.route"] = operation.path
        if decision.reasons:
            attributes["sallygate.reason"] = decision.reasons[0]
        start = int(head.received_at * 1e9)
        failed = Status(StatusCode.ERROR) if exchange.status >= 500 else Status(StatusCode.UNSET)
        return ReadableSpan(
            name=f"{head.method} {operation.path}" if operation is not None else head.method,
            context=_context(trace, span_id(head.request_id)),
            parent=_context(trace, parent[1]) if parent is not None else None,
            resource=self._resource, attributes=attributes, kind=SpanKind.SERVER, instrumentation_scope=self._scope,
            status=failed, start_time=start, end_time=start + exchange.took_us * 1000,
        )  # fmt: skip


def span_id(request_id: str) -> int:
    """Half from the process's own chance, half from its counter: never 0, which would be none."""
    return int(request_id[4:12] + request_id[-8:], 16) or 1


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _parent_of(head: RequestHead) -> tuple[int, int, bool] | None:
    """(trace, span, whether it is sampled) of the caller; None when it does not say. `head` has checked its form."""
    parts = head.fields.get("traceparent", "").split("-")
    if len(parts) < 4 or parts[1] != head.trace_id:
        return None
    return int(parts[1], 16), int(parts[2], 16), bool(int(parts[3][:2], 16) & 1)
