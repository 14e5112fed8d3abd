"""Applications served by real servers in processes of their own, on loopback: uvicorn or Granian."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from patience import patient
from processes import Process, start
from support import held_port

HERE = Path(__file__).resolve().parent
SERVERS = ("uvicorn", "granian")


def command(server: str, target: str, port: int) -> list[object]:
    if server == "uvicorn":
        return ["uvicorn", target, "--host", "127.0.0.1", "--port", port, "--app-dir", HERE, "--log-level", "warning"]
    return [sys.executable, "-m", "granian", target, "--host", "127.0.0.1", "--port", port, "--interface", "asgi",
            "--working-dir", HERE, "--log-level", "warning"]  # fmt: skip


@dataclass
class Served:
    process: Process
    port: int
    directory: Path

    def ask(
        self, path: str, key: str | None = None, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patient(10))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["X-API-Key"] = key
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def code(self, path: str, key: str | None = None, **more: object) -> str:
        _, headers, body = self.ask(path, key, **more)  # type: ignore[arg-type]
        assert headers["content-type"] == "application/problem+json"
        return str(json.loads(body)["code"])

    def raw(self, data: bytes, wait_s: float = 5.0) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), wait_s) as client:
            client.sendall(data)
            got = b""
            try:
                while part := client.recv(65536):
                    got += part
            except (TimeoutError, ConnectionResetError):
                pass
            return got

    def stop(self) -> str:
        """End it as an operator does; what the application noted of its life."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        self.process.close()
        notes = self.directory / "notes"
        return notes.read_text() if notes.exists() else ""

    @property
    def log(self) -> str:
        return (self.directory / "server.log").read_text()


@contextmanager
def served(server: str, name: str, policy: Path, how: str = "wrapped") -> Iterator[Served]:
    """`apps_inprocess:app` as `name` and `how` say, once it accepts connections."""
    port, directory = held_port(), policy.parent
    env = {**os.environ, "APP": name, "HOW": how, "POLICY": str(policy), "NOTES": str(directory / "notes")}
    with (directory / "server.log").open("wb") as log:
        words = command(server, "apps_inprocess:app", port)
        process = start(*words, command=server != "uvicorn", stdout=log, stderr=log, env=env)
    one = Served(process, port, directory)
    try:
        deadline = time.monotonic() + patient(30)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, one.log
                time.sleep(0.01)
        yield one
    finally:
        one.stop()
