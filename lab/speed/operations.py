"""Section `operations`: what being observed costs a request, how soon a gate is ready, and whether reloads, restarts and
backups are felt by those who call it meanwhile.

The load is begun at a steady pace, whatever became of the requests before, on kept-alive connections: a client that waits
for slow answers would hide them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from lab.speed import servers
from lab.speed.figures import Advance, Section, quantile
from lab.speed.gateway import _upstream
from lab.speed.settings import GET_TARGET, Installed, install
from sallygate.model.decision import ALLOW
from sallygate.model.exchange import Exchange
from sallygate.net.sockets import connect_control
from sallygate.parsing.http.head import HeadReader
from sallygate.telemetry.metrics import Metrics

ROUNDS = 5
OBSERVED = 50_000
PER_S = 500
SECONDS = 6
RELOADS = 5
EVENTS_BYTES = 1_000_000_000
STEPS = 6
OBSERVE_US, READY_S, BACKUP_RATIO = 3.0, 1.5, 2.0


def run(directory: Path, advance: Advance) -> Section:
    section, directory = Section("operations"), directory / "operations"
    directory.mkdir(parents=True)
    section.add("metrics of a request", "µs", [_observe_us() for _ in range(ROUNDS)], OBSERVE_US)
    advance("operations, metrics")
    with ExitStack() as stack:
        upstream, port = _upstream(section, directory, stack), servers.free_port()
        more = f"upstream: http://127.0.0.1:{upstream}\nlisten: {{https: 127.0.0.1:{port}}}\n"
        gate = _Gate(install(directory / "policy", more), port, directory / "gateway.log")
        try:
            gate.start().stop()  # compiles the patterns
            section.add("start to ready, warm", "s", [gate.start().stop() for _ in range(ROUNDS)], READY_S)
            advance("operations, starts")
            _lives(section, gate)
            advance("operations, restarts")
            _backup(section, gate, directory, advance)
        finally:
            gate.close()
    return section


def _observe_us() -> float:
    """All that telling of itself adds to a passed request: the number of those under way, the time of admission, the
    question for a trace, the counts."""
    head = HeadReader().read(
        method="GET", scheme="https", raw_path=b"/things", raw_query=b"", headers=((b"host", b"a"),),
        http_version="1.1", peer="192.0.2.1", request_id="0" * 32, now=1.8e9,
    )  # fmt: skip
    metrics, exchange = Metrics(), Exchange(head, ALLOW, 200, took_us=1500, admit_us=60, gate_us=120)
    observe, under_way, traces = metrics.observe, 0, None
    began = time.perf_counter()
    for _ in range(OBSERVED):
        under_way += 1
        time.perf_counter_ns() // 1000
        if traces is not None:
            raise AssertionError
        try:
            observe(exchange)
        finally:
            under_way -= 1
    spent = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(OBSERVED):
        pass
    return (spent - (time.perf_counter() - began)) / OBSERVED * 1e6


class _Gate:
    """A gateway on a socket that is ours, as systemd would hold it."""

    def __init__(self, installed: Installed, port: int, log: Path) -> None:
        self.installed, self.port, self._log = installed, port, log
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.process: subprocess.Popen[bytes] | None = None
        self.took_s = 0.0

    def start(self) -> _Gate:
        take = (
            "import os,sys; os.dup2(int(sys.argv[1]),3); os.environ.update(LISTEN_FDS='1',LISTEN_PID=str(os.getpid()));"
        )
        take += "os.execv(sys.executable,[sys.executable,'-m','sallygate','up',sys.argv[2]])"
        number, began = self._listener.fileno(), time.monotonic()
        with self._log.open("ab") as stream:
            self.process = subprocess.Popen([sys.executable, "-c", take, str(number), str(self.installed.policy)],
                                            pass_fds=(number,), stdout=stream, stderr=stream)  # fmt: skip
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > began + 30:
                raise RuntimeError(f"the gateway did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.005)
        self.took_s = time.monotonic() - began
        return self

    def _ready(self) -> bool:
        client = connect_control(self.installed.state / "control.sock")
        if client is None:
            return False
        with client:
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return b" 200 " in client.recv(4096)

    def stop(self) -> float:
        """How long its start took."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
        return self.took_s

    def close(self) -> None:
        self.stop()
        self._listener.close()


class _Load:
    """`PER_S` requests a second, begun on time."""

    def __init__(self, gate: _Gate, per_s: int = PER_S) -> None:
        self._url, self._headers = (
            f"https://127.0.0.1:{gate.port}{GET_TARGET}",
            {"X-API-Key": gate.installed.keys["wide"]},
        )
        self._context = ssl.create_default_context(cafile=str(gate.installed.state / "certificates" / "ca.pem"))
        self._per_s = per_s
        self.got: Counter[Any] = Counter()
        self.took: list[float] = []

    async def run(self, seconds: float) -> None:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=200)
        async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
            began = time.monotonic()
            for number in range(int(seconds * self._per_s)):
                await asyncio.sleep(max(0.0, began + number / self._per_s - time.monotonic()))
                group.create_task(self._one(client))

    async def _one(self, client: aiohttp.ClientSession) -> None:
        began = time.monotonic()
        try:
            async with client.get(self._url, headers=self._headers) as answer:
                await answer.read()
                self.got[answer.status] += 1
        except (aiohttp.ClientError, OSError) as error:
            self.got[type(error).__name__] += 1
        self.took.append(time.monotonic() - began)

    @property
    def failed(self) -> int:
        return sum(count for what, count in self.got.items() if what != 200)


def _during(load: _Load, seconds: float, act: Callable[[], None]) -> _Load:
    """The load, with `act` done in its midst."""

    async def both() -> None:
        task = asyncio.create_task(load.run(seconds))
        await asyncio.sleep(1.0)
        await asyncio.to_thread(act)
        await task

    asyncio.run(both())
    return load


def _lives(section: Section, gate: _Gate) -> None:
    gate.start()

    def reload() -> None:
        assert gate.process is not None
        for _ in range(RELOADS):
            gate.process.send_signal(signal.SIGHUP)
            time.sleep(0.5)

    def restart() -> None:
        gate.stop()
        gate.start()

    for name, act in (("reloads", reload), ("a restart", restart)):
        load = _during(_Load(gate), SECONDS, act)
        note = "" if not load.failed else str(dict(load.got))
        section.add(f"failed of {PER_S}/s during {name}", "requests", [float(load.failed)], 0.0, note=note)


def _backup(section: Section, gate: _Gate, directory: Path, advance: Advance) -> None:
    """p99 while a gigabyte of events is copied, as a multiple of before."""
    hour = datetime.fromtimestamp(time.time() - 7200, UTC)
    _fill(gate.installed.state / "events" / f"{hour:%Y-%m-%dT%H}.db")  # not so old that the gate removes it
    ratios, seconds = [], []
    for number in range(3):
        before = _Load(gate, PER_S // 2)
        asyncio.run(before.run(SECONDS))
        target, took = directory / f"backup-{number}", []

        def back_up(target: Path = target, took: list[float] = took) -> None:
            began = time.monotonic()
            command = [sys.executable, "-m", "sallygate", "backup", str(target), "--policy", str(gate.installed.policy)]
            subprocess.run(command, check=True, capture_output=True)
            took.append(time.monotonic() - began)

        with _copying(back_up) as copying:
            during = _Load(gate, PER_S // 2)
            asyncio.run(during.run(SECONDS))
            copying()
        ratios.append(quantile(sorted(during.took), 0.99) / quantile(sorted(before.took), 0.99))
        seconds += took
        advance(f"operations, backup {number + 1} of 3")
    section.add("p99 before", "ms", [quantile(sorted(before.took), 0.99) * 1000])
    section.add("p99 during a backup of 1 GB", "× of before", ratios, BACKUP_RATIO)
    section.add("a backup of 1 GB", "s", seconds)


@contextmanager
def _copying(back_up: Callable[[], None]):  # type: ignore[no-untyped-def]
    thread = threading.Thread(target=back_up)
    thread.start()
    yield thread.join


def _fill(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, at REAL, decision TEXT, principal TEXT, record BLOB)"
        )
        rows = ((None, 0.0, "allow", "", os.urandom(100_000)) for _ in range(EVENTS_BYTES // 100_000))
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
