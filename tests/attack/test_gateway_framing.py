"""Framing tricks on one connection to a running gateway: chunk extensions, trailers, `Expect`, old versions, pipelining,
heads that are huge or never end."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator

import pytest

from gateway_wire import check_only_inspected_left, echo, events_of, statuses
from patience import patient
from support import Running, Upstream, make_key, running_gateway, until, write_policy

JSON = b'{"name":"a"}'


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    policy = write_policy(tmp_path_factory.mktemp("framing"), "operations: {}", upstream=upstream.url)
    with running_gateway(policy) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: Running) -> bytes:
    return make_key(gateway.policy).encode()


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.received.clear()


def read_to_end(client: ssl.SSLSocket) -> bytes:
    """All that the gateway sends until it closes the connection; fails where it keeps the connection."""
    answer = b""
    while part := client.recv(65536):
        answer += part
    return answer


def post(key: bytes, *lines: bytes, body: bytes = b"", close: bool = True, version: bytes = b"1.1") -> bytes:
    head = [
        b"POST /things HTTP/" + version,
        b"Host: a",
        b"X-API-Key: " + key,
        b"Content-Type: application/json",
        *lines,
    ]
    return b"\r\n".join([*head, *([b"Connection: close"] if close else []), b"", body])


CHUNKED = [
    (b"c\r\n%s\r\n0\r\n\r\n", True, "plain"),
    (b"c;name=value\r\n%s\r\n0;x\r\n\r\n", None, "extensions"),
    (b"C\r\n%s\r\n0\r\n\r\n", True, "capital size"),
    (b"00000c\r\n%s\r\n0\r\n\r\n", None, "leading zeros"),
    (b"c;" + b"x" * 100_000 + b"\r\n%s\r\n0\r\n\r\n", False, "an extension of 100 kB"),
    (b"c\r\n%s\r\n0\r\nX-Sallygate-Account: admin\r\nX-Role: admin\r\n\r\n", None, "trailers"),
    (b"c\r\n%s\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", None, "framing in trailers"),
    (b"0x0c\r\n%s\r\n0\r\n\r\n", False, "a prefix"),
    (b"+c\r\n%s\r\n0\r\n\r\n", False, "a sign"),
    (b"-c\r\n%s\r\n0\r\n\r\n", False, "a minus"),
    (b" c\r\n%s\r\n0\r\n\r\n", None, "a space before"),
    (b"c \r\n%s\r\n0\r\n\r\n", None, "a space after"),
    (b"c\n%s\n0\n\n", False, "bare line feeds"),
    (b"c\r\n%s0\r\n\r\n", False, "no line end after a chunk"),
    (b"d\r\n%s\r\n0\r\n\r\n", False, "a size too large"),
    (b"b\r\n%s\r\n0\r\n\r\n", False, "a size too small"),
    (b"fffffffffffffffff\r\n%s\r\n0\r\n\r\n", False, "a size beyond 64 bits"),
    (b"1000000000000000c\r\n%s\r\n0\r\n\r\n", False, "a size that wraps around"),
    (b"\r\nc\r\n%s\r\n0\r\n\r\n", False, "a line before"),
    (b"c\r\n%s\r\n", False, "no end"),
    (b"c;\r\x00\n%s\r\n0\r\n\r\n", False, "a control character in an extension"),
    (b"c;a=b\n%s\r\n0\r\n\r\n", False, "an extension ended by a line feed"),
]


@pytest.mark.parametrize(("body", "whole", "what"), CHUNKED, ids=[what for *_, what in CHUNKED])
def test_chunks(gateway: Running, upstream: Upstream, key: bytes, body: bytes, whole: bool | None, what: str) -> None:
    sent = post(key, b"Transfer-Encoding: chunked", body=body.replace(b"%s", JSON))
    got = statuses(gateway.send(sent, 0.5))
    assert len(got) <= 1
    if whole is not None:
        assert bool(upstream.received) == whole, (what, got)
    for request in upstream.received:
        assert request.body == JSON
        assert not any(b"admin" in value for _, value in request.headers)
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 12", b"Content-Length: 13"),
        (b"Content-Length: 12, 12",),
        (b"Content-Length: +12",),
        (b"Content-Length: 0x0c",),
        (b"Content-Length: -12",),
        (b"Content-Length: 12;",),
        (b"Content-Length: 1 2",),
        (b"Content-Length: 99999999999999999999",),
        (b"Content-Length : 12",),
        (b"Content-Length:\t12\x0b",),
        (b"Content_Length: 12",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked, chunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding:\x0bchunked",),
        (b"Transfer-Encoding: chunked;q=1",),
        (b"Transfer-Encoding : chunked",),
        (b" Transfer-Encoding: chunked",),
        (b"X: y\rTransfer-Encoding: chunked",),
        (b"Transfer-Encoding\x00: chunked",),
        (b"Transfer_Encoding: chunked",),
        (b'Transfer-Encoding: "chunked"',),
    ],
)
def test_lengths_that_read_two_ways(gateway: Running, upstream: Upstream, key: bytes, lines: tuple[bytes, ...]) -> None:
    for body in (JSON, b"c\r\n" + JSON + b"\r\n0\r\n\r\n"):
        got = statuses(gateway.send(post(key, *lines, body=body), 0.4))
        assert all(400 <= status < 600 for status in got), got
        assert not upstream.received
    assert gateway.get("/things", key.decode())[0] == 200


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 12", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 3"),
        (b"Content-Length: 12", b"Content-Length: 12"),
        (b"X: y\nTransfer-Encoding: chunked",),
        (b"X: y\nContent-Length: 12",),
    ],
)
def test_lengths_that_the_server_may_mend_leave_in_one_reading(
    gateway: Running, upstream: Upstream, key: bytes, lines: tuple[bytes, ...]
) -> None:
    """RFC 9112, 6.3 and 2.2 let a server choose here; whatever it chose is what was inspected and what leaves."""
    for body in (JSON, b"c\r\n" + JSON + b"\r\n0\r\n\r\n"):
        got = statuses(gateway.send(post(key, *lines, body=body), 0.4))
        assert len(got) <= 1
        assert all(request.body == JSON for request in upstream.received)
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Host: b",),
        (b"Content_Length: 12",),
        (b"Transfer_Encoding: chunked",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Connection: x-role", b"X-Role: a"),
        (b"X-API-Key: other",),
        (b"X: a\x01",),
    ],
)
def test_a_request_behind_one_with_two_readings(
    gateway: Running, upstream: Upstream, key: bytes, lines: tuple[bytes, ...]
) -> None:
    """A front end that reads the first request otherwise takes the second one for the body, or for another client's."""
    hidden = b"GET /things?q=hidden HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    body = b"c\r\n" + JSON + b"\r\n0\r\n\r\n" if lines == (b"Transfer-Encoding: gzip, chunked",) else b""
    with gateway.connect() as client:
        client.sendall(post(key, *lines, body=body, close=False) + hidden)
        answer = read_to_end(client)
    assert statuses(answer) == [400]
    assert b"connection: close" in answer.lower()
    assert not upstream.received


@pytest.mark.parametrize("path", [b"/../things", b"/things%2f..%2fadmin", b"/things%00"])
def test_a_request_behind_a_path_with_two_readings(
    gateway: Running, upstream: Upstream, key: bytes, path: bytes
) -> None:
    hidden = b"GET /things?q=hidden HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    with gateway.connect() as client:
        client.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path + hidden)
        assert statuses(read_to_end(client)) == [400]
    assert not upstream.received


@pytest.mark.parametrize("lines", [(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
                                   (b"Transfer-Encoding: chunked", b"Content-Length: 3")])  # fmt: skip
def test_a_request_behind_a_length_and_chunks(
    gateway: Running, upstream: Upstream, key: bytes, lines: tuple[bytes, ...]
) -> None:
    """The server reads the chunks, drops the length before the gate sees it, and closes (RFC 9112, section 6.3)."""
    hidden = b"GET /things?q=hidden HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    with gateway.connect() as client:
        client.sendall(post(key, *lines, body=b"c\r\n" + JSON + b"\r\n0\r\n\r\n", close=False) + hidden)
        assert statuses(read_to_end(client)) == [200]
    (request,) = upstream.received
    assert request.body == JSON and request.values(b"content-length") == [b"12"]
    assert not request.values(b"transfer-encoding")


@pytest.mark.parametrize(
    "target", [b"/things/<", b"/things/>", b"/things/`", b"/things/\xff", b"/things?q=<", b"/things?q=>", b'/things?q="',
               b"/things?q=\xff"],
)  # fmt: skip
def test_a_target_that_the_server_refuses_before_the_gate_sees_it(
    gateway: Running, upstream: Upstream, key: bytes, target: bytes
) -> None:
    """No problem document and no event, as docs/errors.md says; but the connection ends, and no request leaves."""
    hidden = b"GET /things?q=hidden HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    with gateway.connect() as client:
        client.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % (target, key) + hidden)
        answer = read_to_end(client)
    assert statuses(answer) == [400]
    assert b"content-length: 0\r\n" in answer
    assert not upstream.received


def test_expect_is_answered_by_the_gate_after_it_has_judged_the_head(
    gateway: Running, upstream: Upstream, key: bytes
) -> None:
    with gateway.connect() as client:
        client.sendall(post(key, b"Content-Length: 12", b"Expect: 100-continue"))
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(JSON)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert [request.body for request in upstream.received] == [JSON]
    assert not upstream.received[0].values(b"expect")
    upstream.received.clear()
    with gateway.connect() as client:  # who is refused is not asked for a body
        client.sendall(post(b"nobody", b"Content-Length: 12", b"Expect: 100-continue"))
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert not upstream.received


@pytest.mark.parametrize("value", [b"100-Continue", b"100-continue, 100-continue", b"200-ok", b"", b"100-continue\x0b"])
def test_expectations_nobody_knows(gateway: Running, upstream: Upstream, key: bytes, value: bytes) -> None:
    gateway.send(post(key, b"Content-Length: 12", b"Expect: " + value, body=JSON), 0.5)
    assert all(request.body == JSON and not request.values(b"expect") for request in upstream.received)
    check_only_inspected_left(gateway, upstream)


def test_a_request_hidden_in_a_body_that_expect_holds_back(gateway: Running, upstream: Upstream, key: bytes) -> None:
    """The 0.CL and double desync of 2025: `Expect` makes some front ends forget the body."""
    hidden = b"GET /things?q=hidden HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    for length, spelling in ((len(hidden), b"Expect"), (0, b"Expect"), (len(hidden), b"Expect ")):
        gateway.send(post(key, b"Content-Length: %d" % length, spelling + b": 100-continue", body=hidden), 0.5)
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize(
    ("head", "reached"),
    [
        (b"GET /things HTTP/1.0\r\nX-API-Key: %s\r\n\r\n", True),
        (b"GET /things HTTP/1.0\r\nHost: a\r\nX-API-Key: %s\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET /things HTTP/1.0\r\nHost: a\r\nX-API-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (b"GET /things HTTP/0.9\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET /things HTTP/1.2\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET /things HTTP/2.0\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET /things HTTP/11\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET /things http/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET /things\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET  /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET /things  HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b"GET\t/things\tHTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
        (b" GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n", False),
    ],
)  # fmt: skip
def test_versions(gateway: Running, upstream: Upstream, key: bytes, head: bytes, reached: bool) -> None:
    gateway.send(head % key, 0.4)
    assert bool(upstream.received) == reached
    check_only_inspected_left(gateway, upstream)


def test_pipelined_requests_are_judged_one_by_one(gateway: Running, upstream: Upstream, key: bytes) -> None:
    good = b"GET /things?q=%d HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n"
    bad = b"DELETE /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    stranger = b"GET /things HTTP/1.1\r\nHost: a\r\n\r\n"
    sent = good % (1, key) + bad + good % (2, key) + stranger + post(key, b"Content-Length: 12", body=JSON, close=False)
    answer = gateway.send(sent + b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert statuses(answer) == [200, 405, 200, 401, 200, 404]
    assert [request.line.split()[1] for request in upstream.received] == [b"/things?q=1", b"/things?q=2", b"/things"]
    check_only_inspected_left(gateway, upstream)


def test_a_body_left_unread_by_a_refusal_is_no_request(gateway: Running, upstream: Upstream, key: bytes) -> None:
    hidden = b"GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n" % key
    for nobody in (b"POST /things", b"POST /nowhere", b"DELETE /things"):
        head = nobody + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(hidden)
        assert len(statuses(gateway.send(head + hidden, 0.5))) == 1
    assert not upstream.received


@pytest.mark.parametrize(
    ("head", "allowed"),
    [
        (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: a\r\n", {414}),
        (b"GET /?q=" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n", {414}),
        (b"GET /things HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 33_000 + b"\r\n", {431}),
        (b"GET /things HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 101, {431, 400}),
        (b"GET /things HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(5000)), {431, 400}),
        (b"GET /things HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 2_000_000 + b"\r\n", {431, 400}),
        (b"G" * 2_000_000, {431, 400, 414}),
    ],
)  # fmt: skip
def test_heads_beyond_measure(gateway: Running, upstream: Upstream, key: bytes, head: bytes, allowed: set[int]) -> None:
    got = statuses(gateway.send(head + b"X-API-Key: " + key + b"\r\nConnection: close\r\n\r\n", 1.0))
    assert set(got) <= allowed, got
    assert not upstream.received
    assert gateway.get("/status")[0] == 200


@pytest.mark.long
def test_heads_that_never_end(gateway: Running, upstream: Upstream) -> None:
    """Slowloris: a connection whose head trickles in is closed after 15 s, and keeps nobody else out meanwhile."""
    slow = [gateway.connect(timeout=25) for _ in range(50)]
    for client in slow:
        client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n")
    open_until = time.monotonic() + patient(30)
    while slow and time.monotonic() < open_until:
        for client in list(slow):
            client.settimeout(0.001)
            try:
                client.sendall(b"X: y\r\n")
                ended = client.recv(1) == b""
            except TimeoutError:
                ended = False
            except OSError:
                ended = True
            if ended:
                slow.remove(client)
        assert gateway.get("/status")[0] == 200
        time.sleep(0.2)
    assert not slow


def test_bodies_that_never_come_hold_no_place_of_others(gateway: Running, upstream: Upstream, key: bytes) -> None:
    stalled = [gateway.connect() for _ in range(40)]
    for client in stalled:
        client.sendall(post(key, b"Content-Length: 1000", body=b"{", close=False))
    assert gateway.get("/things", key.decode())[0] == 200
    for client in stalled:
        client.close()
    upstream.received.clear()
    assert gateway.get("/things", key.decode())[0] == 200

    def cut() -> int:
        return sum(e.count for e in events_of(gateway) if e.findings and e.findings[0].code == "request.body_cut")

    until(cut)
