"""Section `memory`: resident size while a million addresses and 100,000 keys pass through Guard.

`python -m lab.speed.memory DIRECTORY` is the process that is measured: it prints one line of JSON a sample.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.speed.figures import Advance, Section

REQUESTS = 1_000_000
KEYS = 100_000
SAMPLES = 20
WARM_UP = 6
"""Samples until every table is full: 300,000 requests, three times what the address tables hold."""
STEPS = SAMPLES
GROWTH = 1.10
PATH = b"/things57/12"
_HEADERS = [(b"host", b"api.example"), (b"user-agent", b"python-httpx/0.28"), (b"accept", b"application/json")]


def run(directory: Path, advance: Advance) -> Section:
    section = Section("memory")
    command = [sys.executable, "-m", "lab.speed.memory", str(directory / "memory")]
    sizes: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sample = json.loads(line)
            if sample["requests"]:
                sizes.append(sample["rss_mb"])
                advance(f"memory, {sample['requests']:,} requests, {sample['rss_mb']:.0f} MB")
            else:
                section.add("resident before the first request, keys loaded", "MB", [sample["rss_mb"]])
    if process.returncode or len(sizes) != SAMPLES:
        raise RuntimeError("the measured process failed")
    settled = sizes[WARM_UP - 1 :]
    section.add("largest over smallest after warm-up", "×", [max(settled) / min(settled)], GROWTH)
    section.add("resident after a million requests", "MB", [sizes[-1]])
    section.notes.append("Samples every 50,000 requests, MB: " + ", ".join(f"{size:.0f}" for size in sizes))
    return section


# in the measured process ----------------------------------------------------------------------------------------------


def rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def address(number: int) -> str:
    """A million of them, each another one."""
    return f"{11 + (number >> 16) % 100}.{number >> 8 & 255}.{number & 255}.9"


def make_keys(policy: Path) -> list[str]:
    """100,000 keys, each of an account of its own, in one transaction."""
    from sallygate.model.event import Event, Location
    from sallygate.model.principal import Credential
    from sallygate.parsing.http.credentials import KEY_ID_CHARS
    from sallygate.security.key_ring import KeyRing, base62
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.store import SqliteStore

    installation = Installation(policy.parent / ".sallygate")
    ring, store = KeyRing(installation.pepper()), SqliteStore(installation.database)
    texts, credentials = [], []
    for number in range(KEYS):
        key_id = base62(number.to_bytes(8, "big"), KEY_ID_CHARS)
        text = ring.compose(key_id, number.to_bytes(32, "big"))
        texts.append(text)
        credentials.append(Credential(key_id, ring.digest_of(text), f"account-{number}", "wide", None, 0.0))
    made = Event(
        at=0.0, request_id="0" * 32, trace_id="", decision="allow", status=0, method="", path="",
        client_address="", location=Location(""), kind="audit",
    )  # fmt: skip
    store.put_credentials(credentials, made)
    store.close()
    return texts


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"items":[{"id":"a1"},{"id":"a2"}]}'})


def scopes(keys: list[str]) -> Iterator[dict[str, Any]]:
    for number in range(REQUESTS):
        yield {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https",
            "path": "/things57/12", "raw_path": PATH, "query_string": b"limit=10&sort=asc",
            "headers": [*_HEADERS, (b"x-api-key", keys[number * 7919 % KEYS].encode())],
            "client": (address(number), 1), "server": ("127.0.0.1", 443), "root_path": "",
        }  # fmt: skip


async def measured(directory: Path) -> None:
    import sallygate
    from lab.speed.settings import install

    installed = install(directory)
    keys = make_keys(installed.policy)
    guard = sallygate.Guard(_app, policy=installed.policy)
    await guard.runtime.start()
    gc.collect()
    print(json.dumps({"requests": 0, "rss_mb": rss_mb()}), flush=True)
    statuses: dict[int, int] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if (status := message.get("status")) is not None:
            statuses[status] = statuses.get(status, 0) + 1

    for number, scope in enumerate(scopes(keys), 1):
        await guard(scope, receive, send)
        if number % 50 == 0:
            await asyncio.sleep(0)
        if number % (REQUESTS // SAMPLES) == 0:
            print(json.dumps({"requests": number, "rss_mb": rss_mb()}), flush=True)
    await guard.runtime.stop()
    if statuses != {200: REQUESTS}:
        raise SystemExit(f"answers: {statuses}")


if __name__ == "__main__":
    asyncio.run(measured(Path(sys.argv[1])))
