"""Callers who say that they are somebody else, or that they come from somewhere else, to a running gateway: over HTTP/1
written byte by byte, and over HTTP/2 written frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway_wire import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    check_only_inspected_left,
    echo,
    fields,
    frame,
    http2,
    statuses,
)
from support import Running, Upstream, make_key, running_gateway, write_policy


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    policy = write_policy(tmp_path_factory.mktemp("spoofing"), "operations: {}", upstream=upstream.url)
    with running_gateway(policy) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: Running) -> bytes:
    return make_key(gateway.policy).encode()


@pytest.fixture(autouse=True)
def _forget(upstream: Upstream) -> None:
    upstream.received.clear()


def ask(gateway: Running, key: bytes, *lines: bytes, target: bytes = b"/things", host: bytes = b"127.0.0.1") -> int:
    text = b"GET %s HTTP/1.1\r\nHost: %s\r\n" % (target, host)
    text += b"".join(line + b"\r\n" for line in (b"X-API-Key: " + key, *lines, b"Connection: close"))
    return statuses(gateway.send(text + b"\r\n"))[0]


CLAIMS = [b"X-Sallygate-Account", b"x-sAlLyGaTe-account", b"X_Sallygate_Account", b"X-Sallygate_Plan", b"x_sallygate-key",
          b"X-Sallygate-Scopes", b"X-Sallygate-Assertion", b"X-Sallygate-Anything-New", b"X-SALLYGATE-KEY"]  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_an_identity_claimed_in_the_gates_own_headers(
    gateway: Running, upstream: Upstream, key: bytes, name: bytes
) -> None:
    assert ask(gateway, key, name + b": admin") in (200, 400)
    for request in upstream.received:
        assert not any(value == b"admin" for _, value in request.headers)
        assert request.values(b"x-sallygate-account") == [b"acme"]
        assert not any(b"_" in name for name, _ in request.headers)


@pytest.mark.parametrize("name", CLAIMS)
def test_an_identity_claimed_on_a_public_operation(gateway: Running, upstream: Upstream, name: bytes) -> None:
    status, _, _ = gateway.get("/status", **{name.decode(): "admin"})
    assert status == 200
    raw = gateway.send(b"GET /status HTTP/1.1\r\nHost: a\r\n%s: admin\r\nConnection: close\r\n\r\n" % name)
    assert statuses(raw)[0] in (200, 400)
    for request in upstream.received:
        assert not any(b"sallygate" in name.lower() for name, _ in request.headers)


@pytest.mark.parametrize(
    "named", [b"x-sallygate-account", b"X-Sallygate-Assertion, x-request-id", b"x-request-id", b"x-forwarded-for",
              b"x-forwarded-proto, x-forwarded-host", b"x-api-key", b"host", b"content-length"],
)  # fmt: skip
def test_connection_naming_what_the_gate_adds(gateway: Running, upstream: Upstream, key: bytes, named: bytes) -> None:
    text = b"GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\nConnection: close, %s\r\n\r\n" % (key, named)
    status = statuses(gateway.send(text))[0]
    assert status in (200, 400)
    assert (status == 200) == (len(upstream.received) == 1)
    for request in upstream.received:
        for name in (b"x-sallygate-account", b"x-sallygate-assertion", b"x-request-id", b"x-forwarded-for",
                     b"x-forwarded-proto", b"x-forwarded-host", b"host"):  # fmt: skip
            assert len(request.values(name)) == 1, name


def test_a_key_never_reaches_the_api_in_any_spelling(gateway: Running, upstream: Upstream, key: bytes) -> None:
    assert ask(gateway, key) == 200
    ask(gateway, key, b"X_API_Key: " + key)
    ask(gateway, key, b"x-api_key: " + key)
    assert upstream.received
    assert not any(key in value for request in upstream.received for _, value in request.headers)


@pytest.mark.parametrize("second", [b"X-API-Key: other", b"x-api-key: ", b"X-Api-Key: sg_a_b", b"X_API_KEY: other"])
def test_a_second_key_that_another_parser_would_take(
    gateway: Running, upstream: Upstream, key: bytes, second: bytes
) -> None:
    assert ask(gateway, key, second) == 400
    assert not upstream.received


@pytest.mark.parametrize(
    "line", [b"X-Forwarded-For: 203.0.113.9", b"Forwarded: for=203.0.113.9;proto=http", b"X-Real-IP: 203.0.113.9",
             b"X_Forwarded_For: 203.0.113.9", b"X-Forwarded_For: 203.0.113.9", b"X_Real_IP: 203.0.113.9",
             b"X-Forwarded-Proto: http", b"X-Forwarded-Host: 203.0.113.9", b"X_Forwarded_Host: 203.0.113.9",
             b"X-Request-Id: 203.0.113.9", b"X_Request_Id: 203.0.113.9"],
)  # fmt: skip
def test_an_address_a_scheme_and_an_id_that_only_the_gate_may_say(
    gateway: Running, upstream: Upstream, key: bytes, line: bytes
) -> None:
    assert ask(gateway, key, line) in (200, 400)
    for request in upstream.received:
        assert not any(b"203.0.113.9" in value for _, value in request.headers), request.headers
        assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
        assert request.values(b"x-forwarded-proto") == [b"https"]
        assert len(request.values(b"x-request-id")) == 1


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        ([b"Host: a", b"Host: b"], {400}),
        ([b"Host: a", b"host: a"], {400}),
        ([b"Host: a, b"], {400}),
        ([b"Host: a b"], {400}),
        ([b"Host: a/x"], {400}),
        ([b"Host: u@a"], {400}),
        ([b"Host: a#b"], {400}),
        ([b"Host: a:99999999"], {400}),
        ([b"Host:"], {400}),
        ([b"Host : a"], {400}),
        ([b" Host: a"], {400}),
        ([], {400}),
    ],
)
def test_hosts_that_read_two_ways(gateway: Running, upstream: Upstream, lines: list[bytes], allowed: set[int]) -> None:
    answer = gateway.send(b"\r\n".join([b"GET /status HTTP/1.1", *lines, b"Connection: close", b"", b""]))
    assert set(statuses(answer)) <= allowed
    assert not upstream.received


@pytest.mark.parametrize(
    "target", [b"http://evil.example/things", b"https://127.0.0.1/things", b"//evil.example/things", b"evil.example:443",
               b"*", b"things", b"\\things", b"/things@evil.example", b"http:/things", b"https:things",
               b"http://127.0.0.1@evil.example/things"],
)  # fmt: skip
def test_targets_that_name_another_server(gateway: Running, upstream: Upstream, key: bytes, target: bytes) -> None:
    status = ask(gateway, key, target=target)
    for request in upstream.received:
        assert status == 200 and request.line == b"GET /things HTTP/1.1"
        assert request.values(b"host") == [f"127.0.0.1:{upstream.port}".encode()]
        assert not any(b"evil" in value for _, value in request.headers)
    assert status == 200 or status in (400, 404)


@pytest.mark.parametrize(
    "method", [b"TRACE", b"CONNECT", b"TRACK", b"get", b"Get", b"GET\t", b"PRI", b"DELETE", b"X-API"]
)
def test_methods_nobody_declared(gateway: Running, upstream: Upstream, key: bytes, method: bytes) -> None:
    head = b"%s /things HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n" % (method, key)
    answer = gateway.send(head)
    assert all(status in (400, 404, 405, 501) for status in statuses(answer))
    assert not upstream.received


@pytest.mark.parametrize("name", [b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override"])
def test_another_method_asked_for_in_a_header(gateway: Running, upstream: Upstream, key: bytes, name: bytes) -> None:
    """Frameworks that honour it would run an operation that was never judged."""
    for spelling in (name, name.replace(b"-", b"_")):
        ask(gateway, key, spelling + b": DELETE")
    assert upstream.received
    assert not any(value == b"DELETE" for request in upstream.received for _, value in request.headers)


@pytest.mark.parametrize("name", [b"X-Original-URL", b"X-Rewrite-URL", b"X-Original_URL"])
def test_another_path_asked_for_in_a_header(gateway: Running, upstream: Upstream, key: bytes, name: bytes) -> None:
    """IIS, Symfony and others route by it."""
    ask(gateway, key, name + b": /admin")
    assert upstream.received
    assert not any(value == b"/admin" for request in upstream.received for _, value in request.headers)


# HTTP/2 ---------------------------------------------------------------------------------------------------------------

GET = ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/things"), (b":authority", b"127.0.0.1"))
POST = ((b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/things"), (b":authority", b"127.0.0.1"))
JSON = b'{"name":"a"}'


def h2_get(gateway: Running, *pairs: tuple[bytes, bytes]) -> tuple[bytes, bool]:
    return http2(gateway, frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(*pairs)))


def test_http2_is_served(gateway: Running, upstream: Upstream, key: bytes) -> None:
    body, refused = h2_get(gateway, *GET, (b"x-api-key", key))
    assert b"GET /things HTTP/1.1" in body and not refused
    head = frame(HEADERS, END_HEADERS, 1, fields(*POST, (b"x-api-key", key), (b"content-type", b"application/json")))
    body, refused = http2(gateway, head, frame(DATA, END_STREAM, 1, JSON))
    assert b"POST /things" in body and upstream.received[-1].body == JSON
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize("kind", [b"application/json", b"application/octet-stream"])
def test_http2_bodies_need_no_length_and_still_arrive_whole(
    gateway: Running, upstream: Upstream, key: bytes, kind: bytes
) -> None:
    head = frame(HEADERS, END_HEADERS, 1, fields(*POST, (b"x-api-key", key), (b"content-type", kind)))
    body, _ = http2(gateway, head, frame(DATA, 0, 1, JSON[:4]), frame(DATA, END_STREAM, 1, JSON[4:]))
    assert b"POST /things" in body
    assert [request.body for request in upstream.received] == [JSON]
    check_only_inspected_left(gateway, upstream)


def test_http2_bodies_without_a_length_are_judged_too(gateway: Running, upstream: Upstream, key: bytes) -> None:
    head = frame(HEADERS, END_HEADERS, 1, fields(*POST, (b"x-api-key", key), (b"content-type", b"application/json")))
    for wrong in (b'{"name":1}', b"{}", b"", b"{"):
        body, _ = http2(gateway, head, frame(DATA, END_STREAM, 1, wrong))
        assert b'"status":4' in body, (wrong, body)
    head = frame(HEADERS, END_HEADERS, 1, fields(*POST, (b"x-api-key", key)))
    assert b"contract.body_missing" in http2(gateway, head, frame(DATA, END_STREAM, 1, JSON))[0]
    head = frame(HEADERS, END_HEADERS, 1, fields(*GET, (b"x-api-key", key)))
    http2(gateway, head, frame(DATA, END_STREAM, 1, JSON))  # a body where none belongs does not leave
    assert [request.body for request in upstream.received] in ([], [b""])


SMUGGLED = [
    ("line break in a value", (b"x-a", b"b\r\nX-Sallygate-Account: admin")),
    ("bare line feed in a value", (b"x-a", b"b\nx-sallygate-account: admin")),
    ("bare return in a value", (b"x-a", b"b\rx-sallygate-account: admin")),
    ("NUL in a value", (b"x-a", b"b\0admin")),
    ("line break in a name", (b"x-a: b\r\nx-sallygate-account", b"admin")),
    ("colon in a name", (b"x-sallygate-account:admin", b"1")),
    ("space in a name", (b"x-sallygate-account ", b"admin")),
    ("capitals in a name", (b"X-Sallygate-Account", b"admin")),
    ("an empty name", (b"", b"admin")),
    ("chunked", (b"transfer-encoding", b"chunked")),
    ("a connection header", (b"connection", b"x-sallygate-account")),
    ("an upgrade", (b"upgrade", b"websocket")),
    ("te", (b"te", b"chunked")),
    ("a second host", (b"host", b"admin.example")),
    ("a length that is not", (b"content-length", b"5")),
    ("a second path", (b":path", b"/admin")),
    ("a second method", (b":method", b"DELETE")),
    ("a pseudo header at the end", (b":protocol", b"websocket")),
    ("an unknown pseudo header", (b":admin", b"1")),
    ("an underscore spelling of length", (b"content_length", b"3")),
]


@pytest.mark.parametrize(("what", "pair"), SMUGGLED, ids=[what for what, _ in SMUGGLED])
def test_http2_smuggling(
    gateway: Running, upstream: Upstream, key: bytes, what: str, pair: tuple[bytes, bytes]
) -> None:
    body, refused = h2_get(gateway, *GET, (b"x-api-key", key), pair)
    for request in upstream.received:  # what got through is the one that was inspected, without the trick
        assert request.line == b"GET /things HTTP/1.1", request
        # A `Host` beside `:authority` may be the one believed: nothing is decided by it, and the API gets its own.
        headers = [pair for pair in request.headers if pair[0] != b"x-forwarded-host"]
        assert not any(b"admin" in name + value for name, value in headers), request
        assert request.values(b"x-sallygate-account") == [b"acme"]
        assert not request.body and not request.values(b"content-length") and not request.values(b"transfer-encoding")
    assert refused or b'"status":4' in body or b'"status":50' in body or upstream.received, body
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize(
    ("path", "ok"),
    [
        (b"", False), (b"things", False), (b"*", False), (b"http://evil/things", False), (b"/things HTTP/1.1\r\nX: y", False),
        (b"/things#x", None), (b"/things\0", False), (b"/../things", False), (b"//things", False), (b"/things\x20x", False),
        (b"/th\xefngs", False), (b"/things?q=a", True),
    ],
)  # fmt: skip
def test_http2_paths(gateway: Running, upstream: Upstream, key: bytes, path: bytes, ok: bool | None) -> None:
    pairs = tuple((name, path) if name == b":path" else (name, value) for name, value in GET)
    h2_get(gateway, *pairs, (b"x-api-key", key))
    if ok is not None:
        assert bool(upstream.received) == ok, upstream.received
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize(
    "method", [b"", b"GET / HTTP/1.1\r\nX: y", b"G T", b"GET\0", b"CONNECT", b"PRI", b"get", b"X" * 30]
)
def test_http2_methods(gateway: Running, upstream: Upstream, key: bytes, method: bytes) -> None:
    pairs = tuple((name, method) if name == b":method" else (name, value) for name, value in GET)
    h2_get(gateway, *pairs, (b"x-api-key", key))
    assert not upstream.received


@pytest.mark.parametrize("missing", [b":method", b":path", b":scheme", b":authority"])
def test_http2_without_a_pseudo_header(gateway: Running, upstream: Upstream, key: bytes, missing: bytes) -> None:
    h2_get(gateway, *(pair for pair in GET if pair[0] != missing), (b"x-api-key", key))
    if missing in (b":method", b":path"):
        assert not upstream.received
    check_only_inspected_left(gateway, upstream)


@pytest.mark.parametrize("scheme", [b"http", b"ftp", b"https://evil", b"HTTPS"])
def test_http2_with_another_scheme(gateway: Running, upstream: Upstream, key: bytes, scheme: bytes) -> None:
    """The scheme is the connection's, whatever is written."""
    pairs = tuple((name, scheme) if name == b":scheme" else (name, value) for name, value in GET)
    h2_get(gateway, *pairs, (b"x-api-key", key))
    for request in upstream.received:
        assert request.values(b"x-forwarded-proto") == [b"https"]


@pytest.mark.parametrize(("length", "body"), [(b"3", JSON), (b"50", JSON), (b"0", JSON), (b"-1", JSON), (b"+12", JSON)])
def test_http2_bodies_that_are_not_as_long_as_they_say(
    gateway: Running, upstream: Upstream, key: bytes, length: bytes, body: bytes
) -> None:
    head = fields(*POST, (b"x-api-key", key), (b"content-type", b"application/json"), (b"content-length", length))
    http2(gateway, frame(HEADERS, END_HEADERS, 1, head), frame(DATA, END_STREAM, 1, body))
    assert not upstream.received
    check_only_inspected_left(gateway, upstream)


def test_http2_trailers_do_not_become_headers(gateway: Running, upstream: Upstream, key: bytes) -> None:
    head = fields(*POST, (b"x-api-key", key), (b"content-type", b"application/json"), (b"trailer", b"x-role"))
    trailer = fields((b"x-role", b"admin"), (b"x-sallygate-account", b"admin"))
    http2(gateway, frame(HEADERS, END_HEADERS, 1, head), frame(DATA, 0, 1, JSON),
          frame(HEADERS, END_HEADERS | END_STREAM, 1, trailer))  # fmt: skip
    for request in upstream.received:
        assert request.body == JSON
        assert not any(value == b"admin" for _, value in request.headers)
    check_only_inspected_left(gateway, upstream)


def test_http2_headers_without_end(gateway: Running, upstream: Upstream, key: bytes) -> None:
    """A flood of CONTINUATION frames (CVE-2024-27983 and its family) ends with the connection."""
    flood = [frame(CONTINUATION, 0, 1, fields((b"x-%d" % number, b"v" * 1000))) for number in range(400)]
    _, refused = http2(gateway, frame(HEADERS, END_STREAM, 1, fields(*GET, (b"x-api-key", key))), *flood)
    assert refused
    assert not upstream.received


def test_http2_rapid_reset(gateway: Running, upstream: Upstream, key: bytes) -> None:
    """CVE-2023-44487: streams opened and reset at once cost the attacker the connection, others nothing."""
    resets = b""
    for stream in range(1, 4001, 2):
        resets += frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(*GET)) + frame(3, 0, stream, b"\0\0\0\x08")
    _, refused = http2(gateway, resets)
    assert refused
    assert gateway.get("/things", key.decode())[0] == 200
