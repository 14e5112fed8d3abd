"""Command that stands for `python -m MODULE` in a shell's script: has the fork server run it, with this process's
descriptors, directory and environment, hands signals on, and ends with its exit code.

`python -SEs fork_client.py SOCKET MODULE WORDS`: nothing but the standard library, and little of it, so that it starts
in some milliseconds.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def main(path: str, *words: str) -> int:
    said = {
        "kind": "module",
        "words": words,
        "env": dict(os.environ),
        "directory": os.getcwd(),
        "descriptors": [0, 1, 2],
    }
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(path)
    socket.send_fds(client, [json.dumps(said).encode()], [0, 1, 2])
    pid = int(client.recv(64))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    return int(client.recv(64) or b"255")


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    if code < 0:  # ended by a signal: end alike
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
