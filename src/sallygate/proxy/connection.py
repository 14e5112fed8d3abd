"""Connections to one upstream, kept for reuse, and one exchange on one of them.

Requests are written here, byte for byte; `wire` and `response` read what comes back (why no HTTP client does, see
RATIONALE.md).

Refuses to know which upstream, which fields, and how long: see `pool`, `headers`, `watch`; what a head looks like, see
`request` and `response`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from aiohappyeyeballs import AddrInfoType, start_connection

from sallygate.proxy.request import Body, Fields, request_head
from sallygate.proxy.response import ResponseHead
from sallygate.proxy.wire import AnswerBroken, Connection, ConnectionLost, Content

SOCKET_BYTES: Final = 128 * 1024
"""The kernel's buffers per upstream connection, each way; Linux doubles the number. Left alone they grow to several
MiB, which would count against what a stopped reader may cost; this still fills 1 Gbit/s at a round trip of 2 ms."""

WHOLE_BYTES_MAX: Final = 64 * 1024
"""A larger body is written while the answer is waited for: the upstream may stop reading and answer."""

STAGGER_S: Final = 0.25
"""Between two addresses of one name (RFC 8305, section 5)."""


class Unreachable(Exception):
    """No connection could be had. `args[0]` is why; `late`, when it took too long."""

    def __init__(self, why: BaseException, *, late: bool = False) -> None:
        super().__init__(why)
        self.late = late


class Busy(Exception):
    """All connections stayed in use. Says nothing of whether the upstream is up."""


class Answer:
    """A response whose head has come. `close` it in any case."""

    __slots__ = ("_connection", "_connections", "_writer", "content", "is_chunked", "raw_headers", "status")

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        writer: asyncio.Task[None] | None,
        head: ResponseHead,
        content: Content,
    ) -> None:
        self._connections = connections
        self._connection: Connection | None = connection
        self._writer = writer
        self.status = head.status
        self.raw_headers: Fields = head.fields
        self.content = content
        self.is_chunked = head.framing == "chunked"
        """Whether trailer fields may follow the body."""
        content.on_eof(self._ended)

    def _ended(self) -> None:
        """All has come: the connection is free, however slowly the client reads what is kept of it."""
        writer = self._writer
        if (writer is None or writer.done()) and self._connection is not None:
            connection, self._connection = self._connection, None
            self._connections.give_back(connection)

    @property
    def trailers(self) -> Fields:
        """The trailer fields, once the content is `at_eof`."""
        return self.content.trailers

    @property
    def is_event_stream(self) -> bool:
        """Whether the response is `text/event-stream` (server-sent events)."""
        media = next((value for name, value in self.raw_headers if name.lower() == b"content-type"), b"")
        return media.partition(b";")[0].strip().lower() == b"text/event-stream"

    def close(self) -> None:
        """End the exchange; a connection with unread bytes is closed and not reused."""
        if self._writer is not None and not self._writer.done():
            self._writer.cancel()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._connections.discard(connection)


class Connections:
    """Those to one upstream."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        connections_max: int,
        connect_s: float,
        keep_s: float,
        age_s: float,
    ) -> None:
        """To be used on the loop that is running at the first `ask`. A connection is kept for `keep_s` without a
        request, and takes none after `age_s`."""
        self._keep_s, self._age_s = keep_s, age_s
        self._host, self._port, self._tls = host, port, tls
        self._connections_max, self._connect_s = connections_max, connect_s
        self._idle: deque[Connection] = deque()
        self._used: set[Connection] = set()
        self._slots = 0
        """Promised to somebody who is opening a connection, or about to."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def ask(
        self, method: str, target: bytes, host: bytes, fields: Fields, body: Body, length: int | None
    ) -> Answer:
        """Sends the request and waits for the head of the answer. Raises `Unreachable`, `Busy`, `ConnectionLost`,
        `AnswerBroken`, or `ValueError` for what cannot be sent."""
        asked = request_head(method, target, host, fields, body, length)
        connection = await self._take()
        writer: asyncio.Task[None] | None = None
        try:
            connection.begin(to_head=method == "HEAD")
            transport = connection.transport
            if transport is None:
                raise ConnectionLost(stale=not connection.fresh)
            if body is None:
                transport.write(asked)
            elif isinstance(body, bytes) and len(body) <= WHOLE_BYTES_MAX:
                transport.write(asked + body)
            else:
                transport.write(asked)
                size = len(body) if isinstance(body, bytes) else length
                writer = asyncio.get_running_loop().create_task(_write(connection, body, size))
            head, content = await connection.response()
        except BaseException:
            if writer is not None:
                writer.cancel()
            self.discard(connection)
            raise
        return Answer(self, connection, writer, head, content)

    async def _take(self) -> Connection:
        """One that is kept, else a new one, else the first that somebody gives back."""
        if (kept := self._kept()) is not None:
            return kept
        waited = False
        try:
            async with asyncio.timeout(self._connect_s):
                if len(self._used) + self._slots >= self._connections_max:
                    waited = True
                    given = await self._turn()
                    if given is not None:
                        return given
                else:
                    self._slots += 1
                return await self._open()
        except TimeoutError as error:
            if waited:  # what was left of the time says nothing of the upstream
                raise Busy from error
            raise Unreachable(error, late=True) from error
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(error) from error

    def _kept(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if self._is_good(connection, now):
                connection.fresh = False
                self._used.add(connection)
                return connection
            connection.abort()
        return None

    async def _turn(self) -> Connection | None:
        """Waits behind those who wait. What comes of it is a connection, or the place of one, counted already: nobody
        who comes later can have it."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting.append(waiter)
        try:
            given = await waiter
        except BaseException:
            if not waiter.done() or waiter.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
            elif (unused := waiter.result()) is not None:
                self.give_back(unused)
            else:
                self._leave_slot()
            raise
        if given is None or self._is_good(given, loop.time()):
            return given
        self._used.discard(given)
        given.abort()
        self._slots += 1
        return None

    async def _open(self) -> Connection:
        """Open a connection in a slot that is already counted."""
        try:
            if self._closed:
                raise ConnectionLost(stale=False)
            connection = await self._connected(asyncio.get_running_loop())
            if self._closed:
                connection.abort()
                raise ConnectionLost(stale=False)
        except BaseException:
            self._leave_slot()
            raise
        self._slots -= 1
        self._used.add(connection)
        return connection

    async def _connected(self, loop: asyncio.AbstractEventLoop) -> Connection:
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        made = await start_connection(found, happy_eyeballs_delay=STAGGER_S, socket_factory=_socket)
        name = self._host if self._tls is not None else None
        # Whatever happens, its transport closes the socket: closed here, too, before that is done with it, its number
        # would be another connection's already.
        _, connection = await loop.create_connection(
            lambda: Connection(loop), sock=made, ssl=self._tls, server_hostname=name
        )
        return connection

    def give_back(self, connection: Connection) -> None:
        """It has done its exchange, and may do another."""
        transport = connection.transport
        if (
            connection not in self._used
            or connection.should_close
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()  # answered before it was asked: who knows what becomes of the rest
        ):
            self.discard(connection)
            return
        loop = asyncio.get_running_loop()
        connection.fresh = False
        connection.idle_since = loop.time()
        if (waiter := self._first_waiting()) is not None:
            waiter.set_result(connection)
            return
        self._used.discard(connection)
        self._idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._keep_s, self._let_go)

    def discard(self, connection: Connection) -> None:
        """It is in the middle of something, and done with."""
        connection.abort()
        if connection in self._used:
            self._used.discard(connection)
            self._slots += 1
            self._leave_slot()

    def _leave_slot(self) -> None:
        """Give the connection to the request that has waited longest."""
        if (waiter := self._first_waiting()) is not None:
            waiter.set_result(None)
        else:
            self._slots -= 1

    def _first_waiting(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _let_go(self) -> None:
        """Those that have been idle for long enough."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and not self._is_good(self._idle[0], now):
            self._idle.popleft().close()
        self._timer = loop.call_later(self._keep_s, self._let_go) if self._idle else None

    def _is_good(self, connection: Connection, now: float) -> bool:
        """Whether it may take another request."""
        return (
            connection.is_connected()
            and not connection.should_close
            and now - connection.idle_since < self._keep_s
            and now - connection.opened_at < self._age_s
        )

    def close(self) -> None:
        """All of them, those in use too."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        for connection in tuple(self._used):
            connection.cut()
        while (waiter := self._first_waiting()) is not None:
            self._slots += 1
            waiter.set_result(None)


def _socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return made


async def _write(connection: Connection, body: bytes | AsyncIterator[bytes], size: int | None) -> None:
    """The body, as fast as the upstream reads; `size` as its head said, None: in chunks. Another size would make the
    rest of it, or the next request, into what it is not. What goes wrong shows where the answer is read."""
    left = size
    try:
        async for piece in _pieces(body):
            if left is not None:
                left -= len(piece)
                if left < 0:
                    raise ValueError("the body is longer than was said")
            transport = connection.transport
            if transport is None:
                return
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if left is None else piece)
            await connection.drain()
        if left:
            raise ValueError("the body is shorter than was said")
        if left is None and connection.transport is not None:
            connection.transport.write(b"0\r\n\r\n")
    except asyncio.CancelledError:
        connection.force_close()
        raise
    except Exception as error:
        connection.force_close()
        connection.fail(AnswerBroken(f"the request could not be sent whole: {error!r}"))


async def _pieces(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        for at in range(0, len(body), WHOLE_BYTES_MAX):
            yield body[at : at + WHOLE_BYTES_MAX]
        return
    async for piece in body:
        yield piece
