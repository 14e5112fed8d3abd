"""Ways around lists, countries and restrictions, each tried."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_wire import echo, events_of
from patience import patient
from support import Running, Upstream, administration, make_key, running_gateway, until, write_policy

BRAZIL, JAPAN = "200.160.2.3", "133.11.0.1"
HOP = "transport: {trusted_hops: [127.0.0.1]}\n"
CLOSED = HOP + "network: {deny: [192.0.2.0/24, '2001:db8:bad::/48'], countries: {deny: [BR]}, allow: [198.51.100.7]}\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    policy = write_policy(tmp_path_factory.mktemp("closed"), CLOSED, upstream=upstream.url)
    with running_gateway(policy) as running:
        yield running


@pytest.fixture(scope="module")
def key(gate: Running) -> str:
    return make_key(gate.policy)


def sent(gate: Running, key: str, forwarded: str, line: str = "GET /things HTTP/1.1", more: str = "") -> int:
    """Status of a raw request; 0 when there was no answer."""
    data = gate.send(f"{line}\r\nHost: x\r\nX-API-Key: {key}\r\n{forwarded}{more}Connection: close\r\n\r\n".encode())
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.") else 0


def test_an_open_address_passes(gate: Running, key: str) -> None:
    assert sent(gate, key, f"X-Forwarded-For: {JAPAN}\r\nX-Forwarded-Proto: https\r\n") == 200


@pytest.mark.parametrize(
    "forwarded",
    [
        "X-Forwarded-For: 192.0.2.1\r\n",
        "X-Forwarded-For: ::ffff:192.0.2.1\r\n",
        "X-Forwarded-For: ::ffff:c000:201\r\n",
        "X-Forwarded-For: 0:0:0:0:0:ffff:192.0.2.1\r\n",
        "X-Forwarded-For: 192.0.2.1:1234\r\n",
        "X-Forwarded-For: [2001:DB8:BAD:0:0::1]:1\r\n",
        "X-Forwarded-For: 2001:0db8:0bad::0001\r\n",
        "X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n",
        "X-Forwarded-For: 198.51.100.7,192.0.2.1, 127.0.0.1\r\n",
        f"X-Forwarded-For: {BRAZIL}\r\n",
        f"X-Forwarded-For: ::ffff:{BRAZIL}\r\n",
        f"X-Forwarded-For: {BRAZIL}\r\nX-Real-IP: {JAPAN}\r\nCF-Connecting-IP: {JAPAN}\r\nForwarded: for={JAPAN}\r\n",
        f"X-Forwarded-For: {JAPAN}\r\nX-Forwarded-For: {BRAZIL}\r\n",
        f"x-forwarded-for: {BRAZIL}\r\nX_Forwarded_For: {JAPAN}\r\n",
    ],
)
def test_a_closed_address_in_any_spelling_is_refused(
    gate: Running, key: str, forwarded: str, upstream: Upstream
) -> None:
    before = len(upstream.received)
    assert sent(gate, key, forwarded + "X-Forwarded-Proto: https\r\n") in (400, 403)
    assert len(upstream.received) == before


@pytest.mark.parametrize(
    "spelling",
    ["0300.0.2.1", "192.0.513", "3221225985", "0xc0000201", "192.0.2.1%eth0", "localhost"],
)
def test_what_is_no_address_is_nobodys(gate: Running, key: str, spelling: str) -> None:
    assert sent(gate, key, f"X-Forwarded-For: {spelling}\r\nX-Forwarded-Proto: https\r\n") in (400, 403)


@pytest.mark.parametrize("line", ["HEAD /things HTTP/1.1", "OPTIONS /things HTTP/1.1", "get /things HTTP/1.1", "GET /things HTTP/1.0",
                                  "GET //x/../things HTTP/1.1", "BREW /things HTTP/1.1", "GET /openapi.json HTTP/1.1", "GET /status HTTP/1.1"])  # fmt: skip
def test_no_method_path_or_version_is_another_door(gate: Running, key: str, line: str, upstream: Upstream) -> None:
    before = len(upstream.received)
    assert sent(gate, key, f"X-Forwarded-For: {BRAZIL}\r\nX-Forwarded-Proto: https\r\n", line) in (0, 400, 403)
    assert len(upstream.received) == before


def test_without_a_trusted_hop_nobody_says_where_they_are(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, "network: {only: [198.51.100.7]}\n", upstream=upstream.url)
    key = make_key(policy)
    with running_gateway(policy) as running:
        for header in ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Forwarded"):
            value = "for=198.51.100.7" if header == "Forwarded" else "198.51.100.7"
            assert sent(running, key, f"{header}: {value}\r\n") == 403


@pytest.mark.parametrize("line", ["POST /things HTTP/1.1", "post /things HTTP/1.1", "Post /things HTTP/1.1"])
def test_a_rule_for_methods_is_not_missed_by_their_spelling(tmp_path: Path, line: str, upstream: Upstream) -> None:
    """Without a contract nobody says that `post` does not exist, and some servers run it as POST."""
    more = HOP + "openapi: none\noperations: {}\nnetwork: {rules: [{methods: [POST], countries: {deny: [BR]}}]}\n"
    policy = write_policy(tmp_path, more, upstream=upstream.url)
    key = make_key(policy)
    before = len(upstream.received)
    with running_gateway(policy) as running:
        forwarded = f"X-Forwarded-For: {BRAZIL}\r\nX-Forwarded-Proto: https\r\nContent-Length: 0\r\n"
        assert sent(running, key, forwarded, line) in (0, 400, 403)
        assert sent(running, key, forwarded + "X-HTTP-Method-Override: POST\r\n", "GET /things HTTP/1.1") == 200
        assert not upstream.received[-1].values(b"x-http-method-override")
    assert len(upstream.received) == before + 1


def test_closing_get_closes_head(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, HOP, upstream=upstream.url)
    key = make_key(policy)
    with administration(policy) as admin:
        admin.restrict({"country": "BR"}, "deny", "test", 600, methods=("GET",))
    with running_gateway(policy) as running:
        forwarded = f"X-Forwarded-For: {BRAZIL}\r\nX-Forwarded-Proto: https\r\n"
        assert sent(running, key, forwarded) == 403
        assert sent(running, key, forwarded, "HEAD /things HTTP/1.1") in (403, 405)


def test_a_connection_opened_before_is_closed_with_the_rest(tmp_path: Path, upstream: Upstream) -> None:
    policy = write_policy(tmp_path, upstream=upstream.url)
    key = make_key(policy)
    request = f"GET /things HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode()
    with running_gateway(policy) as running, running.connect() as client:
        client.sendall(request)
        assert b" 200 " in client.recv(65536)
        with administration(policy) as admin:
            admin.restrict({"address": "127.0.0.1"}, "terminate", "test", 600)
        time.sleep(0.4)
        client.sendall(request)
        answer = b""
        while part := client.recv(65536):
            answer += part
        assert b" 403 " in answer and b"connection: close" in answer.lower() and b"restriction.terminate" in answer


def test_a_flood_of_the_denied_is_counted_exactly_and_kept_small(gate: Running, key: str) -> None:
    known = sum(event.count for event in events_of(gate) if event.client_address == "192.0.2.99")
    request = (
        f"GET /things HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nX-Forwarded-For: 192.0.2.99\r\n"
        "X-Forwarded-Proto: https\r\n\r\n"
    ).encode()
    with gate.connect() as client:
        for _ in range(300):
            client.sendall(request)
            assert b" 403 " in client.recv(65536)

    def counted() -> bool:
        events = [event for event in events_of(gate) if event.client_address == "192.0.2.99"]
        return sum(event.count for event in events) - known == 300 and len(events) < 200

    until(counted)
    status, _, body = gate.get("/things", key, X_Forwarded_For="192.0.2.99", X_Forwarded_Proto="https")
    told = json.loads(body)
    assert status == 403 and set(told) == {"type", "title", "status", "code", "detail", "request_id"}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_body_left_unread_at_the_door_is_nobodys_request(
    gate: Running, key: str, upstream: Upstream, framing: str, pieces: int
) -> None:
    """A hop sends the requests of many callers over one connection: what a denied one writes as its body must not be
    read as another's request, nor answers be told apart by one."""
    open_ = f"Host: x\r\nX-API-Key: {key}\r\nX-Forwarded-For: {JAPAN}\r\nX-Forwarded-Proto: https\r\n\r\n"
    inner = f"GET /things/smuggled HTTP/1.1\r\n{open_}"
    body = inner if framing == "length" else f"{len(inner):x}\r\n{inner}\r\n0\r\n\r\n"
    named = f"Content-Length: {len(body)}" if framing == "length" else "Transfer-Encoding: chunked"
    denied = (
        f"POST /things HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {BRAZIL}\r\nX-Forwarded-Proto: https\r\n{named}\r\n\r\n"
    )
    after = f"GET /things HTTP/1.1\r\nConnection: close\r\n{open_}"
    before, answer = len(upstream.received), b""
    with gate.connect() as client:
        for piece in [denied + body + after] if pieces == 1 else [denied, body + after]:
            try:
                client.sendall(piece.encode())
            except OSError:
                break
            time.sleep(0.1)
        client.settimeout(patient(5))
        try:
            while part := client.recv(65536):
                answer += part
        except OSError:
            pass
    statuses = [int(found.split(b" ", 1)[1][:3]) for found in answer.split(b"HTTP/1.1")[1:] if found.startswith(b" ")]
    assert statuses in ([403], [403, 200]), answer
    assert not any(b"smuggled" in received.line for received in upstream.received[before:])
