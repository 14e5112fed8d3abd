"""The documents say what the code does: codes, commands, references, examples, links."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import typer.main
import yaml

from sallygate.auth import routes as auth
from sallygate.cli import app
from sallygate.controls.injection.pipeline.evidence import Family
from sallygate.engine.order import CONTROLS, SECTIONS
from sallygate.events.aggregation import SUMMED, SURVIVING
from sallygate.model.event import EVENT_VERSION, Kind
from sallygate.policy.load import load_policy
from sallygate.policy.reference import json_schema, markdown
from support import OPENAPI

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCE = sorted((ROOT / "src").rglob("*.py"))
OTHERS = "request response restriction challenge body control upstream replay policy auth".split()
"""What codes begin with that are not of a control, or not named as it is."""
FAMILIES = "|".join(sorted({*OTHERS, *(control.name for control in CONTROLS)}))


def codes_in_source() -> set[str]:
    """Every code the source can find, also where only its last part is written."""
    found: set[str] = set()
    for file in SOURCE:
        text = file.read_text()
        found |= set(re.findall(rf'"((?:{FAMILIES})\.[a-z_.]+)"', text))
        if file.name == "head.py":
            found |= {f"request.{name}" for name in re.findall(r'Fault\(\s*"([a-z_]+)"', text)}
    found |= {f"limits.quota.{window}" for window in ("hour", "day", "month")}
    found |= {"limits.data.bytes", "limits.data.records", "restriction.deny", "restriction.throttle"}
    found |= {f"network.{reason}" for reason in ("denied", "not_listed", "country", "asn")} | {"restriction.terminate"}
    found |= {f"injection.{family}" for family in get_args(Family)}
    acts = {"restriction.add", "restriction.lift"}
    logged = {"upstream.up", "upstream.down"}
    hosts = {"replay.invalid"}
    files = {"policy.yaml", "control.sock"}
    limits = "body form_fields header_bytes header_fields parts query_fields target".split()
    fields = {"contract.upload", "contract.json_depth", "injection.inspect", *(f"limits.{name}" for name in limits)}
    operations = {auth.CODES, auth.INTROSPECT, auth.KEYS, auth.LOCATIONS, auth.METADATA, auth.REVOKE, auth.TOKEN}
    return found - acts - logged - hosts - files - fields - operations - set(SECTIONS)


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    documented = set(re.findall(rf"`((?:{FAMILIES})\.[a-z_.]+)`", (ROOT / "docs/errors.md").read_text()))
    rows = {code for line in (ROOT / "docs/errors.md").read_text().splitlines() if line.startswith("| `")
            for code in re.findall(r"`([a-z_.]+)`", line.split("|")[1])}  # fmt: skip
    source = codes_in_source()
    assert len(source) > 50
    assert not {code for code in source if not code.startswith("policy.")} - rows
    assert not {code for code in rows if not code.startswith("policy.")} - source
    assert documented >= rows - {"replay.unreadable"}


def test_policy_codes_are_documented() -> None:
    text = "".join(file.read_text() for file in SOURCE if file.parent.name == "policy" or file.name == "policy.py")
    for code in re.findall(r"`policy\.([a-z_]+)`", (ROOT / "docs/errors.md").read_text()):
        assert f'"{code}"' in text or f'"policy.{code}"' in text, code


def test_the_reference_and_the_schema_are_those_of_the_types() -> None:
    remedy = "run: sallygate schema --reference > docs/policy-reference.md; sallygate schema > docs/policy.schema.json"
    assert (ROOT / "docs/policy-reference.md").read_text().strip() == markdown().strip(), remedy
    assert json.loads((ROOT / "docs/policy.schema.json").read_text()) == json_schema(), remedy


def commands() -> set[str]:
    found: set[str] = set()

    def walk(command, path: str) -> None:
        for name, sub in getattr(command, "commands", {}).items():
            walk(sub, f"{path} {name}".strip())
        if not getattr(command, "commands", None):
            found.add(path)

    walk(typer.main.get_command(app), "")
    return found


def command_lines() -> list[tuple[str, str]]:
    lines = []
    for file in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", file.read_text(), re.S):
            lines += [
                (file.name, line.partition("#")[0].strip())
                for line in block.splitlines()
                if line.startswith("sallygate ")
            ]
    return lines


def test_every_command_in_the_documents_exists_with_its_options() -> None:
    root = typer.main.get_command(app)
    checked = 0
    for name, line in command_lines():
        words = shlex.split(line)[1:]
        command = root
        while getattr(command, "commands", None) and words:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            if word.startswith("-"):
                assert word in known, f"{name}: {line}: {word}"
        checked += 1
    assert checked >= 15


def test_every_command_is_named_in_a_document() -> None:
    text = "\n".join(file.read_text() for file in DOCUMENTS)
    missing = [command for command in commands() if f"sallygate {command}" not in text]
    assert not [command for command in missing if command not in {"restrict show", "keys show"}]


def test_links_lead_somewhere() -> None:
    checked = 0
    for file in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
            if not target.startswith("http"):
                assert (file.parent / target).exists(), f"{file.name}: {target}"
                checked += 1
    assert checked >= 10


ORDERS = {
    "openapi": "3.1.0",
    "info": {"title": "orders", "version": "1"},
    "paths": {"/orders": {"get": {"parameters": [], "responses": {}}}},
    "components": {"schemas": {"Order": {"properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}}}},
}
"""What the examples of overlays change."""


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_examples_of_policies_are_right(file: Path, tmp_path: Path) -> None:
    """Every YAML block is a policy, sections of one, or an overlay."""
    (tmp_path / "openapi.yaml").write_text(json.dumps(OPENAPI))
    (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text(), re.S)):
        given = yaml.safe_load(block)
        if "overlay" in given:
            assert Path(tmp_path / "overlay.yaml").write_text(block)
            given = {"openapi": "orders.json", "contract": {"overlay": "overlay.yaml"}}
        base = {"version": 1, "openapi": "openapi.yaml", "identity": "none", "upstream": "http://127.0.0.1:9"}
        for named in set(re.findall(r"[\w.-]+\.(?:txt|mmdb|stix\.json|secret)\b", block)):
            if named.endswith(".mmdb"):
                (tmp_path / named).symlink_to(ROOT / "src" / "sallygate" / "data" / "places.mmdb")
            else:
                (tmp_path / named).touch()
        policy = tmp_path / f"{number}.yaml"
        policy.write_text(json.dumps({**base, **given}))
        load_policy(policy)


def test_the_python_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contract = {
        **OPENAPI,
        "paths": {"/products": {"get": {"operationId": "products", "security": [], "responses": {}}}},
    }
    Path("openapi.json").write_text(json.dumps(contract))
    Path("sallygate.yaml").write_text(
        "version: 1\nopenapi: openapi.json\nidentity: {api_keys: {header: X-API-Key}}\ntransport: {plain: loopback}\n"
    )
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    names: dict[str, object] = {}
    exec(block[1], names)

    async def call(path: str) -> int:
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
                 "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"a")],
                 "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "root_path": ""}  # fmt: skip
        await names["app"](scope, receive, send)
        return sent[0]["status"]

    async def run() -> tuple[int, int]:
        try:
            return await call("/products"), await call("/other")
        finally:
            await names["app"].runtime.stop()

    assert asyncio.run(run()) == (200, 404)


def test_the_tree_keeps_its_rules() -> None:
    """No registry's host, no path of a machine, no wandering word."""
    hosts = re.compile(r"files\.pythonhosted|pypi\.org|registry\.npmjs|deb\.debian\.org|/root/|/home/|/work/", re.I)
    files = [file for pattern in ("*.md", "*.toml", "*.lock", "Makefile", "src/**/*.py", "src/**/*.yaml", "docs/*", "lab/**/*.py",
                                  "lab/*.lock", "tests/**/*.py", ".ci/run") for file in ROOT.glob(pattern) if file.is_file()]  # fmt: skip
    assert len(files) > 80
    for file in files:
        if file == Path(__file__).resolve():
            continue
        if "injection" in file.parts:
            continue  # attacks name the folders of machines
        found = hosts.search(file.read_text("utf-8", "replace"))
        assert found is None, f"{file}: {found}"


def test_what_every_module_begins_with() -> None:
    import ast

    for file in SOURCE:
        tree = ast.parse(file.read_text())
        assert ast.get_docstring(tree), f"{file}: says nothing of itself"
        assert file.read_text().count("\n") <= 450, f"{file}: is there a second subject in it?"


def test_the_events_of_the_documents_are_those_of_the_code() -> None:
    events = (ROOT / "docs/architecture.md").read_text().split("## Events")[1].split("\n## ")[0]
    assert f"version {EVENT_VERSION}" in events
    assert f"version {EVENT_VERSION}" in (ROOT / "docs/operations.md").read_text()
    flood = events.split("**Under a flood**")[1].split("Every other field")[0]
    named = set(re.findall(r"`([a-z_]+)`", flood)) - {"at", "until"}
    assert named == SURVIVING | SUMMED
    assert set(re.findall(r"`([a-z]+)`", events.split("`kind` is")[1].split(";")[0])) == set(get_args(Kind))
