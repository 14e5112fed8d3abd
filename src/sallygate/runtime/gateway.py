"""The gateway: Guard before the reverse proxy, served by Granian in this process's own event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
from pathlib import Path

import uvloop
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from sallygate.certificates import development_certificate
from sallygate.guard import Guard
from sallygate.model.stores import StoreError
from sallygate.policy.load import Loaded
from sallygate.policy.schema import Listen, UpstreamSection
from sallygate.policy.units import read_endpoint
from sallygate.proxy import ReverseProxy, UpstreamSettings
from sallygate.runtime.core import Runtime
from sallygate.runtime.log import Log

DRAIN_S = 30
"""For requests under way at a stop or under an old upstream; then they are cut."""
COLLECT_AFTER = 20_000
"""Objects made and not freed before the youngest are looked through; Python's own 700 is for small programs."""
SEND_BUFFER_BYTES = 256 * 1024
"""The kernel doubles it. A reader that stops holds this much of an answer instead of the 4 MiB the kernel grows to; at
a round trip of 50 ms one connection still gets 10 MB/s."""
HEADER_READ_MS = 15_000
"""For a request head to arrive; slower is a slow sender (nginx's default is 60 s, Apache's 20)."""


class Gateway:
    """`await start()`, then requests are served until `await stop()`."""

    def __init__(self, policy: str | Path, log: Log | None = None) -> None:
        self.runtime = Runtime(policy, "gateway", log)
        self._proxy = self._make_proxy(self.runtime.loaded)
        self._guard = Guard(self._forward, self.runtime)
        self._servers: list[tuple[Server, asyncio.Task[None]]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.ca: Path | None = None
        """The development certificate authority's file, where there is one."""

    @property
    def listen(self) -> Listen:
        return self.runtime.loaded.policy.listen or Listen()

    @property
    def url(self) -> str:
        return f"https://{self.listen.https}"

    async def _forward(self, scope: object, receive: object, send: object) -> None:
        # Looked up for each request, so that a reload reaches the next one.
        await self._proxy(scope, receive, send)  # type: ignore[arg-type]  # ASGI's own open types

    def _make_proxy(self, loaded: Loaded) -> ReverseProxy:
        section = loaded.policy.upstream
        assert section is not None
        return ReverseProxy(upstream_settings(section, loaded), self.runtime.log)

    async def start(self) -> None:
        await self.runtime.start()
        await self._proxy.start()
        self.runtime.on_reload.append(self._reloaded)
        cert, key = self._certificate()
        _check_pair(cert, key)
        host, port = read_endpoint(self.listen.https)
        await self._serve(host, port, cert, key)
        if self.listen.http is not None:
            await self._serve(*read_endpoint(self.listen.http))
        self.runtime.log.info("gateway", url=self.url, policy=self.runtime.loaded.hash)

    def _certificate(self) -> tuple[Path, Path]:
        loaded = self.runtime.loaded
        if (files := self.listen.certificate) is not None:
            cert, key = loaded.beside(files.cert), loaded.beside(files.key)
            for file in (cert, key):
                if not file.is_file():
                    raise StoreError(f"{file}: there is no such file; `listen.certificate` names it")
            return cert, key
        host, _ = read_endpoint(self.listen.https)
        cert, key, self.ca = development_certificate(self.runtime.installation.certificates, host, self.runtime.now())
        return cert, key

    async def _serve(self, host: str, port: int, cert: Path | None = None, key: Path | None = None) -> None:
        _check_free(host, port)
        server = Server(
            self._guard,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=self.listen.backlog,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_MS),
            ssl_cert=cert,
            ssl_key=key,
            ssl_protocol_min=SSLProtocols.tls12,
            log_enabled=False,
        )
        self._servers.append((server, asyncio.get_running_loop().create_task(server.serve())))
        await _until_listening(host, port)
        _bound_send_buffers(port)

    async def _reloaded(self, old: Loaded) -> None:
        loaded = self.runtime.loaded
        if loaded.policy.listen != old.policy.listen:
            self.runtime.log.warning("`listen` has changed: that takes a restart")
        if loaded.policy.upstream != old.policy.upstream:
            former, fresh = self._proxy, self._make_proxy(loaded)
            await fresh.start()
            self._proxy = fresh
            task = asyncio.get_running_loop().create_task(_close_later(former))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        for server, task in self._servers:
            server.stop()  # type: ignore[no-untyped-call]
            try:
                await asyncio.wait_for(task, DRAIN_S)
            except (TimeoutError, asyncio.CancelledError):
                self.runtime.log.warning("requests under way were cut at the stop", after_s=DRAIN_S)
        for closing in list(self._closing):
            closing.cancel()
        await self._proxy.close()
        await self.runtime.stop()


def upstream_settings(section: UpstreamSection, loaded: Loaded) -> UpstreamSettings:
    health = section.health
    return UpstreamSettings(
        urls=tuple(section.urls),
        connect_s=section.connect,
        first_byte_s=section.first_byte,
        idle_s=section.idle,
        connections_max=section.connections,
        health_path=health.path if health else None,
        health_every_s=health.every if health else 5.0,
        unhealthy_after=health.unhealthy_after if health else 3,
        preserve_host=section.preserve_host,
        ca_file=str(loaded.beside(section.ca)) if section.ca else None,
    )


async def _close_later(proxy: ReverseProxy) -> None:
    await asyncio.sleep(DRAIN_S)
    await proxy.close()


def _check_pair(cert: Path, key: Path) -> None:
    """Granian's own thread would end without a word."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{cert}: not a certificate that {key} belongs to: {error}; name both in `listen`, or remove them there "
            "to have development ones made"
        ) from None


def _check_free(host: str, port: int) -> None:
    """Granian shares ports that are taken (SO_REUSEPORT); two gateways on one would share its requests unseen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StoreError(
                f"{host}:{port}: cannot listen there: {error.strerror}; choose another in `listen`"
            ) from None


def _bound_send_buffers(port: int) -> None:
    """Accepted connections inherit the listener's send buffer. Granian makes its sockets itself and gives no access to
    them, so ours are looked up among the process's own descriptors."""
    if not Path("/proc/self/fd").is_dir():
        return  # not Linux: the kernel's own bounds hold
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (not paths to be followed)
        try:
            with socket.socket(fileno=os.dup(int(name))) as found:
                listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockname()[1] == port:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        except OSError:
            continue  # no socket, or gone meanwhile


async def _until_listening(host: str, port: int) -> None:
    """Granian binds in a thread of its own; ready is when it accepts."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.025)
            continue
        writer.close()
        return
    raise StoreError(f"{host}:{port}: the server does not accept connections after 5 s")


def _calm_collector() -> None:
    """Cycles are rare here and little is made in them, so look for them seldom, and not in what the start made (100,000
    objects for a large contract): a tenth of what a passed request costs. What waits is at most some megabytes; the
    first policy's own cycles stay after a reload."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


async def serve_until_signalled(gateway: Gateway) -> None:
    """Run until SIGINT or SIGTERM, then stop cleanly."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await gateway.start()
    _calm_collector()
    try:
        await ended.wait()
    finally:
        await gateway.stop()


def run_gateway(policy: str | Path) -> None:
    """Serve `policy` until a signal ends it. Raises `PolicyError` or `StoreError` when it cannot start."""

    async def main() -> None:
        await serve_until_signalled(Gateway(policy))

    uvloop.run(main())
