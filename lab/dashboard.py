"""Makes `deploy/grafana-dashboard.json`: `python -m lab.dashboard`. A test compares its metrics with what is exposed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[1] / "deploy" / "grafana-dashboard.json"
JOB = '{job=~"$job", instance=~"$instance"}'
_WIDE, _HIGH = 8, 8


def with_labels(more: str) -> str:
    return JOB[:-1] + f", {more}}}"


def rate(metric: str, by: str = "", labels: str = JOB) -> str:
    summed = f"sum by ({by}) " if by else "sum "
    return f"{summed}(rate({metric}{labels}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    inner = f"sum by (le{', ' + by if by else ''}) (rate({metric}_bucket{JOB}[$__rate_interval]))"
    return f"histogram_quantile({share}, {inner})"


REQUESTS = "http_server_request_duration_seconds"
PANELS: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    ("stat", "Ready", "none", [(f"min(sallygate_ready{JOB})", "")]),
    ("stat", "Requests under way", "none", [(f"sum(http_server_active_requests{JOB})", "")]),
    ("stat", "Restrictions in force", "none", [(f"max(sallygate_restrictions{JOB})", "")]),
    ("timeseries", "Requests by status", "reqps", [(rate(f"{REQUESTS}_count", "http_response_status_code"), "{{http_response_status_code}}")]),
    ("timeseries", "Refused, by reason", "reqps",
     [(rate("sallygate_decisions_total", "reason", with_labels('decision!="allow"')), "{{reason}}")]),
    ("timeseries", "Found in shadow", "reqps",
     [(rate("sallygate_findings_total", "code", with_labels('mode="shadow"')), "{{code}}")]),
    ("timeseries", "Duration", "s", [(quantile(q, REQUESTS), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]),
    ("timeseries", "The gate's own part, p99", "s", [(quantile(0.99, "sallygate_phase_duration_seconds", "phase"), "{{phase}}")]),
    ("timeseries", "Slowest routes, p95", "s", [(f"topk(10, {quantile(0.95, REQUESTS, 'http_route')})", "{{http_route}}")]),
    ("timeseries", "Upstreams", "none", [(f"sallygate_upstream_healthy{JOB}", "{{upstream}}"),
                                         (rate("sallygate_upstream_connection_failures_total", "upstream"), "failures, {{upstream}}")]),
    ("timeseries", "Events", "none", [(f"sum(sallygate_events_waiting{JOB})", "waiting"), (rate("sallygate_events_dropped_total"), "lost a second"),
                                      (rate("sallygate_events_sampled_away_total"), "sampled away a second")]),
    ("timeseries", "Failures", "none", [(rate("sallygate_failures_total", "what"), "{{what}}"), (rate("sallygate_log_lines_lost_total"), "log lines"),
                                        (rate("sallygate_policy_reloads_refused_total"), "policies refused")]),
    ("timeseries", "Bytes", "Bps", [(rate("sallygate_request_bytes_total"), "in"), (rate("sallygate_response_bytes_total"), "out")]),
    ("timeseries", "Memory and stores", "bytes", [(f"sum by (instance) (process_resident_memory_bytes{JOB})", "memory, {{instance}}"),
                                                  (f"sum by (store) (sallygate_store_bytes{JOB})", "{{store}}")]),
    ("stat", "Certificates end in", "s", [(f"min by (listener) (sallygate_certificate_not_after_timestamp_seconds{JOB}) - time()", "{{listener}}")]),
]  # fmt: skip


def dashboard() -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    panels = []
    for number, (kind, title, unit, queries) in enumerate(PANELS):
        panels.append({
            "id": number + 1, "type": kind, "title": title, "datasource": source,
            "gridPos": {"x": number % 3 * _WIDE, "y": number // 3 * _HIGH, "w": _WIDE, "h": _HIGH},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0 if kind == "timeseries" else None}, "overrides": []},
            "targets": [{"refId": chr(65 + index), "datasource": source, "expr": expr, "legendFormat": legend}
                        for index, (expr, legend) in enumerate(queries)],
        })  # fmt: skip
    return {
        "title": "Sallygate", "uid": "sallygate", "schemaVersion": 39, "tags": ["sallygate"], "refresh": "30s", "editable": True,
        "time": {"from": "now-6h", "to": "now"}, "panels": panels,
        "templating": {"list": [
            {"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"},
            *({"name": name, "type": "query", "datasource": source, "includeAll": True, "multi": True, "refresh": 2,
               "allValue": ".*", "current": {"text": "All", "value": "$__all"},
               "query": {"query": f"label_values(sallygate_ready, {name})", "refId": name}} for name in ("job", "instance")),
        ]},
    }  # fmt: skip


def main() -> None:
    OUT.write_text(json.dumps(dashboard(), indent=1) + "\n")


if __name__ == "__main__":
    main()
