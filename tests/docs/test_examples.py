"""The examples of the documents, run: each document's blocks in order, in a directory of their own, against a real API.

`sh` blocks are run line by line as a person would, `up` and `uvicorn` in the background until they answer. Python blocks that
begin with a file's name are that file. `console` blocks need another machine (root, systemd, docker) and are not run; what
they name is checked instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.errors import JoseError

import sallygate
from patience import patient
from processes import Process, command_file, start
from sallygate.model.principal import Principal
from sallygate.security.assertion import Assertions
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from support import Upstream, held_port

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/operations.md", "docs/injection.md", "docs/guides/protect-any-api.md", "docs/guides/protect-fastapi.md",
         "docs/guides/plans-and-quotas.md", "docs/guides/tokens-of-an-identity-provider.md",
         "docs/guides/access-codes-and-tokens.md", "docs/guides/verified-locations.md", "docs/guides/rotating-secrets.md", "docs/guides/accounts-and-passwords.md",
         "docs/guides/shadow-to-enforce.md", "docs/guides/monitoring.md", "docs/guides/networks-and-countries.md", "docs/guides/threat-intelligence.md",
         "docs/guides/floods.md", "docs/guides/upgrading.md", "docs/guides/backing-up.md")  # fmt: skip
ELSEWHERE = re.compile(r"(make|git|kill|sudo|docker|systemctl)\b|sallygate (demo|up .*&$)|cd ")
"""Lines about a clone, a machine or a demonstration, which other tests and `.ci/run` cover."""
SERVERS = re.compile(r"(sallygate up|uvicorn)\b")
MAY_SAY_NO = re.compile(r"sallygate (diff|doctor|explain|replay|status|check \S+ --against)")
"""Commands whose answer may be no: exit code 1."""
CURL = "curl -sS --retry 20 --retry-connrefused --retry-delay 0 "
OPENAPI = """
openapi: 3.1.0
info: {title: shop, version: "1"}
paths:
  /products:
    get:
      operationId: listProducts
      security: [{key: []}]
      parameters: [{name: limit, in: query, schema: {type: integer}}]
      responses: {"200": {description: ok}}
  /things:
    get: {operationId: listThings, security: [{key: ["things:read"]}], responses: {"200": {description: ok}}}
    put: {operationId: createOrder, security: [{key: []}], responses: {"200": {description: ok}}}
    post: {operationId: createThing, security: [{key: []}], responses: {"200": {description: ok}}}
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-API-Key}}}
"""


class Reader:
    """Somebody who follows one document."""

    def __init__(self, directory: Path, api: int, commands: Path) -> None:
        """`commands` is the directory of the program `sallygate`."""
        self.directory = directory
        self.ports = {"9000": str(api), "8443": str(held_port()), "8444": str(held_port()), "8000": str(held_port())}
        (directory / "openapi.yaml").write_text(OPENAPI)
        (directory / "request.http").write_text("GET /products?limit=5 HTTP/1.1\nHost: api.example\n")
        lines = [{"method": "GET", "url": "/products?limit=5"}, {"method": "POST", "url": "/nothing"}]
        (directory / "yesterday.jsonl").write_text("\n".join(map(json.dumps, lines)))
        subprocess.run(["gzip", "-k", "yesterday.jsonl"], cwd=directory, check=True)
        self.ran = 0
        self.servers: list[Process] = []
        self.names: dict[str, str] = {}
        bin_directory = Path(sys.executable).parent
        self.env = {
            **os.environ,
            "PATH": f"{commands}:{bin_directory}:{os.environ['PATH']}",
            "PYTHONPATH": f"{directory}:{Path(sallygate.__file__).parents[1]}",
            "NO_COLOR": "1",
            "XDG_CACHE_HOME": str(directory / "cache"),
        }

    def close(self) -> None:
        for server in self.servers:
            server.stop(30)

    def follow(self, page: str) -> None:
        for kind, block in re.findall(r"^ *```(sh|python)\n(.*?)^ *```", page, re.S | re.M):
            if kind == "python":
                if name := re.match(r"# (\w+\.py)\n", block):
                    (self.directory / name[1]).write_text(block)
                continue
            for command in commands_of(block):
                self.do(command)

    def do(self, command: str) -> None:
        for written, real in {**self.ports, **self.names}.items():
            command = re.sub(rf"\b{written}\b", real, command)
        command = command.replace("/usr/lib/sallygate/", "")
        if ELSEWHERE.match(command):
            return
        if SERVERS.match(command):
            self.serve(command)
            return
        if command.startswith("sallygate init"):
            (self.directory / "sallygate.yaml").unlink(missing_ok=True)
        command = command.replace("curl ", CURL).replace("--follow", "")
        done = self.run(command)
        expected = re.search(r"# (\d{3})\b", command)
        if expected is not None and "curl" in command:
            done = self.run(command.partition("#")[0] + " -o /dev/null -w '%{http_code}'")
            assert done.stdout.endswith(expected[1]), f"{command}: {done.stdout}"
        allowed = (0, 1) if MAY_SAY_NO.match(command) else (0,)
        assert done.returncode in allowed, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        self.ran += 1
        self.remember(command)
        if command.startswith("sallygate init"):
            self.move_ports()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Variables live on in a file, as they would in one terminal."""
        script = f"set -a; [ -f .env ] && . ./.env; {command}\ncode=$?; set | grep -E '^(KEY|CODE|TOKEN)=' > .env; exit $code"
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=patient(120),
        )

    def remember(self, command: str) -> None:
        """Ids that a document writes as `KEY_ID` and `RESTRICTION_ID`."""
        if "sallygate keys create" in command:
            keys = json.loads(self.run("sallygate keys list --json").stdout.splitlines()[-1])
            self.names["KEY_ID"] = keys[-1]["id"] if isinstance(keys, list) else keys["id"]
        elif "sallygate restrict add" in command and "--dry-run" not in command:
            found = json.loads(self.run("sallygate restrict list --json").stdout.splitlines()[-1])
            self.names["RESTRICTION_ID"] = found[-1]["id"] if isinstance(found, list) else found["id"]

    def move_ports(self) -> None:
        file = self.directory / "sallygate.yaml"
        text = file.read_text().replace("127.0.0.1:8443", f"127.0.0.1:{self.ports['8443']}")
        file.write_text(text)

    def serve(self, command: str) -> None:
        log = self.directory / "server.log"
        with log.open("ab") as stream:
            server = start("bash", "-c", f"exec {command}", command=True, directory=self.directory, env=self.env,
                           stdout=stream, stderr=stream)  # fmt: skip
        self.servers.append(server)
        port = int(self.ports["8000" if "uvicorn" in command else "8443"])
        deadline = time.monotonic() + patient(40)
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None and time.monotonic() < deadline, f"{command}: {log.read_text()}"
            time.sleep(0.01)
        self.ran += 1


def commands_of(block: str) -> list[str]:
    """The commands of a block: lines, those that go on joined, and a here-document with its text."""
    found: list[str] = []
    lines = iter(line.removeprefix("   ") if block.startswith("   ") else line for line in block.splitlines())
    for line in lines:
        text = line
        while text.endswith("\\"):
            text = text[:-1] + next(lines).strip()
        if here := re.search(r"<<'(\w+)'", text):
            for more in lines:
                text += "\n" + more
                if more == here[1]:
                    break
        if text.strip():
            found.append(text)
    return found


def basis(reader: Reader) -> None:
    """What a document that does not begin at the beginning supposes: a policy, a key of each plan it names."""
    reader.do("sallygate init --openapi openapi.yaml --upstream http://127.0.0.1:9000")
    file = reader.directory / "sallygate.yaml"
    text = (
        file.read_text()
        .replace("  free:", '  partner: {scopes: ["*"]}\n  free:', 1)
        .replace('["*"]         #', '["*"] #')
    )
    file.write_text(text)
    for account in ("acme", "alice"):
        reader.do(f"KEY=$(sallygate keys create --account {account} --plan free)")


AS_INSTALLED = ("README.md", "docs/guides/protect-any-api.md")
"""Pages that are followed with the program as it is installed; the others, with one whose imports are done already."""


@pytest.fixture
def reader(tmp_path: Path, name: str) -> Iterator[Reader]:
    commands = Path(sys.executable).parent if name in AS_INSTALLED else command_file(tmp_path / "bin").parent
    (tmp_path / "here").mkdir()
    with Upstream() as api:
        reader = Reader(tmp_path / "here", api.port, commands)
        try:
            yield reader
        finally:
            reader.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_document_run(reader: Reader, name: str) -> None:
    page = (ROOT / name).read_text()
    if "sallygate init" not in page and "main.py" not in page:
        basis(reader)
    if name in ("docs/operations.md", "docs/guides/monitoring.md", "docs/guides/floods.md"):
        reader.do("sallygate up")
    before = reader.ran
    if name == "docs/guides/backing-up.md":
        reader.run(
            "sallygate up & pid=$!; while ! sallygate status; do sleep 0.1; [ $((n+=1)) -lt 300 ] || break; done; kill $pid; wait $pid"
        )
    reader.follow(page)
    assert reader.ran - before >= 1, "a page without an example that runs needs none of this"


def test_the_assertion_is_verified_as_the_document_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(# verify\.py.*?)```", (ROOT / "docs/architecture.md").read_text(), re.S)
    assert block is not None
    made = Assertions(SigningKeys(Installation(tmp_path / "state").signing_keys("assertion")))
    (tmp_path / "assertion.jwks.json").write_bytes(made.jwks(0.0))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block[1], names)
    principal = Principal("key:k", "acme", "pro", frozenset({"a"}), "api_key")
    sent = dict(made.headers(principal, time.time(), signed=True))
    assert names["claims_of"](sent[b"x-sallygate-assertion"].decode())["sub"] == "key:k"
    with pytest.raises(JoseError):
        names["claims_of"](sent[b"x-sallygate-assertion"].decode()[:-4] + "AAAA")


def test_every_document_with_examples_is_run() -> None:
    pages = [
        file
        for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        if re.search(r"```(sh|python)\n", file.read_text())
    ]
    names = {file.relative_to(ROOT).as_posix() for file in pages}
    # CONTRIBUTING is about a clone; what performance.md and flood-evaluation.md say is the lab's.
    assert names - set(PAGES) <= {
        "CONTRIBUTING.md",
        "docs/performance.md",
        "docs/flood-evaluation.md",
        "docs/architecture.md",
        "docs/extending.md",
    }


@pytest.mark.skipif(not Path("/usr/sbin/nginx").exists() and shutil.which("nginx") is None, reason="no nginx here")
def test_the_nginx_example_is_right(tmp_path: Path) -> None:
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/guides/behind-a-proxy.md").read_text(), re.S)
    assert block is not None
    authority = tmp_path / "ca.pem"
    from sallygate.security.certificates import development_certificate

    development_certificate(tmp_path / "c", "127.0.0.1", time.time())
    shutil.copy(tmp_path / "c" / "ca.pem", authority)
    text = block[1].replace("/etc/sallygate/ca.pem", str(authority))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{text}\n}}\n"
    )
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    done = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_files_that_consoles_name_are_there() -> None:
    checked = 0
    for file in ROOT.glob("docs/guides/*.md"):
        for block in re.findall(r"```console\n(.*?)```", file.read_text(), re.S):
            for name in re.findall(r"(?:/opt/sallygate/|-f )(deploy/[\w.-]+)", block):
                assert (ROOT / name).exists(), name
                checked += 1
    assert checked >= 3
