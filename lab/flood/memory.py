"""Resident size while a million sources, each refused, pass through Guard: every table that counts sources is full.

`python -m lab.flood.memory DIRECTORY` is the process that is measured: it prints one line of JSON a sample.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.flood import settings
from lab.speed.memory import rss_mb

SOURCES = 1_000_000
BOXED_EVERY = 4
"""250,000 in all: the box is full after 400,000 sources."""
SAMPLES = 10
BOUND_MB = 400
"""What the tables may hold when full (100,000 sources in each of five, some 15 MB apiece), the caches of addresses, and
what Python keeps of what it freed; on top of a gate with nothing in memory."""


@dataclass(frozen=True)
class Memory:
    before_mb: float
    sizes_mb: list[float]

    @property
    def added_mb(self) -> float:
        return max(self.sizes_mb) - self.before_mb

    @property
    def good(self) -> bool:
        settled = self.sizes_mb[len(self.sizes_mb) // 2 :]
        return self.added_mb <= BOUND_MB and max(settled) <= 1.1 * min(settled)


def run(directory: Path) -> Memory:
    command = [sys.executable, "-m", "lab.flood.memory", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    samples = [json.loads(line)["rss_mb"] for line in done.stdout.splitlines()]
    return Memory(samples[0], samples[1:])


# in the measured process ----------------------------------------------------------------------------------------------


async def _measured(directory: Path) -> None:
    from sallygate.runtime.in_process import Guard

    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody gets here")

    async def send(message: Any) -> None:
        pass

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    # Two refusals are enough for the box, so that it fills too.
    installed = settings.install(
        directory, "log: {requests: none, level: error}\nflood: {penalty: {refusals: 1/h burst 1}}\n"
    )
    guard = Guard(application, installed.policy)
    await guard._start()
    print(json.dumps({"rss_mb": rss_mb()}), flush=True)
    headers = [(b"host", b"api.example"), (b"user-agent", b"x"), (b"x-forwarded-proto", b"https")]
    for number in range(SOURCES):
        address = f"{100 + (number >> 18)}.{number >> 12 & 63}.{number >> 6 & 63}.{number & 63}"
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/nothing",
            "raw_path": b"/nothing", "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
            "headers": [*headers, (b"x-forwarded-for", address.encode())], "root_path": "",
        }  # fmt: skip
        for _ in range(1 if number % BOXED_EVERY else 2):
            await guard(scope, receive, send)
        if (number + 1) % (SOURCES // SAMPLES) == 0:
            await asyncio.sleep(0.2)
            print(json.dumps({"rss_mb": rss_mb()}), flush=True)
        elif number % 20 == 0:
            await asyncio.sleep(0)  # a gate that is late turns away at the door, and counts nobody
    await guard.runtime.stop()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_measured(Path(sys.argv[1]) / "policy"))
