"""Command `sallygate profile`: learns which structures are normal for fields, from the events of a gate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    named_policy,
    out,
    plainly,
    print_json,
    writable,
)

if TYPE_CHECKING:
    from sallygate.policy.profile import Normal

_BEGINNING = b"# Structures that are normal for fields"


@plainly
def profile(
    policy_file: PolicyArgument = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the profile's file.")] = False,
    since: Annotated[str, typer.Option(help="Time to look back, 30d.")] = "30d",
    callers: Annotated[int, typer.Option(min=2, help="Least number of callers.")] = 5,
    share: Annotated[float, typer.Option(min=0, max=1, help="Least share of the callers of an operation.")] = 0.25,
    days: Annotated[int, typer.Option(min=1, help="Least number of days.")] = 1,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write this file, not the policy's.")] = None,
    policy: PolicyOption = DEFAULT_POLICY,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Learn what is normal for the fields of an API, from events in shadow and enforced ones.

    A structure, such as a statement of SQL in a field for reports, is normal if many callers send it. The profile has
    classes of structure and numbers, no values. `injection.profiles: apply` lets what is normal weigh less.

    Example: sallygate profile sallygate.yaml --since 30d

    Example: sallygate profile sallygate.yaml --apply
    """
    from sallygate.offline.profiles import as_text, difference, learn
    from sallygate.policy.injection import Injection
    from sallygate.policy.load import load_policy
    from sallygate.policy.profile import read_profile
    from sallygate.stores.events import read_events

    policy = named_policy(policy_file, policy)
    loaded = load_policy(policy, "replay")
    directory = state_dir or loaded.state_dir
    file = out_file or loaded.beside((loaded.policy.injection or Injection()).profile)
    learnt = learn(read_events(directory / "events", time.time() - duration(since)), callers, share, days)
    old = _known(file)
    added, removed = difference(old, learnt.normal)
    if apply:
        own = writable(file, lambda beginning: beginning.startswith(_BEGINNING))
        part = own.with_name(f".{own.name}.part")
        part.write_text(as_text(learnt.normal), "utf-8")
        read_profile(part)  # what cannot be read back does not take its place
        part.replace(own)
    if json:
        print_json({"normal": [one.model_dump(exclude_none=True) for one in learnt.normal],
                    "too_few": [one.model_dump(exclude_none=True) for one in learnt.few],
                    "added": len(added), "removed": len(removed), "written": str(file) if apply else ""})  # fmt: skip
        return
    _print(learnt.normal, f"normal: sent by at least {callers} callers and {share:.0%} of the callers")
    _print(learnt.few, "not normal: too few callers or days")
    said = f"{file}: {len(learnt.normal)} structures, {len(added)} new, {len(removed)} gone"
    out.print(said if apply else f"{said}; write it with --apply", markup=False, highlight=False)


def _known(file: Path) -> list[Normal]:
    """What the file has; nothing of one that cannot be read, which is written again."""
    from sallygate.policy.errors import PolicyError
    from sallygate.policy.profile import read_profile

    if not file.exists():
        return []
    try:
        return read_profile(file)[0].normal
    except PolicyError as error:
        err.print(str(error.problems[0]), style="yellow", markup=False, highlight=False, soft_wrap=True)
        return []


def _print(found: list[Normal], title: str) -> None:
    if not found:
        return
    table = Table("where", "field", "family", "rule", "requests", "callers", "of", "networks", "days", title=title,
                  title_justify="left")  # fmt: skip
    for one in found:
        numbers = map(str, (one.requests, one.callers, one.of, one.addresses, one.days))
        table.add_row(*map(escape, (one.operation or one.path or "", one.field, one.family, one.rule)), *numbers)
    out.print(table)
