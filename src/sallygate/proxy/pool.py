"""Pool of upstreams: their settings, the choice of the next one, and their health.

Knows addresses and health; refuses to know requests. An upstream goes down after `unhealthy_after` failures
to connect in a row. It comes up again when a check of `health_path` succeeds or, without one, when the single
request let through every `health_every_s` gets a connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from yarl import URL

from sallygate.proxy.connection import Busy, Connections, Unreachable
from sallygate.proxy.wire import AnswerBroken, ConnectionLost

PROBE_EVERY_S: Final = 2.0
"""At most so often, however often somebody asks whether the gate is ready."""

PROBE_S_MAX: Final = 1.0
"""Who asks for readiness waits a second or two; a connection that takes longer is none to rely on."""


class Log(Protocol):
    """The part of structlog's logger used here."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log an ordinary event."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Log a problem."""


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where requests go, and how long anything may take. All upstreams are alike."""

    urls: tuple[str, ...]
    """`http://127.0.0.1:9000` or `https://api.internal/prefix`."""
    connect_s: float = 3.0
    """For a connection, waiting for a free one included: a TCP SYN is repeated after 1 s, so this allows one
    loss."""
    first_byte_s: float = 30.0
    """From the last piece of the request the upstream took to the end of the response head."""
    idle_s: float = 60.0
    """Between two pieces of a response body."""
    stream_idle_s: float = 3600.0
    """The same for `text/event-stream`, which is silent by nature."""
    client_stall_s: float = 60.0
    """How long a client may keep a piece of its request to itself, or leave a piece of its response unread;
    longer, and it would keep a connection for good."""
    connections_max: int = 256
    """Per upstream."""
    keep_s: float = 4.0
    """Kept-alive connections are let go before the upstream does it, so that a POST does not meet a closing one:
    uvicorn and Node.js close after 5 s."""
    age_s: float = 300.0
    """After which a connection takes no further request, so that a change of an address in DNS is followed."""
    health_path: str | None = None
    health_every_s: float = 5.0
    unhealthy_after: int = 3
    preserve_host: bool = False
    """Pass the client's `Host` on; otherwise it is the upstream's own."""
    verify_tls: bool = True
    ca_file: str | None = None
    """PEM certificates to trust instead of the system's."""


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """What is known of one upstream."""

    url: str
    healthy: bool
    requests: int
    failures: int
    """Failed connections since the start."""


class Upstream:
    """One upstream: its address in the pieces requests need, and its health."""

    __slots__ = (
        "_in_a_row",
        "authority",
        "failures",
        "healthy",
        "host",
        "port",
        "prefix",
        "reachable",
        "requests",
        "retry_at",
        "scheme",
        "url",
    )

    def __init__(self, url: str) -> None:
        parts = URL(url)
        if parts.scheme not in ("http", "https") or parts.raw_host is None or parts.port is None:
            raise ValueError(f"not an http or https address: {url}")
        if parts.raw_query_string or parts.raw_fragment or parts.raw_user is not None:
            raise ValueError(f"an upstream has no query, fragment or user: {url}")
        self.url = url
        self.scheme, self.host, self.port = parts.scheme, parts.raw_host, parts.port
        self.authority = (parts.host_port_subcomponent or "").encode("ascii")
        """What `Host` says to it."""
        self.prefix = parts.raw_path.rstrip("/").encode("ascii")
        self.healthy = True
        self.reachable = True
        """By the last probe; requests do not go by it, they find out themselves."""
        self.retry_at = 0.0
        self.requests = 0
        self.failures = 0
        self._in_a_row = 0

    def target(self, path: bytes, query: bytes) -> bytes:
        """The target of a request, no byte touched."""
        return self.prefix + path + b"?" + query if query else self.prefix + path

    def connections(self, settings: UpstreamSettings, tls: ssl.SSLContext | None) -> Connections:
        """New pool of connections to this upstream."""
        return Connections(
            self.host, self.port, tls if self.scheme == "https" else None, settings.connections_max, settings.connect_s,
            settings.keep_s, settings.age_s,
        )  # fmt: skip

    def connected(self) -> bool:
        """Takes note of a success; says whether that changed anything."""
        self._in_a_row = 0
        changed, self.healthy = not self.healthy, True
        return changed

    def failed(self, after: int) -> bool:
        """Takes note of a failure to connect; says whether that changed anything."""
        self.failures += 1
        self._in_a_row += 1
        changed = self.healthy and self._in_a_row >= after
        if changed:
            self.healthy = False
        return changed


def trusting(settings: UpstreamSettings) -> ssl.SSLContext:
    """TLS context for upstreams: TLS 1.2 or later, with the policy's authority."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


Ask = Callable[[Upstream, str], Awaitable[int]]
"""The status of an upstream's answer to a GET of a path."""


class Pool:
    """The upstreams in turn."""

    def __init__(self, settings: UpstreamSettings, log: Log | None) -> None:
        if not settings.urls:
            raise ValueError("a proxy needs an upstream")
        self._settings = settings
        self._log = log
        self._next = 0
        self._probe_at = 0.0
        self.upstreams: Sequence[Upstream] = tuple(map(Upstream, settings.urls))
        self.origins = {
            f"{scheme}://".encode() + up.authority.lower(): up.prefix
            for up in self.upstreams
            for scheme in ("http", "https")
        }
        """What the API calls itself, with the path that it stands under; frameworks forget the scheme."""

    def choose(self, now: float, tried: Sequence[Upstream] = ()) -> Upstream | None:
        """The next upstream that is up; one that is down, when its trial is due; else None."""
        count = len(self.upstreams)
        for step in range(count):
            upstream = self.upstreams[(self._next + step) % count]
            if upstream in tried:
                continue
            if not upstream.healthy:
                if self._settings.health_path is not None or now < upstream.retry_at:
                    continue
                upstream.retry_at = now + self._settings.health_every_s
            self._next = (self._next + step + 1) % count
            upstream.requests += 1
            return upstream
        return None

    def connected(self, upstream: Upstream) -> None:
        """Record a successful connection, and log an upstream that is up again."""
        if upstream.connected() and self._log is not None:
            self._log.info("upstream.up", upstream=upstream.url)

    def failed(self, upstream: Upstream, now: float, error: BaseException | None) -> None:
        """Record a failed connection at time `now` (seconds, monotonic), and log an upstream that is now down."""
        changed = upstream.failed(self._settings.unhealthy_after)
        if not upstream.healthy:
            # Where nothing else can answer and nobody asks after its health, each request is a trial.
            alone = len(self.upstreams) == 1 and self._settings.health_path is None
            upstream.retry_at = now if alone else now + self._settings.health_every_s
        if changed and self._log is not None:
            self._log.warning("upstream.down", upstream=upstream.url, error=repr(error))

    async def check_for_ever(self, ask: Ask) -> None:
        """Asks every upstream for `health_path`, all at once, every `health_every_s`."""
        while True:
            await asyncio.gather(*(self._check(ask, upstream) for upstream in self.upstreams))
            await asyncio.sleep(self._settings.health_every_s)

    async def _check(self, ask: Ask, upstream: Upstream) -> None:
        path = self._settings.health_path
        assert path is not None
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self._settings.connect_s + self._settings.health_every_s):
                healthy = await ask(upstream, path) < 400
        except Busy:
            return  # no word on whether it is up
        except (Unreachable, ConnectionLost, AnswerBroken, OSError) as reason:  # TimeoutError is one
            healthy, error = False, reason
        if healthy:
            self.connected(upstream)
        else:
            self.failed(upstream, asyncio.get_running_loop().time(), error)

    async def reachable(self, now: float) -> tuple[UpstreamStatus, ...]:
        """`status`, after a connection was tried to each upstream without a recent result: without health
        checks, one that never was asked for anything looks as well as one that works."""
        if self._settings.health_path is None and now >= self._probe_at:
            self._probe_at = now + PROBE_EVERY_S
            await asyncio.gather(*(self._probe(upstream) for upstream in self.upstreams))
        return self.status()

    async def _probe(self, upstream: Upstream) -> None:
        try:
            async with asyncio.timeout(min(self._settings.connect_s, PROBE_S_MAX)):
                _, writer = await asyncio.open_connection(upstream.host, upstream.port)
            writer.close()
        except OSError:  # TimeoutError is one
            upstream.reachable = False
        else:
            upstream.reachable = True

    def status(self) -> tuple[UpstreamStatus, ...]:
        """State of each upstream."""
        return tuple(
            UpstreamStatus(up.url, up.healthy and up.reachable, up.requests, up.failures) for up in self.upstreams
        )
