"""What tests share: a policy written to a directory, a running gateway, an upstream that remembers, raw sockets."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import processes
from patience import patient, until
from processes import Process
from sallygate.admin.accounts import Accounts
from sallygate.admin.erase import Report, erase
from sallygate.admin.keys import Administration
from sallygate.model.account import Account
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.erasing import SqlitePersonRecords
from sallygate.stores.sqlite.opening import open_store

__all__ = ["DATA", "OPENAPI", "PLANS", "Received", "Running", "Upstream", "administration", "cli", "erased", "held_port", "make_account",
           "make_key", "plain_answer", "running_gateway", "until", "write_policy"]  # fmt: skip

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


def zone_in_mid_hour() -> str:
    """A time zone whose hour lasts for half an hour at least, so that no window of a quota ends within a test."""
    return "UTC" if time.time() % 3600 < 1800 else "Asia/Kolkata"  # whose hours begin at half past


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
        "limits": f"limits: {{address: 10000/s burst 10000, address_concurrent: 1000, time_zone: {zone_in_mid_hour()}}}",
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
    store = open_store(installation)
    try:
        yield Administration(store, KeyRing(installation.pepper()), "test")
    finally:
        store.close()


def make_key(policy: Path, plan: str = "large", account: str = "acme", **more: Any) -> str:
    with administration(policy) as admin:
        return admin.create_key(account, plan, **more)[1]


def make_account(policy: Path, name: str, plan: str = "large", **more: Any) -> Account:
    installation = Installation(policy.parent / "state")
    with closing(open_store(installation)) as store:
        return Accounts(store, "test").create(name, plan, **more)


def erased(installation: Installation, name: str, actor: str, **more: Any) -> Report:
    """What `sallygate erase` does."""
    with closing(SqlitePersonRecords(installation.database)) as records:
        return erase(installation, records, name, actor, **more)


def cli(policy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command over `policy`, in a process of its own."""
    return processes.sallygate(*words, "--policy", policy)


_held: list[socket.socket] = []


def held_port() -> int:
    """A port on which a server of this test may listen, and nobody else: a socket that does not listen stays bound to it
    until the tests end. Connections to it are refused meanwhile."""
    holder = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        holder.setsockopt(socket.SOL_SOCKET, option, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])


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

    process: Process
    port: int
    policy: Path
    log: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.policy.parent / "state" / "certificates" / "ca.pem"

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Of HTTP/1 clients; reading it from the file takes longer than a request."""
        return ssl.create_default_context(cafile=str(self.ca))

    def connect(self, timeout: float = 10) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port), patient(timeout))
        return self._trust.wrap_socket(raw, server_hostname="127.0.0.1")

    def connect_h2(self, timeout: float = 10) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", self.port), patient(timeout))
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def send(self, data: bytes, wait_s: float | None = None) -> bytes:
        """Write `data` on a connection of its own, and read until the gateway closes it.

        `wait_s` is for requests that may get no answer or leave the connection open: reading ends as well when the
        gateway is silent for so long, or for `MORE_S` after a whole answer."""
        with self.connect() as client:
            got = b""
            try:
                client.sendall(data)
                client.settimeout(patient(10) if wait_s is None else wait_s)
                while part := client.recv(65536):
                    got += part
                    if wait_s is not None and is_whole(got):
                        client.settimeout(min(wait_s, MORE_S))
            except OSError:
                pass
            return got

    def get(
        self, path: str, key: str | None = None, method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=patient(20), context=self._trust)
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


MORE_S = 0.1
"""For a second answer, which would be one too many."""


def is_whole(data: bytes) -> bool:
    """Whether `data` is one answer or several and nothing of another, as far as lengths and last chunks say."""
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return False
        fields = head.lower()
        if head.startswith(b"HTTP/1.1 1"):
            data = rest
        elif b"\r\ntransfer-encoding: chunked" in fields:
            _, end, data = (b"\r\n" + rest).partition(b"\r\n0\r\n\r\n")
            if not end:
                return False
        else:
            length = int((fields.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0]) or b"0")
            if len(rest) < length:
                return False
            data = rest[length:]
    return True


def listen_port(policy: Path) -> int:
    """The port of a policy's `listen.https`, which gets one where it names none."""
    text = policy.read_text()
    if "\nlisten:" not in text:
        port = held_port()
        policy.write_text(text + f"listen: {{https: 127.0.0.1:{port}}}\n")
        return port
    return int(text.partition("https: 127.0.0.1:")[2].split("}")[0].split(",")[0].split("\n")[0])


@contextmanager
def running_gateway(
    policy: Path, wait_s: float = 20.0, env: dict[str, str] | None = None, python: str = ""
) -> Iterator[Running]:
    """`sallygate up` on a port of its own, stopped with SIGTERM at the end; `python` is the interpreter that runs it,
    where it is not to be a fork of one that has the imports done."""
    port = listen_port(policy)
    log = policy.parent / "gateway.log"
    told = log.stat().st_size if log.exists() else 0
    words = ("sallygate", "up", policy)
    with log.open("ab") as stream:
        process = processes.start(
            *((python, "-m", *words) if python else words),
            command=bool(python),
            stdout=stream,
            stderr=stream,
            env={**os.environ, **(env or {})},
        )
    running = Running(process, port, policy, log)
    try:
        deadline = time.monotonic() + patient(wait_s)
        while b'"gateway"' not in log.read_bytes()[told:].replace(b" ", b"").replace(b'event":', b""):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the gateway did not start: {log.read_text()}")
            time.sleep(0.005)
        yield running
    finally:
        process.stop()
