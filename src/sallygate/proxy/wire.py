"""Protocol of one connection to an upstream: writes with back-pressure, and feeds the response reader.

Refuses to know how responses look (`response`), and who has the connection when (`connection`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from sallygate.proxy.request import Fields
from sallygate.proxy.response import ResponseError, ResponseHead, ResponseReader

READ_BYTES: Final = 64 * 1024
"""What is read ahead of a slow client: the stream pauses the socket at twice this."""

PIECES_MAX: Final = 256
"""Pieces read ahead of a slow client: an upstream that sends byte by byte would cost forty times what it sends."""


class ConnectionLost(Exception):
    """The connection went before any response; `stale`, when it was a kept-alive one."""

    def __init__(self, *, stale: bool) -> None:
        super().__init__(stale)
        self.stale = stale


class AnswerBroken(Exception):
    """What came back is no answer, or only the beginning of one."""


class Content:
    """Body of one response, as its connection brings it: for one reader at a time."""

    __slots__ = ("_connection", "_ended", "_on_end", "_pieces", "_size", "_waiter", "error", "trailers")

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        """Until the body has come whole: after that the connection may be another response's."""
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._on_end: Callable[[], None] | None = None
        self.error: BaseException | None = None
        """Error that ends the body. Readers get it at once, before any bytes that are still queued."""
        self.trailers: Fields = ()
        """The trailer fields, once `at_eof`."""

    def at_eof(self) -> bool:
        """Whether the whole body has come and been read."""
        return self._ended and not self._pieces

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Calls back when the whole body has come, read or not."""
        if self._ended:
            callback()
        else:
            self._on_end = callback

    async def readany(self) -> bytes:
        """What has come, at least a byte; empty at the end. Raises `error`."""
        if self.error is not None:
            raise self.error
        if not self._pieces and not self._ended:
            await self._wait()
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.resume_reading()
        return data

    async def read(self) -> bytes:
        """All that is left."""
        pieces = []
        while not self.at_eof():
            pieces.append(await self.readany())
        return b"".join(pieces)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, piece: bytes) -> None:
        """Add a piece of the body; pauses the connection if the reader is behind."""
        self._pieces.append(piece)
        self._size += len(piece)
        if (self._size > 2 * READ_BYTES or len(self._pieces) >= PIECES_MAX) and self._connection is not None:
            self._connection.pause_reading()
        self._wake()

    def feed_end(self, trailers: Fields) -> None:
        """Mark the end of the body, with its trailer fields."""
        self._ended, self.trailers = True, trailers
        if self._connection is not None:
            self._connection.resume_reading()
            self._connection = None
        self._wake()
        if self._on_end is not None:
            self._on_end()

    def fail(self, error: BaseException) -> None:
        """End the body with an error for its reader, unless it has ended."""
        if not self._ended:
            self.error = error
            self._connection = None
            self._wake()


class Connection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    fresh = True
    """Made for the exchange under way."""
    idle_since = 0.0
    """Time of the end of its last exchange, on the loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.opened_at = loop.time()
        self.transport: asyncio.Transport | None = None
        self.should_close = False
        """Whether it cannot have another exchange."""
        self._reader: ResponseReader | None = None
        """None between two exchanges, and from the end of a response on."""
        self._head: ResponseHead | None = None
        self._content: Content | None = None
        self._error: BaseException | None = None
        self._answered: asyncio.Future[None] | None = None
        self._has_answered = False
        """Whether a byte has come of the response."""
        self._is_full = False
        """Whether the transport wants no more to be written."""
        self._drained: asyncio.Future[None] | None = None
        self._is_paused = False

    # What an exchange does --------------------------------------------------------------------------------------------

    def begin(self, *, to_head: bool) -> None:
        """Whatever comes now is the response to what is written next; `to_head`: to a HEAD request."""
        self._reader = ResponseReader(to_head=to_head)
        self._content = Content(self)
        self._head = None
        self._has_answered = False

    async def response(self) -> tuple[ResponseHead, Content]:
        """The head of the final response, and its body. Raises `ConnectionLost` or `AnswerBroken`."""
        if self._head is None and self._error is None:
            self._answered = self._loop.create_future()
            try:
                await self._answered
            finally:
                self._answered = None
        if self._head is None or self._content is None:
            raise self._error or ConnectionLost(stale=not self.fresh)
        return self._head, self._content

    async def drain(self) -> None:
        """Waits until the upstream has read most of what was written."""
        if self.transport is None:
            raise ConnectionResetError("the connection is gone")
        if not self._is_full:
            return
        self._drained = self._loop.create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    def is_connected(self) -> bool:
        """Whether the transport is open."""
        return self.transport is not None and not self.transport.is_closing()

    def force_close(self) -> None:
        """Close the connection after this exchange instead of reusing it."""
        self.should_close = True

    def fail(self, error: BaseException) -> None:
        """End the exchange under way with an error for the caller that waits for its response."""
        self.should_close = True
        if self._reader is None:
            return
        self._reader = None
        self._error = error
        if self._content is not None:
            self._content.fail(error)
        self._wake()

    def cut(self) -> None:
        """End the exchange with an error for its reader: `abort` would leave the reader waiting."""
        self.fail(AnswerBroken("the connection was closed on this side"))
        self.abort()

    def abort(self) -> None:
        """Drops it, whatever is under way."""
        self._reader = None
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def close(self) -> None:
        """Lets an idle one go."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    # What the body does -----------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Stop reading from the socket until `resume_reading`."""
        if not self._is_paused and self.transport is not None and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Continue reading from the socket."""
        if self._is_paused and self.transport is not None and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    # What the transport does ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Callback of asyncio: the socket is connected."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Callback of asyncio: bytes of the response. Bytes outside an exchange close the connection."""
        reader, content = self._reader, self._content
        if reader is None or content is None:  # nobody asked: the next response could be anybody's
            self.should_close = True
            self.abort()
            return
        self._has_answered = True
        try:
            piece = reader.feed(data)
        except ResponseError as error:
            self.fail(AnswerBroken(error.args[0]))
            self.abort()
            return
        if self._head is None and reader.head is not None:
            self._head = reader.head
            self._wake()
        if piece:
            content.feed(piece)
        if reader.complete:
            self._end(reader, content)

    def _end(self, reader: ResponseReader, content: Content) -> None:
        self._reader = None
        if reader.has_excess or (reader.head is not None and reader.head.is_last):
            self.should_close = True
        content.feed_end(reader.trailers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Callback of asyncio: the socket is closed; waiting readers and writers get an error."""
        self.transport = None
        self.should_close = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(exc or ConnectionResetError("the connection is gone"))
        reader, content = self._reader, self._content
        if reader is None or content is None:
            return
        if not self._has_answered:
            self.fail(ConnectionLost(stale=not self.fresh))
            return
        try:
            if exc is not None:  # a body that the end of its connection ends is not ended by a reset
                raise ResponseError(repr(exc))
            reader.end()
        except ResponseError as error:
            self.fail(AnswerBroken(error.args[0]))
        else:
            self._end(reader, content)

    def pause_writing(self) -> None:
        """Callback of asyncio: the send buffer is full."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Callback of asyncio: the send buffer has room again."""
        self._is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _wake(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
