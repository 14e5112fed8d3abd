"""The lines an operator reads: one a refused request, many alike in one, never a flood, never a control character."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import pytest
import structlog

from patience import patient
from sallygate.model.event import Event, Location
from sallygate.model.finding import Finding
from sallygate.policy.serving import LogSection
from sallygate.telemetry.log import LINES_MAX, LINES_PER_S, RequestLog, Unfailing, open_log


class Remembering:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, said: str, **fields: Any) -> None:
        self.lines.append((said, fields))

    warning = info


def event(decision: str = "deny", **more: Any) -> Event:
    findings = (Finding("limits.rate", "More than 5 requests a second.", 429, "throttle", "header:x"),)
    given: dict[str, Any] = {
        "path": "/orders",
        "findings": () if decision == "allow" else findings,
        "status": 429,
        **more,
    }
    return Event(at=1.0, request_id="r1", trace_id="t1", decision=decision, method="GET",
                 client_address="192.0.2.1", location=Location("192.0.2.1"), took_us=1500, **given)  # type: ignore[arg-type]  # fmt: skip


def log_of(which: str, now: list[float]) -> tuple[RequestLog, Remembering]:
    log = Remembering()
    return RequestLog(log, lambda: which, lambda: now[0]), log  # type: ignore[arg-type]


def test_a_refused_request_is_one_line_a_person_understands() -> None:
    write, log = log_of("refused", [0.0])
    write([event(), event("allow"), event(count=40, account="acme", operation="listOrders")])
    (said, fields), (many, more) = log.lines
    assert said == "refused 429 GET /orders: More than 5 requests a second."
    assert fields == {
        "request_id": "r1",
        "trace_id": "t1",
        "client": "192.0.2.1",
        "reason": "limits.rate",
        "where": "header:x",
        "ms": 1.5,
    }
    assert (
        "40 times" in many and more["count"] == 40 and more["account"] == "acme" and more["operation"] == "listOrders"
    )


@pytest.mark.parametrize(("which", "lines"), [("none", 0), ("refused", 1), ("all", 2)])
def test_the_policy_says_which_requests_are_written(which: str, lines: int) -> None:
    write, log = log_of(which, [0.0])
    write([event(), event("allow", status=200)])
    assert len(log.lines) == lines


def test_a_flood_is_told_by_its_number() -> None:
    now = [0.0]
    write, log = log_of("refused", now)
    write([event() for _ in range(LINES_PER_S + 30)])
    assert len(log.lines) == LINES_PER_S
    now[0] = 1.0
    write([event(count=7)])
    assert log.lines[-2] == ("requests were left out of this log; the events have them", {"requests": 30})
    assert log.lines[-1][1]["count"] == 7


def test_callers_words_drive_no_terminal_and_begin_no_line() -> None:
    write, log = log_of("refused", [0.0])
    write([event(path="/a\x1b[2J\nlevel=error")])
    assert log.lines[0][0].startswith("refused 429 GET /a\\x1b[2J\\x0alevel=error")


def log_stream() -> Unfailing:
    """Where `open_log` has its lines written."""
    return structlog.get_config()["logger_factory"]._file


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_form_of_the_lines(form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(LogSection(format=form))  # type: ignore[arg-type]
    log.info("refused", request_id="r")
    log_stream().drain(5)
    line = capsys.readouterr().err.strip()
    if form == "json":
        assert json.loads(line)["request_id"] == "r"
    else:
        assert "request_id=r" in line and not line.startswith("{")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_field_of_a_line_begins_another(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = open_log(LogSection(format=form))  # type: ignore[arg-type]
    log.info("refused\nforged", reason="x\nforged\x1b[2J", number=3)
    log_stream().drain(5)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "\x1b[2J" not in said


def test_a_reader_that_has_stopped_holds_nobody_up() -> None:
    """A pipe that is full: lines wait, then are lost and counted, and writing goes on when it is read again.
    Nobody reads before all are written: one write that waited would wait for good."""
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        log = Unfailing(stream)
        for _ in range(LINES_MAX + 500):
            log.write("x" * 200 + "\n")
        assert log.lost >= 1
        got: list[bytes] = []
        reading = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(reader, 1 << 20), b"")))
        reading.start()
        log.drain(patient(20))
    reading.join(patient(20))
    os.close(reader)
    assert b"could not be written" in b"".join(got)
