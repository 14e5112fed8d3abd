"""Command `sallygate tune`: honest values that injection would refuse, and exclusions for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import JsonOption, StateOption, duration, err, lines, out, plainly, print_json, writable

if TYPE_CHECKING:
    from sallygate.offline.tuning import Proposal


@plainly
def tune(
    policy: Annotated[Path, typer.Argument(help="The policy file.")],
    since: Annotated[str, typer.Option(help="Time to look back, 7d.")] = "7d",
    callers: Annotated[int, typer.Option(min=1, help="Least number of callers for a proposal.")] = 2,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the patch here.")] = None,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Propose exclusions from findings of `injection: {mode: shadow}`, each with the requests it would let through.

    Nothing is changed: review the patch, then merge it into the policy.

    Example: sallygate tune sallygate.yaml --since 7d --out exclusions.yaml
    """
    from sallygate.offline.tuning import as_patch, propose
    from sallygate.policy.load import load_policy
    from sallygate.stores.events import read_events

    directory = state_dir or load_policy(policy, "replay").state_dir
    proposals, few = propose(read_events(directory / "events", time.time() - duration(since)), callers)
    if out_file is not None and proposals:
        writable(out_file, lambda beginning: beginning.startswith(b"injection:\n  exclude:\n")).write_text(
            as_patch(proposals)
        )
    if json:
        print_json({"proposed": proposals, "too_few_callers": few})
        return
    if not proposals and not few:
        out.print(f"no findings in shadow in the last {since}; is `injection: {{mode: shadow}}` in the policy?",
                  highlight=False)  # fmt: skip
        return
    _print(proposals, "proposed: review the requests each would let through")
    _print(few, f"not proposed: fewer than {callers} callers, which may be attacks")
    if proposals and out_file is None:
        typer.echo(as_patch(proposals), nl=False)
    elif out_file is not None:
        err.print(f"{len(proposals)} exclusions written to {out_file}" if proposals else "no exclusions to write")


def _print(proposals: list[Proposal], title: str) -> None:
    if not proposals:
        return
    table = Table("family", "field", "where", "requests", "callers", "for example", title=title, title_justify="left")
    for one in proposals:
        examples = [f"{event.method} {event.path}  {_evidence(event, one)}" for event in one.examples[:3]]
        table.add_row(
            one.family, escape(one.field), escape(one.operation or one.path), f"{one.requests:,}", str(one.callers),
            lines(examples),
        )  # fmt: skip
    out.print(table)


def _evidence(event: object, proposal: Proposal) -> str:
    findings = getattr(event, "findings", ())
    return next((finding.evidence for finding in findings if finding.code == f"injection.{proposal.family}"), "")
