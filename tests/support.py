"""What tests share: a policy written to a directory, a running gateway, an upstream that remembers, raw sockets."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sallygate.admin.accounts import Accounts
from sallygate.admin.keys import Administration
from sallygate.model.account import Account
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.store import SqliteStore

DATA = Path(os.environ.get("SALLYGATE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
"""Public evaluation data; tests that read it skip, with this reason, where it is not."""

OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "things", "version": "1"},
    "paths": {
        "/status": {"get": {"operationId": "getStatus", "security": [], "responses": {"200": {"description": "ok"}}}},
        "/things": {
            "get": {
                "operationId": "listThings",
                "security": [{"key": ["things:read"]}],
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
                    {"name": "q", "in": "query", "schema": {"type": "string", "maxLength": 2000}},
                ],
                "responses": {"200": {"description": "ok"}},
            },
            "post": {
                "operationId": "createThing",
                "security": [{"key": ["things:write"]}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string", "maxLength": 100},
                                    "count": {"type": "integer", "minimum": 0},
                                },
                            }
                        },
                        "application/octet-stream": {},
                    },
                },
                "responses": {"201": {"description": "made"}},
            },
        },
        "/things/{thingId}": {
            "get": {
                "operationId": "getThing",
                "security": [{"key": ["things:read"]}],
                "parameters": [
                    {"name": "thingId", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
                ],
                "responses": {"200": {"description": "ok"}},
            }
        },
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
}

PLANS = """
plans:
  small: {rate: 5/s burst 5, quota: {hour: 1000}, data: {bytes: 1MB/day, records: 100/day}, scopes: [things:read]}
  large: {rate: 1000/s burst 1000, quota: {hour: 1000000}, data: {bytes: 1GB/day}, scopes: ["*"]}
"""


def write_policy(
    directory: Path, text: str = "", *, upstream: str = "http://127.0.0.1:9", openapi: dict[str, Any] | None = None
) -> Path:
    """A policy over the `things` API. `text` adds sections, or replaces those of the same name."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "openapi.json").write_text(json.dumps(openapi or OPENAPI))
    sections = {
        "version": "version: 1",
        "upstream": f"upstream: {upstream}",
        "openapi": "openapi: openapi.json",
        "identity": "identity: {api_keys: {header: X-API-Key}}",
        "plans": PLANS.strip(),
        "limits": "limits: {address: 10000/s burst 10000, address_concurrent: 1000}",
        "operations": "operations: {listThings: {records: /items}}",
        "state": "state: state",
    }
    chunk: list[str] = []
    for line in [*text.strip().splitlines(), "\x00:"]:
        if line[:1].strip() and chunk:
            sections[chunk[0].partition(":")[0]] = "\n".join(chunk)
            chunk = []
        chunk.append(line)
    file = directory / "sallygate.yaml"
    file.write_text("\n".join(sections.values()) + "\n")
    return file


@contextmanager
def administration(policy: Path) -> Iterator[Administration]:
    installation = Installation(policy.parent / "state")
    store = SqliteStore(installation.database)
    try:
        yield Administration(store, KeyRing(installation.pepper()), "test")
    finally:
        store.close()


def make_key(policy: Path, plan: str = "large", account: str = "acme", **more: Any) -> str:
    with administration(policy) as admin:
        return admin.create_key(account, plan, **more)[1]


def make_account(policy: Path, name: str, plan: str = "large", **more: Any) -> Account:
    installation = Installation(policy.parent / "state")
    with closing(SqliteStore(installation.database)) as store:
        return Accounts(store, "test").create(name, plan, **more)


def cli(policy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command over `policy`, in a process of its own."""
    command = [sys.executable, "-m", "sallygate", *words, "--policy", str(policy)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Received:
    """One request as an upstream saw it, byte for byte."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Answer = Callable[["Received", socket.socket], None]


def plain_answer(request: Received, client: socket.socket) -> None:
    body = b'{"items":[{"id":"a1"},{"id":"a2"}],"next":null}'
    client.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )


@dataclass
class Upstream:
    """An HTTP/1.1 server on a raw socket that remembers what it was sent and answers as told."""

    answer: Answer = plain_answer
    received: list[Received] = field(default_factory=list)
    raw: bytes = b""
    connections: int = 0

    def __enter__(self) -> Upstream:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        stream = client.makefile("rb")
        try:
            while line := stream.readline():
                self.raw += line
                headers = []
                while (header := stream.readline()) not in (b"\r\n", b"\n", b""):
                    self.raw += header
                    name, _, value = header.rstrip(b"\r\n").partition(b":")
                    headers.append((name, value.strip()))
                request = Received(line.rstrip(b"\r\n"), headers, b"")
                request.body = self._body(request, stream)
                self.received.append(request)
                self.answer(request, client)
        except OSError:
            pass
        finally:
            client.close()

    @staticmethod
    def _body(request: Received, stream: Any) -> bytes:
        if lengths := request.values(b"content-length"):
            return bytes(stream.read(int(lengths[0])))
        body = b""
        if request.values(b"transfer-encoding"):
            while size := int(stream.readline().split(b";")[0] or b"0", 16):
                body += stream.read(size)
                stream.readline()
            stream.readline()
        return body


@dataclass
class Running:
    """A gateway in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    policy: Path
    log: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.policy.parent / "state" / "certificates" / "ca.pem"

    def connect(self, timeout: float = 10) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca))
        raw = socket.create_connection(("127.0.0.1", self.port), timeout)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def connect_h2(self, timeout: float = 10) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", self.port), timeout)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def send(self, data: bytes, wait_s: float = 2.0) -> bytes:
        """Write `data` on a connection of its own, and read until the gateway closes or is silent."""
        with self.connect() as client:
            client.settimeout(wait_s)
            got = b""
            try:
                client.sendall(data)
                while part := client.recv(65536):
                    got += part
            except (TimeoutError, OSError):
                pass
            return got

    def get(
        self, path: str, key: str | None = None, method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of one request on a connection of its own."""
        import http.client

        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, context=ssl.create_default_context(cafile=str(self.ca))
        )
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["X-API-Key"] = key
        try:
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data
        finally:
            connection.close()

    def code(self, path: str, key: str | None = None, **more: Any) -> str:
        """The problem's code, or empty."""
        _, _, body = self.get(path, key, **more)
        try:
            return str(json.loads(body).get("code", ""))
        except (ValueError, AttributeError):
            return ""


@contextmanager
def running_gateway(
    policy: Path, wait_s: float = 20.0, env: dict[str, str] | None = None, python: str = sys.executable
) -> Iterator[Running]:
    """`sallygate up` on a free port, stopped with SIGTERM at the end."""
    port = free_port()
    text = policy.read_text()
    if "\nlisten:" not in text:
        policy.write_text(text + f"listen: {{https: 127.0.0.1:{port}}}\n")
    else:
        port = int(text.partition("https: 127.0.0.1:")[2].split("}")[0].split(",")[0].split("\n")[0])
    log = policy.parent / "gateway.log"
    told = log.stat().st_size if log.exists() else 0
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [python, "-m", "sallygate", "up", str(policy)],
            stdout=stream,
            stderr=stream,
            env={**os.environ, **(env or {})},
        )
    running = Running(process, port, policy, log)
    try:
        deadline = time.monotonic() + wait_s
        while b'"gateway"' not in log.read_bytes()[told:].replace(b" ", b"").replace(b'event":', b""):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the gateway did not start: {log.read_text()}")
            time.sleep(0.02)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], Any], within_s: float = 5.0) -> Any:
    """Wait for something another process does; fail when it does not."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {within_s} s")
