"""Another protection's say on the same requests: Debian's nginx with ModSecurity and the Core Rule Set, paranoia level 1.

A test of the rule set says what one of its rules makes of a request, not what the set as a whole does: many of the cases a
rule is to let through another rule refuses. What the set says as a whole is asked here, over loopback, each request once.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.injection import requests
from lab.injection.suites import Case
from lab.speed import servers
from sallygate.offline.recordings import Recorded

NAME = "nginx + ModSecurity + CRS"
REFUSED = b"403"
"""What the rule set's refusals are answered with. What nginx itself takes for no HTTP (400, 405) is not the rules' doing."""
_ATTACK = "<script>alert(1)</script>"
WAIT_S = 10.0
"""For one answer. They take milliseconds."""
CASES_MAX = 2000
"""Requests sent in one run; the suite has some five hundred."""


def refused(cases: Iterable[Case], advance: Callable[[int], None]) -> set[str]:
    """The names of those cases which the peer refuses. Raises `servers.Missing` where it is not installed."""
    found = set()
    with tempfile.TemporaryDirectory(prefix="sallygate-peer-") as folder:
        directory, upstream, port = Path(folder), servers.free_port(), servers.free_port()
        directory.chmod(0o755)  # nginx's worker may be another user
        with (
            servers.nginx("upstream", directory / "upstream", upstream, answer=b"{}"),
            servers.nginx(NAME, directory / "waf", port, upstream=upstream, waf=True),
        ):
            if (_status(requests.in_query("shoes"), port), _status(requests.in_query(_ATTACK), port)) != (
                b"200",
                REFUSED,
            ):
                raise RuntimeError(f"{NAME} passes an attack, or refuses a plain request: its rules are not in force")
            for case in list(cases)[:CASES_MAX]:
                if _status(case.request, port) == REFUSED:
                    found.add(case.name)
                advance(1)
    return found


def _status(request: Recorded, port: int) -> bytes:
    """The status the request is answered with; empty for none."""
    target = request.raw_path + (b"?" + request.raw_query if request.raw_query else b"")
    head = [b"%s %s HTTP/1.1" % (request.method.encode(), target)]
    head += [name + b": " + value for name, value in request.headers if name != b"connection"]
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as wire:
        wire.sendall(b"\r\n".join([*head, b"Connection: close", b"", request.body]))
        try:
            answer = wire.recv(64)
        except (TimeoutError, ConnectionError):
            return b""
    return answer[9:12]
