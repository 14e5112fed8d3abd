"""What operators' programs ask a running gate: is it alive, is it ready, what has it counted, how is it.

Two listeners: TCP where `listen.management` says (liveness, readiness, metrics), and a UNIX socket in the state
directory for the commands of this machine (the whole status). Neither is for clients, and neither changes anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from sallygate.runtime.sockets import connect_control
from sallygate.telemetry.exposition import render
from sallygate.telemetry.metrics import Snapshot
from sallygate.telemetry.status import Status

ANSWER_BYTES_MAX = 8 << 20
"""Of a status: 100 upstreams and 1,000 tables take 100 KiB."""
SHUTDOWN_S = 1.0


class Management:
    """`status` and `snapshot` are asked for each request."""

    def __init__(self, status: Callable[[], Awaitable[Status]], snapshot: Callable[[], Snapshot]) -> None:
        self._status, self._snapshot = status, snapshot
        self._runners: list[web.AppRunner] = []
        self._rendering = asyncio.Lock()

    async def serve(self, listener: socket.socket, *, control: bool) -> None:
        """Answer on `listener`; the whole status only where `control` is true."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if control:
            app.router.add_get("/status", self._whole)
        app.on_response_prepare.append(_nameless)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        await web.SockSite(runner, listener).start()

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _livez(self, _: web.Request) -> web.Response:
        """That the loop turns is the answer."""
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        status = await self._status()
        said = {"ready": status.ready, "draining": status.draining, "checks": status.checks}
        return _json(said, 200 if status.ready else 503)

    async def _whole(self, _: web.Request) -> web.Response:
        return _json(await self._status(), 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        async with self._rendering:  # one at a time: many scrapers must not take the processor from requests
            status, snapshot = await self._status(), self._snapshot()
            accept = request.headers.get("Accept", "")
            body, content_type = await asyncio.to_thread(render, snapshot, status, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})


async def _nameless(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "sallygate"


def _json(value: object, status: int) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


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
