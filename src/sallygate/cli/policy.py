"""Commands `sallygate init`, `check` and `schema`: write a first policy, and validate a policy."""

from __future__ import annotations

import json as json_
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sallygate.cli.terminal import NO, USAGE, JsonOption, StateOption, err, fail, out, plainly, print_json, writable

if TYPE_CHECKING:
    from sallygate.policy.load import Loaded

FETCH_S = 20
_LOOKS_INTERNAL = re.compile(
    r"/_|/(?:actuator|admin|console|debug|dump|heap|internal|metrics|profil(?:e|ing)r?|reset|shutdown|test|trace)(?=[/_.-]|$)",
    re.IGNORECASE,
).search
"""Paths that are rarely meant for callers from outside."""
OPERATIONS_SHOWN = 8

_TEMPLATE = """\
# Sallygate's policy. `sallygate check {name}` says whether it is right; `sallygate up {name}` runs the gateway.
version: 1

upstream: {upstream}
openapi: {openapi}        # what it does not describe is refused

listen:
  https: 127.0.0.1:8443
  # certificate: {{cert: server.pem, key: server.key}}   # a development one is made when left out

state: .sallygate         # keys, counters, restrictions, events

identity:
  api_keys: {{header: X-API-Key}}
  public: []              # operations that need no key, by operationId

plans:                    # sallygate keys create --account NAME --plan free
  free:
    rate: 5/s burst 20
    quota: {{hour: 1000, day: 5000}}
    data: {{bytes: 50MB/day}}
    scopes: ["*"]         # or a list of the contract's scopes

limits:
  address: 50/s burst 200 # before identity, per client address

# Try first what it would refuse: `mode: shadow` under any section records without enforcing.
"""


@plainly
def init(
    openapi: Annotated[str, typer.Option(help="The API's OpenAPI document: a file or a URL.")],
    upstream: Annotated[str, typer.Option(help="URL of the API, http://127.0.0.1:9000.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="File to write the policy to.")] = Path(
        "sallygate.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing policy.")] = False,
) -> None:
    """Write a small commented policy for an API.

    Example: sallygate init --openapi openapi.yaml --upstream http://127.0.0.1:9000
    """
    from sallygate.policy.load import load_policy

    if out_file.exists() and not force:
        fail(f"{out_file}: exists already; write another file with --out, or use --force", USAGE)
    contract = _contract(openapi, out_file.parent)
    text = _TEMPLATE.format(name=out_file.name, upstream=json_.dumps(upstream), openapi=json_.dumps(contract))
    out_file.write_text(text, "utf-8")
    loaded = load_policy(out_file, "gateway")  # says what is wrong with the contract or the upstream
    public = [operation.id for operation in loaded.operations if operation.security == ()]
    out.print(f"{out_file} is written: {len(loaded.operations)} operations", highlight=False)
    names = [operation.id for operation in loaded.operations[:OPERATIONS_SHOWN]]
    more = ", …" if len(loaded.operations) > len(names) else ""
    out.print(f"operationIds: {', '.join(names)}{more}", highlight=False)
    if public:
        out.print(f"public by the contract: {', '.join(public)}", highlight=False)
    if internal := [operation.id for operation in loaded.operations if _LOOKS_INTERNAL(operation.path)]:
        out.print(f"look internal: {', '.join(internal)}", style="yellow", markup=False, highlight=False)
        out.print(f"  nobody can call one after: operations: {{{internal[0]!r}: {{deny: true}}}}", highlight=False)
    out.print(f"next: sallygate keys create -p {out_file} --account me --plan free", highlight=False)
    out.print(f"      sallygate up {out_file}", highlight=False)


def _contract(openapi: str, directory: Path) -> str:
    """The name of the contract's file as the policy will say it; a URL is fetched and kept beside the policy."""
    from sallygate.policy.load import CONTRACT_BYTES_MAX

    if not openapi.startswith(("http://", "https://")):
        file = Path(openapi)
        if not file.is_file():
            fail(f"{openapi}: there is no such file", USAGE)
        try:
            return str(file.resolve().relative_to(directory.resolve()))
        except ValueError:
            return str(file.resolve())
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(openapi, timeout=FETCH_S) as answer:  # noqa: S310 (scheme checked above)
            data = answer.read(CONTRACT_BYTES_MAX + 1)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        fail(f"{openapi}: cannot be fetched: {error}", USAGE)
    if len(data) > CONTRACT_BYTES_MAX:
        fail(f"{openapi}: is larger than {CONTRACT_BYTES_MAX >> 20} MiB", USAGE)
    name = "openapi.json" if data.lstrip()[:1] == b"{" else "openapi.yaml"
    file = directory / name
    if file.exists() and file.read_bytes() != data:
        fail(f"{file}: another document exists already; move it first", USAGE)
    file.write_bytes(data)
    return name


@plainly
def check(
    policy: Annotated[Path, typer.Argument(help="The policy file.")],
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
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Check a policy and its contract, and print every error at once; or compare it with recorded decisions.

    Example: sallygate check sallygate.yaml

    Example: sallygate check new.yaml --against events --since 7d

    Exit code 1 when there are errors.
    """
    from sallygate.policy.errors import PolicyError, Problem
    from sallygate.policy.load import load_policy
    from sallygate.telemetry.exporter import check_telemetry

    try:
        loaded = load_policy(policy, "in_process" if in_process else "gateway")
        check_telemetry(loaded)
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
        print_json({"ok": True, "policy": loaded.hash, "operations": len(loaded.operations), "notes": notes})
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
    from sallygate.policy.load import contract_problems
    from sallygate.policy.schema import Injection
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


def _print_checked(loaded: Loaded, notes: tuple[str, ...]) -> None:
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
    file: Annotated[Path, typer.Argument(help="File to write the patterns to.")],
) -> None:
    """Compile the patterns of injection before the first start, for an image or a read-only root.

    Name the file in SALLYGATE_PATTERNS_FILE. It fits this version of Sallygate on this kind of processor; another one
    compiles its own at its first start.

    Example: sallygate patterns /usr/lib/sallygate/patterns.bin
    """
    from sallygate.controls.injection import compile_patterns, patterns_signature
    from sallygate.security.state_directory import is_patterns_file, keep_patterns_ahead

    signature = patterns_signature()
    writable(file, lambda beginning: is_patterns_file(file, len(signature)))
    with err.status("compiling"):
        compiled = compile_patterns()
    keep_patterns_ahead(file, signature, compiled)
    out.print(f"{file}: {len(compiled):,} bytes, version {signature}", highlight=False)
