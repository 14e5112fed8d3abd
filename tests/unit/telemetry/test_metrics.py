"""What is counted, how it is exposed, and that it stays small whatever callers send."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from sallygate.model.decision import ALLOW, Decision
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.parsing.http.head import HeadReader
from sallygate.telemetry.exposition import render
from sallygate.telemetry.metrics import OTHER, REASONS_MAX, SERIES_MAX, Histogram, Metrics, cumulative
from sallygate.telemetry.status import (
    Check,
    EventsState,
    FloodState,
    ListenerStatus,
    SheddingState,
    Status,
    StoreState,
    UpstreamState,
)

STATUS = Status(
    version="1", pid=1, shell="gateway", ready=True, draining=False, checks=(Check("store", True),), started_at=1.0,
    policy="abc", policy_file="sallygate.yaml", policy_at=2.0, reloads=3, reloads_refused=1,
    listeners=(ListenerStatus("https", "127.0.0.1:8443", 99.0), ListenerStatus("http", "127.0.0.1:80")),
    upstreams=(UpstreamState('http://127.0.0.1:9000/a"b\\c\n', False, 5, 2),),
    stores=(StoreState("state", "sallygate.db", 4096, True, 1.0),), events=EventsState(1, 2, 3, 4, 5, False, 6),
    under_way=7, credentials=8, restrictions=9, counters={"address": 10}, failures={"sync": 11}, clock_jumps=12,
    log_lines_lost=13, memory_bytes=14, api="shop", sinks_lost={"traces": 15},
)  # fmt: skip


def exchange(method: str = "GET", status: int = 200, findings: tuple[Finding, ...] = (), **more) -> Exchange:
    head = HeadReader().read(
        method=method, scheme="https", raw_path=b"/a", raw_query=b"", headers=((b"host", b"a"),), http_version="1.1",
        peer="127.0.0.1", request_id="0" * 32, now=1_790_000_000.0,
    )  # fmt: skip
    decision = ALLOW
    if findings:
        enforced = [finding for finding in findings if finding.mode == "enforce"]
        decision = Decision(enforced[0].verdict if enforced else "allow", status, findings)
    return Exchange(head, decision, status, **more)


def samples(metrics: Metrics, accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body, _ = render(metrics.snapshot(), STATUS, accept)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_durations_fall_into_the_buckets_they_belong_to() -> None:
    histogram = Histogram((10, 20))
    for us in (10, 11, 20, 21, 10**9):
        histogram.add(us)
    assert list(cumulative(histogram)) == [("1e-05", 1), ("2e-05", 3), ("+Inf", 5)]
    assert histogram.count == 5 and histogram.sum_us == 62 + 10**9


def test_what_is_exposed_is_what_happened() -> None:
    metrics = Metrics()
    metrics.observe(exchange(took_us=30_000, gate_us=900, admit_us=200, request_bytes=3, response_bytes=5))
    refused = Finding("limits.rate", "d", 429, "throttle")
    metrics.observe(exchange(status=429, findings=(refused,), took_us=300, gate_us=300, admit_us=200))
    metrics.observe(exchange(findings=(replace(refused, mode="shadow", code="injection.sql"),), took_us=1))
    found = samples(metrics)
    passed = (("api", "shop"), ("http_request_method", "GET"), ("http_response_status_code", "200"), ("http_route", ""))
    assert found["http_server_request_duration_seconds_count", passed] == 2
    assert found["http_server_request_duration_seconds_sum", passed] == pytest.approx(0.030001)
    assert found["http_server_request_duration_seconds_bucket", (*passed, ("le", "0.025"))] == 1
    assert found["sallygate_phase_duration_seconds_count", (("api", "shop"), ("phase", "admit"))] == 3
    assert found["sallygate_phase_duration_seconds_sum", (("api", "shop"), ("phase", "answer"))] == pytest.approx(
        0.029101
    )
    assert (
        found["sallygate_decisions_total", (("api", "shop"), ("control", ""), ("decision", "allow"), ("reason", ""))]
        == 2
    )
    throttled = (("api", "shop"), ("control", "limits"), ("decision", "throttle"), ("reason", "limits.rate"))
    assert found["sallygate_decisions_total", throttled] == 1
    assert found["sallygate_findings_total", (("api", "shop"), ("code", "injection.sql"), ("mode", "shadow"))] == 1
    assert found["sallygate_request_bytes_total", (("api", "shop"),)] == 3
    assert found["sallygate_response_bytes_total", (("api", "shop"),)] == 5
    assert found["http_server_active_requests", ()] == 7 and found["sallygate_restrictions", ()] == 9
    assert (
        found["sallygate_events_dropped_total", ()] == 4
        and found["sallygate_events_removed_total", ()] == 6
        and found["sallygate_failures_total", (("what", "sync"),)] == 11
        and found["sallygate_sink_lost_total", (("sink", "traces"),)] == 15
    )
    assert found["sallygate_certificate_not_after_timestamp_seconds", (("listener", "https"),)] == 99
    assert found["sallygate_upstream_healthy", (("upstream", 'http://127.0.0.1:9000/a"b\\c\n'),)] == 0


def test_both_forms_of_the_exposition_are_spoken() -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

    metrics = Metrics()
    metrics.observe(exchange(took_us=1))
    body, content_type = render(metrics.snapshot(), STATUS, "application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(body.decode())} >= {"sallygate_decisions", "sallygate_build"}
    assert render(metrics.snapshot(), STATUS, "text/html")[1].startswith("text/plain")


def test_callers_cannot_make_series_without_end() -> None:
    metrics = Metrics()
    for number in range(SERIES_MAX + 500):
        metrics.observe(exchange(method=f"M{number}", status=100 + number % 400))
        metrics.observe(exchange(status=1000 + number))
    for number in range(REASONS_MAX + 500):
        metrics.observe(exchange(findings=(Finding(f"c.{number}", ""),)))
    taken = metrics.snapshot()
    assert len(taken.requests) <= SERIES_MAX + 10
    assert {method for _, method, _ in taken.requests} == {"GET", OTHER}
    assert sum(histogram.count for histogram in taken.requests.values()) == 2 * (SERIES_MAX + 500) + REASONS_MAX + 500
    assert len(taken.decisions) <= REASONS_MAX + 1 and len(taken.findings) <= REASONS_MAX + 1
    assert sum(taken.decisions.values()) == 2 * (SERIES_MAX + 500) + REASONS_MAX + 500


def test_a_snapshot_does_not_move() -> None:
    metrics = Metrics()
    metrics.observe(exchange(took_us=1))
    taken = metrics.snapshot()
    metrics.observe(exchange(took_us=1))
    assert [histogram.count for histogram in taken.requests.values()] == [1]
    assert taken.phases["admit"].count == 1


def test_what_is_shed_and_who_is_boxed_is_exposed() -> None:
    shedding = SheddingState("enforce", 12, {"high": 3, "unknown": 1}, {"high": 0, "unknown": 4},
                             {"unknown.queue": 7}, {"low.wait": 2}, 0.0)  # fmt: skip
    body, _ = render(Metrics().snapshot(), replace(STATUS, flood=FloodState(5, 100, 0, shedding)), "")
    found = {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert found["sallygate_boxed_sources", ()] == 5 and found["sallygate_upstream_limit", ()] == 12
    assert found["sallygate_upstream_working", ("high",)] == 3
    assert found["sallygate_upstream_waiting", ("unknown",)] == 4
    assert found["sallygate_shed_requests_total", ("enforce", "queue", "unknown")] == 7
    assert found["sallygate_shed_requests_total", ("low", "shadow", "wait")] == 2
