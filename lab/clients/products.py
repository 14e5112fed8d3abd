"""Products: how each is installed and started, where its document is, and the script that its own client runs.

Everything is installed into one directory outside the project, and started on loopback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from lab.speed.servers import Missing

SCRIPTS = Path(__file__).parent / "scripts"
READY_S = 90
POCKETBASE = "v0.39.0"
"""Of the Go module; later versions need a later Go."""


class Product(Struct, frozen=True):
    """One product and its client."""

    name: str
    install: Callable[[Path], None]
    """Installs product and client into a directory; does nothing where that was done before."""
    command: Callable[[Path, Path, int], list[str]]
    """Command that serves, of the installation, a directory of its data, and a port."""
    client: Callable[[Path], list[str]]
    """Command of the client's script, without its arguments."""
    ready: str
    """Path that answers when it serves."""
    document: str
    """Path of its OpenAPI document, or `none`."""
    sockets: str = ""
    """Path of its WebSocket, which the gate does not carry yet; the client does without it."""
    environment: Mapping[str, str] = {}


def _venv(directory: Path, package: str) -> None:
    if (directory / "done").exists():
        return
    _run([sys.executable, "-m", "venv", str(directory)])
    _run([str(directory / "bin/pip"), "--quiet", "--disable-pip-version-check", "install", package])
    (directory / "done").touch()


def _pocketbase(directory: Path) -> None:
    if (directory / "done").exists():
        return
    for program in ("go", "node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"pocketbase needs {program}")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.go").write_text(
        'package main\n\nimport (\n\t"log"\n\n\t"github.com/pocketbase/pocketbase"\n)\n\n'
        "func main() {\n\tif err := pocketbase.New().Start(); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n"
    )
    if not (directory / "go.mod").exists():
        _run(["go", "mod", "init", "served"], directory)
    _run(["go", "get", f"github.com/pocketbase/pocketbase@{POCKETBASE}"], directory)
    _run(["go", "build", "-o", "pocketbase", "."], directory)
    if not (directory / "package.json").exists():
        _run(["npm", "init", "-y"], directory)
    _run(["npm", "install", "--silent", "pocketbase"], directory)
    (directory / "done").touch()


def _serve_pocketbase(directory: Path, data: Path, port: int) -> list[str]:
    program = [str(directory / "pocketbase"), "--dir", str(data)]
    _run([*program, "superuser", "upsert", "admin@example.com", "correct-horse-9"])
    return [*program, "serve", "--http", f"127.0.0.1:{port}"]


def _pocketbase_client(directory: Path) -> list[str]:
    script = directory / "client.mjs"  # beside node_modules, where the script's import is looked for
    script.write_text((SCRIPTS / "pocketbase_client.mjs").read_text())
    return ["node", str(script)]


def _run(words: list[str], directory: Path | None = None) -> None:
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(words[:4])} failed: {(done.stderr or done.stdout).strip()[-400:]}")


PRODUCTS = (
    Product(
        "chromadb",
        lambda directory: _venv(directory, "chromadb"),
        lambda directory, data, port: [str(directory / "bin/chroma"), "run", "--path", str(data), "--port", str(port)],
        lambda directory: [str(directory / "bin/python"), str(SCRIPTS / "chromadb_client.py")],
        "/api/v2/heartbeat",
        "/openapi.json",
        environment={"ANONYMIZED_TELEMETRY": "false"},
    ),
    Product(
        "prefect",
        lambda directory: _venv(directory, "prefect"),
        lambda directory, data, port: [
            str(directory / "bin/prefect"), "server", "start", "--port", str(port), "--no-ui",
        ],
        lambda directory: [str(directory / "bin/python"), str(SCRIPTS / "prefect_client.py")],
        "/api/health",
        "/api/openapi.json",
        "/api/events/in",
        environment={"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"},
    ),
    Product("pocketbase", _pocketbase, _serve_pocketbase, _pocketbase_client, "/api/health", "none"),
)  # fmt: skip


@contextmanager
def served(product: Product, installed: Path, data: Path, port: int, log: Path) -> Iterator[str]:
    """The product on a port of loopback, from an empty directory; gives its URL."""
    data.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **product.environment, "HOME": str(data), "PREFECT_HOME": str(data)}
    command = product.command(installed, data, port)
    with log.open("ab") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(f"{url}{product.ready}", process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the URL answers with success. Raises `Missing` where the process ends or too much time passes."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise Missing(f"{url} does not answer: {log.read_text(errors='replace')[-400:]}")
