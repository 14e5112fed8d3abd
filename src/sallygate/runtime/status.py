"""Status of a running gate: whether it is ready, and everything `sallygate status` shows, gathered from its parts."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from sallygate.policy.load import Loaded
from sallygate.policy.modes import not_enforced
from sallygate.security.state_directory import Installation
from sallygate.services.clock import Clock
from sallygate.services.event_sinks import EventSinks
from sallygate.services.failures import Failures
from sallygate.services.feeds.schedule import FeedSources
from sallygate.services.issuer_keys import Issuers
from sallygate.services.load_watch import LoadWatch
from sallygate.services.network_files import NetworkFiles
from sallygate.services.reporting import Reporting
from sallygate.services.store_sync import StoreSync
from sallygate.state.state import State
from sallygate.stores.events import EventLog
from sallygate.telemetry.log import Unfailing
from sallygate.telemetry.status import Check, EventsState, Status, StoreState
from sallygate.version import __version__

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
        self.act_taken_over = 0
        """Number of the last administrative act that holds here."""
        self.draining = False
        """Whether it is stopping."""

    def reloaded(self, now: float) -> None:
        """Record a policy that was put in force at time `now`."""
        self.policy_at = now
        self.reloads += 1
        self.last_refusal = ""

    def refused(self, why: str) -> None:
        """Record a policy that was not put in force, with the reason."""
        self.reloads_refused += 1
        self.last_refusal = why


@dataclass(frozen=True)
class Parts:
    """What a status is gathered from."""

    installation: Installation
    clock: Clock
    state: State
    events: EventLog
    life: Life
    sync: StoreSync
    issuers: Issuers
    feeds: FeedSources
    network: NetworkFiles
    load: LoadWatch
    reporting: Reporting
    failures: Failures
    sinks: EventSinks


async def gather_status(parts: Parts, loaded: Loaded, under_way: int) -> Status:
    """Read on the loop, but for what asks the file system. `loaded` is the policy in force, `under_way` the number of
    requests that have begun and not ended."""
    now, state, events, life = parts.clock.now(), parts.state, parts.events, parts.life
    store_ok = now - life.store_read_at < STORE_S_MAX and parts.sync.in_place
    upstreams = tuple(await parts.reporting.upstreams())
    issuers, feeds = tuple(parts.issuers.states()), parts.feeds.states()
    checks = [
        Check("policy", True, life.last_refusal and f"a later policy was refused: {life.last_refusal.splitlines()[0]}"),
        Check("store", store_ok, "" if store_ok else "the database cannot be read, or was replaced; see the log"),
        Check("events", True, _events_said(events)),
    ]
    if upstreams:
        some = any(upstream.healthy for upstream in upstreams)
        checks.append(Check("upstream", some, "" if some else "no upstream takes connections"))
    for issuer in issuers:
        if not issuer.keys or issuer.failing:
            why = f"{issuer.name}: {'its keys cannot be renewed' if issuer.keys else 'there are no keys of it'}"
            checks.append(Check("issuer", True, f"{why}: {issuer.said or 'it was not asked yet'}"))
    checks += [Check("feed", True, f"{feed.name}: {feed.said}") for feed in feeds if feed.said]
    if life.draining:
        checks.append(Check("draining", False, "is stopping"))
    database, log, flood = parts.installation.database, parts.installation.events, loaded.policy.flood
    database_bytes, events_bytes = await asyncio.to_thread(lambda: (_bytes(database), _bytes_below(log)))
    return Status(
        version=__version__, pid=os.getpid(), shell=loaded.shell, ready=all(check.ok for check in checks),
        draining=life.draining, checks=tuple(checks), started_at=life.started_at, policy=loaded.hash,
        policy_file=str(loaded.file), policy_at=life.policy_at, reloads=life.reloads,
        reloads_refused=life.reloads_refused, listeners=tuple(parts.reporting.listeners), upstreams=upstreams,
        stores=(
            StoreState("state", str(database), database_bytes, store_ok, life.store_read_at),
            StoreState("events", str(log), events_bytes, not events.failing, now),
        ),
        events=EventsState(events.waiting, loaded.policy.events.queue, events.written, events.dropped,
                           events.queue.sampled_away, events.failing, events.removed),
        under_way=under_way, credentials=len(state.credentials), restrictions=len(state.restrictions.all),
        counters={name: len(table.subjects()) for name, table in state.tables.items()},
        failures=dict(parts.failures.counts), sinks_lost=parts.sinks.lost,
        clock_jumps=parts.clock.jumps, log_lines_lost=Unfailing.lost_in_all,
        memory_bytes=_resident_bytes(), api=loaded.policy.api, not_enforced=not_enforced(loaded.policy),
        issuers=issuers, feeds=feeds,
        geography=parts.network.states(),
        act_taken_over=life.act_taken_over,
        flood=parts.load.state(flood) if flood.mode != "off" or flood.shedding.mode != "off" else None,
    )  # fmt: skip


def _events_said(events: EventLog) -> str:
    if events.failing:
        return "events cannot be written; see the log"
    return f"{events.removed} written events are gone with their file; see the log" if events.removed else ""


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
