"""Progress of compiling: lines with an estimate where there is no terminal, and more time from systemd."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sallygate.telemetry.compilation import TITLE, Compilation


def test_the_rest_is_estimated_from_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        now, said = [100.0], []
        with Compilation(lambda line, **values: said.append((line, values)), lambda: now[0]) as progress:
            progress.tick()
            now[0] = 102.0
            progress.reached(0.2)
            for _ in range(85):
                now[0] += 0.1
                progress.tick()
        assert said == [
            (TITLE, {}),
            (TITLE, {"left_s": 8}),
            (TITLE, {"left_s": 0}),
            ("the patterns of injection are compiled", {"took_s": 10.5}),
        ]
        systemd.setblocking(False)
        assert systemd.recv(1000).startswith(b"EXTEND_TIMEOUT_USEC=30000000\n")


def test_waiting_for_another_process_is_said_once() -> None:
    said: list[str] = []
    with Compilation(lambda line, **_: said.append(line)) as progress:
        progress.waiting()
        progress.waiting()
    assert len([line for line in said if line.startswith("waiting")]) == 1
