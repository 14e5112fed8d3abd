"""Connections to one upstream, kept and used again, and one exchange on one of them.

What is sent is written here, byte for byte; what comes back is read by aiohttp's protocol and parser. A session of
aiohttp's over the same parser takes three times the processor time for a small exchange (see RATIONALE.md).

Refuses to know which upstream, which fields, and how long: see `pool`, `headers`, `watch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

Fields = Sequence[tuple[bytes, bytes]]
Body = bytes | AsyncIterator[bytes] | None

READ_BYTES: Final = 64 * 1024
"""What is read ahead of a slow client: the stream pauses the socket at twice this."""

SOCKET_BYTES: Final = 128 * 1024
"""The kernel's buffers per upstream connection, each way; Linux doubles the number. Left alone they grow to several
MiB, which would count against what a stopped reader may cost; this still fills 1 Gbit/s at a round trip of 2 ms."""

IDLE_CONNECTION_S: Final = 4.0
"""Kept-alive connections are let go before the upstream does it, so that a POST does not meet a closing one: uvicorn
and Node.js close after 5 s."""

LINE_BYTES_MAX: Final = 8190
"""A status line; Apache's and aiohttp's own number."""

FIELD_BYTES_MAX: Final = 16 * 1024
"""One response header field; twice what nginx buffers for a whole head, for the sake of long security policies."""

FIELDS_MAX: Final = 200
"""Response header fields; twice Apache's `LimitRequestFields`."""

WHOLE_BYTES_MAX: Final = 64 * 1024
"""A larger body is written while the answer is waited for: the upstream may stop reading and answer."""

STAGGER_S: Final = 0.25
"""Between two addresses of one name (RFC 8305, section 5)."""

_ENDS_A_FIELD: Final = b"\r\n\x00"
_OWE_A_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))
"""Their requests say that there is no body (RFC 9110, section 8.6)."""


class Unreachable(Exception):
    """No connection could be had. `args[0]` is why; `late`, when it took too long."""

    def __init__(self, why: BaseException, *, late: bool = False) -> None:
        super().__init__(why)
        self.late = late


class ConnectionLost(Exception):
    """The connection went before any response; `stale`, when it was a kept-alive one."""

    def __init__(self, *, stale: bool) -> None:
        super().__init__(stale)
        self.stale = stale


class AnswerBroken(Exception):
    """What came back is no answer."""


class Connection(ResponseHandler):
    """One connection, for one exchange at a time."""

    fresh = True
    """Made for the exchange under way."""
    idle_since = 0.0

    async def drain(self) -> None:
        """Waits until the upstream has read most of what was written."""
        await self._drain_helper()


def request_head(method: str, target: bytes, host: bytes, fields: Fields, body: Body, length: int | None) -> bytes:
    """The bytes before the body. `length` is that of a body that comes in pieces; None: nobody knows it. Raises
    `ValueError` for a field that would end early, or in two."""
    parts = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nHost: ", host, b"\r\n"]
    for name, value in fields:
        parts += (name, b": ", value, b"\r\n")
    lines = len(fields) + 3
    if (framing := _framing(method, body, length)) is not None:
        parts += (framing, b"\r\n")
        lines += 1
    parts.append(b"\r\n")
    head = b"".join(parts)
    if len(head) - len(head.translate(None, _ENDS_A_FIELD)) != 2 * lines:
        raise ValueError("a header field has a line break or a NUL in it")
    return head


def _framing(method: str, body: Body, length: int | None) -> bytes | None:
    if isinstance(body, bytes):
        return b"content-length: %d" % len(body)
    if body is None:
        return b"content-length: 0" if length is not None or method in _OWE_A_LENGTH else None
    return b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length


class Answer:
    """A response whose head has come. `close` it in any case."""

    __slots__ = ("_connection", "_connections", "_writer", "content", "is_unframed", "raw_headers", "status")

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        writer: asyncio.Task[None] | None,
        message: RawResponseMessage,
        content: StreamReader,
    ) -> None:
        self._connections = connections
        self._connection: Connection | None = connection
        self._writer = writer
        self.status: int = message.code
        self.raw_headers: Fields = message.raw_headers
        self.content = content
        self.is_unframed = not (message.chunked or "Content-Length" in message.headers or content is EMPTY_PAYLOAD)
        """Whether only the end of its connection ends the body."""
        content.on_eof(self._ended)

    def _ended(self) -> None:
        """All has come: the connection is free, however slowly the client reads what is kept of it."""
        writer = self._writer
        if (writer is None or writer.done()) and self._connection is not None and not self.is_unframed:
            connection, self._connection = self._connection, None
            self._connections.give_back(connection)

    @property
    def is_event_stream(self) -> bool:
        media = next((value for name, value in self.raw_headers if name.lower() == b"content-type"), b"")
        return media.partition(b";")[0].strip().lower() == b"text/event-stream"

    @property
    def is_cut_short(self) -> bool:
        """Whether a body that only the end of its connection ends was ended by a reset, which the parser takes for an
        end."""
        if self._connection is None or not self.is_unframed:
            return False
        error = self._connection.exception()
        return error is not None and not isinstance(error, aiohttp.ServerDisconnectedError)

    def close(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.cancel()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._connections.discard(connection)


class Connections:
    """Those to one upstream."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, connections_max: int, connect_s: float
    ) -> None:
        """To be used on the loop that is running at the first `ask`."""
        self._host, self._port, self._tls = host, port, tls
        self._connections_max, self._connect_s = connections_max, connect_s
        self._idle: deque[Connection] = deque()
        self._used: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def ask(
        self, method: str, target: bytes, host: bytes, fields: Fields, body: Body, length: int | None
    ) -> Answer:
        """Sends the request and waits for the head of the answer. Raises `Unreachable`, `ConnectionLost`,
        `AnswerBroken`, or `ValueError` for what cannot be sent."""
        head = request_head(method, target, host, fields, body, length)
        connection = await self._take()
        writer: asyncio.Task[None] | None = None
        try:
            connection.set_response_params(
                skip_payload=method == "HEAD", read_until_eof=True, auto_decompress=False, read_bufsize=READ_BYTES,
                max_line_size=LINE_BYTES_MAX, max_field_size=FIELD_BYTES_MAX, max_headers=FIELDS_MAX,
            )  # fmt: skip
            transport = connection.transport
            if transport is None:
                raise ConnectionLost(stale=not connection.fresh)
            if body is None:
                transport.write(head)
            elif isinstance(body, bytes) and len(body) <= WHOLE_BYTES_MAX:
                transport.write(head + body)
            else:
                transport.write(head)
                chunked = length is None and not isinstance(body, bytes)
                writer = asyncio.get_running_loop().create_task(_write(connection, body, chunked=chunked))
            while True:
                message, content = await connection.read()
                if not 100 <= message.code <= 199 or message.code == 101:
                    break
        except BaseException as error:
            if writer is not None:
                writer.cancel()
            self.discard(connection)
            if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
                raise ConnectionLost(stale=not connection.fresh) from error
            if isinstance(error, aiohttp.ClientError | HttpProcessingError | OSError):
                raise AnswerBroken(repr(error)) from error
            raise
        return Answer(self, connection, writer, message, content)

    async def _take(self) -> Connection:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if _is_good(connection, now):
                connection.fresh = False
                self._used.add(connection)
                return connection
            connection.abort()
        try:
            async with asyncio.timeout(self._connect_s):
                return await self._open()
        except TimeoutError as error:
            raise Unreachable(error, late=True) from error
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(error) from error

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        while len(self._used) + self._opening >= self._connections_max:
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except BaseException:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was given what somebody else can have
                raise
            while self._idle:
                connection = self._idle.pop()
                if _is_good(connection, loop.time()):
                    connection.fresh = False
                    self._used.add(connection)
                    return connection
                connection.abort()
        self._opening += 1
        try:
            connection = await self._connected(loop)
        finally:
            self._opening -= 1
        self._used.add(connection)
        return connection

    async def _connected(self, loop: asyncio.AbstractEventLoop) -> Connection:
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        made = await start_connection(found, happy_eyeballs_delay=STAGGER_S, socket_factory=_socket)
        try:
            name = self._host if self._tls is not None else None
            _, connection = await loop.create_connection(
                lambda: Connection(loop), sock=made, ssl=self._tls, server_hostname=name
            )
        except BaseException:
            made.close()
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """It has done its exchange, and may do another."""
        self._used.discard(connection)
        if self._closed or connection.should_close or not connection.is_connected():
            connection.close()
        else:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._timer is None:
                self._timer = loop.call_later(IDLE_CONNECTION_S, self._let_go)
        self._wake()

    def discard(self, connection: Connection) -> None:
        """It is in the middle of something, and done with."""
        self._used.discard(connection)
        connection.abort()
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _let_go(self) -> None:
        """Those that have been idle for long enough."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and not _is_good(self._idle[0], now):
            self._idle.popleft().close()
        self._timer = loop.call_later(IDLE_CONNECTION_S, self._let_go) if self._idle else None

    def close(self) -> None:
        """All of them, those in use too."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in (*self._idle, *self._used):
            connection.abort()
        self._idle.clear()
        self._used.clear()


def _is_good(connection: Connection, now: float) -> bool:
    return connection.is_connected() and not connection.should_close and now - connection.idle_since < IDLE_CONNECTION_S


def _socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return made


async def _write(connection: Connection, body: bytes | AsyncIterator[bytes], *, chunked: bool) -> None:
    """The body, as fast as the upstream reads. What goes wrong shows where the answer is read."""
    try:
        async for piece in _pieces(body):
            transport = connection.transport
            if transport is None:
                return
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await connection.drain()
        if chunked and connection.transport is not None:
            connection.transport.write(b"0\r\n\r\n")
    except asyncio.CancelledError:
        connection.force_close()
        raise
    except Exception as error:
        connection.force_close()
        connection.set_exception(aiohttp.ClientConnectionError("the request could not be sent whole"), error)


async def _pieces(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        for at in range(0, len(body), WHOLE_BYTES_MAX):
            yield body[at : at + WHOLE_BYTES_MAX]
        return
    async for piece in body:
        yield piece
