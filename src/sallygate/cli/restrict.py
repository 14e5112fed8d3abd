"""`sallygate restrict`: blocks made by hand. Each has a reason and an end, and can be lifted."""

from __future__ import annotations

import time
from typing import Annotated, cast

import typer
from rich.table import Column, Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyOption,
    StateOption,
    administration,
    duration,
    moment,
    out,
    plainly,
    print_json,
    print_record,
)
from sallygate.model.restriction import Act, Restriction, ScopeKind

app = typer.Typer(help="Restrictions: add, list, show, lift.", no_args_is_help=True)


@app.command()
@plainly
def add(
    reason: Annotated[str, typer.Option(help="Why, for whoever comes next.")],
    for_: Annotated[str, typer.Option("--for", help="How long, 2h.")] = "1h",
    address: Annotated[str | None, typer.Option(help="A client address.")] = None,
    prefix: Annotated[str | None, typer.Option(help="A prefix, 203.0.113.0/24.")] = None,
    key: Annotated[str | None, typer.Option(help="A key's id.")] = None,
    account: Annotated[str | None, typer.Option(help="An account.")] = None,
    operation: Annotated[str | None, typer.Option(help="An operationId.")] = None,
    act: Annotated[str, typer.Option(help="deny, or throttle to --rate.")] = "deny",
    rate: Annotated[str, typer.Option(help="What a throttle leaves, 1/s burst 1; shared by all it covers.")] = "",
    wide: Annotated[bool, typer.Option("--wide", help="Confirm a prefix that covers very much.")] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Block or throttle, at once and for a while. Several scopes must all match.

    Example: sallygate restrict add --address 203.0.113.7 --for 2h --reason "scraping prices"
    """
    if act not in ("deny", "throttle"):
        raise ValueError(f"--act is deny or throttle, not {act!r}")
    given = {"address": address, "prefix": prefix, "key": key, "account": account, "operation": operation}
    scope = cast("dict[ScopeKind, str]", {kind: value for kind, value in given.items() if value is not None})
    with administration(policy, state_dir) as (admin, loaded):
        if operation is not None and loaded is not None and loaded.operations:
            known = {found.id for found in loaded.operations}
            if loaded.policy.auth is not None:
                from sallygate.auth.routes import auth_operations

                known |= {found.id for found in auth_operations(loaded.policy.auth)}
            if operation not in known:
                raise ValueError(f"the contract has no operation {operation!r}; it has: {', '.join(sorted(known))}")
        made = admin.restrict(scope, cast("Act", act), reason, duration(for_), rate, wide=wide)
    if json:
        print_json(_record(made))
    else:
        out.print(f"restriction {made.id} is in force until {moment(made.expires_at)}", highlight=False)
        if address is not None and ":" in address:
            out.print("one subscriber has a whole /64 of IPv6: consider --prefix instead", style="yellow")


@app.command("list")
@plainly
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the restrictions in force.

    Example: sallygate restrict list --all
    """
    with administration(policy, state_dir) as (admin, _):
        found = admin.restrictions(ended=all_)
    if json:
        print_json([_record(restriction) for restriction in found])
        return
    table = Table(Column("id", no_wrap=True), "scope", "act", "reason", "by", "until", "state")
    for one in found:
        act = f"{one.act} {one.rate}".strip()
        table.add_row(one.id, _scope(one), act, one.reason, one.creator, moment(one.expires_at), _state(one))
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
    with administration(policy, state_dir) as (admin, _):
        record = _record(admin.restriction(restriction))
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
    with administration(policy, state_dir) as (admin, _):
        lifted = admin.lift(restriction)
    if json:
        print_json(_record(lifted))
    else:
        out.print(f"restriction {lifted.id} is {_state(lifted)}", highlight=False)


def _scope(restriction: Restriction) -> str:
    return ", ".join(f"{kind} {value}" for kind, value in restriction.scope)


def _state(restriction: Restriction) -> str:
    if restriction.lifted_at is not None:
        return f"lifted by {restriction.lifted_by}"
    return "in force" if restriction.active(time.time()) else "expired"


def _record(one: Restriction) -> dict[str, object]:
    return {
        "id": one.id, "scope": dict(one.scope), "act": one.act, "rate": one.rate, "reason": one.reason,
        "creator": one.creator, "created_at": one.created_at, "expires_at": one.expires_at,
        "lifted_at": one.lifted_at, "lifted_by": one.lifted_by, "state": _state(one),
    }  # fmt: skip
