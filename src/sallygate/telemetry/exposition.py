"""Exposition of metrics in Prometheus' format, by its client library, from the numbers of `metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sallygate.telemetry.metrics import Snapshot, cumulative
from sallygate.telemetry.status import Status

_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)
PlatformCollector(registry=_PROCESS)
GCCollector(registry=_PROCESS)


def render(snapshot: Snapshot, status: Status, accept: str) -> tuple[bytes, str]:
    """(body, content type), in the form that `accept` asks for."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Exchanges(snapshot, status.api))
    registry.register(_Gate(status))
    registry.register(_PROCESS)
    return encode(registry), content_type


class _Exchanges(Collector):
    def __init__(self, snapshot: Snapshot, api: str) -> None:
        self._snapshot, self._api = snapshot, api

    def collect(self) -> Iterator[Metric]:
        """Metric families of exchanges, for the client library."""
        taken, api = self._snapshot, self._api
        requests = HistogramMetricFamily(
            "http_server_request_duration_seconds",
            "Duration of requests. The route is the contract's path.",
            labels=("api", "http_request_method", "http_response_status_code", "http_route"),
        )
        for (route, method, code), histogram in taken.requests.items():
            requests.add_metric((api, method, str(code), route), list(cumulative(histogram)), histogram.sum_us / 1e6)
        yield requests
        phases = HistogramMetricFamily(
            "sallygate_phase_duration_seconds",
            "Duration of a request's phases: admit, examine (with the body's arrival), answer (the API's).",
            labels=("api", "phase"),
        )
        for phase, histogram in taken.phases.items():
            phases.add_metric((api, phase), list(cumulative(histogram)), histogram.sum_us / 1e6)
        yield phases
        decisions = CounterMetricFamily(
            "sallygate_decisions",
            "Decisions, by the control and reason that decided.",
            labels=("api", "decision", "control", "reason"),
        )
        for (decision, reason), count in taken.decisions.items():
            decisions.add_metric((api, decision, reason.partition(".")[0], reason), count)
        yield decisions
        findings = CounterMetricFamily(
            "sallygate_findings", "Findings, enforced or not.", labels=("api", "code", "mode")
        )
        for (mode, found), count in taken.findings.items():
            findings.add_metric((api, found, mode), count)
        yield findings
        for name, said, count in (
            ("sallygate_request_bytes", "Bytes of request bodies.", taken.request_bytes),
            ("sallygate_response_bytes", "Bytes of responses.", taken.response_bytes),
        ):
            sizes = CounterMetricFamily(name, said, labels=("api",))
            sizes.add_metric((api,), count)
            yield sizes


class _Gate(Collector):
    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Metric families of the gate's state, for the client library."""
        now = self._status
        build = InfoMetricFamily("sallygate_build", "The running version and policy.")
        build.add_metric((), {"version": now.version, "policy": now.policy})
        yield build
        yield GaugeMetricFamily("sallygate_ready", "1 when requests should be sent here.", float(now.ready))
        yield GaugeMetricFamily("http_server_active_requests", "Requests under way.", now.under_way)
        yield GaugeMetricFamily(
            "sallygate_policy_loaded_timestamp_seconds", "When the policy came into force.", now.policy_at
        )
        yield CounterMetricFamily("sallygate_policy_reloads", "Policies put in force after the first.", now.reloads)
        yield CounterMetricFamily("sallygate_policy_reloads_refused", "Policies refused.", now.reloads_refused)
        yield GaugeMetricFamily("sallygate_restrictions", "Restrictions in force.", now.restrictions)
        yield GaugeMetricFamily("sallygate_credentials", "Credentials in memory.", now.credentials)
        yield GaugeMetricFamily("sallygate_events_waiting", "Events waiting to be written.", now.events.waiting)
        yield CounterMetricFamily("sallygate_events_written", "Events written.", now.events.written)
        yield CounterMetricFamily("sallygate_events_dropped", "Events lost.", now.events.dropped)
        yield CounterMetricFamily("sallygate_events_removed", "Written events that are gone with their file.",
                                  now.events.removed)  # fmt: skip
        yield CounterMetricFamily("sallygate_events_sampled_away", "Ordinary events left out under overload.",
                                  now.events.sampled_away)  # fmt: skip
        yield CounterMetricFamily("sallygate_clock_jumps", "Jumps of the machine's clock.", now.clock_jumps)
        yield CounterMetricFamily("sallygate_log_lines_lost", "Lines the log could not take.", now.log_lines_lost)
        yield from self._labelled()

    def _labelled(self) -> Iterator[Metric]:
        now = self._status
        failures = CounterMetricFamily("sallygate_failures", "Failures of background work.", labels=("what",))
        for what, count in now.failures.items():
            failures.add_metric((what,), count)
        yield failures
        untaken = CounterMetricFamily("sallygate_sink_lost", "Exchanges an event sink did not take.", labels=("sink",))
        for sink, count in now.sinks_lost.items():
            untaken.add_metric((sink,), count)
        yield untaken
        subjects = GaugeMetricFamily("sallygate_counter_subjects", "Subjects a limit counts.", labels=("table",))
        for table, held in now.counters.items():
            subjects.add_metric((table,), held)
        yield subjects
        healthy = GaugeMetricFamily(
            "sallygate_upstream_healthy", "1 when the upstream gets requests.", labels=("upstream",)
        )
        lost = CounterMetricFamily(
            "sallygate_upstream_connection_failures", "Failures to connect.", labels=("upstream",)
        )
        for upstream in now.upstreams:
            healthy.add_metric((upstream.url,), float(upstream.healthy))
            lost.add_metric((upstream.url,), upstream.failures)
        yield healthy
        yield lost
        yield from self._issuers()
        yield from self._feeds()
        made = GaugeMetricFamily(
            "sallygate_geography_made_timestamp_seconds",
            "Time at which a geography file was made.",
            labels=("database",),
        )
        for database in now.geography:
            made.add_metric((database.name,), database.made_at)
        yield made
        yield from self._flood()
        stores = GaugeMetricFamily("sallygate_store_bytes", "Size of a store on disk.", labels=("store",))
        for store in now.stores:
            stores.add_metric((store.name,), store.bytes)
        yield stores
        until = GaugeMetricFamily("sallygate_certificate_not_after_timestamp_seconds",
                                  "When a listener's certificate expires.", labels=("listener",))  # fmt: skip
        for listener in now.listeners:
            if listener.certificate_until is not None:
                until.add_metric((listener.name,), listener.certificate_until)
        yield until

    def _flood(self) -> Iterator[Metric]:
        if (flood := self._status.flood) is None:
            return
        shedding = flood.shedding
        yield GaugeMetricFamily("sallygate_boxed_sources", "Sources in the penalty box.", flood.penalised)
        yield GaugeMetricFamily("sallygate_upstream_limit", "Requests the API gets at once.", shedding.limit)
        working = GaugeMetricFamily("sallygate_upstream_working", "Requests the API works on.", labels=("rank",))
        waiting = GaugeMetricFamily("sallygate_upstream_waiting", "Requests that wait for a slot.", labels=("rank",))
        for family, counts in ((working, shedding.working), (waiting, shedding.waiting)):
            for rank, count in counts.items():
                family.add_metric((rank,), count)
            yield family
        shed = CounterMetricFamily("sallygate_shed_requests", "Requests refused by load shedding.",
                                   labels=("rank", "reason", "mode"))  # fmt: skip
        for mode, counts in (("enforce", shedding.shed), ("shadow", shedding.would_shed)):
            for name, count in counts.items():
                rank, _, reason = name.partition(".")
                shed.add_metric((rank, reason, mode), count)
        yield shed

    def _issuers(self) -> Iterator[Metric]:
        keys = GaugeMetricFamily("sallygate_issuer_keys", "Keys of an issuer that count.", labels=("issuer",))
        fetched = GaugeMetricFamily("sallygate_issuer_keys_fetched_timestamp_seconds",
                                    "When an issuer's keys were fetched.", labels=("issuer",))  # fmt: skip
        failures = CounterMetricFamily(
            "sallygate_issuer_fetch_failures", "Failures to fetch an issuer's keys.", labels=("issuer",)
        )
        for issuer in self._status.issuers:
            keys.add_metric((issuer.name,), issuer.keys)
            if issuer.fetched_at:
                fetched.add_metric((issuer.name,), issuer.fetched_at)
            failures.add_metric((issuer.name,), issuer.failures)
        yield keys
        yield fetched
        yield failures

    def _feeds(self) -> Iterator[Metric]:
        indicators = GaugeMetricFamily("sallygate_feed_indicators", "Indicators of a feed.", labels=("feed",))
        confirmed = GaugeMetricFamily(
            "sallygate_feed_confirmed_timestamp_seconds",
            "When a feed's source last had all that is in force.",
            labels=("feed",),
        )
        failing = GaugeMetricFamily("sallygate_feed_failing", "1 when the last fetch failed.", labels=("feed",))
        failures = CounterMetricFamily("sallygate_feed_fetch_failures", "Failures to fetch a feed.", labels=("feed",))
        for feed in self._status.feeds:
            indicators.add_metric((feed.name,), feed.indicators)
            if feed.confirmed_at:
                confirmed.add_metric((feed.name,), feed.confirmed_at)
            failing.add_metric((feed.name,), float(feed.failing))
            failures.add_metric((feed.name,), feed.failures)
        yield indicators
        yield confirmed
        yield failing
        yield failures
