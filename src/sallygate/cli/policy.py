"""Commands `sallygate check`, `diff`, `schema` and `patterns`: validate a policy, compare two, describe its fields."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    NO,
    USAGE,
    JsonOption,
    PolicyArgument,
    PolicyOption,
    StateOption,
    err,
    fail,
    named_policy,
    out,
    plainly,
    print_json,
    writable,
)

if TYPE_CHECKING:
    from sallygate.policy.load import Loaded


@plainly
def check(
    policy_file: PolicyArgument = None,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="For `Guard(app, …)`, which needs no upstream.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="`events`, or a file of recorded requests: list the decisions that would change."),
    ] = None,
    since: Annotated[str, typer.Option(help="With `--against events`, the time to look back, 7d.")] = "7d",
    old: Annotated[
        Path | None, typer.Option(help="With a file, the policy to compare with; else the decisions in the file.")
    ] = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Check a policy and its contract, and print errors with their lines; or compare it with recorded decisions.

    Example: sallygate check sallygate.yaml

    Example: sallygate check new.yaml --against events --since 7d

    Exit code 1 when there are errors.
    """
    from sallygate.policy.errors import PolicyError, Problem
    from sallygate.policy.load import load_policy
    from sallygate.policy.modes import not_enforced
    from sallygate.telemetry.exporter import check_telemetry

    policy = named_policy(policy_file, policy)
    try:
        loaded = load_policy(policy, "in_process" if in_process else "gateway")
        check_telemetry(loaded)
        _check_feeds(loaded)
        notes = _compile(loaded)
    except PolicyError as error:
        problems: tuple[Problem, ...] = error.problems
        if json:
            print_json({"ok": False, "problems": problems})
        for problem in () if json else problems:
            err.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(NO) from None
    if against is not None:
        from sallygate.cli.what_if import compare

        compare(policy, against, since, old, state_dir, json=json)
        return
    if json:
        modes = not_enforced(loaded.policy)
        print_json({"ok": True, "policy": loaded.hash, "operations": len(loaded.operations), "notes": notes, **modes})
        return
    _print_checked(loaded, notes)


@plainly
def diff(
    old: Annotated[Path, typer.Argument(help="The old policy.")],
    new: Annotated[Path, typer.Argument(help="The new policy.")],
    json: JsonOption = False,
) -> None:
    """Show the differences of two policies and their contracts, defaults included: stricter or weaker.

    Example: sallygate diff sallygate.yaml new.yaml

    Exit code 1 when they differ.
    """
    from sallygate.offline.policy_diff import differences
    from sallygate.policy.load import load_policy

    found = differences(load_policy(old, "replay"), load_policy(new, "replay"))
    if json:
        print_json({"differences": found})
    elif not found:
        out.print("the two policies are equal")
    else:
        table = Table("field", "old", "new", "", title=f"{old} → {new}", title_justify="left")
        for one in found:
            colour = {"weaker": "red", "tighter": "green", "": "white"}[one.way]
            table.add_row(escape(one.field), escape(one.old), escape(one.new), f"[{colour}]{one.way}[/{colour}]")
        out.print(table)
    if found:
        raise typer.Exit(NO)


def _compile(loaded: Loaded) -> tuple[str, ...]:
    """Build everything the policy asks for, once, so that what cannot be built is found here and not at start."""
    from msgspec.structs import replace

    from sallygate.auth.routes import auth_operations
    from sallygate.controls.contract import ContractControl
    from sallygate.engine.compose import compose
    from sallygate.parsing.openapi.document import OpenAPIError
    from sallygate.policy.errors import PolicyError, Problem
    from sallygate.policy.injection import Injection
    from sallygate.policy.load import contract_problems
    from sallygate.security.key_ring import KeyRing
    from sallygate.state.state import State

    try:
        # Without injection, whose types said all there is to say: its patterns take seconds to compile.
        policy = loaded.policy.model_copy(update={"injection": Injection(mode="off")})
        gate = compose(replace(loaded, policy=policy), State(), KeyRing(bytes(32)), bytes(32), 0.0, auth_operations)
    except OpenAPIError as error:
        file = str(loaded.contract_file)
        raise PolicyError(
            [Problem(file, at, "policy.contract", said) for at, said in contract_problems(error)]
        ) from None
    control = gate.engine.controls.get(ContractControl)
    return (*loaded.notes, *(control.contract.notes if control is not None else ()))


def _check_feeds(loaded: Loaded) -> None:
    """Reads the feeds that are files as `feeds check` does. Raises `PolicyError` for those that would be refused."""
    from sallygate.policy.errors import PolicyError, Problem
    from sallygate.ports import StoreError
    from sallygate.services.feeds.preview import try_feed
    from sallygate.services.feeds.schedule import sections_of

    problems = []
    for section in sections_of(loaded):
        if section.kind != "file":
            continue
        try:
            found = try_feed(section, loaded)
            said = found.said if found.failing else ""
        except StoreError as error:
            said = str(error)
        if said:
            file = loaded.beside(section.locator)
            hint = f"sallygate feeds check --name {section.name} -p {loaded.file.name}"
            problems.append(Problem(str(file), 0, "policy.feed", f"feed `{section.name}`: {said}", hint))
    if problems:
        raise PolicyError(problems)


def _print_checked(loaded: Loaded, notes: tuple[str, ...]) -> None:
    from sallygate.policy.modes import not_enforced

    table = Table("plan", "rate", "requests", "data", title=f"policy {loaded.hash}", title_justify="left")
    for name, plan in loaded.plans.items():
        quota = " ".join(
            f"{most}/{window}" for window in ("hour", "day", "month") if (most := getattr(plan.quota, window))
        )
        data = " ".join(f"{budget.most} {kind}/{budget.window}" for kind in ("bytes", "records")
                        if (budget := getattr(plan.data, kind)))  # fmt: skip
        table.add_row(name, plan.rate.text, quota, data)
    out.print(table)
    for note in notes:
        out.print(f"note: {note}", style="yellow", markup=False)
    for mode, names in not_enforced(loaded.policy).items():
        out.print(f"{mode}: {', '.join(names)}", style="yellow", markup=False, highlight=False)
    out.print(f"[green]{loaded.file} is valid[/green]: {len(loaded.operations)} operations", highlight=False)


@plainly
def schema(
    reference: Annotated[bool, typer.Option("--reference", help="Print the reference in Markdown instead.")] = False,
) -> None:
    """Print the JSON Schema of the policy file, for editors.

    Example: sallygate schema > sallygate.schema.json
    """
    from sallygate.policy.reference import json_schema, markdown

    if reference:
        typer.echo(markdown())
    else:
        typer.echo(json_.dumps(json_schema(), indent=1, sort_keys=True))


@plainly
def patterns(
    file: Annotated[
        Path | None, typer.Argument(help="File to write the patterns to; the user's cache by default.")
    ] = None,
) -> None:
    """Compile the patterns of injection before the first start.

    Without FILE, into the cache that all gates and commands of this user share: CACHE_DIRECTORY (of systemd),
    XDG_CACHE_HOME/sallygate or ~/.cache/sallygate. With FILE, for an image or a read-only root: name the file in
    SALLYGATE_PATTERNS_FILE. The patterns fit this version of Sallygate on this kind of processor.

    Example: sallygate patterns
    """
    from sallygate.controls.injection import patterns_signature
    from sallygate.security.kept_patterns import is_patterns_file, keep_patterns_ahead
    from sallygate.services.injection_patterns import compile_with_progress, fill_cache
    from sallygate.telemetry.compilation import Compilation, on_standard_error

    if file is None:
        name, new = fill_cache(on_standard_error)
        out.print(f"{name}: {'compiled' if new else 'is there already'}", markup=False, highlight=False, soft_wrap=True)
        return
    signature = patterns_signature()
    if not file.parent.is_dir():
        fail(f"{file.parent}: there is no such directory", USAGE)
    writable(file, lambda beginning: is_patterns_file(file, len(signature)))
    with Compilation(on_standard_error) as progress:
        compiled = compile_with_progress(progress)
    keep_patterns_ahead(file, signature, compiled)
    out.print(f"{file}: {len(compiled):,} bytes, version {signature}", highlight=False)
