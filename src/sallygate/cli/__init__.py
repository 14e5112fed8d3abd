"""Command line: one module for each group of commands, and `terminal` for what they share.

Exit codes: 0 done; 1 the answer is no (a policy with errors, a request that would be refused); 2 the command was
called wrongly; 3 the installation could not be read or written.
"""

from __future__ import annotations

import typer

from sallygate.cli import accounts, feeds, init, keys, locations, policy, profile, secrets, status, tune
from sallygate.cli import decisions as look
from sallygate.cli import maintenance as state
from sallygate.cli import restrictions as restrict
from sallygate.cli import serve as run
from sallygate.version import __version__

app = typer.Typer(
    name="sallygate",
    help="Protection for API endpoints: one policy file, every decision explained.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.demo)
app.command()(run.up)
app.command()(status.status)
app.command()(init.init)
app.command()(policy.check)
app.command()(policy.diff)
app.command()(policy.schema)
app.command()(policy.patterns)
app.command()(look.explain)
app.command()(look.replay)
app.command()(look.events)
app.command()(tune.tune)
app.command()(profile.profile)
app.command()(state.backup)
app.command()(state.restore)
app.command()(state.erase)
app.command()(state.doctor)
app.add_typer(accounts.app, name="accounts")
app.add_typer(feeds.app, name="feeds")
app.add_typer(keys.app, name="keys")
app.add_typer(locations.app, name="locations")
app.add_typer(restrict.app, name="restrict")
app.add_typer(secrets.app, name="secrets")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sallygate {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Protection for API endpoints: one policy file, every decision explained."""


def main() -> None:
    """Entry point of the program `sallygate`."""
    app()
