"""Recordings are decided by time: rates and quotas count forwards, whatever the order of the lines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from sallygate.offline import time_order
from sallygate.offline.decide import Offline
from sallygate.offline.replay import replay
from sallygate.offline.time_order import lines_in_time
from support import write_policy

AT = 1_790_000_000.0


def recording(*times: float | None) -> io.BytesIO:
    lines = [{"url": "/status"} | ({"time": at} if at is not None else {}) for at in times]
    return io.BytesIO(b"\n".join(json.dumps(line).encode() for line in lines) + b"\n")


def order(source: io.BytesIO) -> list[int]:
    return [line.number for line in lines_in_time(source, lambda _: None)]


def test_lines_come_by_time_and_alike_ones_as_written() -> None:
    assert order(recording(AT + 2, AT, AT + 1, AT)) == [2, 4, 3, 1]
    assert order(recording(None, AT + 1, None, AT, None)) == [1, 4, 5, 2, 3]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"url":1}', b"\xff", b"[" * 5000, b'{"url":"/","time":"soon"}'])
def test_lines_that_are_none_are_named_in_words_of_the_format(text: bytes) -> None:
    (line,) = lines_in_time(io.BytesIO(b"\n" + text + b"\n"), lambda _: None)
    assert line.request is None and line.error.startswith("line 2: ")
    assert "byte" not in line.error and "recursion" not in line.error.lower()


def test_a_line_from_before_what_was_decided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_order, "LINES_HELD", 3)
    lines = list(lines_in_time(recording(*[AT + n for n in (1, 0, 3, 2, 5, 4, 0, 6)]), lambda _: None))
    assert [line.number for line in lines if line.request is not None] == [2, 1, 4, 3, 6, 5, 8]
    (late,) = [line for line in lines if line.request is None]
    assert late.number == 7 and late.error.endswith("sort the recording by time")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path, "identity: none\nplans: {}\noperations: {}\nlimits: {address: 1/s burst 2}\n")


@pytest.mark.parametrize("times", [range(20), range(19, -1, -1), [n ^ 1 for n in range(20)]])
def test_no_order_of_lines_invents_a_limit(policy: Path, times: Any) -> None:
    """Twenty requests at one a second are within a rate of one a second."""
    summary = replay(Offline(policy), recording(*[AT + n for n in times]), None, lambda _: None)
    assert summary.decisions == {"allow": 20}, summary.reasons
