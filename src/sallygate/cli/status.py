"""Command `sallygate status`: prints the state of a running gate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    NO,
    STATE,
    JsonOption,
    PolicyArgument,
    PolicyOption,
    StateOption,
    fail,
    moment,
    named_policy,
    out,
    plainly,
    print_json,
    state_directory,
)

if TYPE_CHECKING:
    from sallygate.telemetry.status import FeedState, FloodState, Status

DAY_S = 86400.0
SOON_S = 14 * DAY_S
"""A certificate that ends sooner is shown in yellow."""
TABLES_SHOWN = 8


@plainly
def status(
    policy_file: PolicyArgument = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show the state of the running gate: policy, listeners, certificates, upstreams, stores, queues, losses.

    Example: sallygate status

    Exit code 0 when it is ready, 1 when it is not (or is starting), 3 when none runs.
    """
    from msgspec import ValidationError

    from sallygate.security.state_directory import Installation
    from sallygate.telemetry.control import ask_status

    policy = named_policy(policy_file, policy)
    installation = Installation(state_directory(policy, state_dir), create=False)
    control = installation.control
    try:
        found = ask_status(control)
    except OSError as error:
        fail(f"the running gate does not answer: {error}; the log may say why, `/livez` too", NO)
    except ValidationError as error:
        fail(f"the running gate is of another version: {error}; use its own `sallygate status`", STATE)
    if found is None and installation.is_starting():
        fail(
            f"the gate on {control.parent} is starting; a first start compiles patterns, and its log says how long", NO
        )
    if found is None:
        fail(f"no gate runs on {control.parent}; `sallygate up` starts one", STATE)
    if json:
        print_json(found)
    else:
        print_status(found)
    if not found.ready:
        raise typer.Exit(NO)


def print_status(found: Status) -> None:
    """As a table, for people."""
    word = (
        "[green]ready[/green]" if found.ready else "[red]draining[/red]" if found.draining else "[red]not ready[/red]"
    )
    since = _span(time.time() - found.started_at)
    what = f"sallygate {found.version}, process {found.pid}, up for {since}, {_bytes(found.memory_bytes)}"
    out.print(f"{word}: {what}, {found.under_way} requests under way", highlight=False)
    table = Table("part", "", "is", show_header=False)
    refused = f", {found.reloads_refused} refused since" if found.reloads_refused else ""
    policy = f"in force for {_span(time.time() - found.policy_at)}, {found.reloads} reloads{refused}"
    table.add_row("policy", found.policy, f"{policy}; {escape(found.policy_file)}")
    for mode, names in found.not_enforced.items():
        table.add_row("policy", mode, f"[yellow]{escape(', '.join(names))}[/yellow]")
    for listener in found.listeners:
        table.add_row("listener", f"{listener.name} {listener.address}", _certificate(listener.certificate_until))
    for upstream in found.upstreams:
        healthy = "[green]healthy[/green]" if upstream.healthy else "[red]down[/red]"
        table.add_row(
            "upstream",
            escape(upstream.url),
            f"{healthy}, {upstream.requests:,} requests, {upstream.failures:,} failures to connect",
        )
    for issuer in found.issuers:
        colour = "yellow" if issuer.keys and issuer.failing else "green" if issuer.keys else "red"
        age = f", {_span(time.time() - issuer.fetched_at)} old" if issuer.fetched_at else ""
        table.add_row(
            "issuer",
            escape(issuer.name),
            f"[{colour}]{issuer.keys} keys[/{colour}]{age}, {issuer.failures:,} failures; {escape(issuer.source)}",
        )
    for feed in found.feeds:
        table.add_row("feed", escape(feed.name), feed_line(feed))
    for one in found.geography:
        colour = "yellow" if one.old else "green"
        table.add_row("geography", escape(one.name), f"[{colour}]{_span(time.time() - one.made_at)} old[/{colour}]")
    for store in found.stores:
        table.add_row(
            "store",
            store.name,
            f"{'[green]ok[/green]' if store.ok else '[red]failing[/red]'}, {_bytes(store.bytes)}; {escape(store.file)}",
        )
    events = found.events
    lost = f"[red]{events.dropped:,} lost[/red]" if events.dropped else "0 lost"
    gone = f", [red]{events.removed:,} gone with their file[/red]" if events.removed else ""
    kept = f"{events.written:,} written, {lost}, {events.sampled_away:,} sampled away{gone}"
    table.add_row("queue", "events", f"{events.waiting:,} of {events.queue:,} waiting, {kept}")
    table.add_row("memory", "", f"{found.credentials:,} credentials, {found.restrictions:,} restrictions in force")
    if found.flood is not None:
        _add_flood(table, found.flood)
    largest = sorted(found.counters.items(), key=lambda pair: -pair[1])[:TABLES_SHOWN]
    for name, subjects in largest:
        table.add_row("counters", escape(name), f"{subjects:,} subjects")
    out.print(table)
    for check in found.checks:
        if check.said:
            out.print(
                f"{check.name}: {check.said}", style="yellow" if check.ok else "red", markup=False, highlight=False
            )
    for what, times in sorted(found.failures.items()):
        out.print(f"failed {times:,} times: {what}; the log says why", style="red", markup=False, highlight=False)
    for sink, count in sorted(found.sinks_lost.items()):
        out.print(f"lost to {sink}: {count:,} exchanges", style="red", markup=False, highlight=False)
    if found.clock_jumps or found.log_lines_lost:
        out.print(
            f"{found.clock_jumps} jumps of the clock, {found.log_lines_lost} log lines lost",
            style="yellow",
            highlight=False,
        )


def feed_line(feed: FeedState) -> str:
    """What is in force of a feed, how old it is, and what it does."""
    colour = "red" if not feed.confirmed_at else "yellow" if feed.said else "green"
    age = f", {_span(time.time() - feed.confirmed_at)} old" if feed.confirmed_at else ""
    failed = f", {feed.failures:,} failures" if feed.failures else ""
    return f"[{colour}]{feed.indicators:,} indicators[/{colour}]{age}, {feed.act}{failed}; {escape(feed.source)}"


def _add_flood(table: Table, flood: FloodState) -> None:
    shedding = flood.shedding
    working, waiting = sum(shedding.working.values()), sum(shedding.waiting.values())
    state = f"[red]sheds for {_span(time.time() - shedding.since)}[/red]" if shedding.since else "sheds nothing"
    if shedding.mode != "enforce":
        state = f"[yellow]{shedding.mode}[/yellow]"
    table.add_row("load", "API", f"{working} of {shedding.limit} slots taken, {waiting} waiting; {state}")
    for what, counts in (("shed", shedding.shed), ("would be shed", shedding.would_shed)):
        if counts:
            said = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))
            table.add_row("load", what, escape(said))
    if flood.penalised or flood.overflowed:
        full = f", [red]too full for {flood.overflowed:,} more[/red]" if flood.overflowed else ""
        table.add_row("penalty box", "", f"{flood.penalised:,} of {flood.penalised_max:,} sources{full}")


def _certificate(until: float | None) -> str:
    if until is None:
        return ""
    left = until - time.time()
    colour = "red" if left < 0 else "yellow" if left < SOON_S else "green"
    said = "has expired" if left < 0 else f"expires in {_span(left)}"
    return f"[{colour}]certificate {said}[/{colour}], {moment(until)}"


def _span(seconds: float) -> str:
    for unit, length in (("d", DAY_S), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
