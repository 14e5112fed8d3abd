"""Requests that name two servers: an absolute target or `:authority` beside another `Host`, to a running gateway.

The server hides the first name from the gate where there is a `Host`. One name then counts everywhere: the gate judges by
`Host`, and the API gets this name and no other.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway_wire import END_HEADERS, END_STREAM, HEADERS, OPEN, fields, frame, http2, statuses
from support import Received, Running, Upstream, running_gateway, write_policy

MINE, OTHER = b"mine.example", b"other.example"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module", params=[False, True], ids=["own host", "preserve_host"])
def gateway(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, request: pytest.FixtureRequest
) -> Iterator[Running]:
    section = f"upstream: {{urls: [{upstream.url}], preserve_host: {str(request.param).lower()}}}\n"
    policy = write_policy(tmp_path_factory.mktemp("authority"), OPEN + section)
    with running_gateway(policy) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.received.clear()


def names(request: Received) -> set[bytes]:
    """Every server that the API may find named in a request, but for its own address."""
    everything = [value for name, value in request.headers if name != b"host"] + request.values(b"host")
    return {name for name in (MINE, OTHER) if any(name in value for value in (request.line, *everything))}


@pytest.mark.parametrize("target", [b"http://other.example/things", b"https://other.example/things", b"ftp://other.example/things",
                                    b"https://u@other.example:8443/things"])  # fmt: skip
def test_an_absolute_target_for_another_host(gateway: Running, upstream: Upstream, target: bytes) -> None:
    answer = gateway.send(b"GET %s HTTP/1.1\r\nHost: mine.example\r\nConnection: close\r\n\r\n" % target)
    assert statuses(answer) == [200]
    (request,) = upstream.received
    assert request.line == b"GET /things HTTP/1.1"
    assert names(request) == {MINE}
    assert request.values(b"x-forwarded-host") == [MINE] and len(request.values(b"host")) == 1


def test_an_absolute_target_alone(gateway: Running, upstream: Upstream) -> None:
    """Without a `Host` the server reads the name from the target: the gate and the API get the same one."""
    answer = gateway.send(b"GET https://other.example/things HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert statuses(answer) == [200]
    (request,) = upstream.received
    assert request.line == b"GET /things HTTP/1.1" and names(request) == {OTHER}


def ask(gateway: Running, *pairs: tuple[bytes, bytes]) -> tuple[bytes, bool]:
    head = ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/things"), *pairs)
    return http2(gateway, frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(*head)))


@pytest.mark.parametrize("host", [MINE, MINE + b":8443"])
def test_an_authority_beside_another_host(gateway: Running, upstream: Upstream, host: bytes) -> None:
    _, refused = ask(gateway, (b":authority", OTHER), (b"host", host))
    assert not refused
    (request,) = upstream.received
    assert names(request) == {MINE}
    assert request.values(b"x-forwarded-host") == [host] and len(request.values(b"host")) == 1


@pytest.mark.parametrize(
    "pairs",
    [
        ((b":authority", MINE), (b":authority", OTHER)),
        ((b":authority", MINE), (b"host", MINE), (b"host", OTHER)),
        ((b"host", MINE), (b"host", MINE)),
        ((b":authority", b"u@mine.example"),),
        ((b":authority", b""), (b"host", MINE)),
        ((b":authority", MINE), (b"host", b"")),
        ((b":authority", MINE), (b"host", b"mine.example, other.example")),
    ],
)
def test_authorities_that_are_refused(
    gateway: Running, upstream: Upstream, pairs: tuple[tuple[bytes, bytes], ...]
) -> None:
    body, refused = ask(gateway, *pairs)
    assert refused or b'"status":400' in body
    assert not upstream.received
