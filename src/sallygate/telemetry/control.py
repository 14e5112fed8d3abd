"""Client of a running gate's control socket: fetches its status."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sallygate.net.sockets import connect_control
from sallygate.telemetry.status import Status

ANSWER_BYTES_MAX = 8 << 20
"""Of a status: 100 upstreams and 1,000 tables take 100 KiB."""


def ask_status(control: Path) -> Status | None:
    """The status of the gate that listens at `control`; None when there is none. Raises `OSError` when it does not
    answer, `msgspec.ValidationError` when it speaks of things this version does not know."""
    client = connect_control(control)
    if client is None:
        return None
    with client, client.makefile("rb") as stream:
        client.sendall(b"GET /status HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n")
        while stream.readline() not in (b"\r\n", b""):
            pass
        return msgspec.json.decode(stream.read(ANSWER_BYTES_MAX), type=Status)
