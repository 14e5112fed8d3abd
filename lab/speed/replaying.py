"""Section `replay`: recorded requests a second through `sallygate replay`, with identity, limits and contract on."""

from __future__ import annotations

import io
import json
from pathlib import Path

from lab.speed.figures import Advance, Section
from lab.speed.settings import POST_BODY, install
from sallygate.offline.decide import Offline
from sallygate.offline.replay import replay

ROUNDS = 3
LINES = 30_000
STEPS = ROUNDS
PER_S = 5000.0


def recorded(key: str) -> bytes:
    """Half GET, half POST, over all operations and many addresses; one in twenty is refused."""
    lines = []
    for n in range(LINES):
        headers = {"Host": "api.example", "User-Agent": "python-httpx/0.28", "Accept": "application/json",
                   "X-API-Key": key}  # fmt: skip
        if n % 20 == 19:
            del headers["X-API-Key"]
        record: dict[str, object] = {"client": f"192.0.{n % 200}.{n % 250}", "headers": headers, "label": "honest"}
        if n % 2:
            headers["Content-Type"] = "application/json"
            record |= {"method": "POST", "url": f"/things{n % 100}", "body": POST_BODY.decode()}
        else:
            record |= {"method": "GET", "url": f"/things{n % 100}/{n + 1}?limit=10&sort=asc"}
        lines.append(json.dumps(record))
    return ("\n".join(lines) + "\n").encode()


def run(directory: Path, advance: Advance) -> Section:
    section = Section("replay")
    installed = install(directory / "replay")
    source = recorded(installed.keys["wide"])
    rates, medians = [], []
    for number in range(ROUNDS):
        out = io.BytesIO()
        summary = replay(Offline(installed.policy), io.BytesIO(source), out.write, lambda _: None)
        assert summary.requests == LINES and summary.decisions["allow"] == LINES * 19 // 20
        rates.append(summary.requests / summary.seconds)
        medians.append(summary.quantile_us(0.5))
        advance(f"replay, round {number + 1} of {ROUNDS}")
    section.add("requests replayed, one core", "1/s", rates, PER_S, better="at least")
    section.add("a decision within it, median", "µs", medians)
    return section
