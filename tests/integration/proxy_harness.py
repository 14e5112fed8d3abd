"""A gateway of nothing but the proxy, on Granian, between raw sockets: both ends see every byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from patience import patient
from sallygate.proxy import ReverseProxy, UpstreamSettings
from support import held_port

DEADLINE_S = patient(15.0)
"""No exchange here takes a second; this is for a machine under load."""

QUICK = UpstreamSettings(urls=(), connect_s=1.0, first_byte_s=5.0, idle_s=5.0)

Serve = Callable[["Upstream", asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Upstream:
    """A server that keeps what it was sent and answers as told, connection by connection."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()
        """A connection was closed by the proxy."""
        self.errors: list[BaseException] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        except Exception as error:
            self.errors.append(error)
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=1 << 20)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Reads one request; its head goes to `heads`, its body, as it was framed, to `bodies`."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        lower = head.lower()
        if b"\r\ntransfer-encoding: chunked" in lower:
            body = await reader.readuntil(b"0\r\n\r\n")
        elif (at := lower.find(b"\r\ncontent-length: ")) >= 0:
            body = await reader.readexactly(int(lower[at + 18 :].split(b"\r\n")[0]))
        else:
            body = b""
        self.bodies.append(body)
        return head


def always(response: bytes) -> Serve:
    """Answers every request with these bytes."""

    async def serve(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await upstream.request(reader)
            writer.write(response)

    return serve


def once(response: bytes) -> Serve:
    """Answers one request with these bytes and closes."""

    async def serve(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        writer.write(response)
        await writer.drain()

    return serve


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Gateway:
    def __init__(self, port: int, proxy: ReverseProxy) -> None:
        self.port = port
        self.proxy = proxy

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    async def exchange(self, request: bytes) -> bytes:
        """Everything that comes back until the end; the request had better say `Connection: close`."""
        reader, writer = await self.connect()
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def get(self, target: bytes = b"/", *lines: bytes, method: bytes = b"GET") -> bytes:
        head = [method + b" " + target + b" HTTP/1.1", b"host: shop.example", b"connection: close", *lines]
        return await self.exchange(b"\r\n".join(head) + b"\r\n\r\n")


@contextlib.asynccontextmanager
async def gateway(settings: UpstreamSettings, *ports: int, wrap: Any = None) -> AsyncIterator[Gateway]:
    """The proxy before `127.0.0.1:port` for every port, unless `settings` has addresses of its own."""
    urls = settings.urls or tuple(f"http://127.0.0.1:{port}" for port in ports)
    proxy = ReverseProxy(replace(settings, urls=urls))
    await proxy.start()
    port = held_port()
    server = Server(
        wrap(proxy) if wrap else proxy,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: accepts(port))
        yield Gateway(port, proxy)
    finally:
        await proxy.close()
        server.stop()
        await asyncio.wait_for(serving, DEADLINE_S)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that nobody announces."""
    while not condition():
        await asyncio.sleep(0.005)


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Runs one test within its deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await story()

    asyncio.run(bounded())


def head_of(response: bytes) -> tuple[bytes, list[bytes]]:
    """Status line and header lines of a response."""
    status, *lines = response.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    return status, lines


def body_of(response: bytes) -> bytes:
    return response.split(b"\r\n\r\n", 1)[1]
