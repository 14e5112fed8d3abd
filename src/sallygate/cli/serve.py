"""Commands `sallygate up` and `demo`: run a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sallygate.cli.terminal import DEFAULT_POLICY, JsonOption, PolicyArgument, PolicyOption, named_policy, plainly


@plainly
def up(policy_file: PolicyArgument = None, policy: PolicyOption = DEFAULT_POLICY) -> None:
    """Run the gateway until Ctrl-C or SIGTERM; SIGHUP reloads the policy.

    Example: sallygate up sallygate.yaml
    """
    from sallygate.runtime.gateway import run_gateway

    run_gateway(named_policy(policy_file, policy))


@plainly
def demo(
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Directory for all files; a temporary directory by default."),
    ] = None,
    port: Annotated[int, typer.Option(help="The gateway's port; another one if it is in use.")] = 8443,
    json: JsonOption = False,
) -> None:
    """Run a sample API behind the gateway, with keys for three plans and a live view of decisions.

    Example: sallygate demo

    With --json: one object on one line when ready, {"gateway","ca","upstream","keys","state_dir"}.
    """
    from sallygate.demo.run import run_demo

    run_demo(state_dir, port, json)
