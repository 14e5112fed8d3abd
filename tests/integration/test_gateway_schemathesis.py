"""schemathesis drives the sample API through the gateway: whatever it makes up, the gateway itself never answers 5xx,
everything that it calls invalid is refused, and everything that it calls valid is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patience import patient
from sallygate.stores.events import read_events
from support import held_port

EXAMPLES = 50
JUSTIFIED = re.compile(r"in body - violates `type` at /properties/description \(was string, became \w+\)")
"""A part of a multipart body has no type (OpenAPI 3.1, 4.8.14.5; RFC 7578, 4.4): `false` is the string "false" there, and
valid, and an empty list is no part at all of one that may be left out."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("demo")
    command = [
        sys.executable,
        "-m",
        "sallygate",
        "demo",
        "--json",
        "--state-dir",
        str(state),
        "--port",
        str(held_port()),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        _, said = process.communicate(timeout=patient(8))
        assert b"Traceback" not in said, said


@pytest.mark.long
def test_schemathesis_through_the_gateway(demo: dict[str, Any], tmp_path: Path) -> None:
    state = Path(demo["state_dir"])
    report = tmp_path / "report.json"
    ended = subprocess.run(
        [
            str(Path(sys.executable).with_name("st")), "run", str(state / "openapi.yaml"), "--url", demo["gateway"],
            "--header", f"X-API-Key: {demo['keys']['partner']}", "--tls-verify", demo["ca"],
            "--checks", "negative_data_rejection,positive_data_acceptance,missing_required_header,unsupported_method",
            "--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", str(EXAMPLES), "--seed", "1",
            "--workers", "1", "--continue-on-failure", "--no-color", "--report", "json", "--report-json-path", str(report),
        ],
        capture_output=True, text=True, timeout=patient(120), cwd=tmp_path,
    )  # fmt: skip
    found = json.loads(report.read_text())
    assert found["complete"] and found["test_cases"]["generated"] > 500, ended.stdout
    assert not found["errors"], found["errors"]
    assert len(found["valid_rates"]) == 11, "every operation was reached"
    for failure in found["failures"]:
        assert (failure["type"], failure["operations"]) == ("AcceptedNegativeData", ["POST /files"]), ended.stdout
    for line in re.findall(r"Invalid component: (.*)", ended.stdout):
        assert JUSTIFIED.search(line), ended.stdout

    events = list(read_events(state / "events"))
    assert sum(event.count for event in events) > 500
    own = [event for event in events if event.status >= 500 and event.upstream_status != event.status]
    assert not own, own
    assert not [event for event in events if any(found.code == "control.failed" for found in event.findings)]
    codes = {found.code for event in events for found in event.findings}
    assert codes >= {"contract.parameter", "contract.body", "clients.method"}, codes
