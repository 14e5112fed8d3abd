"""Floods from one, a hundred and ten thousand sources: before, during and after, with honest callers throughout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.flood import settings
from lab.speed import servers
from sallygate.telemetry.control import ask_status

BEFORE_S, FLOOD_S, AFTER_S = 8.0, 16.0, 8.0
FLOOD_PER_S = 5000
"""Fifty times what the API bears."""
LOYAL_PER_S, GUESTS_PER_S = 30, 3
CAPACITY_PER_S = 100
SOURCES = (1, 100, 10_000)
KINDS = ("no key", "stolen keys", "mixture")
SUCCESS, P99_RATIO, RECOVERY_S = 0.999, 2.0, 5.0


@dataclass
class Outcome:
    """What one scene came to."""

    kind: str
    sources: int
    begin: float = 0.0
    loyal: list[tuple[float, float, int, str]] = field(default_factory=list)
    """(sent at, took, status, kind)."""
    guests: list[tuple[float, float, int, str]] = field(default_factory=list)
    flood: Counter[str] = field(default_factory=Counter)
    flood_by_s: dict[int, dict[str, int]] = field(default_factory=dict)
    api: dict[str, Any] = field(default_factory=dict)
    gate: list[dict[str, Any]] = field(default_factory=list)
    gate_cpu_s: float = 0.0
    flood_cpu_s: float = 0.0
    begun: int = 0

    def phase(self, rows: list[tuple[float, float, int, str]], name: str) -> list[tuple[float, float, int, str]]:
        start, end = {
            "before": (self.begin + 2, self.begin + BEFORE_S),  # the first connections are being made until then
            "during": (self.begin + BEFORE_S, self.begin + BEFORE_S + FLOOD_S),
            "after": (self.begin + BEFORE_S + FLOOD_S, float("inf")),
        }[name]
        return [row for row in rows if start <= row[0] < end]

    def success(self, rows: list[tuple[float, float, int, str]], name: str) -> float:
        phase = self.phase(rows, name)
        return sum(1 for row in phase if row[2] == 200) / max(len(phase), 1)

    def p99_ms(self, name: str) -> float:
        took = sorted(row[1] for row in self.phase(self.loyal, name) if row[2] == 200)
        return took[min(len(took) - 1, int(len(took) * 0.99))] * 1e3 if took else float("inf")

    @property
    def recovery_s(self) -> float:
        """From the flood's end to the last honest request that failed or took more than twice as long as before."""
        end = self.begin + BEFORE_S + FLOOD_S
        slow_s = 2 * self.p99_ms("before") / 1e3
        late = [row[0] - end for row in self.phase(self.loyal, "after") + self.phase(self.guests, "after")
                if row[2] != 200 or row[1] > slow_s]  # fmt: skip
        return max(late, default=0.0)

    @property
    def flood_per_s(self) -> float:
        return self.begun / FLOOD_S

    @property
    def good(self) -> bool:
        return (
            self.success(self.loyal, "during") >= SUCCESS
            and self.p99_ms("during") <= P99_RATIO * self.p99_ms("before")
            and self.api["served_most"] <= CAPACITY_PER_S + 1  # a second's edge falls between two answers
            and self.recovery_s <= RECOVERY_S
        )


def _pinned(core: int) -> list[str]:
    """The gate has a core to itself where there are two, and goes before other work of the machine where that may be
    said (by root): what is measured is the flood, not the neighbours."""
    command = ["nice", "-n", "-15"] if os.geteuid() == 0 else []
    taskset = shutil.which("taskset")
    return [*command, taskset, "-c", str(core)] if taskset and (os.cpu_count() or 1) > 1 else command


@contextmanager
def api(port: int) -> Iterator[dict[str, Any]]:
    """Filled with what it bore once it has ended."""
    command = [*_pinned(1), sys.executable, "-m", "lab.flood.api", str(port)]
    process = subprocess.Popen(command, cwd=servers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    bore: dict[str, Any] = {}
    try:
        yield bore
    finally:
        said, _ = process.communicate("", timeout=10)
        bore.update(json.loads(said))


def start(what: dict[str, Any]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*_pinned(1), sys.executable, "-m", "lab.flood.wire"], cwd=servers.ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()
    return process


def plan(port: int, shots: list[dict[str, Any]], addresses: list[str], per_s: float, begin: float, end: float,
          *, keep: bool, seed: int) -> dict[str, Any]:  # fmt: skip
    return {"port": port, "shots": shots, "addresses": addresses, "per_s": per_s, "begin": begin, "end": end,
            "keep": keep, "seed": seed}  # fmt: skip


@contextmanager
def gate(directory: Path, more: str = "") -> Iterator[tuple[settings.Installed, servers.Server, int, dict[str, Any]]]:
    """The API and the gateway before it, each in a process of its own."""
    with ExitStack() as stack:
        upstream, port, https = (servers.free_port() for _ in range(3))
        bore = stack.enter_context(api(upstream))
        installed = settings.install_copy(
            directory,
            f"upstream: http://127.0.0.1:{upstream}\n"
            f"listen: {{https: 127.0.0.1:{https}, http: 127.0.0.1:{port}}}\nlog: {{requests: none}}\n{more}",
        )
        command = [*_pinned(0), sys.executable, "-m", "sallygate", "up", str(installed.policy)]
        server = stack.enter_context(
            servers.running("gate", command, f"https://127.0.0.1:{https}", directory / "gate.log")
        )
        yield installed, server, port, bore


def scene(kind: str, sources: int, directory: Path) -> Outcome:
    """One flood, from quiet to quiet."""
    outcome = Outcome(kind, sources)
    with gate(directory) as (installed, server, port, bore):
        begin = outcome.begin = time.monotonic() + 2.0
        end = begin + BEFORE_S + FLOOD_S + AFTER_S
        local = settings.local_sources(sources) if sources <= 100 else []
        named = [] if local else settings.addresses(sources, sources)
        attack = plan(port, settings.flood(kind, installed.stolen, local), named, FLOOD_PER_S, begin + BEFORE_S,
                       begin + BEFORE_S + FLOOD_S, keep=False, seed=1)  # fmt: skip
        honest = [
            plan(port, settings.loyal(installed.loyal), [f"198.51.{n}.9" for n in range(20)], LOYAL_PER_S, begin, end,
                  keep=True, seed=2),
            plan(port, settings.guests(), [f"203.0.{n}.9" for n in range(20)], GUESTS_PER_S, begin, end,
                  keep=True, seed=3),
        ]  # fmt: skip
        running = [start(attack), *(start(one) for one in honest)]
        used = servers.cpu_s(server.process.pid)
        while time.monotonic() < end:
            time.sleep(1.0)
            outcome.gate.append({"at": time.monotonic() - begin, **_look(installed)})
        outcome.gate_cpu_s = servers.cpu_s(server.process.pid) - used
        said = [json.loads(process.communicate(timeout=60)[0]) for process in running]
        outcome.begun = said[0]["count"]["begun"]
        outcome.flood_cpu_s = said[0]["cpu_s"]
        outcome.flood_by_s = {int(second): counts for second, counts in said[0]["by_s"].items()}
        for counts in outcome.flood_by_s.values():
            outcome.flood.update(counts)
        outcome.flood["no connection"] += said[0]["count"].get("no connection", 0)
        outcome.loyal, outcome.guests = ([tuple(row) for row in one["rows"]] for one in said[1:])
    outcome.api = bore
    return outcome


def _look(installed: settings.Installed) -> dict[str, Any]:
    try:
        found = ask_status(installed.state / "control.sock")
    except OSError:
        found = None
    if found is None or found.flood is None:
        return {}
    shedding = found.flood.shedding
    return {"limit": shedding.limit, "working": sum(shedding.working.values()), "boxed": found.flood.penalised,
            "waiting": sum(shedding.waiting.values()), "shed": sum(shedding.shed.values()),
            "memory_bytes": found.memory_bytes}  # fmt: skip
