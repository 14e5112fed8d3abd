"""What leaves is what came: targets, header fields, framing, special answers, on real sockets."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import replace
from typing import Any

import pytest
from proxy_harness import OK, QUICK, Upstream, always, body_of, gateway, head_of, once, run

from sallygate.proxy import ReverseProxy


def test_every_byte_of_a_target_arrives_or_is_refused() -> None:
    passed, refused = [], []

    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            for template in (b"/a%sb/c", b"/a?b%sc=d"):
                for value in range(256):
                    target = template % bytes([value])
                    upstream.heads.clear()
                    response = await gate.get(target)
                    # Granian takes a fragment off, which a request target cannot have (RFC 9112, 3.2)
                    expected = target.partition(b"#")[0]
                    if upstream.heads:
                        assert upstream.heads[0].startswith(b"GET " + expected + b" HTTP/1.1\r\n"), target
                        passed.append(target)
                    else:
                        assert response.startswith(b"HTTP/1.1 400 "), target
                        refused.append(target)

    run(story)
    assert len(passed) + len(refused) == 512
    assert len(passed) > 170
    assert {t[2] for t in refused if t.startswith(b"/a") and t[2:3] != b"?"} >= {*range(33), *range(127, 256)}


@pytest.mark.parametrize(
    "target",
    [
        b"/a/%2e%2e/b",
        b"/a/../b",
        b"/./a//b/",
        b"//evil.example/x",
        b"/%zz%",
        b"/a%00b",
        b"/a?x=%27%22&x=&&=",
        b"/a?b?c",
        b"/a?next=http://x/?y=[1]",
        b"/a;v=1,2:3@4",
        b"/" + b"x" * 8000,
    ],
)
def test_targets_that_libraries_like_to_tidy_are_left_alone(target: bytes) -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            assert (await gate.get(target)).startswith(b"HTTP/1.1 200 ")
            assert upstream.heads[0].split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"

    run(story)


def test_an_upstream_may_live_under_a_prefix() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port:
            settings = replace(QUICK, urls=(f"http://127.0.0.1:{port}/v1/",))
            async with gateway(settings) as gate:
                await gate.get(b"/a?b")
        assert upstream.heads[0].startswith(b"GET /v1/a?b HTTP/1.1\r\n")

    run(story)


def test_a_request_gains_nothing_but_where_it_came_from() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            await gate.get(b"/", b"x-b: 1", b"x-a:  two words", b"x-b: 2", b"x-empty:", b"accept: a/b")
        assert upstream.heads[0].split(b"\r\n") == [
            b"GET / HTTP/1.1",
            b"Host: 127.0.0.1:%d" % port,
            b"x-b: 1",
            b"x-b: 2",
            b"x-a: two words",
            b"x-empty: ",
            b"accept: a/b",
            b"x-forwarded-for: 127.0.0.1",
            b"x-forwarded-proto: http",
            b"x-forwarded-host: shop.example",
            b"",
            b"",
        ]

    run(story)


def test_per_hop_fields_and_forged_origins_stay_behind() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(replace(QUICK, preserve_host=True), port) as gate:
            await gate.exchange(
                b"GET / HTTP/1.1\r\nhost: shop.example\r\nConnection: close, X-Mine,,te , Authorization\r\n"
                b"Connection: x-sallygate-account, X-Other\r\nx-mine: 1\r\nx-other: 1\r\nte: trailers\r\n"
                b"trailer: x\r\nkeep-alive: timeout=9\r\nproxy-authorization: Basic eDp5\r\n"
                b"proxy-connection: keep-alive\r\n"
                b"x-forwarded-for: 6.6.6.6\r\nx-forwarded-proto: https\r\nx-forwarded-host: evil\r\n"
                b"x-forwarded-port: 1\r\nx-real-ip: 6.6.6.6\r\nforwarded: for=6.6.6.6\r\n"
                b"authorization: Bearer x\r\nx-sallygate-account: acct_0001\r\n\r\n"
            )
        lines = upstream.heads[0].split(b"\r\n")[1:-2]
        assert sorted(lines) == sorted(
            [
                b"Host: shop.example",
                b"authorization: Bearer x",
                b"x-sallygate-account: acct_0001",
                b"x-forwarded-for: 127.0.0.1",
                b"x-forwarded-proto: http",
                b"x-forwarded-host: shop.example",
            ]
        )

    run(story)


def test_an_answer_keeps_its_fields_apart_and_loses_those_of_the_hop() -> None:
    answer = (
        b"HTTP/1.1 200 Fine\r\nSet-Cookie: a=1; Path=/\r\nServer: secret/1.2\r\nX-B: 1\r\nSet-Cookie: b=2\r\n"
        b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-B: 2\r\nVary: a\r\n"
        b"Date: Mon, 23 Nov 2026 21:20:07 GMT\r\nContent-Length: 2\r\n\r\nok"
    )

    async def story() -> None:
        upstream = Upstream(always(answer))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            status, lines = head_of(await gate.get())
            assert status.startswith(b"HTTP/1.1 200")
            assert [line for line in lines if line.startswith(b"set-cookie")] == [
                b"set-cookie: a=1; Path=/",
                b"set-cookie: b=2",
            ]
            assert [line for line in lines if line.startswith(b"x-b")] == [b"x-b: 1", b"x-b: 2"]
            assert b"date: Mon, 23 Nov 2026 21:20:07 GMT" in lines
            names = {line.split(b":")[0] for line in lines}
            assert not names & {b"x-hop", b"keep-alive", b"transfer-encoding"}
            assert not [line for line in lines if b"secret" in line]
            await gate.get()
            assert b"cookie" not in upstream.heads[1].lower()

    run(story)


BODY = b'{"items":[]}'


@pytest.mark.parametrize(
    ("request_head", "body", "expected"),
    [
        (b"GET / HTTP/1.1\r\n", b"", None),
        (b"POST / HTTP/1.1\r\ncontent-length: 12\r\n", BODY, b"content-length: 12"),
        (b"POST / HTTP/1.1\r\ncontent-length: 0\r\n", b"", b"content-length: 0"),
        (b"GET / HTTP/1.1\r\ncontent-length: 12\r\n", BODY, b"content-length: 12"),
        (
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
            b"c\r\n" + BODY + b"\r\n0\r\n\r\n",
            b"transfer-encoding: chunked",
        ),
        (b"POST / HTTP/1.1\r\ncontent-length: 12\r\nexpect: 100-continue\r\n", BODY, b"content-length: 12"),
        (b"POST / HTTP/1.1\r\ncontent-length: 300000\r\n", b"x" * 300000, b"content-length: 300000"),
    ],
)
def test_a_body_is_framed_as_it_came(request_head: bytes, body: bytes, expected: bytes | None) -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            response = await gate.exchange(request_head + b"host: a\r\nconnection: close\r\n\r\n" + body)
            assert b"HTTP/1.1 200 OK\r\n" in response
        framing = [
            line
            for line in upstream.heads[0].lower().split(b"\r\n")
            if line.startswith((b"content-length", b"transfer-encoding", b"expect"))
        ]
        assert framing == ([expected] if expected else [])
        assert upstream.bodies == [body]

    run(story)


def test_connections_are_kept_and_used_again() -> None:
    async def story() -> None:
        upstream = Upstream(always(OK))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            for size in (0, 12, 300000):
                head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size
                for _ in range(3):
                    await gate.exchange(head + b"x" * size)
            assert (len(upstream.heads), upstream.connections) == (9, 1)

    run(story)


@pytest.mark.parametrize(
    ("method", "answer", "status", "lines", "body"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", b"200", {b"content-length: 1234"}, b""),
        (b"GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", b"204", {b"x-a: 1"}, b""),
        (b"GET", b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', b"304", {b'etag: "x"'}, b""),
        (
            b"GET",
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nok",
            b"206",
            {b"content-range: bytes 0-1/9", b"content-length: 2"},
            b"ok",
        ),
        (
            b"GET",
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK,
            b"200",
            {b"content-length: 2"},
            b"ok",
        ),
        (
            b"GET",
            b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
            b"302",
            {b"location: /b"},
            b"",
        ),
        (b"GET", b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 2\r\n\r\nno", b"418", set(), b"no"),
        (b"OPTIONS", OK, b"200", {b"content-length: 2"}, b"ok"),
        (b"PURGE", OK, b"200", {b"content-length: 2"}, b"ok"),
    ],
)
def test_special_answers(method: bytes, answer: bytes, status: bytes, lines: set[bytes], body: bytes) -> None:
    async def story() -> None:
        upstream = Upstream(always(answer))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            for _ in range(2):
                response = await gate.get(method=method)
                assert head_of(response)[0].split(b" ")[1] == status
                assert lines <= set(head_of(response)[1])
                assert body_of(response) == body
            assert upstream.connections == 1

    run(story)


@pytest.mark.parametrize("extensions", [{}, {"http.response.trailers": {}}, None])
@pytest.mark.parametrize("framing", [b"transfer-encoding: chunked", b"content-length: 2"])
def test_trailers_reach_a_server_that_carries_them_and_no_other(
    extensions: dict[str, Any] | None, framing: bytes
) -> None:
    chunked = framing.startswith(b"transfer")
    chunks = b"2\r\nok\r\n0\r\nX-Sum: abc\r\nSet-Cookie: a=1\r\nContent-Type: text/html\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def story() -> None:
        upstream = Upstream(always(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + (chunks if chunked else b"ok")))
        async with upstream.listening() as port:
            proxy = ReverseProxy(replace(QUICK, urls=(f"http://127.0.0.1:{port}",)))
            await proxy.start()
            scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [],
                     "scheme": "https", "client": None, "extensions": extensions}  # fmt: skip
            await proxy(scope, receive, send)
            await proxy.close()

    run(story)
    start, body, *trailers = sent
    assert [name for name, _ in start["headers"]] == ([] if chunked else [b"content-length"])
    assert (body["body"], body["more_body"]) == (b"ok", False)
    if chunked and extensions:
        assert start["trailers"] is True
        expected = {"type": "http.response.trailers", "headers": [(b"x-sum", b"abc")], "more_trailers": False}
        assert trailers == [expected]
    else:
        assert "trailers" not in start and not trailers


def test_a_compressed_answer_stays_compressed() -> None:
    packed = zlib.compress(b"x" * 1000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed

    async def story() -> None:
        upstream = Upstream(always(answer))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            response = await gate.get()
            assert body_of(response) == packed
            assert b"content-encoding: deflate" in head_of(response)[1]

    run(story)


def test_an_answer_that_ends_with_its_connection_is_whole() -> None:
    async def story() -> None:
        upstream = Upstream(once(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000))
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            response = await gate.get()
            assert response.count(b"x") >= 100_000
            assert response.endswith(b"0\r\n\r\n")

    run(story)


@pytest.mark.parametrize("kind", [b"text/plain", b"text/event-stream"])
def test_the_first_piece_arrives_before_the_second_leaves(kind: bytes) -> None:
    async def story() -> None:
        seen = [asyncio.Event(), asyncio.Event()]

        async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await up.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n")
            if kind == b"text/event-stream":
                await seen[0].wait()
            writer.write(b"5\r\nfirst\r\n")
            await seen[1].wait()
            writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
            await writer.drain()

        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            reader, writer = await gate.connect()
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            if kind == b"text/event-stream":
                await reader.readuntil(b"\r\n\r\n")
                seen[0].set()
            await reader.readuntil(b"first")
            seen[1].set()
            await reader.readuntil(b"second\r\n0\r\n\r\n")
            writer.close()

    run(story)


def test_the_first_piece_of_an_upload_arrives_before_the_second_leaves() -> None:
    async def story() -> None:
        first = asyncio.Event()

        async def serve(up: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"first")
            first.set()
            await reader.readuntil(b"second")
            writer.write(OK)
            await writer.drain()

        upstream = Upstream(serve)
        async with upstream.listening() as port, gateway(QUICK, port) as gate:
            reader, writer = await gate.connect()
            writer.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nfirst")
            await first.wait()
            writer.write(b"second")
            await reader.readuntil(b"\r\n\r\nok")
            writer.close()

    run(story)
