"""Gateway: Guard in front of the reverse proxy, served by Granian in this process's own event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from sallygate.guard import Guard
from sallygate.net.sockets import accept_no_more, listening, none_left, notify
from sallygate.policy.load import Loaded
from sallygate.policy.serving import Listen, UpstreamSection
from sallygate.policy.units import read_endpoint
from sallygate.ports import StoreError
from sallygate.proxy import ReverseProxy, UpstreamSettings
from sallygate.runtime.runtime import Runtime
from sallygate.security.certificates import development_certificate
from sallygate.telemetry.log import Log
from sallygate.telemetry.status import ListenerStatus, UpstreamState

DRAIN_S = 30
"""For requests under way at a stop or under an old upstream; then they are cut."""
COLLECT_AFTER = 20_000
"""Objects made and not freed before the youngest are looked through; Python's own 700 is for small programs."""
SEND_BUFFER_BYTES = 256 * 1024
"""The kernel doubles it. A reader that stops holds this much of an answer instead of the 4 MiB the kernel grows to; at
a round trip of 50 ms one connection still gets 10 MB/s."""
CONNECTIONS_MAX = 8192
"""Open at once on a listener, kept-alive ones included; further ones wait to be accepted. Some 30 KB each. Of
Granian's own 1,024 a flood that keeps its connections would leave none for others."""
SETTLE_S = 1.0
"""Between the last connection taken and the stop: a TLS handshake takes two round trips and a request one."""
HEADER_READ_MS = 15_000
"""For a request head to arrive; slower is a slow sender (nginx's default is 60 s, Apache's 20)."""


class _Server(Server):
    """Granian on a socket of ours. By itself it binds one that shares its port with any process (SO_REUSEPORT), so two
    gateways could be started on one unseen, gives no access to it, and cannot take one from systemd."""

    def __init__(self, app: object, listener: socket.socket, **settings: Any) -> None:  # Any: Granian's own
        super().__init__(app, **settings)
        self._listener = listener
        self.inode = os.fstat(listener.fileno()).st_ino

    def _init_shared_socket(self) -> None:
        self._ssp = None
        # Granian's stub leaves the arguments of `SocketHolder` out: descriptor, whether it is a UNIX socket, backlog.
        make: Any = SocketHolder
        self._shd = make(self._listener.detach(), False, self.backlog)


class Gateway:
    """`await start()`, then requests are served until `await stop()`."""

    def __init__(self, policy: str | Path, log: Log | None = None) -> None:
        self.runtime = Runtime(policy, "gateway", log)
        self._proxy = self._make_proxy(self.runtime.loaded)
        self._guard = Guard(self._forward, self.runtime)
        self._handed_over = bool(self.runtime.handed_over)
        self._servers: list[tuple[_Server, asyncio.Task[None]]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.ca: Path | None = None
        """The development certificate authority's file, where there is one."""

    @property
    def listen(self) -> Listen:
        """The policy's section `listen`, or its defaults."""
        return self.runtime.loaded.policy.listen or Listen()

    @property
    def url(self) -> str:
        """Address of the HTTPS listener."""
        return f"https://{self.listen.https}"

    async def _forward(self, scope: object, receive: object, send: object) -> None:
        # Looked up for each request, so that a reload reaches the next one.
        await self._proxy(scope, receive, send)  # type: ignore[arg-type]  # ASGI's own open types

    def _make_proxy(self, loaded: Loaded) -> ReverseProxy:
        section = loaded.policy.upstream
        assert section is not None
        return ReverseProxy(upstream_settings(section, loaded), self.runtime.log)

    async def start(self) -> None:
        """Start background work, upstreams and listeners. Raises `GatewayError` if a port cannot be bound."""
        runtime = self.runtime
        runtime.reporting.upstreams = self._upstreams
        await runtime.start()
        await self._proxy.start()
        runtime.on_reload.append(self._reloaded)
        try:
            self._listen()
        except BaseException:
            await self.stop()
            raise
        runtime.log.info("gateway", url=self.url, policy=runtime.loaded.hash)

    def _listen(self) -> None:
        cert, key = self._certificate()
        _check_pair(cert, key)
        https = self._bound(self.listen.https)
        http = self._bound(self.listen.http) if self.listen.http is not None else None
        none_left(self.runtime.handed_over)
        self._serve("https", self.listen.https, https, cert, key)
        if http is not None:
            self._serve("http", self.listen.http or "", http)

    def _bound(self, address: str) -> socket.socket:
        host, port = read_endpoint(address)
        return listening(host, port, self.listen.backlog, self.runtime.handed_over, SEND_BUFFER_BYTES)

    async def _upstreams(self) -> tuple[UpstreamState, ...]:
        found = await self._proxy.reachable()
        return tuple(UpstreamState(one.url, one.healthy, one.requests, one.failures) for one in found)

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

    def _serve(
        self, name: str, address: str, listener: socket.socket, cert: Path | None = None, key: Path | None = None
    ) -> None:
        host, port = read_endpoint(address)
        server = _Server(
            self._guard,
            listener,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=self.listen.backlog,
            backpressure=_connections(),
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_MS),
            ssl_cert=cert,
            ssl_key=key,
            ssl_protocol_min=SSLProtocols.tls12,
            log_enabled=False,
        )
        self._servers.append((server, asyncio.get_running_loop().create_task(server.serve())))
        until = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc.timestamp() if cert else None
        self.runtime.reporting.listeners.append(ListenerStatus(name, address, until))

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
        """Stop accepting, finish exchanges under way within their deadlines, and stop background work."""
        runtime = self.runtime
        runtime.life.draining = True
        if (delay := self.listen.stop_delay) and self._servers:
            runtime.log.info("stopping", accepting_for_s=delay)
            await asyncio.sleep(delay)
        await self._finish_accepting()
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

    async def _finish_accepting(self) -> None:
        """Take no new connection, and give those just taken the time for their handshake and their request. Not worth
        a wait where nobody is calling."""
        handed_over, busy = self._handed_over, self.runtime.under_way > 0
        for server, _ in self._servers:
            accept_no_more(server.inode)
        if self._servers and (handed_over or busy):
            await asyncio.sleep(SETTLE_S)


def _connections() -> int:
    """How many a listener may have open: half of the descriptors are for what answers them."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if allowed == resource.RLIM_INFINITY else max(64, min(CONNECTIONS_MAX, allowed // 2))


def upstream_settings(section: UpstreamSection, loaded: Loaded) -> UpstreamSettings:
    """Settings of the proxy from the policy section `upstream`."""
    health = section.health
    return UpstreamSettings(
        urls=tuple(section.urls),
        connect_s=section.connect,
        first_byte_s=section.first_byte,
        idle_s=section.idle,
        connections_max=section.connections,
        keep_s=section.keep,
        age_s=section.age,
        health_path=health.path if health else None,
        health_every_s=health.every if health else 5.0,
        unhealthy_after=health.unhealthy_after if health else 3,
        preserve_host=section.preserve_host,
        ca_file=str(loaded.beside(section.ca)) if section.ca else None,
    )


async def _close_later(proxy: ReverseProxy) -> None:
    try:
        await asyncio.sleep(DRAIN_S)
    finally:  # at a stop, too
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
    notify("READY=1")
    try:
        await ended.wait()
    finally:
        notify("STOPPING=1")
        await gateway.stop()


def run_gateway(policy: str | Path) -> None:
    """Serve `policy` until a signal ends it. Raises `PolicyError` or `StoreError` when it cannot start."""

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload

    # Before there is a loop, whose signals would wait: a first start compiles patterns for seconds.
    uvloop.run(serve_until_signalled(Gateway(policy)))
