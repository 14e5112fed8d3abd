"""Commands `sallygate backup`, `restore`, `erase` and `doctor`: care of an installation's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import asdict
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    NO,
    USAGE,
    JsonOption,
    PolicyArgument,
    PolicyOption,
    StateOption,
    actor,
    err,
    fail,
    moment,
    named_policy,
    out,
    plainly,
    print_json,
    state_directory,
)

_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}
UNDONE_SHOWN = 20


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what)
        yield lambda name, done, total: progress.update(task, description=f"{what} {name}", completed=done, total=total)


@plainly
def backup(
    target: Annotated[Path, typer.Argument(help="A new directory to write to.")],
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Copy the state (keys, restrictions, counters, events, secrets) while the gate runs.

    The copy holds the secrets: keep it like them. The policy and its contract are yours, and not in it.

    Example: sallygate backup backups/monday
    """
    from sallygate.admin.backup import back_up, give_way
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.files import SqliteFiles

    installation = Installation(state_directory(policy, state_dir), create=False)
    give_way()
    with installation.held(alone=False), _progress("copying") as advance:
        manifest = back_up(installation, SqliteFiles(), target, advance)
    if json:
        print_json({"backup": str(target), "manifest": manifest})
        return
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    out.print(f"{target}: {len(manifest.files)} files, {size / 1e6:,.1f} MB, schema {manifest.schema}", highlight=False)
    if not manifest.pepper:
        out.print("the copy lacks the pepper of SALLYGATE_PEPPER_FILE; without the pepper no key works", style="yellow")


@plainly
def restore(
    source: Annotated[Path, typer.Argument(help="A directory that `sallygate backup` wrote.")],
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Replace the state by a backup. Refused while a gate runs; the replaced state is kept.

    What happened since the backup is undone: a key revoked after it works again. Those acts are listed.

    Example: sallygate restore backups/monday
    """
    from sallygate.admin.backup import restore as put_back
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.files import SqliteFiles

    done = put_back(Installation(state_directory(policy, state_dir)), SqliteFiles(), source)
    if json:
        print_json(done)
        return
    out.print(f"restored the backup of {moment(done.manifest.at)}, made by {done.manifest.version}", highlight=False)
    if done.kept:
        out.print(f"the replaced state is in {done.kept}", highlight=False, soft_wrap=True)
    if done.undone:
        err.print(
            f"acts since then are undone ({len(done.undone)}); do them again where they still hold:", style="yellow"
        )
        for act in done.undone[-UNDONE_SHOWN:]:
            err.print(
                f"  {moment(act.at)} {act.act} {act.subject} by {act.actor} {act.note}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


@plainly
def erase(
    principal: Annotated[str, typer.Option(help="An account, a key's id, or an address.")],
    keep_keys: Annotated[
        bool, typer.Option("--keep-keys", help="Erase the history of an account that continues.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Erase one person's data from events and database, permanently. An audit event stays.

    A running gate goes on. Backups and logs kept elsewhere are not reached.

    Example: sallygate erase --principal alice
    """
    from sallygate.admin.erase import erase as take_out
    from sallygate.security.state_directory import Installation
    from sallygate.stores.sqlite.erasing import SqlitePersonRecords

    installation = Installation(state_directory(policy, state_dir), create=False)
    if not principal.strip():
        raise ValueError("--principal is an account, a key's id, or an address")
    if not yes and not typer.confirm(
        f"Erase everything kept of {principal!r} in {installation.directory}? It cannot be undone"
    ):
        fail("nothing was erased", USAGE)
    with (
        installation.held(alone=False),
        closing(SqlitePersonRecords(installation.database)) as records,
        _progress("erasing from") as advance,
    ):
        done = take_out(installation, records, principal, actor(), keep_keys=keep_keys,
                        advance=lambda number, total: advance("", number, total))  # fmt: skip
    counts = {"events": done.events, **asdict(done.erased)}
    if json:
        print_json({"record": done.record, **counts, "copies": done.copies})
        return
    names = {"credentials": "keys", "access": "codes, sign-ins and places", "acts": "acts made nameless"}
    parts = {names.get(name, name): count for name, count in counts.items()}
    what = ", ".join(f"{name}: {count}" for name, count in parts.items())
    word = "erased" if done.events or any(parts.values()) else f"nothing is kept of {principal!r}"
    out.print(f"{word}; {what}; on record as {done.record}", highlight=False)
    for copy in done.copies:
        out.print(
            f"a copy from before is still there: {copy}; remove it", style="yellow", highlight=False, soft_wrap=True
        )


@plainly
def doctor(
    policy_file: PolicyArgument = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Check installation, policy, state, clock, certificates and permissions; say how to correct each fault.

    Example: sallygate doctor

    Exit code 1 when something is wrong.
    """
    from sallygate.offline.doctor import examine
    from sallygate.stores.sqlite.files import SqliteFiles

    found = list(examine(named_policy(policy_file, policy), state_dir, SqliteFiles()))
    wrong = sum(one.verdict == "wrong" for one in found)
    if json:
        print_json({"ok": not wrong, "found": found})
    else:
        table = Table("", "what", "found", "what to do", title="doctor", title_justify="left")
        for one in found:
            colour = _COLOURS[one.verdict]
            table.add_row(f"[{colour}]{one.verdict}[/{colour}]", one.what, escape(one.said), escape(one.cure))
        out.print(table)
        word = f"[red]wrong: {wrong}[/red]" if wrong else "[green]nothing is wrong[/green]"
        out.print(word, highlight=False)
    if wrong:
        raise typer.Exit(NO)
