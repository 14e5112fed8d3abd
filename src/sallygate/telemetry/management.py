"""Management listener: liveness, readiness, metrics and status of a running gate.

Two listeners: TCP where `listen.management` says (liveness, readiness, metrics), and a UNIX socket in the state
directory for the commands of this machine (the whole status). Neither is for clients, and neither changes anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from sallygate.telemetry.exposition import render
from sallygate.telemetry.metrics import Snapshot
from sallygate.telemetry.status import Status

SHUTDOWN_S = 1.0
CONNECTIONS_MAX = 128
"""Of each listener: some Prometheus, a load balancer's checkers, people."""
CONNECTION_S = 15.0
"""Then a connection is closed, whatever it does: who scrapes opens another."""


class _Bounded(web.Server):
    """Few connections, none for long: silent ones must not take the descriptors that clients need."""

    def __call__(self) -> Any:  # aiohttp's own protocol, or one of ours
        return super().__call__() if len(self.connections) < CONNECTIONS_MAX else _Refusing()

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:  # Any: as in aiohttp
        """Callback of asyncio: limits the life of the connection to `CONNECTION_S` seconds."""
        super().connection_made(handler, transport)
        asyncio.get_running_loop().call_later(CONNECTION_S, transport.close)


class _Refusing(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Callback of asyncio: closes the connection, since the limit is reached."""
        transport.close()


class Management:
    """`status` and `snapshot` are asked for each request."""

    def __init__(self, status: Callable[[], Awaitable[Status]], snapshot: Callable[[], Snapshot]) -> None:
        self._status, self._snapshot = status, snapshot
        self._runners: list[web.ServerRunner] = []
        self._rendering = asyncio.Lock()
        self._answers = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}

    async def serve(self, listener: socket.socket, *, control: bool) -> None:
        """Answer on `listener`; the whole status only where `control` is true."""
        answers = {**self._answers, "/status": self._whole} if control else self._answers

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            found = answers.get(request.path)
            if found is None:
                response = web.Response(status=404, text="there is /livez, /readyz and /metrics\n")
            elif request.method not in ("GET", "HEAD"):
                response = web.Response(status=405, headers={"Allow": "GET, HEAD"})
            else:
                response = await found(request)
            response.headers["Server"] = "sallygate"
            return response

        runner = web.ServerRunner(_Bounded(answer, access_log=None), handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        await web.SockSite(runner, listener).start()

    async def close(self) -> None:
        """Close the listeners."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _livez(self, _: web.BaseRequest) -> web.Response:
        """That the loop turns is the answer."""
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.BaseRequest) -> web.Response:
        status = await self._status()
        # Why a policy was refused may quote it, and is for this machine's people.
        later = "a later policy was refused; see the log"
        checks = [replace(one, said=later) if one.name == "policy" and one.said else one for one in status.checks]
        said = {"ready": status.ready, "draining": status.draining, "checks": checks}
        return _json(said, 200 if status.ready else 503)

    async def _whole(self, _: web.BaseRequest) -> web.Response:
        return _json(await self._status(), 200)

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        async with self._rendering:  # one at a time: many scrapers must not take the processor from requests
            status, snapshot = await self._status(), self._snapshot()
            accept = request.headers.get("Accept", "")
            body, content_type = await asyncio.to_thread(render, snapshot, status, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})


def _json(value: object, status: int) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
