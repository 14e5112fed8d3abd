"""How a running gate is: whether it is ready, and everything `sallygate status` shows, gathered from its parts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sallygate.telemetry.log import Unfailing
from sallygate.telemetry.status import Check, EventsState, Status, StoreState
from sallygate.version import __version__

if TYPE_CHECKING:
    from sallygate.runtime.runtime import Runtime

STORE_S_MAX = 5.0
"""Without a good reading of the store for so long it is not ready: it is read ten times a second."""


class Life:
    """What happened to a gate since its start. Seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.started_at = now
        self.policy_at = now
        self.store_read_at = now
        self.reloads = 0
        self.reloads_refused = 0
        self.last_refusal = ""
        """Why the policy file's present content is not in force; empty when it is."""

    def reloaded(self, now: float) -> None:
        self.policy_at = now
        self.reloads += 1
        self.last_refusal = ""

    def refused(self, why: str) -> None:
        self.reloads_refused += 1
        self.last_refusal = why


async def status_of(runtime: Runtime) -> Status:
    """Read on the loop, but for what asks the file system."""
    now, state, events = runtime.clock.now(), runtime.state, runtime.events
    loaded, life = runtime.loaded, runtime.life
    upstreams = tuple(await runtime.reporting.upstreams())
    store_ok = now - life.store_read_at < STORE_S_MAX and runtime.database_in_place
    checks = [
        Check("policy", True, life.last_refusal and f"a later policy was refused: {life.last_refusal.splitlines()[0]}"),
        Check("store", store_ok, "" if store_ok else "the database cannot be read, or was replaced; see the log"),
        Check("events", True, "events cannot be written; see the log" if events.failing else ""),
    ]
    if upstreams:
        some = any(upstream.healthy for upstream in upstreams)
        checks.append(Check("upstream", some, "" if some else "no upstream takes connections"))
    issuers = tuple(runtime.issuers.states())
    for issuer in issuers:
        if not issuer.keys or issuer.failing:
            why = f"{issuer.name}: {'its keys cannot be renewed' if issuer.keys else 'there are no keys of it'}"
            checks.append(Check("issuer", True, f"{why}: {issuer.said or 'it was not asked yet'}"))
    feeds = runtime.feeds.states()
    checks += [Check("feed", True, f"{feed.name}: {feed.said}") for feed in feeds if feed.said]
    if runtime.draining:
        checks.append(Check("draining", False, "is stopping"))
    database, log = runtime.installation.database, runtime.installation.events
    database_bytes, events_bytes = await asyncio.to_thread(lambda: (_bytes(database), _bytes_below(log)))
    return Status(
        version=__version__, pid=os.getpid(), door=loaded.door, ready=all(check.ok for check in checks),
        draining=runtime.draining, checks=tuple(checks), started_at=life.started_at, policy=loaded.hash,
        policy_file=str(loaded.file), policy_at=life.policy_at, reloads=life.reloads,
        reloads_refused=life.reloads_refused, listeners=tuple(runtime.reporting.listeners), upstreams=upstreams,
        stores=(
            StoreState("state", str(database), database_bytes, store_ok, life.store_read_at),
            StoreState("events", str(log), events_bytes, not events.failing, now),
        ),
        events=EventsState(events.waiting, loaded.policy.events.queue, events.written, events.dropped,
                           events.sampled_away, events.failing),
        under_way=runtime.under_way, credentials=len(state.credentials), restrictions=len(state.restrictions.all),
        counters={name: len(table.subjects()) for name, table in state.tables.items()},
        failures=dict(runtime.failures), clock_jumps=runtime.clock.jumps, log_lines_lost=Unfailing.lost_in_all,
        memory_bytes=_resident_bytes(), issuers=issuers, feeds=feeds,
        geography=runtime.network.states(), flood=runtime.flooding.state(),
    )  # fmt: skip


def _bytes(file: Path) -> int:
    parts = (file, file.with_name(file.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def _bytes_below(directory: Path) -> int:
    try:
        with os.scandir(directory) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0  # not Linux
