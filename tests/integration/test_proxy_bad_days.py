"""What the proxy makes of upstreams that refuse, hang, lie and die, and clients that leave or do not read."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import replace
from typing import Any

import pytest
from proxy_harness import (
    OK,
    QUICK,
    Gateway,
    Serve,
    Upstream,
    always,
    body_of,
    gateway,
    head_of,
    held_port,
    once,
    run,
    until,
)

from sallygate.proxy import ClientStalled, UpstreamBroken

MIB = 1024 * 1024


def problem(response: bytes, status: int, code: str) -> dict[str, Any]:
    """Asserts that `response` is that problem document, and returns it."""
    line, lines = head_of(response)
    assert line.startswith(b"HTTP/1.1 %d " % status), response[:200]
    assert b"content-type: application/problem+json" in lines
    document: dict[str, Any] = json.loads(body_of(response))
    assert (document["status"], document["code"], document["type"]) == (status, code, "about:blank")
    assert "127.0.0.1" not in str(document)
    return document


async def hang(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes requests and says nothing."""
    while True:
        await upstream.request(reader)


async def trickle(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A response head that never ends."""
    await upstream.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not reader.at_eof():
        writer.write(b"a: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST instead of FIN."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_a_refused_connection_is_502() -> None:
    async def story() -> None:
        async with gateway(QUICK, held_port()) as gate:
            document = problem(await gate.get(b"/", b"x-request-id: r1"), 502, "upstream.unreachable")
            assert document["request_id"] == "r1"
            assert body_of(await gate.get(method=b"HEAD")) == b""
            assert gate.proxy.status()[0].failures == 2

    run(story)


def test_a_connection_that_is_never_taken_is_504() -> None:
    async def story() -> None:
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with gateway(replace(QUICK, connect_s=0.3), full.getsockname()[1]) as gate:
            problem(await gate.get(), 504, "upstream.timeout")
            assert gate.proxy.status()[0].failures == 1
        for each in (*fillers, full):
            each.close()

    run(story)


@pytest.mark.parametrize("serve", [hang, trickle])
@pytest.mark.parametrize("request_head", [b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\ncontent-length: 1\r\n"])
def test_a_head_that_does_not_come_in_time_is_504(serve: Serve, request_head: bytes) -> None:
    async def story() -> None:
        upstream = Upstream(serve)
        settings = replace(QUICK, connect_s=0.1, first_byte_s=0.2)
        async with upstream.listening() as port, gateway(settings, port) as gate:
            response = await gate.exchange(request_head + b"host: a\r\nconnection: close\r\n\r\nx")
            problem(response, 504, "upstream.timeout")
            await until(lambda: upstream.closed.is_set() or serve is trickle)
            assert len(upstream.heads) == 1

    run(story)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX y: a\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX(y): a\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 What\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_answer_that_is_none_is_502(answer: bytes) -> None:
    async def story() -> None:
        upstream = Upstream(once(answer))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            response = await gate.get()
            if b" 999 " in answer:
                assert response.startswith(b"HTTP/1.1 999")
            else:
                problem(response, 502, "upstream.broken")
            assert len(upstream.heads) == 1

    run(story)


HALVES = {
    "short length": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
    "no last chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "no framing": b"HTTP/1.1 200 OK\r\n\r\nhalf",
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("at_once", [True, False])
def test_half_an_answer_never_looks_whole(half: str, at_once: bool) -> None:
    raised: list[BaseException] = []

    def watching(proxy: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await proxy(scope, receive, send)
            except UpstreamBroken as error:
                raised.append(error)
                raise

        return app

    async def story() -> None:
        seen = asyncio.Event()

        async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await up.request(reader)
            writer.write(HALVES[half])
            await writer.drain()
            if not at_once:
                await seen.wait()
            if half == "bad chunk":
                writer.write(b"zz\r\n")
                await writer.drain()
                await reader.read()
            if half == "no framing":
                reset(writer)

        upstream = Upstream(serve)
        async with (
            upstream.listening() as port,
            gateway(replace(QUICK, idle_s=0.5), port, wrap=watching) as gate,
        ):
            reader, writer = await gate.connect()
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            response = b""
            while piece := await reader.read(65536):
                response += piece
                if b"half" in response:
                    seen.set()
            if response.startswith(b"HTTP/1.1 502 "):  # it broke before anything was sent
                assert at_once
            else:
                assert len(raised) == 1
                assert not response.endswith(b"0\r\n\r\n")
                assert b"content-length: 4" not in response
            writer.close()

    run(story)


def test_a_body_that_falls_silent_is_cut_and_an_event_stream_is_not() -> None:
    async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await up.request(reader)
        kind = b"text/event-stream" if b"/events" in request else b"text/plain"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        if b"/events" in request:
            await asyncio.sleep(0.5)  # longer than idle_s
            writer.write(b"0\r\n\r\n")
        await up.request(reader)

    async def story() -> None:
        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(replace(QUICK, idle_s=0.2), port) as gate:
            assert (await gate.get(b"/events")).endswith(b"a\r\n0\r\n\r\n")
            assert (await gate.get(b"/silent")).endswith(b"\r\n1\r\na\r\n")

    run(story)


@pytest.mark.parametrize(
    ("method", "asked"),
    [(b"GET", 2), (b"HEAD", 2), (b"POST", 1), (b"PATCH", 1), (b"PUT", 2), (b"DELETE", 2), (b"OPTIONS", 2)],
)
def test_only_what_may_be_repeated_is_asked_again_when_a_kept_connection_was_stale(method: bytes, asked: int) -> None:
    async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up.request(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        if up.connections == 1:
            await up.request(reader)  # the second one on this connection is never answered

    async def story() -> None:
        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            await gate.get()
            response = await gate.get(b"/again", method=method)
            assert sum(b"/again" in head for head in upstream.heads) == asked
            assert response.startswith(b"HTTP/1.1 204" if asked == 2 else b"HTTP/1.1 502"), response

    run(story)


def test_a_fresh_connection_that_breaks_is_not_asked_again() -> None:
    async def story() -> None:
        upstream = Upstream(once(b""))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            problem(await gate.get(), 502, "upstream.broken")
            assert len(upstream.heads) == 1

    run(story)


@pytest.mark.parametrize("when", ["before the head", "in the body", "while uploading"])
def test_a_client_that_leaves_takes_its_request_with_it(when: str) -> None:
    async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if when == "while uploading":
            up.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(10)
        await up.request(reader)
        if when == "in the body":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await up.request(reader)

    async def story() -> None:
        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            reader, writer = await gate.connect()
            if when == "while uploading":
                writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
            else:
                writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            if when == "in the body":
                await reader.readuntil(b"data: 1")
            await until(lambda: bool(upstream.heads))
            started = asyncio.get_running_loop().time()
            writer.close()
            await upstream.closed.wait()
            assert asyncio.get_running_loop().time() - started < 1.0
            await until(lambda: len(gate.proxy._sweep) == 0)

    run(story)


async def _pour(gate: Gateway, upstream_sent: list[int]) -> int:
    """Asks for an endless answer, reads nothing, and says how much the upstream got rid of."""
    _, writer = await gate.connect()
    writer.transport.pause_reading()
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    last = -1
    while last != upstream_sent[0] or last == 0:
        last = upstream_sent[0]
        await asyncio.sleep(0.4)
    writer.close()
    return last


def test_a_reader_that_stops_stops_the_upstream_within_8_mib() -> None:
    async def story() -> None:
        sent = [0]

        async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # so that what it wrote, it got rid of
            await up.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent[0] += 65536

        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            poured = await _pour(gate, sent)
            print(f"upstream stopped after {poured / MIB:.1f} MiB")
            assert poured < 8 * MIB

    run(story)


def test_an_upstream_that_stops_reading_stops_the_upload_within_8_mib() -> None:
    async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async def story() -> None:
        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(replace(QUICK, first_byte_s=2), port) as gate:
            _, writer = await gate.connect()
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n")
            sent = 0
            try:
                while True:
                    writer.write(b"x" * 65536)
                    async with asyncio.timeout(0.5):
                        await writer.drain()
                    sent += 65536
            except TimeoutError:
                pass
            print(f"client stopped after {sent / MIB:.1f} MiB")
            assert sent < 8 * MIB
            writer.transport.abort()

    run(story)


def test_a_client_that_never_reads_is_cut() -> None:
    raised: list[BaseException] = []

    def watching(proxy: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await proxy(scope, receive, send)
            except ClientStalled as error:
                raised.append(error)
                raise

        return app

    async def story() -> None:
        upstream = Upstream(once(b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n" + b"x" * 40_000_000))
        settings = replace(QUICK, client_stall_s=0.3)
        async with upstream.listening() as port, gateway(settings, port, wrap=watching) as gate:
            _, writer = await gate.connect()
            writer.transport.pause_reading()
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await until(lambda: bool(raised))
            writer.transport.abort()

    run(story)


def test_a_client_that_never_finishes_its_upload_is_told_so() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        settings = replace(QUICK, client_stall_s=0.2)
        async with upstream.listening() as port, gateway(settings, port) as gate:
            for start in (b"", b"half"):
                head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 10\r\n\r\n"
                problem(await gate.exchange(head + start), 408, "request.timeout")

    run(story)


def test_a_long_upload_may_take_longer_than_the_wait_for_an_answer() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        settings = replace(QUICK, connect_s=0.1, first_byte_s=0.3)
        async with upstream.listening() as port, gateway(settings, port) as gate:
            reader, writer = await gate.connect()
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\n")
            for _ in range(6):
                await asyncio.sleep(0.12)
                writer.write(b"x")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()

    run(story)


def test_upstreams_take_turns_and_a_refused_request_goes_to_the_next() -> None:
    async def story() -> None:
        one, two = Upstream(always(OK)), Upstream(always(OK))
        head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"
        async with (
            one.listening() as first,
            two.listening() as second,
            gateway(QUICK, first, second, held_port()) as gate,
        ):
            for _ in range(30):
                assert (await gate.exchange(head)).startswith(b"HTTP/1.1 200")
            assert len(one.heads) + len(two.heads) == 30
            assert min(len(one.heads), len(two.heads)) >= 12
            assert [status.healthy for status in gate.proxy.status()] == [True, True, False]
            assert gate.proxy.status()[2].failures == 3

    run(story)


def test_when_all_are_down_it_is_503_until_one_is_back() -> None:
    async def story() -> None:
        port = held_port()
        settings = replace(QUICK, unhealthy_after=2, health_every_s=0.3)
        async with gateway(settings, port, held_port()) as gate:
            for _ in range(2):
                problem(await gate.get(), 502, "upstream.unreachable")
            response = await gate.get()
            problem(response, 503, "upstream.unavailable")
            assert b"retry-after: 1" in head_of(response)[1]
            upstream = Upstream(always(OK))
            async with upstream.listening(port):
                while not (await gate.get()).startswith(b"HTTP/1.1 200"):
                    await asyncio.sleep(0.05)
                assert gate.proxy.status()[0].healthy

    run(story)


def test_the_only_upstream_is_always_tried_so_a_restart_ends_with_it() -> None:
    async def story() -> None:
        port = held_port()
        async with gateway(replace(QUICK, unhealthy_after=2, health_every_s=60.0), port) as gate:
            for _ in range(4):
                problem(await gate.get(), 502, "upstream.unreachable")
            async with Upstream(always(OK)).listening(port):
                assert (await gate.get()).startswith(b"HTTP/1.1 200")

    run(story)


def test_checks_take_an_upstream_out_and_back_in() -> None:
    async def story() -> None:
        answers = [b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"]

        async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await up.request(reader)
                writer.write(answers[0])

        upstream = Upstream(serve)
        settings = replace(QUICK, health_path="/healthz", health_every_s=0.05, unhealthy_after=2)
        async with upstream.listening() as port, gateway(settings, port) as gate:
            await until(lambda: not gate.proxy.status()[0].healthy)
            problem(await gate.get(), 503, "upstream.unavailable")
            answers[0] = OK
            await until(lambda: gate.proxy.status()[0].healthy)
            assert (await gate.get()).startswith(b"HTTP/1.1 200")
            assert upstream.heads[0].startswith(b"GET /healthz HTTP/1.1\r\n")

    run(story)


def test_what_cannot_leave_unchanged_is_refused() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            for value in (b"caf\xe9", b"caf\xc3\xa9", b"tab\there"):
                assert (await gate.get(b"/", b"x-value: " + value)).startswith(b"HTTP/1.1 200")
                assert b"x-value: " + value + b"\r\n" in upstream.heads[-1]
            problem(await gate.get(method=b"get"), 400, "request.target")
            assert len(upstream.heads) == 3

    run(story)
