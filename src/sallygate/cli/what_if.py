"""Command `sallygate check --against`: compares a policy's decisions with recorded decisions."""

from __future__ import annotations

import time
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import STATE, USAGE, bytes_progress, duration, err, fail, lines, out, print_json
from sallygate.offline.what_if import Comparison, FromEvents, compare_events, compare_recorded

CHANGES_SHOWN = 50


def compare(policy: Path, against: str, since: str, old: Path | None, state_dir: Path | None, *, json: bool) -> None:
    """Print what `policy` would decide differently from what `against` has."""
    if against == "events":
        if old is not None:
            raise ValueError("--old goes with a file; events have their decisions")
        found = _against_events(policy, since, state_dir)
    else:
        found = _against_file(policy, Path(against), old, state_dir)
    if json:
        print_json({"requests": found.requests, "changed": found.changed, "newly_refused": found.newly_refused,
                    "newly_allowed": found.newly_allowed, "unreadable": found.unreadable,
                    "changes": found.changes()})  # fmt: skip
        return
    _print(found)


def _against_events(policy: Path, since: str, state_dir: Path | None) -> Comparison:
    from sallygate.policy.load import load_policy
    from sallygate.security.state_directory import Installation
    from sallygate.services.injection_patterns import offline_prefilter
    from sallygate.stores.events import read_events
    from sallygate.stores.sqlite.store import SqliteStore

    loaded = load_policy(policy, "replay")
    directory = state_dir or loaded.state_dir
    if not (directory / "sallygate.db").is_file():
        fail(f"{directory}: has no events; name the installation's with --state-dir, or a file", STATE)
    begun = time.time() - duration(since)
    store = SqliteStore(directory / "sallygate.db", read_only=True)
    try:
        judged = FromEvents(
            loaded,
            store.credentials(),
            offline_prefilter(loaded, directory),
            begun,
            store.accounts(),
            Installation(directory, create=False),
        )
    finally:
        store.close()
    comparison = Comparison()
    with err.status("deciding"):
        compare_events(read_events(directory / "events", begun), judged, comparison)
    return comparison


def _against_file(policy: Path, file: Path, old: Path | None, state_dir: Path | None) -> Comparison:
    from sallygate.offline.decide import Offline
    from sallygate.offline.replay import open_recorded
    from sallygate.offline.time_order import lines_in_time

    if not file.is_file():
        fail(f"{file}: there is no such file; --against takes `events` or a file of recorded requests", USAGE)
    new, before = Offline(policy, state_dir), Offline(old, state_dir) if old is not None else None
    comparison = Comparison()
    with open_recorded(file) as (plain, raw), bytes_progress("deciding", file.stat().st_size) as done:
        for line in lines_in_time(plain, lambda _: None):
            if line.request is None:
                comparison.unreadable += 1
            else:
                compare_recorded(line.request, line.record, new, before, line.number, comparison)
            if line.number % 256 == 0:
                done(raw.tell())
    return comparison


def _print(found: Comparison) -> None:
    changes = found.changes()
    if changes:
        table = Table("requests", "operation", "who", "was", "would be", "for example")
        for one in changes[:CHANGES_SHOWN]:
            colour = "green" if one.would_be == "allow" else "red"
            table.add_row(f"{one.requests:,}", escape(one.operation), escape(one.principal), escape(one.was),
                          f"[{colour}]{escape(one.would_be)}[/{colour}]", lines(one.examples))  # fmt: skip
        out.print(table)
        if len(changes) > CHANGES_SHOWN:
            out.print(f"and {len(changes) - CHANGES_SHOWN} more; --json has all", highlight=False)
    out.print(
        f"{found.changed:,} of {found.requests:,} requests would be decided differently: "
        f"{found.newly_refused:,} refused that were not, {found.newly_allowed:,} allowed that were not",
        highlight=False,
    )
    if found.unreadable:
        err.print(f"{found.unreadable} lines could not be read", style="red")
