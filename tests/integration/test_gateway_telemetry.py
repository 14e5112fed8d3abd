"""OpenTelemetry: a real collector's endpoints, spoken to by a real gateway; and one that is away, slow or broken."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway_wire import echo, events_of, log_lines
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import load_policy
from sallygate.telemetry import exporter as exporting_module
from support import Upstream, held_port, make_key, running_gateway, until, write_policy

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Takes OTLP as protobuf over HTTP, and remembers; or answers as told."""

    def __init__(self, status: int = 200, *, silent: bool = False) -> None:
        self.metrics: dict[str, Any] = {}
        self.spans: list[Any] = []
        self.resource: dict[str, str] = {}
        self.asked = 0
        self.answers = threading.Event()
        """Set unless it is `silent`."""
        if not silent:
            self.answers.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.asked += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.answers.wait()
                if status == 200:
                    collector.take(self.path, body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resource = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_metrics:
                    self.metrics.update({metric.name: metric for metric in scope.metrics})
        elif path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans += scope.spans


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


def exporting(tmp_path: Path, upstream: Upstream, url: str, more: str = "") -> Path:
    return write_policy(
        tmp_path, f"operations: {{}}\ntelemetry: {{otlp: '{url}', every: 300ms{more}}}\n", upstream=upstream.url
    )


def test_metrics_and_spans_arrive(tmp_path: Path, upstream: Upstream) -> None:
    collector = Collector()
    policy = exporting(tmp_path, upstream, collector.url, ", traces: 1, service: shop-gate")
    key = make_key(policy)
    with running_gateway(policy) as running:
        running.get("/things", key, traceparent=f"00-{TRACE}-b7ad6b7169203331-00")
        running.get("/things")
        until(lambda: len(collector.spans) == 2, 10)
        passed, refused = sorted(collector.spans, key=lambda span: span.start_time_unix_nano)
        assert (
            passed.name == "GET /things"
            and passed.trace_id.hex() == TRACE
            and passed.parent_span_id.hex() == "b7ad6b7169203331"
        )
        told = upstream.received[-1].values(b"traceparent")
        assert told == [f"00-{TRACE}-{passed.span_id.hex()}-01".encode()], "the API's spans belong below ours"
        attributes = {pair.key: pair.value.string_value or pair.value.int_value for pair in refused.attributes}
        assert attributes["http.response.status_code"] == 401 and attributes["sallygate.reason"] == "identity.missing"
        assert passed.end_time_unix_nano > passed.start_time_unix_nano and key not in str(collector.spans)

        def counted() -> bool:
            found = collector.metrics.get("http.server.request.duration")
            return found is not None and sum(point.count for point in found.histogram.data_points) == 2

        until(counted, 10)
        decisions = collector.metrics["sallygate.decisions"].sum
        assert decisions.is_monotonic and sum(point.as_int for point in decisions.data_points) == 2
        assert collector.resource["service.name"] == "shop-gate"
        assert collector.metrics["sallygate.ready"].gauge.data_points[0].as_int == 1


def test_what_is_refused_early_has_no_span(tmp_path: Path, upstream: Upstream) -> None:
    collector = Collector()
    policy = exporting(tmp_path, upstream, collector.url, ", traces: 1")
    policy.write_text(policy.read_text() + "network: {rules: [{methods: [DELETE], deny: [127.0.0.0/8]}]}\n")
    key = make_key(policy)
    with running_gateway(policy) as running:
        for _ in range(3):
            assert running.get("/things", key, "DELETE")[0] == 403
        running.get("/things", key)
        until(lambda: collector.spans, 10)
        assert [span.name for span in collector.spans] == ["GET /things"]
        denied = [event for event in events_of(running, 4) if event.status == 403]
        assert sum(event.count for event in denied) == 3


def test_without_traces_the_callers_own_passes(tmp_path: Path, upstream: Upstream) -> None:
    collector = Collector()
    policy = exporting(tmp_path, upstream, collector.url)
    key = make_key(policy)
    sent = f"00-{TRACE}-b7ad6b7169203331-01"
    with running_gateway(policy) as running:
        running.get("/things", key, traceparent=sent)
        assert upstream.received[-1].values(b"traceparent") == [sent.encode()]
        until(lambda: collector.asked > 1, 10)
        assert not collector.spans


@pytest.mark.parametrize("fault", ["away", "broken", "slow"])
def test_a_collector_that_fails_is_ignored_and_counted(tmp_path: Path, upstream: Upstream, fault: str) -> None:
    collector = Collector(400 if fault == "broken" else 200, silent=fault == "slow")
    url = f"http://127.0.0.1:{held_port()}" if fault == "away" else collector.url
    policy = exporting(tmp_path, upstream, url, ", traces: 1")
    key = make_key(policy)
    with running_gateway(policy) as running:
        assert {running.get("/things", key)[0] for _ in range(30)} == {200}
        until(lambda: any(line.get("what") == "telemetry" for line in log_lines(running.log)), 15)
        running.process.terminate()
        assert running.process.wait(30) == 0, "a stop does not wait for it either"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{otlp: 'http://collector.example:4318'}", "unencrypted"),
        ("{otlp: 'ftp://127.0.0.1'}", "otlp"),
        ("{otlp: 'http://127.0.0.1:4318', traces: 2}", "traces"),
        ("{otlp: 'http://[1:4318'}", "not a URL"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(tmp_path: Path, section: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        load_policy(write_policy(tmp_path, f"telemetry: {section}"))


def test_without_the_extra_packages_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As installed by the README: not even the package above them is there."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'opentelemetry'")

    monkeypatch.setattr(exporting_module, "find_spec", missing)
    loaded = load_policy(write_policy(tmp_path, "telemetry: {otlp: 'http://127.0.0.1:4318'}"))
    with pytest.raises(PolicyError, match="otel"):
        exporting_module.check_telemetry(loaded)
