"""Connections to an upstream under a server that breaks everything, and callers that leave at any moment: none may be
lost, no answer may reach another caller, nobody may wait for ever."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from patience import patient
from sallygate.proxy import ReverseProxy, UpstreamSettings
from sallygate.proxy.connection import Answer, AnswerBroken, Busy, ConnectionLost, Connections, Unreachable
from sallygate.proxy.request import Body
from sallygate.proxy.watch import Message
from sallygate.proxy.wire import PIECES_MAX, Connection
from sallygate.security.certificates import development_certificate

HOST = b"api.internal"
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(
    accept: Accept,
    connections_max: int = 4,
    connect_s: float = 5.0,
    certificates: Path | None = None,
    age_s: float = 300.0,
) -> AsyncIterator[Connections]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await accept(reader, writer)
        writer.close()

    theirs = ours = None
    if certificates is not None:
        cert, key, authority = development_certificate(certificates, "127.0.0.1", time.time())
        theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(authority))
        theirs.load_cert_chain(cert, key)
    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=theirs, limit=1 << 20)
    connections = Connections(
        "127.0.0.1", server.sockets[0].getsockname()[1], ours, connections_max, connect_s, 4.0, age_s
    )
    try:
        yield connections
    finally:
        connections.close()
        server.close()


async def get(connections: Connections, target: bytes = b"/", method: str = "GET") -> Answer:
    return await connections.ask(method, target, HOST, (), None, None)


async def read(answer: Answer) -> bytes:
    try:
        return await answer.content.read()
    finally:
        answer.close()


def answering(*answers: bytes) -> Accept:
    """The n-th request of each connection gets the n-th answer, the last one again and again."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answers[min(number, len(answers) - 1)])
            await writer.drain()
            number += 1

    return accept


def free(connections: Connections) -> bool:
    """Whether everything that was taken has been given back."""
    return not connections._used and not connections._slots and not connections._waiting


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(patient(10)):
        while not condition():
            await asyncio.sleep(0.005)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize(("age_s", "opened"), [(300.0, 1), (0.0, 3)])
def test_a_connection_takes_no_request_beyond_its_age(age_s: float, opened: int) -> None:
    made: list[int] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(1)
        await answering(OK)(reader, writer)

    async def body() -> None:
        async with served(accept, age_s=age_s) as connections:
            for _ in range(3):
                assert await read(await get(connections)) == b"ok"
                await asyncio.sleep(0)
            assert free(connections)

    asyncio.run(body())
    assert len(made) == opened


def test_who_fails_to_open_leaves_the_place_to_who_waits() -> None:
    async def body() -> None:
        async with served(answering(OK), connections_max=1) as connections:
            opened = connections._connected
            fail = asyncio.Event()

            async def refused(loop: asyncio.AbstractEventLoop) -> None:
                await fail.wait()
                raise ConnectionRefusedError

            connections._connected = refused  # type: ignore[method-assign, assignment]
            first = asyncio.create_task(get(connections))
            await settled(lambda: connections._slots == 1)
            second = asyncio.create_task(get(connections))
            await settled(lambda: len(connections._waiting) == 1)
            connections._connected = opened  # type: ignore[method-assign]
            fail.set()
            with pytest.raises(Unreachable):
                await first
            async with asyncio.timeout(patient(2)):
                assert await read(await second) == b"ok"
            assert free(connections)

    asyncio.run(body())


def test_who_waits_longest_is_first_and_nobody_overtakes() -> None:
    async def body() -> None:
        async with served(answering(OK), connections_max=1) as connections:
            done: list[int] = []

            async def one(number: int) -> None:
                assert await read(await get(connections)) == b"ok"
                done.append(number)

            async with asyncio.TaskGroup() as tasks:
                for number in range(20):
                    tasks.create_task(one(number))
            assert done == list(range(20))
            assert free(connections)

    asyncio.run(body())


def test_a_full_house_says_nothing_of_the_upstream() -> None:
    async def body() -> None:
        async with served(answering(b""), connections_max=1, connect_s=0.5) as connections:
            first = asyncio.create_task(get(connections))
            await settled(lambda: len(connections._used) == 1)
            with pytest.raises(Busy):
                await get(connections)
            assert not connections._waiting
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert free(connections)

    asyncio.run(body())


def test_an_upstream_is_down_after_failures_in_a_row_and_not_because_it_is_full() -> None:
    async def body() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with served(silent) as connections:
            settings = UpstreamSettings((f"http://127.0.0.1:{connections._port}",), connect_s=0.5, connections_max=1)
            proxy = ReverseProxy(settings)
            await proxy.start()
            held = asyncio.create_task(_status(proxy))
            (used,) = proxy._connections.values()
            await settled(lambda: len(used._used) == 1)
            assert [await _status(proxy) for _ in range(settings.unhealthy_after + 1)] == [504] * 4
            assert proxy.status()[0].healthy and proxy.status()[0].failures == 0
            await proxy.close()
            assert await held == 502

            upstream = proxy._pool.upstreams[0]
            for _ in range(settings.unhealthy_after * 2):
                proxy._pool.failed(upstream, 0.0, None)
                proxy._pool.connected(upstream)
            assert upstream.healthy

    asyncio.run(body())


async def _status(proxy: ReverseProxy) -> int:
    found: list[int] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [], "scheme": "https",
             "client": ("127.0.0.1", 1)}  # fmt: skip
    await proxy(scope, receive, send)
    return found[0]


@pytest.mark.parametrize(
    ("framing", "start"),
    [(b"content-length: 100\r\n", b"x"), (b"transfer-encoding: chunked\r\n", b"5\r\nhello\r\n"), (b"", b"x")],
)
def test_who_reads_when_all_is_closed_is_reported_at_once(framing: bytes, start: bytes) -> None:
    async def body() -> None:
        async with served(answering(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + start)) as connections:
            answer = await get(connections)
            await answer.content.readany()
            reading = asyncio.create_task(answer.content.read())
            await asyncio.sleep(0)
            connections.close()
            async with asyncio.timeout(patient(2)):
                with pytest.raises(AnswerBroken):
                    await reading
            answer.close()
            assert free(connections)

    asyncio.run(body())


def test_who_waits_when_all_is_closed_is_told_and_opens_nothing() -> None:
    async def body() -> None:
        accepted = 0

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal accepted
            accepted += 1
            await reader.read()

        async with served(silent, connections_max=1) as connections:
            asked = [asyncio.create_task(get(connections)) for _ in range(3)]
            await settled(lambda: len(connections._used) == 1 and len(connections._waiting) == 2)
            connections.close()
            async with asyncio.timeout(patient(2)):
                found = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in found] == [AnswerBroken, ConnectionLost, ConnectionLost]
            assert free(connections)
            assert accepted <= 1

    asyncio.run(body())


@pytest.mark.parametrize("late", [b"x", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"\r\n"])
def test_what_comes_unasked_on_a_kept_connection_ends_it(late: bytes) -> None:
    async def body() -> None:
        release = asyncio.Event()
        accepted = 0

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal accepted
            accepted += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            if accepted == 1:
                await release.wait()
                writer.write(late)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK.replace(b"ok", b"ko"))

        async with served(accept) as connections:
            assert await read(await get(connections)) == b"ok"
            (kept,) = connections._idle
            release.set()
            await settled(lambda: kept.should_close)
            assert kept in connections._idle, "the end of its idle time has closed it, not what came"
            assert await read(await get(connections)) == b"ok"
            assert accepted == 2

    asyncio.run(body())


def test_an_idle_connection_that_is_flooded_is_closed() -> None:
    async def body() -> None:
        release = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await release.wait()
            for _ in range(200):
                writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000)
                await writer.drain()

        async with served(accept) as connections:
            assert await read(await get(connections)) == b"ok"
            (kept,) = connections._idle
            release.set()
            await settled(lambda: kept.should_close)
            assert kept in connections._idle and not kept.is_connected()

    asyncio.run(body())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + OK,
    ],
)
def test_an_answer_that_may_go_on_is_the_last_of_its_connection(answer: bytes) -> None:
    async def body() -> None:
        accepted = 0

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal accepted
            accepted += 1
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer if accepted == 1 else OK)

        async with served(accept) as connections:
            await read(await get(connections))
            assert await read(await get(connections)) == b"ok"
            assert accepted == 2
            assert free(connections)

    asyncio.run(body())


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nevil"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nevil"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    ],
)
def test_a_body_where_none_belongs_is_dropped_with_its_connection(method: str, answer: bytes) -> None:
    async def body() -> None:
        async with served(answering(answer)) as connections:
            assert await read(await get(connections, method=method)) == b""
            assert free(connections) and not connections._idle

    asyncio.run(body())


def test_a_kept_connection_that_ends_within_a_head_is_not_stale() -> None:
    async def body() -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK[:20])
            await writer.drain()

        async with served(accept) as connections:
            assert await read(await get(connections)) == b"ok"
            with pytest.raises(AnswerBroken):
                await get(connections)
            assert free(connections) and not connections._idle

    asyncio.run(body())


def test_trailers_reach_whoever_asks() -> None:
    async def body() -> None:
        chunks = b"2\r\nok\r\n0\r\nX-Sum: abc\r\nSet-Cookie: a=1\r\n\r\n"
        async with served(answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)) as connections:
            for _ in range(2):
                answer = await get(connections)
                assert await read(answer) == b"ok"
                assert answer.raw_headers == [(b"transfer-encoding", b"chunked")]
                assert answer.trailers == [(b"X-Sum", b"abc"), (b"Set-Cookie", b"a=1")]
            assert len(connections._idle) == 1

    asyncio.run(body())


@pytest.mark.parametrize(("piece", "most"), [(b"x" * 50_000, 1 << 20), (b"1\r\nx\r\n", 1 << 20)])
def test_a_slow_reader_stops_the_connection_and_then_gets_all(piece: bytes, most: int) -> None:
    async def body() -> None:
        count = 20_000_000 // len(piece)
        framing = (
            b"transfer-encoding: chunked" if piece.startswith(b"1") else b"content-length: %d" % (count * len(piece))
        )
        end = b"0\r\n\r\n" if piece.startswith(b"1") else b""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            many = max(1, 60_000 // len(piece))
            for _ in range(count // many):
                writer.write(piece * many)
                await writer.drain()
            writer.write(piece * (count % many) + end)

        async with served(accept) as connections:
            answer = await get(connections)
            (used,) = connections._used
            await settled(lambda: used._is_paused)
            assert answer.content._size < most and len(answer.content._pieces) <= PIECES_MAX
            size = len(await read(answer))
            assert size == (count if end else count * len(piece))
            assert len(connections._idle) == 1

    asyncio.run(body())


def test_an_upstream_that_sends_byte_by_byte_is_stopped_too() -> None:
    async def body() -> None:
        connection = Connection(asyncio.get_running_loop())
        transport = Paused()
        connection.connection_made(transport)
        connection.begin(to_head=False)
        connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
        _, content = await connection.response()
        for _ in range(PIECES_MAX - 1):
            connection.data_received(b"x")
        assert not transport.paused
        connection.data_received(b"x")
        assert transport.paused
        assert await content.readany() == b"x" * PIECES_MAX
        assert not transport.paused

    asyncio.run(body())


class Paused(asyncio.Transport):
    """A transport that is only told to pause."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 099 Early\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
    ],
)
def test_what_nobody_asked_for_is_no_answer(answer: bytes) -> None:
    async def body() -> None:
        async with served(answering(answer)) as connections:
            with pytest.raises(AnswerBroken):
                await get(connections)
            assert free(connections) and not connections._idle

    asyncio.run(body())


@pytest.mark.parametrize("pieces", [(b"abc",), (b"abc", b"defGET /admin HTTP/1.1\r\n\r\n")])
def test_a_body_of_another_size_than_was_said_never_shares_a_connection(pieces: tuple[bytes, ...]) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def body() -> None:
        seen: list[bytes] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while piece := await reader.read(65536):
                seen.append(piece)

        async with served(accept) as connections:
            async with asyncio.timeout(patient(2)):
                with pytest.raises(AnswerBroken):
                    await connections.ask("POST", b"/", HOST, (), stream(), 5)
            assert free(connections) and not connections._idle
            assert b"/admin" not in b"".join(seen)

    asyncio.run(body())


def test_a_flood_of_interim_answers_ends_with_the_caller() -> None:
    async def body() -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 500)
                await writer.drain()

        async with served(accept) as connections:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await get(connections)
            assert free(connections)

    asyncio.run(body())


def test_who_leaves_during_a_handshake_takes_no_other_connection_along(tmp_path: Path) -> None:
    async def body() -> None:
        async with served(answering(OK), 64, certificates=tmp_path) as connections:
            for steps in range(120):
                leaving = [asyncio.create_task(get(connections)) for _ in range(4)]
                for _ in range(steps % 40):
                    await asyncio.sleep(0)
                for one in leaving:
                    one.cancel()
                await asyncio.gather(*leaving, return_exceptions=True)
                for answer in [one.result() for one in leaving if not one.cancelled()]:
                    answer.close()
                for kept in connections._idle:
                    kept.force_close()
                async with asyncio.timeout(patient(5)):
                    assert await read(await get(connections)) == b"ok"
            assert free(connections)

    asyncio.run(body())


# everything at once ---------------------------------------------------------------------------------------------------

CALLS, CALLERS, CONNECTIONS = 1500, 32, 8


class Unruly:
    """Answers `/<number>` with that number, one way or another; or breaks off at any byte."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dice = self._random
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b" ", 2)
            lower, early = head.lower(), dice.random() < 0.1
            if not early:
                if b"transfer-encoding: chunked" in lower:
                    await reader.readuntil(b"0\r\n\r\n")
                elif (at := lower.find(b"content-length: ")) >= 0:
                    await reader.readexactly(int(lower[at + 16 :].split(b"\r\n")[0]))
            answer = self._answer(method, target[1:])
            if dice.random() < 0.15:
                writer.write(answer[: dice.randrange(len(answer))])
                if dice.random() < 0.5:
                    writer.transport.abort()
                return
            size = dice.choice((len(answer), len(answer) // 8 + 1))
            for at in range(0, len(answer), size):
                writer.write(answer[at : at + size])
                await asyncio.sleep(0)
            if early or dice.random() < 0.1 or b"x-unframed" in answer:
                return

    def _answer(self, method: bytes, name: bytes) -> bytes:
        dice = self._random
        interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" * dice.choice((0, 0, 0, 3))
        head = interim + b"HTTP/1.1 200 OK\r\nx-name: " + name + b"\r\n"
        body = name * dice.choice((1, 1, 1, 50, 20_000))
        kind = dice.random()
        if kind < 0.1:
            return interim + b"HTTP/1.1 204 No Content\r\nx-name: " + name + b"\r\n\r\n"
        if method == b"HEAD":
            return head + b"content-length: %d\r\n\r\n" % len(body)
        if kind < 0.3:
            return head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        if kind < 0.4:
            return head + b"x-unframed: 1\r\n\r\n" + body
        return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)


class Callers:
    def __init__(self, connections: Connections, seed: int) -> None:
        self._connections, self._random = connections, random.Random(seed)
        self.whole = self.broken = self.left = 0

    async def many(self, numbers: list[int]) -> None:
        while numbers:
            name = b"%08d" % numbers.pop()
            call = asyncio.create_task(self._call(name))
            if self._random.random() < 0.2:
                for _ in range(self._random.randrange(30)):
                    await asyncio.sleep(0)
                call.cancel()
            try:
                await call
            except asyncio.CancelledError:
                self.left += 1
            except (Unreachable, ConnectionLost, AnswerBroken):
                self.broken += 1

    async def _call(self, name: bytes) -> None:
        method = self._random.choice(("GET", "GET", "HEAD", "POST"))
        body: Body = None
        length: int | None = None
        if method == "POST":
            body, length = self._random.choice(
                ((b"b" * 10, None), (b"b" * 200_000, None), (_stream(3), 3 * 50_000), (_stream(3), None))
            )
        answer = await self._connections.ask(method, b"/" + name, HOST, (), body, length)
        try:
            assert dict(answer.raw_headers)[b"x-name"] == name
            piece = b"".join([one async for one in _slowly(answer, self._random)])
            assert (name * 20_000).startswith(piece)
            self.whole += 1
        finally:
            answer.close()


async def _stream(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        await asyncio.sleep(0)
        yield b"s" * 50_000


async def _slowly(answer: Answer, dice: random.Random) -> AsyncIterator[bytes]:
    while not answer.content.at_eof():
        yield await answer.content.readany()
        for _ in range(dice.choice((0, 0, 5))):
            await asyncio.sleep(0)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_breaks_no_connection_is_lost_and_no_answer_mixed_up(seed: int, tls: bool, tmp_path: Path) -> None:
    async def body() -> None:
        certificates = tmp_path if tls else None
        async with served(Unruly(seed), CONNECTIONS, 20, certificates) as connections:
            callers = Callers(connections, seed)
            numbers = list(range(CALLS))
            most = 0
            async with asyncio.timeout(patient(60)), asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(callers.many(numbers)) for _ in range(CALLERS)]
                while not all(task.done() for task in running):
                    most = max(most, len(connections._used) + connections._slots + len(connections._idle))
                    await asyncio.sleep(0.001)
            assert most <= CONNECTIONS
            assert free(connections)
            assert callers.whole > CALLS / 4 and callers.broken > CALLS / 50 and callers.left > CALLS / 50
            assert callers.whole + callers.broken + callers.left == CALLS

    asyncio.run(body())
