"""Server that starts processes for tests: it has imported the package already, and forks.

`python fork_server.py SOCKET` listens on a UNIX socket, a connection for each process. The client sends what to run
and the descriptors of the new process; it is told the process id, and the exit code at the end. A process is the leader
of a session and process group of its own. The group is killed when the client closes its connection, and when the
standard input of the server ends; the process, when the server ends in any other way.

A module is run as `python -m MODULE` runs it, without the second that its imports take. A command is executed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Any

MESSAGE_BYTES_MAX = 1 << 18
DESCRIPTORS_MAX = 16
HIGH = 500
"""Descriptors of this number and above are free here."""
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Be killed when the process `parent` ends (Linux)."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def preload() -> None:
    """Import every module of the package, and what else the tests' processes import."""
    import sallygate

    for module in pkgutil.walk_packages(sallygate.__path__, "sallygate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("uvicorn.main", "uvicorn.protocols.http.auto", "uvicorn.lifespan.on", "fastapi", "litestar"):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads cannot be forked safely"


@dataclass
class Job:
    """What a new process is to be: a module or a command, its arguments, environment, directory and descriptors."""

    said: dict[str, Any]
    given: list[int]

    def take_over(self) -> None:
        """Become this process, in the child of a fork."""
        high = [fcntl.fcntl(number, fcntl.F_DUPFD, HIGH) for number in self.given]
        os.closerange(0, HIGH)
        null = os.open(os.devnull, os.O_RDWR)  # number 0
        for number in (1, 2):
            os.dup2(null, number)
        for number, wanted in zip(high, self.said["descriptors"], strict=True):
            os.dup2(number, wanted)
            os.close(number)
        for number in (0, 1, 2):
            os.set_inheritable(number, True)
        os.chdir(self.said["directory"])
        os.environ.clear()
        os.environ.update(
            {key: str(os.getpid()) if value == "PID" else value for key, value in self.said["env"].items()}
        )

    def run(self) -> None:
        words = self.said["words"]
        if self.said["kind"] == "command":
            os.execvpe(words[0], words, os.environ)
        sys.argv = list(words)
        sys.path[0] = ""
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def serve(path: str) -> Job:
    """Start what is asked for; returns in the new process only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    pids: dict[socket.socket, int] = {}
    ended: dict[int, socket.socket] = {}
    server = os.getpid()
    os.write(1, b"ready\n")
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                for pid in pids.values():
                    _kill_group(pid)
                os._exit(0)
            if key.fileobj is listener:
                client, _ = listener.accept()
                selector.register(client, selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket) and key.fileobj in pids:
                selector.unregister(key.fileobj)
                _kill_group(pids.pop(key.fileobj))
                key.fileobj.close()
            elif isinstance(key.fileobj, socket.socket):
                client = key.fileobj
                data, given, _, _ = socket.recv_fds(client, MESSAGE_BYTES_MAX, DESCRIPTORS_MAX)
                if not data:
                    selector.unregister(client)
                    client.close()
                    continue
                pid = os.fork()
                if pid == 0:
                    die_with_parent(server)
                    os.setsid()
                    _tell(client, os.getpid())
                    selector.close()
                    listener.close()
                    for one in (client, *pids):
                        one.close()
                    job = Job(json.loads(data), given)
                    job.take_over()
                    return job
                for number in given:
                    os.close(number)
                pids[client] = pid
                watched = os.pidfd_open(pid)
                ended[watched] = client
                selector.register(watched, selectors.EVENT_READ, pid)
            else:
                watched = key.fd
                selector.unregister(watched)
                os.close(watched)
                _, status = os.waitpid(key.data, 0)
                _tell(ended.pop(watched), os.waitstatus_to_exitcode(status))


def _tell(client: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        client.send(b"%d" % number)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent(os.getppid())
    preload()
    gc.collect()
    gc.freeze()
    serve(sys.argv[1]).run()
