"""Commands `sallygate secrets`: list and rotate the pepper and the signing keys while the gate runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyOption,
    StateOption,
    actor,
    moment,
    opened,
    out,
    plainly,
    print_json,
)

if TYPE_CHECKING:
    from sallygate.admin.secrets import Secrets

app = typer.Typer(help="The pepper and the signing keys: list, rotate, retire.", no_args_is_help=True)
Name = Literal["pepper", "signing", "assertion"]
NameArgument = Annotated[Name, typer.Argument(help="`pepper` (of API keys), `signing` (of tokens), or `assertion`.")]


@contextmanager
def _secrets(policy: Path, state_dir: Path | None) -> Iterator[Secrets]:
    from sallygate.admin.secrets import Secrets

    with opened(policy, state_dir) as (installation, store):
        yield Secrets(installation, store, actor())


@app.command("list")
@plainly
def list_(
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the secrets and their uses, without the secrets themselves.

    Example: sallygate secrets list
    """
    with _secrets(policy, state_dir) as admin:
        found = admin.all()
    if json:
        print_json(found)
        return
    table = Table("secret", "id", "made", "state")
    for one in found:
        table.add_row(one.name, one.id, moment(one.made_at or None), one.state)
    out.print(table)


@app.command()
@plainly
def rotate(
    name: NameArgument,
    now: Annotated[
        bool, typer.Option("--now", help="Retire the old key at once: everything that it signed ends.")
    ] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Create a new secret; the old one still counts, so nothing stops working.

    A new signing key is published at once and signs ten minutes later. Keys made under a former pepper count until it
    is retired.

    Example: sallygate secrets rotate signing
    """
    with _secrets(policy, state_dir) as admin:
        said = admin.rotate(name, at_once=now)
    if json:
        print_json({"secret": name, "detail": said})
    else:
        out.print(said, highlight=False, soft_wrap=True)


@app.command()
@plainly
def retire(
    name: NameArgument,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke API keys under former peppers.")] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Remove former secrets. Refused while API keys under a former pepper still work.

    Example: sallygate secrets retire pepper
    """
    with _secrets(policy, state_dir) as admin:
        said = admin.retire(name, revoke=revoke)
    if json:
        print_json({"secret": name, "detail": said})
    else:
        out.print(said, highlight=False, soft_wrap=True)
