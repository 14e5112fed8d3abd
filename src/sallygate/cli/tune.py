"""Command `sallygate tune`: honest requests that a policy in shadow would refuse, and the changes that pass them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import (
    DEFAULT_POLICY,
    JsonOption,
    PolicyArgument,
    PolicyOption,
    StateOption,
    duration,
    err,
    lines,
    named_policy,
    out,
    plainly,
    print_json,
    writable,
)

if TYPE_CHECKING:
    from sallygate.offline.tuning import Proposal

EXAMPLES_SHOWN = 2
_BEGINNING = b"# Changes proposed by `sallygate tune`"


@plainly
def tune(
    policy_file: PolicyArgument = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the proposed changes into the policy.")] = False,
    since: Annotated[str, typer.Option(help="Time to look back, 7d.")] = "7d",
    callers: Annotated[int, typer.Option(min=1, help="Least number of callers for a proposal.")] = 2,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the changes to this file.")] = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Propose changes of the policy from findings of sections in shadow, each with the requests it would let through.

    The changes are exclusions of `injection`, settings of `contract` for one operation, actions of an OpenAPI overlay,
    and limits of bodies. What no such change passes is shown without one. Without `--apply` no file of the policy
    changes.

    Example: sallygate tune sallygate.yaml --since 7d

    Example: sallygate tune sallygate.yaml --apply
    """
    from sallygate.offline.policy_patch import apply_changes, patch_text
    from sallygate.offline.tuning import propose
    from sallygate.policy.load import load_policy
    from sallygate.stores.events import read_events

    policy = named_policy(policy_file, policy)
    loaded = load_policy(policy, "replay")
    directory = state_dir or loaded.state_dir
    tuning = propose(read_events(directory / "events", time.time() - duration(since)), loaded, callers)
    proposals = tuning.proposed
    changes = [one.change for one in proposals if one.change is not None]
    if out_file is not None and proposals:
        own = writable(out_file, lambda beginning: beginning.startswith(_BEGINNING))
        own.write_text(f"{_BEGINNING.decode()}: merge them into {policy.name}.\n{patch_text(changes)}", "utf-8")
    written = apply_changes(loaded, changes) if apply and proposals else []
    if json:
        print_json({"proposed": proposals, "too_few_callers": tuning.few, "no_change": tuning.left,
                    "written": [str(file) for file in written]})  # fmt: skip
        return
    if not (proposals or tuning.few or tuning.left):
        out.print(f"nothing to propose: no findings in shadow in the last {since} that {policy.name} refuses",
                  highlight=False)  # fmt: skip
        return
    _print(proposals, "proposed: review the requests each would let through")
    _print(tuning.few, f"not proposed: fewer than {callers} callers, which may be attacks")
    _print(tuning.left, "not proposed: no change would pass these alone; docs/errors.md has the cause of each code")
    if written:
        names = " and ".join(file.name for file in written)
        said = f"{len(proposals)} changes written to {names}; a gate that runs applies them at its next reload"
        err.print(said, highlight=False)
    elif proposals and out_file is None:
        typer.echo(patch_text(changes), nl=False)
        err.print("write them into the policy with --apply", highlight=False)
    elif out_file is not None:
        err.print(f"{len(proposals)} changes written to {out_file}" if proposals else "no changes to write")


def _print(proposals: list[Proposal], title: str) -> None:
    if not proposals:
        return
    table = Table("cause", "where", "change", "requests", "callers", "for example", title=title, title_justify="left")
    for one in proposals:
        shown = zip(one.examples, one.evidence, strict=False)
        # With an operation, method and path say nothing more.
        said = (evidence if one.operation else f"{event.method} {event.path}  {evidence}" for event, evidence in shown)
        examples = list(dict.fromkeys(said))[:EXAMPLES_SHOWN]
        table.add_row(
            escape(one.cause), escape(one.operation or one.path), escape(_change(one)), f"{one.requests:,}",
            str(one.callers), lines(examples),
        )  # fmt: skip
    out.print(table)


def _change(one: Proposal) -> str:
    """The change as the policy has it: an item to add to a list, or a field and its value."""
    change = one.change
    if change is None:
        return ""
    if change.file == "overlay":
        return f"overlay: remove {change.value['target']}"
    value = {name: part for name, part in change.value.items() if name != "reason"} if change.is_item else change.value
    return f"{'.'.join(change.path)}: {'+ ' * change.is_item}{_as_policy(value)}"


def _as_policy(value: object) -> str:
    """In the one line that YAML allows."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_as_policy(part)}" for name, part in value.items()) + "}"
    return value if isinstance(value, str) and ":" not in value else msgspec.json.encode(value).decode()
