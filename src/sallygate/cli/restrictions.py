"""Commands `sallygate restrict`: restrictions by hand. Each has a reason and an end, and can be lifted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.markup import escape
from rich.table import Column, Table

from sallygate.admin.restrictions import described
from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyOption,
    StateOption,
    administration,
    duration,
    err,
    gate_runs,
    load,
    moment,
    out,
    plainly,
    print_json,
    print_record,
    state_directory,
)
from sallygate.model.restriction import Act, Restriction, ScopeKind

if TYPE_CHECKING:
    from sallygate.admin.restriction_preview import Impact
    from sallygate.policy.load import Loaded

ONE = "<str>"
"""Read as a list, so that a second one is refused."""

app = typer.Typer(help="Restrictions: add, list, show, lift, history.", no_args_is_help=True)


@app.command()
@plainly
def add(
    reason: Annotated[str, typer.Option(help="Reason, for other operators.")],
    for_: Annotated[str, typer.Option("--for", help="Duration, 2h.")] = "1h",
    address: Annotated[list[str] | None, typer.Option(metavar=ONE, help="A client address.")] = None,
    prefix: Annotated[list[str] | None, typer.Option(metavar=ONE, help="A prefix, 203.0.113.0/24.")] = None,
    asn: Annotated[list[str] | None, typer.Option(metavar=ONE, help="A network's number, AS64496.")] = None,
    country: Annotated[list[str] | None, typer.Option(metavar=ONE, help="A country code of ISO 3166-1, DE.")] = None,
    continent: Annotated[list[str] | None, typer.Option(metavar=ONE, help="AF, AN, AS, EU, NA, OC or SA.")] = None,
    key: Annotated[list[str] | None, typer.Option(metavar=ONE, help="A key's id.")] = None,
    account: Annotated[list[str] | None, typer.Option(metavar=ONE, help="An account.")] = None,
    operation: Annotated[list[str] | None, typer.Option(metavar=ONE, help="An operationId.")] = None,
    methods: Annotated[str, typer.Option(help="Only these methods, POST,PUT; GET means HEAD too.")] = "",
    act: Annotated[
        str,
        typer.Option(help="deny; terminate, which also cuts what is under way; challenge; or throttle to --rate."),
    ] = "deny",
    rate: Annotated[str, typer.Option(help="What a throttle leaves, 1/s burst 1; shared by all it covers.")] = "",
    wide: Annotated[bool, typer.Option("--wide", help="Confirm one that covers very much.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make nothing; show what of the last hour it would have met.")
    ] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Block, challenge or throttle, at once and for a while. Several scopes must all match.

    Example: sallygate restrict add --country BR --methods POST,PUT --for 2h --reason "flood of orders" --dry-run
    """
    given: dict[ScopeKind, list[str] | None] = {
        "address": address, "prefix": prefix, "asn": asn, "country": country, "continent": continent, "key": key,
        "account": account, "operation": operation,
    }  # fmt: skip
    scope = _scope(given)
    named = tuple(method.strip() for method in methods.split(",") if method.strip())
    loaded = load(policy, state_dir)
    with administration(policy, state_dir) as admin:
        if "operation" in scope:
            _check_operation(scope["operation"], loaded)
        if dry_run:
            draft = admin.draft(scope, cast("Act", act), reason, duration(for_), rate, named)
            _show_impact(_impact(policy, state_dir, loaded)([draft]), json=json)
            return
        impact = None if {"address", "key", "account"} & scope.keys() else _impact(policy, state_dir, loaded)
        made = admin.restrict(scope, cast("Act", act), reason, duration(for_), rate, named, wide=wide, impact=impact)
    runs = gate_runs(policy, state_dir)
    if json:
        print_json({**_record(made), "gate_runs": runs})
        return
    word = "is in force" if runs else "is written"
    out.print(f"restriction {made.id} {word} until {moment(made.expires_at)}", highlight=False)
    if ":" in scope.get("address", ""):
        out.print("one subscriber has a whole /64 of IPv6: consider --prefix instead", style="yellow")
    if (
        loaded is not None
        and loaded.policy.network is not None
        and loaded.policy.network.allow
        and made.by_location_alone
    ):
        out.print("addresses in the policy's `network.allow` still pass", style="yellow")


def _scope(given: Mapping[ScopeKind, list[str] | None]) -> dict[ScopeKind, str]:
    """Of each kind one: the last of several would be restricted, and the others not, without a word."""
    for kind, values in given.items():
        if values and len(values) > 1:
            raise ValueError(f"--{kind} is given {len(values)} times; make a restriction for each")
    return {kind: values[0] for kind, values in given.items() if values}


def _check_operation(operation: str, loaded: Loaded | None) -> None:
    if loaded is None or not loaded.operations:
        return
    known = {found.id for found in loaded.operations}
    if loaded.policy.auth is not None:
        from sallygate.auth.routes import auth_operations

        known |= {found.id for found in auth_operations(loaded.policy.auth)}
    if operation not in known:
        raise ValueError(f"the contract has no operation {operation!r}; it has: {', '.join(sorted(known))}")


def _impact(policy: Path, state_dir: Path | None, loaded: Loaded | None) -> Callable[[list[Restriction]], Impact]:
    """What restrictions would have met, asked of the installation's events."""
    from sallygate.admin.restriction_preview import impact_of
    from sallygate.services.network_files import databases_of, geography_of, packaged_database
    from sallygate.state.geography import Geography
    from sallygate.stores.events import EventFiles

    events = EventFiles(state_directory(policy, state_dir) / "events")
    databases = databases_of(loaded) if loaded is not None else [packaged_database()]
    geography: Geography = geography_of(databases)

    def look(restrictions: list[Restriction]) -> Impact:
        with err.status("reading the last hour"):
            return impact_of(restrictions, events, geography, time.time())

    return look


def _show_impact(impact: Impact, *, json: bool) -> None:
    if json:
        print_json(impact)
        return
    if not impact.requests:
        out.print("there is no traffic of the last hour to tell from", style="yellow")
        return
    since = f"since {moment(impact.since)}"
    out.print(
        f"{since} it would have met {impact.requests_met:,} of {impact.requests:,} requests, and "
        f"{impact.callers_met:,} of the {impact.callers:,} callers that were served ({impact.share:.1%})",
        highlight=False,
    )
    if impact.most:
        table = Table("caller", "country", Column("requests", justify="right"))
        for one in impact.most:
            table.add_row(escape(one.caller), one.country, f"{one.requests:,}")
        out.print(table)


@app.command("list")
@plainly
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Include ended ones.")] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the restrictions in force.

    Example: sallygate restrict list --all
    """
    with administration(policy, state_dir) as admin:
        found, hits = admin.restrictions(ended=all_), admin.hits()
    if json:
        print_json([_record(restriction, hits) for restriction in found])
        return
    table = Table(
        Column("id", no_wrap=True), "scope", "act", Column("hits", justify="right"), "reason", "by", "until", "state"
    )
    for one in found:
        act = f"{one.act} {one.rate}".strip()
        table.add_row(one.id, escape(described(one)), act, f"{hits.get(one.id, 0):,}", escape(one.reason),
                      escape(one.creator), moment(one.expires_at), escape(_state(one)))  # fmt: skip
    out.print(table if found else "no restrictions in force")


@app.command()
@plainly
def show(
    restriction: Annotated[str, typer.Argument(help="The restriction's id.")],
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show one restriction.

    Example: sallygate restrict show 1f0c9a2e
    """
    with administration(policy, state_dir) as admin:
        record = _record(admin.restriction(restriction), admin.hits())
    print_record(record, json)


@app.command()
@plainly
def lift(
    restriction: Annotated[str, typer.Argument(help="The restriction's id.")],
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """End a restriction now.

    Example: sallygate restrict lift 1f0c9a2e
    """
    with administration(policy, state_dir) as admin:
        lifted = admin.lift(restriction)
    if json:
        print_json(_record(lifted))
    else:
        out.print(f"restriction {lifted.id} is {_state(lifted)}", highlight=False)


@app.command()
@plainly
def history(
    since: Annotated[str, typer.Option(help="Time to look back, 7d.")] = "7d",
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show the acts on restrictions, with actor and reason.

    Example: sallygate restrict history --since 30d
    """
    with administration(policy, state_dir) as admin:
        acts = admin.history(time.time() - duration(since))
    if json:
        print_json([{"at": one.at, "act": one.act, "restriction": one.subject, "by": one.actor, "note": one.note}
                    for one in acts])  # fmt: skip
        return
    table = Table("at", "act", Column("restriction", no_wrap=True), "by", "what")
    for one in acts:
        table.add_row(moment(one.at), one.act.removeprefix("restriction."), escape(one.subject), escape(one.actor),
                      escape(one.note))  # fmt: skip
    out.print(table if acts else "no acts on restrictions in this time")


def _state(restriction: Restriction) -> str:
    if restriction.lifted_at is not None:
        return f"lifted by {restriction.lifted_by}"
    return "in force" if restriction.active(time.time()) else "expired"


def _record(one: Restriction, hits: Mapping[str, int] | None = None) -> dict[str, object]:
    return {
        "id": one.id, "scope": dict(one.scope), "methods": list(one.methods), "act": one.act, "rate": one.rate,
        "reason": one.reason, "creator": one.creator, "created_at": one.created_at, "expires_at": one.expires_at,
        "lifted_at": one.lifted_at, "lifted_by": one.lifted_by, "state": _state(one),
        "hits": (hits or {}).get(one.id, 0),
    }  # fmt: skip
