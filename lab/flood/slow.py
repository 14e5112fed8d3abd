"""Slow senders and slow readers: slowhttptest, from Debian, beside honest callers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lab.flood import scenes, settings
from lab.speed.servers import Missing

SECONDS = 20
CONNECTIONS = 1000
KINDS = {
    "headers": ["-H", "-i", "5", "-x", "24", "-t", "GET"],
    "body": ["-B", "-i", "5", "-x", "10", "-s", "40", "-t", "POST", "-f", "application/json"],
    "read": ["-X", "-n", "5", "-w", "512", "-y", "1024", "-z", "32", "-k", "1", "-t", "GET"],
}
TARGETS = {"headers": "/news", "body": "/comments", "read": "/export"}


@dataclass(frozen=True)
class Slow:
    kind: str
    connections: int
    """As many as slowhttptest had open at once."""
    requests: int
    failed: int
    p99_ms: float
    p99_before_ms: float


def run(kind: str, directory: Path) -> Slow:
    """Raises `Missing` without slowhttptest."""
    tool = shutil.which("slowhttptest")
    if tool is None:
        raise Missing("slowhttptest is not installed: apt-get install slowhttptest")
    with scenes.gate(directory) as (installed, server, port, _):
        begin = time.monotonic() + 2.0
        before_s, end = 6.0, begin + 6.0 + SECONDS + 2.0
        honest = scenes.start(
            scenes.plan(port, settings.loyal(installed.loyal), [f"198.51.{n}.9" for n in range(20)], scenes.LOYAL_PER_S,
                        begin, end, keep=True, seed=4)
        )  # fmt: skip
        time.sleep(before_s + 2.0)
        command = [tool, *KINDS[kind], "-c", str(CONNECTIONS), "-r", "250", "-l", str(SECONDS), "-p", "3",
                   "-u", server.url + TARGETS[kind]]  # fmt: skip
        said = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 30, check=False).stdout
        rows = json.loads(honest.communicate(timeout=60)[0])["rows"]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    opened = max((int(number) for number in re.findall(r"connected:\s+(\d+)", plain)), default=0)
    during = [row for row in rows if row[0] >= begin + before_s]
    return Slow(kind, opened, len(during), sum(1 for row in during if row[2] != 200), _p99_ms(during),
                _p99_ms([row for row in rows if begin + 2 <= row[0] < begin + before_s]))  # fmt: skip


def _p99_ms(rows: list[tuple[float, float, int, str]]) -> float:
    took = sorted(row[1] for row in rows)
    return took[min(len(took) - 1, int(len(took) * 0.99))] * 1e3 if took else float("inf")
