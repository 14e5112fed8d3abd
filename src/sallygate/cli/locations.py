"""Commands `sallygate locations`: known and admitted locations (`new_location` of the plan)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyOption,
    StateOption,
    actor,
    load,
    moment,
    opened,
    out,
    plainly,
    print_json,
)

if TYPE_CHECKING:
    from sallygate.admin.locations import Locations

app = typer.Typer(help="Known networks of callers: list, admit, forget.", no_args_is_help=True)
PrincipalArgument = Annotated[str, typer.Argument(help="A key's id, an account, or a principal as in events: jwt:….")]
WhereArgument = Annotated[str, typer.Argument(help="A network, 203.0.113.0/24, or an address in it.")]


@contextmanager
def locations(policy: Path, state_dir: Path | None) -> Iterator[Locations]:
    """Context manager: operators' acts on locations, on an opened store that is closed at the end."""
    from sallygate.admin.locations import Locations

    with opened(policy, state_dir) as (_, store):
        yield Locations(store, actor())


@app.command("list")
@plainly
def list_(
    principal: Annotated[str | None, typer.Option(help="Only this caller's.")] = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the known networks of callers, and whether they are admitted.

    Example: sallygate locations list --principal alice
    """
    from msgspec import to_builtins

    from sallygate.services.network_files import databases_of, geography_of, packaged_database

    with opened(policy, state_dir) as (_, store):
        from sallygate.admin.locations import Locations

        admin = Locations(store, actor())
        known_networks = admin.all(admin.principal(principal) if principal else None)
    loaded = load(policy, state_dir)
    geography = geography_of(databases_of(loaded) if loaded is not None else [packaged_database()])
    origins = [geography.of(one.network.partition("/")[0]) for one in known_networks]
    if json:
        print_json([{**to_builtins(one), "country": origin.country, "asn": origin.asn}
                    for one, origin in zip(known_networks, origins, strict=True)])  # fmt: skip
        return
    table = Table(Column("caller", no_wrap=True), Column("network", no_wrap=True), "where", "state", "first seen",
                  "admitted by")  # fmt: skip
    colours = {"verified": "green", "seen": "yellow", "forgotten": "red"}
    for one, origin in zip(known_networks, origins, strict=True):
        where = " ".join((origin.country, f"AS{origin.asn}" if origin.asn else "")).strip()
        table.add_row(escape(one.principal), one.network, where, f"[{colours[one.state]}]{one.state}[/]",
                      moment(one.first_at), escape(one.by))  # fmt: skip
    out.print(table if known_networks else "no known networks; plans with `new_location` record them")


@app.command()
@plainly
def admit(
    principal: PrincipalArgument,
    where: WhereArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Admit a caller from a network; a running gate applies it within 300 ms.

    Example: sallygate locations admit 4KcVbW0R2ZqT 203.0.113.0/24
    """
    with locations(policy, state_dir) as admin:
        one = admin.admit(admin.principal(principal), where)
    if json:
        print_json(one)
    else:
        out.print(f"{one.principal} is admitted from {one.network}", highlight=False)


@app.command()
@plainly
def forget(
    principal: PrincipalArgument,
    where: WhereArgument,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Remove a known network: it must be verified again.

    Example: sallygate locations forget 4KcVbW0R2ZqT 203.0.113.7
    """
    with locations(policy, state_dir) as admin:
        one = admin.forget(admin.principal(principal), where)
    if json:
        print_json(one)
    else:
        out.print(f"{one.principal} is no longer admitted from {one.network}", highlight=False)
