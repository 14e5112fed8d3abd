"""What of the counters is kept over a restart: penalties and quotas, and nothing of callers who are free again."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from sallygate.runtime.runtime import Runtime
from support import write_policy


def test_a_flood_of_addresses_is_not_written_down_but_penalties_and_quotas_are(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, "limits: {address: 1000/s burst 1000}")

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        await runtime.start()
        tables, now = runtime.state.tables, runtime.now() - 5
        for number in range(500):
            tables["address"].take(f"192.0.2.{number}", now, 1)
        tables["address"].take("198.51.100.1", now, 20_000)
        tables["plan:small:hour"].take("acme", now, 7)
        await runtime.stop()

    asyncio.run(run())
    with sqlite3.connect(policy.parent / "state" / "sallygate.db") as database:
        kept = {(name, subject) for name, subject in database.execute("SELECT name, subject FROM counters")}
    assert kept == {("address", "198.51.100.1"), ("plan:small:hour", "acme")}
