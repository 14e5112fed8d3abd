"""ASGI application of the reverse proxy: one call, one exchange with an upstream.

Refuses to know how upstreams are chosen (`pool`), which fields pass (`headers`) and when waiting ends
(`watch`).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from sallygate.proxy.connection import Answer, Busy, Connections, Unreachable
from sallygate.proxy.headers import RequestFields, for_client, trailers_for_client
from sallygate.proxy.pool import Log, Pool, Upstream, UpstreamSettings, UpstreamStatus, trusting
from sallygate.proxy.request import Body, Fields
from sallygate.proxy.watch import (
    ClientGone,
    ClientStalled,
    Exchange,
    Message,
    Receive,
    Sweep,
    UpstreamBroken,
)
from sallygate.proxy.wire import AnswerBroken, ConnectionLost

Scope = Mapping[str, Any]  # Any: ASGI scopes are dictionaries of mixed values
Send = Callable[[Message], Awaitable[None]]

_METHOD: Final = re.compile(r"[A-Z0-9!#$%&'*+.^_`|~-]+")
"""Tokens (RFC 9110, section 9.1) in upper case: an upstream that reads `get` as `GET` runs what was not inspected."""

_PATH: Final = re.compile(rb"/[!-\"$->@-~]*")
_QUERY: Final = re.compile(rb"[!-\"$-~]*")
"""Visible ASCII but for what would end the path or query: anything else would leave in other bytes, or as two
things."""

_REPEATABLE: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
"""Idempotent (RFC 9110, section 9.2.2): without a body they are sent once more where a kept connection was closed
before a byte of the answer had come."""

_PROBLEMS: Final = {
    "request.target": (400, "Bad request", "The request cannot be passed on unchanged."),
    "request.timeout": (408, "Request timeout", "The request did not arrive in time."),
    "upstream.unreachable": (502, "Bad gateway", "The API cannot be reached."),
    "upstream.broken": (502, "Bad gateway", "The API sent no valid response."),
    "upstream.unavailable": (503, "Service unavailable", "The API is not available at the moment."),
    "upstream.timeout": (504, "Gateway timeout", "The API did not answer in time."),
}


class _Refused(Exception):
    """The exchange ends with a problem of our own; `args[0]` is its code."""


class ReverseProxy:
    """Passes requests on to the upstreams of `settings`. `start` before the first call, `close` after the
    last."""

    def __init__(self, settings: UpstreamSettings, log: Log | None = None) -> None:
        """Raises `ValueError` for an address that is none. Touches no socket."""
        self._settings = settings
        self._pool = Pool(settings, log)
        self._sweep = Sweep()
        self._connections: dict[Upstream, Connections] = {}
        self._checks: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """With a `health_path`, begins checking. Raises `OSError` for an unreadable CA file."""
        self._loop = asyncio.get_running_loop()
        tls = trusting(self._settings)
        self._connections = {up: up.connections(self._settings, tls) for up in self._pool.upstreams}
        if self._settings.health_path is not None:
            self._checks = asyncio.create_task(self._pool.check_for_ever(self._status_of))

    async def _status_of(self, upstream: Upstream, path: str) -> int:
        target = upstream.target(path.encode("ascii"), b"")
        answer = await self._connections[upstream].ask("GET", target, upstream.authority, (), None, None)
        answer.close()
        return answer.status

    async def close(self) -> None:
        """Closes every connection, those in use too."""
        if self._checks is not None:
            self._checks.cancel()
        for connections in self._connections.values():
            connections.close()

    async def reachable(self) -> tuple[UpstreamStatus, ...]:
        """The upstreams, those nothing is known of tried first."""
        return await self._pool.reachable(self._loop.time())

    def status(self) -> tuple[UpstreamStatus, ...]:
        """State of each upstream."""
        return self._pool.status()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises `UpstreamBroken` or `ClientStalled` when the response had started and cannot be finished."""
        if scope["type"] != "http":
            raise RuntimeError(f"a reverse proxy has no answer to {scope['type']}")
        exchange = Exchange(asyncio.current_task(), receive)
        self._sweep.add(exchange, self._loop)
        answer: Answer | None = None
        try:
            answer = await self._ask(scope, receive, exchange)
            await self._pass_on(answer, scope, send, exchange)
        except _Refused as refused:
            await _answer_problem(refused.args[0], scope, send, self._settings.health_every_s)
        except ClientGone:
            return
        except asyncio.CancelledError:
            if not exchange.interrupted():
                raise
            await self._interrupted(exchange, scope, send)
        finally:
            self._sweep.remove(exchange)
            if answer is not None:
                answer.close()

    async def _interrupted(self, exchange: Exchange, scope: Scope, send: Send) -> None:
        if exchange.reason == "gone":
            return
        if exchange.answered:
            raise ClientStalled if exchange.reason == "stalled" else UpstreamBroken(exchange.reason)
        code = "request.timeout" if exchange.reason == "stalled" else "upstream.timeout"
        await _answer_problem(code, scope, send, 0)

    async def _ask(self, scope: Scope, receive: Receive, exchange: Exchange) -> Answer:
        """Sends the request, to another upstream if one refuses the connection, and waits for the response
        head."""
        asked = await _read(scope, receive, exchange, self._settings)
        repeatable = asked.body is None and asked.method in _REPEATABLE
        tried: list[Upstream] = []
        while True:
            upstream = self._pool.choose(self._loop.time(), tried)
            if upstream is None:
                raise _Refused("upstream.unreachable" if tried else "upstream.unavailable")
            try:
                return await self._send(upstream, asked, exchange)
            except ConnectionLost as lost:
                if not (lost.stale and repeatable):
                    raise _Refused("upstream.broken") from lost
                repeatable = False
            except Unreachable as error:
                self._pool.failed(upstream, self._loop.time(), error.args[0])
                if error.late:
                    raise _Refused("upstream.timeout") from error
                tried.append(upstream)
            except Busy as busy:
                raise _Refused("upstream.timeout") from busy
            except ValueError as error:
                raise _Refused("request.target") from error
            except AnswerBroken as error:
                raise _Refused("upstream.broken") from error

    async def _send(self, upstream: Upstream, asked: _Asked, exchange: Exchange) -> Answer:
        exchange.wait("late", self._loop.time() + self._settings.connect_s + self._settings.first_byte_s)
        host = asked.host if self._settings.preserve_host and asked.host else upstream.authority
        answer = await self._connections[upstream].ask(
            asked.method, upstream.target(asked.path, asked.query), host, asked.fields, asked.body, asked.length
        )
        self._pool.connected(upstream)
        return answer

    async def _pass_on(self, answer: Answer, scope: Scope, send: Send, exchange: Exchange) -> None:
        """The response; one that is known to be broken already is refused whole."""
        content = answer.content
        if content.error is not None:
            raise _Refused("upstream.broken") from content.error
        start: Message = {
            "type": "http.response.start",
            "status": answer.status,
            "headers": for_client(answer.raw_headers, self._pool.origins),
        }
        exchange.answered = True
        if content.at_eof():
            await send(start)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        takes_trailers = answer.is_chunked and "http.response.trailers" in (scope.get("extensions") or ())
        if takes_trailers:
            start["trailers"] = True
        await send(start)
        await self._pass_body(answer, send, exchange)
        if takes_trailers:
            trailers = trailers_for_client(answer.trailers)
            await send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})

    async def _pass_body(self, answer: Answer, send: Send, exchange: Exchange) -> None:
        """The body, piece by piece; the last piece says that it is the last, so that small answers take one."""
        content, loop = answer.content, self._loop
        idle_s = self._settings.stream_idle_s if answer.is_event_stream else self._settings.idle_s
        stall_s = self._settings.client_stall_s
        more = True
        while more:
            exchange.wait("silent", loop.time() + idle_s)
            try:
                piece = await content.readany()
            except AnswerBroken as error:
                raise UpstreamBroken(error.args[0]) from error
            more = not content.at_eof()
            exchange.wait("stalled", loop.time() + stall_s)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


class _Asked:
    """A request as it will be sent."""

    __slots__ = ("body", "fields", "host", "length", "method", "path", "query")

    def __init__(self, scope: Scope, header: RequestFields, body: Body, length: int | None) -> None:
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.host = header.host
        self.fields: Fields = header.fields
        self.body = body
        self.length = length
        """As declared; None for a body that says no length."""


async def _read(scope: Scope, receive: Receive, exchange: Exchange, settings: UpstreamSettings) -> _Asked:
    """The request, and its body as far as it is there: all of it as bytes, or the beginning of a stream."""
    method = scope["method"]
    if not (_PATH.fullmatch(scope["raw_path"]) and _QUERY.fullmatch(scope["query_string"])):
        raise _Refused("request.target")
    if not _METHOD.fullmatch(method) or method == "CONNECT":
        raise _Refused("request.target")
    client = scope["client"]
    try:
        header = RequestFields(scope["headers"], client[0] if client else None, scope["scheme"])
    except ValueError as error:
        raise _Refused("request.target") from error
    if not header.has_body:
        return _Asked(scope, header, None, None)
    exchange.wait("stalled", asyncio.get_running_loop().time() + settings.client_stall_s)
    exchange.uploading = True
    first = await receive()
    if first["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = first.get("body", b"")
    length = header.length
    if first.get("more_body", False) and (length is None or len(body) < length):
        return _Asked(scope, header, _pieces(body, length, receive, exchange, settings), length)
    exchange.uploading = False
    return _Asked(scope, header, body or None, length)


async def _pieces(
    piece: bytes, length: int | None, receive: Receive, exchange: Exchange, settings: UpstreamSettings
) -> AsyncIterator[bytes]:
    """A request body as it arrives. What it is handed to waits for the upstream between two pieces.

    It ends with the last byte and does not wait for the message that says so: the upstream may answer before,
    and a connection whose request is not done would be lost.
    """
    left = math.inf if length is None else length
    more = True
    now = asyncio.get_running_loop().time
    while True:
        left -= len(piece)
        if left <= 0 or not more:
            exchange.uploading = False
        exchange.wait("late", now() + settings.first_byte_s)
        if piece:
            yield piece
        if left <= 0 or not more:
            return
        exchange.wait("stalled", now() + settings.client_stall_s)
        message = await receive()
        if message["type"] == "http.disconnect":
            exchange.end("gone")
            raise ClientGone
        piece, more = message.get("body", b""), message.get("more_body", False)


async def _answer_problem(code: str, scope: Scope, send: Send, retry_s: float) -> None:
    """An RFC 9457 problem document that names nothing behind the gate."""
    status, title, detail = _PROBLEMS[code]
    problem = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            problem["request_id"] = value.decode("ascii", "replace")
    body = msgspec.json.encode(problem)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"%d" % math.ceil(retry_s)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False})
