"""Command `sallygate init`: a small commented policy for an API, from its OpenAPI document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sallygate.cli.terminal import USAGE, fail, out, plainly

if TYPE_CHECKING:
    from sallygate.policy.load import Loaded

FETCH_S = 20
OPERATIONS_SHOWN = 8
NONE = "none"
_LOOKS_INTERNAL = re.compile(
    r"/_|/(?:actuator|admin|console|debug|dump|heap|internal|metrics|profil(?:e|ing)r?|reset|shutdown|test|trace)(?=[/_.-]|$)",
    re.IGNORECASE,
).search
"""Paths that are rarely meant for callers from outside."""

_TEMPLATE = """\
# Sallygate's policy. `sallygate check {name}` says whether it is right; `sallygate up {name}` runs the gateway.
version: 1

upstream: {upstream}
openapi: {openapi}        # {meaning}

listen:
  https: 127.0.0.1:8443
  # certificate: {{cert: server.pem, key: server.key}}   # a development one is made when left out

state: .sallygate         # keys, counters, restrictions, events

identity:
  api_keys: {{{keys}}}
{public}
plans:                    # sallygate keys create --account NAME --plan free
  free:
    rate: 50/s burst 200
    quota: {{hour: 20000, day: 100000}}
    data: {{bytes: 1GB/day}}
    scopes: ["*"]         # or a list of the contract's scopes

limits:
  address: 100/s burst 400 # before identity, per client address

{modes}"""
_ENFORCED = "# Try first what it would refuse: `mode: shadow` under any section records without enforcing.\n"
_SHADOW = """\
# Recorded, not refused. After some honest traffic: `sallygate tune {name} --apply`, then write `enforce`.
{sections}
"""


@plainly
def init(
    openapi: Annotated[str, typer.Option(help="The API's OpenAPI document: a file or a URL; or `none`.")],
    upstream: Annotated[str, typer.Option(help="URL of the API, http://127.0.0.1:9000.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="File to write the policy to.")] = Path(
        "sallygate.yaml"
    ),
    shadow: Annotated[
        bool,
        typer.Option("--shadow", help="Contract and injection record what they would refuse, and refuse nothing yet."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing policy.")] = False,
) -> None:
    """Write a small commented policy for an API.

    Example: sallygate init --openapi openapi.yaml --upstream http://127.0.0.1:9000

    Example: sallygate init --openapi http://127.0.0.1:9000/openapi.json --upstream http://127.0.0.1:9000 --shadow
    """
    from sallygate.policy.load import load_policy

    if out_file.exists() and not force:
        fail(f"{out_file}: exists already; write another file with --out, or use --force", USAGE)
    there = set(out_file.parent.glob("openapi.*"))
    contract = NONE if openapi == NONE else _contract(openapi, out_file.parent)
    values = {"name": out_file.name, "upstream": json.dumps(upstream), "modes": _modes(out_file, contract, shadow)}
    before = out_file.read_bytes() if out_file.exists() else None
    fetched = set(out_file.parent.glob("openapi.*")) - there
    try:
        out_file.write_text(_text(contract, "", values), "utf-8")
        loaded = load_policy(out_file, "gateway")  # says what is wrong with the contract or the upstream
        if keys := _keys(loaded.document):
            out_file.write_text(_text(contract, keys, values), "utf-8")
            loaded = load_policy(out_file, "gateway")
    except BaseException:  # a policy that is not valid is not left behind
        for file in fetched:
            file.unlink()
        if before is None:
            out_file.unlink(missing_ok=True)
        else:
            out_file.write_bytes(before)
        raise
    _print(out_file, loaded, shadow=shadow)


def _text(contract: str, keys: str, values: dict[str, str]) -> str:
    described = contract != NONE
    return _TEMPLATE.format(
        openapi=json.dumps(contract) if described else NONE,
        meaning="what it does not describe is refused"
        if described
        else "no contract: all paths and bodies reach the API",
        keys=keys or "header: X-API-Key",
        public="  public: []              # operations that need no key, by operationId\n" if described else "",
        **values,
    )


def _modes(file: Path, contract: str, shadow: bool) -> str:
    if not shadow:
        return _ENFORCED
    sections = (["contract: {mode: shadow}"] if contract != NONE else []) + ["injection: {mode: shadow}"]
    return _SHADOW.format(name=file.name, sections="\n".join(sections))


def _keys(document: dict[str, object] | None) -> str:
    """Where the document's own security schemes put a key; empty for the default."""
    components = (document or {}).get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    found = [one for one in (schemes.values() if isinstance(schemes, dict) else ()) if isinstance(one, dict)]
    header = next((one.get("name") for one in found if one.get("type") == "apiKey" and one.get("in") == "header"), None)
    words = []
    if isinstance(header, str) and re.fullmatch(r"[A-Za-z0-9-]+", header) and header.lower() != "authorization":
        words.append(f"header: {header}")
    if any(one.get("type") == "http" and str(one.get("scheme")).lower() == "bearer" for one in found):
        words.append("bearer: true")
    return ", ".join(words if not words or words[0].startswith("header") else ["header: X-API-Key", *words])


def _print(file: Path, loaded: Loaded, *, shadow: bool) -> None:
    if loaded.document is None:
        out.print(f"{file} is written: no contract, so all paths reach the API", highlight=False)
    else:
        _print_operations(file, loaded)
    assert loaded.policy.identity is not None
    keys = loaded.policy.identity.api_keys
    bearer = " or `Authorization: Bearer`" if keys.bearer else ""
    out.print(f"clients send their key as `{keys.header}`{bearer}", highlight=False)
    out.print(f"next: sallygate keys create -p {file} --account me --plan free", highlight=False)
    out.print(f"      sallygate up {file}", highlight=False)
    if shadow:
        out.print(f"then: sallygate tune {file} --apply", highlight=False)


def _print_operations(file: Path, loaded: Loaded) -> None:
    public = [operation.id for operation in loaded.operations if operation.security == ()]
    out.print(f"{file} is written: {len(loaded.operations)} operations", highlight=False)
    names = [operation.id for operation in loaded.operations[:OPERATIONS_SHOWN]]
    more = ", …" if len(loaded.operations) > len(names) else ""
    out.print(f"operationIds: {', '.join(names)}{more}", highlight=False)
    if public:
        out.print(f"public by the contract: {', '.join(public)}", highlight=False)
    if internal := [operation.id for operation in loaded.operations if _LOOKS_INTERNAL(operation.path)]:
        out.print(f"look internal: {', '.join(internal)}", style="yellow", markup=False, highlight=False)
        out.print(f"  nobody can call one after: operations: {{{internal[0]!r}: {{deny: true}}}}", highlight=False)


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
