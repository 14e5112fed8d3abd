"""Requests begun at a steady pace on kept-alive connections, whatever became of those before: one program for honest
callers and for floods. A JSON document of what to do comes on standard input; what happened leaves on standard output.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from typing import Any

TICK_S = 0.004
CONNECTIONS_MAX = 1500
"""Of one program: bounds its descriptors, and what waits for answers."""
GIVE_UP_S = 8.0
"""An answer that takes longer is none."""


class Connection(asyncio.Protocol):
    """One kept-alive connection: one request at a time."""

    def __init__(self, wire: Wire, source: str) -> None:
        self.wire, self.source = wire, source
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.sent_at = 0.0
        self.kind = ""
        self.busy = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, kind: str, data: bytes, now: float) -> None:
        self.kind, self.sent_at, self.busy, self.buffer = kind, now, True, b""
        assert self.transport is not None
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self.buffer = buffer
            return
        at = buffer.find(b"content-length: ", 0, end)
        length = int(buffer[at + 16 : buffer.find(b"\r", at)]) if at >= 0 else 0
        if len(buffer) < end + 4 + length:
            self.buffer = buffer
            return
        self.buffer = b""
        if self.busy:
            self.busy = False
            self.wire.answered(self, int(buffer[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self.busy:
            self.busy = False
            self.wire.answered(self, 0)
        self.wire.lost(self)


class Wire:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.host, self.port = "127.0.0.1", plan["port"]
        self.keep = plan["keep"]
        """Every request, or counts by second alone."""
        self.free: dict[str, list[Connection]] = {}
        self.count: Counter[str] = Counter()
        self.by_s: dict[int, Counter[str]] = {}
        self.rows: list[tuple[float, float, int, str]] = []
        self.open = 0
        self.opening: set[asyncio.Task[None]] = set()
        self.waiting: set[Connection] = set()

    def answered(self, connection: Connection, status: int) -> None:
        now = time.monotonic()
        self.waiting.discard(connection)
        if self.keep:
            self.rows.append((connection.sent_at, now - connection.sent_at, status, connection.kind))
        else:
            self.by_s.setdefault(int(connection.sent_at), Counter())[f"{connection.kind} {status}"] += 1
        if status and connection.transport is not None and not connection.transport.is_closing():
            self.free.setdefault(connection.source, []).append(connection)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        waiting = self.free.get(connection.source, [])
        if connection in waiting:
            waiting.remove(connection)

    def begin(self, source: str, kind: str, data: bytes) -> None:
        """On a free connection from `source` (an address of this machine; empty: any), or on a new one."""
        self.count["begun"] += 1
        free = self.free.get(source)
        if free:
            connection = free.pop()
            self.waiting.add(connection)
            connection.send(kind, data, time.monotonic())
        elif self.open >= CONNECTIONS_MAX:
            self.count["no connection"] += 1
        else:
            self.open += 1
            task = asyncio.ensure_future(self.connect(source, kind, data, time.monotonic()))
            self.opening.add(task)
            task.add_done_callback(self.opening.discard)

    async def connect(self, source: str, kind: str, data: bytes, begun: float) -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(self, source)
        try:
            local = (source, 0) if source else None
            await loop.create_connection(lambda: connection, self.host, self.port, local_addr=local)
        except OSError:
            self.open -= 1
            connection.sent_at, connection.kind = begun, kind
            self.answered(connection, 0)
            return
        self.waiting.add(connection)
        connection.send(kind, data, begun)

    async def run(self) -> None:
        """From `begin` until `end`, at `per_s`, of the shots in turn."""
        rng = random.Random(self.plan["seed"])
        shots = [(shot["source"], shot["kind"], shot["data"].encode(), shot["weight"]) for shot in self.plan["shots"]]
        weights = [shot[3] for shot in shots]
        addresses = [address.encode() for address in self.plan["addresses"]]
        begin, end, per_s = self.plan["begin"], self.plan["end"], self.plan["per_s"]
        await asyncio.sleep(max(0.0, begin - time.monotonic()))
        due, chosen = 0, []
        while (now := time.monotonic()) < end:
            wanted = int((now - begin) * per_s)
            while due < wanted:
                due += 1
                if not chosen:
                    chosen = rng.choices(shots, weights, k=512)
                source, kind, data, _ = chosen.pop()
                self.begin(source, kind, data.replace(b"@", rng.choice(addresses)) if addresses else data)
            self.give_up(now)
            await asyncio.sleep(TICK_S)
        deadline = time.monotonic() + GIVE_UP_S
        while (self.waiting or self.opening) and time.monotonic() < deadline:  # noqa: ASYNC110  # of many things
            await asyncio.sleep(0.05)
        for connection in list(self.waiting):
            connection.busy = False
            self.answered(connection, 0)

    def give_up(self, now: float) -> None:
        for connection in [one for one in self.waiting if now - one.sent_at > GIVE_UP_S]:
            if connection.transport is not None:
                connection.transport.abort()
            self.waiting.discard(connection)


async def main() -> None:
    plan = json.loads(sys.stdin.readline())
    wire = Wire(plan)
    used = time.process_time()
    await wire.run()
    print(json.dumps({"rows": wire.rows, "by_s": {second: dict(counts) for second, counts in wire.by_s.items()},
                      "count": dict(wire.count), "cpu_s": time.process_time() - used}), flush=True)  # fmt: skip


if __name__ == "__main__":
    import uvloop

    socket.setdefaulttimeout(10)
    uvloop.run(main())
