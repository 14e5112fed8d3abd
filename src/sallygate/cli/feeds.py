"""Commands `sallygate feeds`: content, age and effect of threat intelligence feeds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from sallygate.cli.status import feed_line
from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    NO,
    STATE,
    USAGE,
    JsonOption,
    PolicyArgument,
    PolicyOption,
    StateOption,
    duration,
    fail,
    find_installation,
    load,
    named_policy,
    out,
    plainly,
    print_json,
    with_policy,
)

if TYPE_CHECKING:
    from sallygate.policy.intelligence import FeedSection
    from sallygate.policy.load import Loaded
    from sallygate.security.state_directory import Installation
    from sallygate.telemetry.status import FeedState

POLL_S = 0.2

app = typer.Typer(help="Threat intelligence: list, check, find, refresh feeds.", no_args_is_help=True)


@app.command("list")
@plainly
def list_(
    policy_file: PolicyArgument = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the policy's feeds with their indicators, age, unused entries and failures.

    Example: sallygate feeds list

    Failures are known of a running gate alone.
    """
    installation, loaded, sections = _opened(named_policy(policy_file, policy), state_dir)
    found = _states(installation, loaded, sections)
    if json:
        print_json(found)
        return
    if not found:
        out.print("the policy names no feeds; write `network: {intelligence: […]}`", highlight=False)
    for one in found:
        print_feed(one)


def print_feed(one: FeedState) -> None:
    """Print one feed's state: a line, and its error if there is one."""
    out.print(f"[bold]{escape(one.name)}[/bold]  {feed_line(one)}", highlight=False, soft_wrap=True)
    if one.said:
        out.print(
            f"  {one.said}", style="red" if one.failing else "yellow", markup=False, highlight=False, soft_wrap=True
        )
    if one.bad:
        where = "; ".join(one.bad_said)
        out.print(
            f"  {one.bad:,} of {one.read:,} cannot be read: {where}", markup=False, highlight=False, soft_wrap=True
        )
    for reason, count in sorted(one.unused.items(), key=lambda pair: -pair[1]):
        out.print(f"  {count:,} not used: {reason}", markup=False, highlight=False)


@app.command()
@plainly
def check(
    file: Annotated[Path | None, typer.Argument(help="A feed in a file.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="A feed of the policy, fetched from its source.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the file: stix, misp, csv or plain.")] = None,
    column: Annotated[str, typer.Option(help="Column of addresses in a table.")] = "",
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Read a feed and report its coverage, its faults and its unused entries. Changes nothing.

    Example: sallygate feeds check blocklist.txt

    Exit code 1 when it would be refused.
    """
    if (file is None) == (name is None):
        fail("name a file, or a feed of the policy by `--name`", USAGE)
    if file is not None:
        from sallygate.services.feeds.preview import try_file

        found = try_file(file, format, column)
    else:
        from sallygate.services.feeds.preview import try_feed

        _, loaded, sections = _opened(policy, state_dir)
        found = try_feed(_section(sections, name or ""), loaded)
    if json:
        print_json(found)
    else:
        print_feed(found)
        v4, v6 = found.shares
        out.print(f"  covers {v4:.5%} of all public IPv4 addresses, {v6:.5%} of IPv6", highlight=False)
    if found.failing:
        raise typer.Exit(NO)


@app.command()
@plainly
def find(
    arguments: Annotated[
        list[str],
        typer.Argument(help="An IPv4 or IPv6 address. A policy may precede it.", metavar="[POLICY] ADDRESS"),
    ],
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the feeds that name an address, with dates, confidence and act.

    Example: sallygate feeds find 198.51.100.7

    Exit code 0 when one does, 1 when none does.
    """
    from sallygate.parsing.addresses import parse_address
    from sallygate.services.feeds.schedule import load_kept
    from sallygate.state.state import State

    policy, address = with_policy(arguments, policy, "address")
    parsed = parse_address(address)
    if parsed is None:
        fail(f"{address!r} is not an address; write for example 198.51.100.7", USAGE)
    installation, loaded, sections = _opened(policy, state_dir)
    state, now = State(), time.time()
    load_kept(state, loaded, installation)
    acts = {section.name: section for section in sections}
    found = []
    for match in state.feeds.find(parsed, now):
        section = acts[match.feed]
        feed = state.feeds.get(match.feed)
        over = feed is not None and section.is_over_share(feed.compiled.about.shares)
        act = "observe" if over else section.act
        found.append({"feed": match.feed, "indicator": match.indicator, "confidence": match.confidence,
                      "since": match.since, "age_s": max(now - match.since, 0.0), "act": act})  # fmt: skip
    if json:
        print_json(found)
    elif found:
        table = Table(Column("feed", no_wrap=True), "indicator", "confidence", "age", "act")
        for one in found:
            age = f"{float(str(one['age_s'])) / 86400:.1f} d"
            table.add_row(
                escape(str(one["feed"])), escape(str(one["indicator"])), str(one["confidence"]), age, str(one["act"])
            )
        out.print(table)
    else:
        out.print(f"no feed names {parsed.text}", highlight=False)
    if not found:
        raise typer.Exit(NO)


@app.command()
@plainly
def refresh(
    name: Annotated[str | None, typer.Argument(help="One feed; all feeds by default.", show_default=False)] = None,
    wait: Annotated[str, typer.Option(help="Longest wait for the result, 1m; 0s does not wait.")] = "0s",
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Make the running gate fetch a feed, or all feeds, within a few seconds.

    Example: sallygate feeds refresh blocklist --wait 1m

    With `--wait`, exit code 1 when one failed or was not done in time.
    """
    wait_s, began = duration(wait), time.time()
    installation, _, sections = _opened(policy, state_dir)
    wanted = [_section(sections, name)] if name is not None else list(sections)
    for section in wanted:
        mark = installation.feeds / section.name / "refresh"
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.touch(mode=0o600)
    names = {section.name for section in wanted}
    found = [one for one in _waited(installation, names, began, wait_s) if one.name in names] if wait_s else []
    if json:
        print_json(found if wait_s else sorted(names))
    elif not wait_s:
        out.print(f"wanted: {', '.join(sorted(names)) or 'none'}; see `sallygate feeds list`", highlight=False)
    for one in () if json else found:
        print_feed(one)
    if wait_s and any(one.failing or one.tried_at < began for one in found):
        raise typer.Exit(NO)


def _waited(installation: Installation, names: set[str], began: float, wait_s: float) -> tuple[FeedState, ...]:
    """The running gate's feeds, once all of `names` were tried, or the time is over."""
    from sallygate.telemetry.control import ask_status

    while True:
        running = ask_status(installation.control)
        if running is None and installation.is_starting():
            fail(f"the gate on {installation.directory} is starting; try again when it is ready", NO)
        if running is None:
            fail(f"no gate runs on {installation.directory}; `sallygate up` starts one", STATE)
        if missing := names - {one.name for one in running.feeds}:
            fail(
                f"the running gate has no feed {', '.join(sorted(missing))}; its policy is {running.policy_file}", STATE
            )
        left = [one for one in running.feeds if one.name in names and one.tried_at < began]
        if not left or time.time() >= began + wait_s:
            return running.feeds
        time.sleep(POLL_S)


def _opened(policy: Path, state_dir: Path | None) -> tuple[Installation, Loaded, list[FeedSection]]:
    from sallygate.services.feeds.schedule import sections_of

    loaded = load(policy, state_dir)
    if loaded is None:
        fail(f"{state_dir}: there is no policy in it, which names the feeds; give `--policy` instead", USAGE)
    return find_installation(policy, state_dir), loaded, list(sections_of(loaded))


def _section(sections: list[FeedSection], name: str) -> FeedSection:
    found = next((section for section in sections if section.name == name), None)
    if found is None:
        known = ", ".join(section.name for section in sections) or "none"
        fail(f"the policy has no feed {name!r}; known here: {known}", USAGE)
    return found


def _states(installation: Installation, loaded: Loaded, sections: list[FeedSection]) -> list[FeedState]:
    """Of the running gate, where one runs under this policy; otherwise what is kept."""
    from msgspec import ValidationError

    from sallygate.services.feeds.cache import Kept
    from sallygate.services.feeds.schedule import state_of
    from sallygate.telemetry.control import ask_status

    try:
        running = ask_status(installation.control)
    except (OSError, ValidationError):
        running = None
    if running is not None and running.policy == loaded.hash:
        return list(running.feeds)
    found = []
    for section in sections:
        kept = Kept(installation.feeds / section.name, ())
        about = kept.about()
        ours = about is not None and about.source == section.source
        confirmed_at = kept.confirmed_at() if ours else 0.0
        found.append(state_of(section, about if ours else None, confirmed_at, time.time()))
    return found
