"""Processes of tests: started by a fork server, each in a session of its own, none outliving the tests."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from patience import patient

Stream = IO[Any] | int | None
SERVER, CLIENT = (Path(__file__).with_name(f"fork_{name}.py") for name in ("server", "client"))


class Process:
    """A process that was started here, asked as `subprocess.Popen` is. Deadlines are scaled."""

    def __init__(self, client: socket.socket, words: tuple[str, ...]) -> None:
        self._client = client
        self.args = words
        client.settimeout(patient(10))
        self.pid = int(client.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            with contextlib.suppress(BlockingIOError, TimeoutError):
                self._hear(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self._hear(None if timeout is None else patient(timeout))
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
        assert self.returncode is not None
        return self.returncode

    def _hear(self, timeout: float | None) -> None:
        self._client.settimeout(timeout)
        said = self._client.recv(64)
        self.returncode = int(said) if said else -signal.SIGKILL  # the server is gone, and with it the process

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it, and everything in its process group."""
        self._client.close()

    def stop(self, within_s: float = 15.0) -> None:
        """SIGTERM, time to end, then the end of its whole group."""
        try:
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(within_s)
        finally:
            self.close()


def start(
    *words: object,
    command: bool = False,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    directory: Path | None = None,
    descriptors: Mapping[int, int] | None = None,
) -> Process:
    """`python -m WORDS` with the imports done already; or, with `command`, the command WORDS itself.

    `descriptors` are further ones of the new process, by the number they get there. A variable whose value is `PID` gets
    the process id. Streams that are not named are `/dev/null`."""
    streams = {0: stdin, 1: stdout, 2: stderr}
    given = {
        number: one if isinstance(one, int) else one.fileno() for number, one in streams.items() if one is not None
    }
    given |= descriptors or {}
    said = {
        "kind": "command" if command else "module",
        "words": [str(word) for word in words],
        "env": dict(os.environ if env is None else env),
        "directory": str(directory or Path.cwd()),
        "descriptors": list(given),
    }
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(_server())
    socket.send_fds(client, [json.dumps(said).encode()], list(given.values()))
    return Process(client, tuple(said["words"]))


def run(
    *words: object,
    command: bool = False,
    input: str = "",
    env: Mapping[str, str] | None = None,
    directory: Path | None = None,
    within_s: float = 30.0,
) -> subprocess.CompletedProcess[str]:
    """Start it as `start` does, wait for its end, and return what it said."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(input.encode())
        stdin.seek(0)
        process = start(
            *words, command=command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, directory=directory
        )
        try:
            code = process.wait(within_s)
        finally:
            process.close()
        told = []
        for stream in (stdout, stderr):
            stream.seek(0)
            told.append(stream.read().decode())
    return subprocess.CompletedProcess(process.args, code, *told)


def sallygate(*words: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command line: `python -m sallygate WORDS`."""
    return run("sallygate", *words, **more)


def command_file(directory: Path) -> Path:
    """A program `sallygate` in `directory`, for scripts: it has the fork server run what it is asked."""
    directory.mkdir()
    file = directory / "sallygate"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -SEs {CLIENT} {_server()} sallygate "$@"\n')
    file.chmod(0o755)
    return file


_starting = threading.Lock()
_path = ""


def _server() -> str:
    """The socket of this process's fork server, which is started when it is first needed."""
    global _path
    with _starting:
        if not _path:
            directory = tempfile.mkdtemp(prefix="sg-")
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            path = f"{directory}/s"
            server = subprocess.Popen(
                [sys.executable, str(SERVER), path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert server.stdin is not None and server.stdout is not None
            atexit.register(server.wait)
            atexit.register(server.stdin.close)  # first: what ends the server
            assert server.stdout.readline() == b"ready\n", "the fork server did not start"
            _path = path
    return _path
