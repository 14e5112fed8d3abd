"""Which fields cross, without sockets; and what cannot be an upstream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sallygate.proxy import ReverseProxy, UpstreamSettings
from sallygate.proxy.headers import RequestFields, for_client, named_by, trailers_for_client
from sallygate.proxy.pool import Pool
from sallygate.proxy.request import request_head


@pytest.mark.parametrize(
    ("connection", "names"),
    [
        ([b"close"], {b"close"}),
        ([b"Keep-Alive, X-Mine"], {b"keep-alive", b"x-mine"}),
        ([b"a,,b", b" c "], {b"a", b"b", b"c", b""}),
        ([b"X-Sallygate-Account, Content-Type, cookie, X-Request-Id"], set()),
    ],
)
def test_connection_names_what_is_of_the_hop_and_nothing_the_gate_vouches_for(
    connection: list[bytes], names: set[bytes]
) -> None:
    assert named_by(connection) == names


def test_a_body_is_announced_by_its_length_or_its_coding_only() -> None:
    def read(*headers: tuple[bytes, bytes]) -> tuple[bool, int | None]:
        fields = RequestFields(headers, None, "https")
        return fields.has_body, fields.length

    assert read() == (False, None)
    assert read((b"content-type", b"a/b")) == (False, None)
    assert read((b"content-length", b"7")) == (True, 7)
    assert read((b"transfer-encoding", b"chunked")) == (True, None)
    with pytest.raises(ValueError):
        read((b"content-length", b"seven"))
    assert read((b"x-latin", b"caf\xe9")) == (False, None)


def test_answers_keep_order_and_repetitions() -> None:
    raw = [
        (b"Set-Cookie", b"a"),
        (b"Server", b"x"),
        (b"Connection", b"x-hop"),
        (b"X-Hop", b"1"),
        (b"SET-COOKIE", b"b"),
    ]
    assert for_client(raw) == [(b"set-cookie", b"a"), (b"set-cookie", b"b")]


@pytest.mark.parametrize(
    "urls",
    [
        (),
        ("127.0.0.1:9000",),
        ("ftp://a/",),
        ("http://",),
        ("http://user:pw@a/",),
        ("http://a/?x",),
        ("http://a/#f",),
    ],
)
def test_what_is_no_upstream_is_refused_at_once(urls: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        ReverseProxy(UpstreamSettings(urls=urls))


class Notes:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append(event)

    warning = info


def test_one_trial_at_a_time_for_an_upstream_that_is_down() -> None:
    log = Notes()
    pool = Pool(UpstreamSettings(urls=("http://a", "http://b"), unhealthy_after=2, health_every_s=5.0), log)
    a, b = pool.upstreams
    assert [pool.choose(0.0) for _ in range(4)] == [a, b, a, b]
    assert pool.choose(0.0, tried=[a]) is b
    for _ in range(2):
        pool.failed(a, 10.0, None)
    assert [pool.choose(12.0) for _ in range(3)] == [b, b, b]
    assert {pool.choose(15.0), pool.choose(15.0), pool.choose(15.0)} == {a, b}
    assert [pool.choose(15.0) for _ in range(3)] == [b, b, b]
    pool.connected(a)
    assert {pool.choose(16.0), pool.choose(16.0)} == {a, b}
    assert log.events == ["upstream.down", "upstream.up"]


def test_a_websocket_is_not_ours() -> None:
    proxy = ReverseProxy(UpstreamSettings(urls=("http://a",)))

    async def story() -> None:
        with pytest.raises(RuntimeError):
            await proxy({"type": "websocket"}, _never, _never)

    asyncio.run(story())


async def _never(*_: Any) -> Any:
    raise AssertionError("nothing is to be read or sent")


@pytest.mark.parametrize("bad", [b"a\r\nx-evil: 1", b"a\nb", b"a\rb", b"a\x00b"])
def test_a_field_cannot_end_early(bad: bytes) -> None:
    for fields in ([(b"x", bad)], [(bad, b"x")]):
        with pytest.raises(ValueError):
            request_head("GET", b"/", b"a", fields, None, None)
    with pytest.raises(ValueError):
        request_head("GET", b"/", bad, [], None, None)
    with pytest.raises(ValueError):
        request_head("GET", b"/" + bad, b"a", [], None, None)


@pytest.mark.parametrize(
    ("method", "body", "length", "framing"),
    [
        ("GET", None, None, []),
        ("GET", None, 0, [b"content-length: 0"]),
        ("POST", None, None, [b"content-length: 0"]),
        ("DELETE", None, None, []),
        ("POST", b"abc", 3, [b"content-length: 3"]),
        ("POST", b"abc", None, [b"content-length: 3"]),
        ("POST", _never, 7, [b"content-length: 7"]),
        ("POST", _never, None, [b"transfer-encoding: chunked"]),
    ],
)
def test_one_framing(method: str, body: Any, length: int | None, framing: list[bytes]) -> None:
    head = request_head(method, b"/a?b", b"host:1", [(b"x", b"1")], body, length)
    assert head.split(b"\r\n") == [method.encode() + b" /a?b HTTP/1.1", b"Host: host:1", b"x: 1", *framing, b"", b""]


def test_a_trailer_is_no_late_header() -> None:
    trailers = [(b"X-Sum", b"1"), (b"Set-Cookie", b"a=1"), (b"Server", b"x"), (b"Content-Type", b"a/b"),
                (b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Trailer", b"x"), (b"ETag", b'"x"')]  # fmt: skip
    assert trailers_for_client(trailers) == [(b"x-sum", b"1"), (b"etag", b'"x"')]


ORIGINS = {b"http://10.0.0.5:9000": b"/v1", b"https://api.internal": b""}


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (b"http://10.0.0.5:9000/v1/things/", b"/things/"),
        (b"HTTP://10.0.0.5:9000/v1/a?b#c", b"/a?b#c"),
        (b"http://10.0.0.5:9000/v1", b"/"),
        (b"http://10.0.0.5:9000/v10/a", b"/v10/a"),
        (b"https://api.internal", b"/"),
        (b"https://api.internal?a=b", b"/?a=b"),
        (b"https://api.internal//evil.example/a", b"/evil.example/a"),
        (b"https://api.internal.evil.example/a", b"https://api.internal.evil.example/a"),
        (b"http://10.0.0.5:90001/a", b"http://10.0.0.5:90001/a"),
        (b"https://elsewhere.example/a", b"https://elsewhere.example/a"),
        (b"/a", b"/a"),
        (b"../a", b"../a"),
    ],
)
def test_a_location_of_the_api_itself_is_one_of_the_gate(sent: bytes, got: bytes) -> None:
    assert for_client([(b"Location", sent), (b"X-Url", sent)], ORIGINS) == [(b"location", got), (b"x-url", sent)]
    assert for_client([(b"content-location", sent)], ORIGINS) == [(b"content-location", got)]


def test_an_upstream_is_known_by_its_address_whatever_the_scheme() -> None:
    assert Pool(UpstreamSettings(urls=("https://API.internal:8443/v2/",)), None).origins == {
        b"http://api.internal:8443": b"/v2", b"https://api.internal:8443": b"/v2",
    }  # fmt: skip
