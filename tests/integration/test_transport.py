"""The listeners as they are: TLS and its versions, the plain listener, the certificate, HTTP/2."""

from __future__ import annotations

import json
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from patience import patient
from sallygate.stores.events import read_events
from support import Received, Running, Upstream, held_port, make_key, running_gateway, until, write_policy


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Upstream, str, int]]:
    directory = tmp_path_factory.mktemp("transport")
    plain = held_port()
    with Upstream() as upstream:
        listen = f"listen: {{https: 127.0.0.1:{held_port()}, http: 127.0.0.1:{plain}}}"
        policy = write_policy(directory, listen, upstream=upstream.url)
        key = make_key(policy)
        with running_gateway(policy) as running:
            yield running, upstream, key, plain


def test_plain_http_is_refused_without_a_redirect_and_the_key_reported(served) -> None:
    running, upstream, key, plain = served
    before = len(upstream.received)
    with socket.create_connection(("127.0.0.1", plain), 5) as client:
        client.sendall(f"GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 403") and b"location:" not in answer.lower()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "transport.credential_exposed"
    assert len(upstream.received) == before
    events = running.policy.parent / "state" / "events"
    seen = until(lambda: [e for e in read_events(events) if e.findings and e.findings[0].control == "transport"])
    assert key.split("_")[1] in seen[0].findings[0].evidence and key not in str(seen[0])


def test_a_forged_scheme_does_not_help(served) -> None:
    _, _, _, plain = served
    answer = httpx.get(
        f"http://127.0.0.1:{plain}/status", headers={"X-Forwarded-Proto": "https", "Forwarded": "proto=https"}
    )
    assert answer.status_code == 403 and answer.json()["code"] == "transport.plain"


@pytest.mark.parametrize(
    ("version", "works"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_tls_from_1_2(served, version: ssl.TLSVersion, works: bool) -> None:
    running = served[0]
    context = ssl.create_default_context(cafile=str(running.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    with socket.create_connection(("127.0.0.1", running.port), 5) as raw:
        if not works:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(raw, server_hostname="127.0.0.1")
            return
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as client:
            assert client.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


def test_the_development_certificate_is_for_this_machine_alone(served) -> None:
    running = served[0]
    for name, works in (("localhost", True), ("127.0.0.1", True), ("api.example", False)):
        context = ssl.create_default_context(cafile=str(running.ca))
        with socket.create_connection(("127.0.0.1", running.port), 5) as raw:
            if works:
                context.wrap_socket(raw, server_hostname=name).close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    context.wrap_socket(raw, server_hostname=name)


def test_http_2_is_decided_alike(served) -> None:
    running, upstream, key, _ = served
    with httpx.Client(http2=True, verify=ssl.create_default_context(cafile=str(running.ca))) as client:
        good = client.get(f"{running.url}/things?limit=3", headers={"X-API-Key": key})
        assert (good.http_version, good.status_code) == ("HTTP/2", 200)
        assert upstream.received[-1].line == b"GET /things?limit=3 HTTP/1.1"
        assert good.headers["strict-transport-security"] == "max-age=31536000"
        for path, status in (("/things", 401), ("/nothing", 404), ("/things?limit=x", 401)):
            assert client.get(running.url + path).status_code == status
        assert client.get(f"{running.url}/things?limit=x", headers={"X-API-Key": key}).status_code == 400


def test_the_specification_is_for_everybody_and_shows_no_more_than_it_should(served) -> None:
    status, headers, body = served[0].get("/openapi.json")
    document = json.loads(body)
    assert status == 200 and set(document["paths"]) == {"/status", "/things", "/things/{thingId}"}
    assert document["servers"] == [{"url": "/"}] and headers["content-type"] == "application/json"
    assert served[0].get("/openapi.json", If_None_Match=headers["etag"])[0] == 304


def test_a_reader_that_stops_stops_the_upstream_within_8_mib(tmp_path: Path) -> None:
    total, piece, sent = 64 << 20, b"x" * 65536, [0]

    def answer(request: Received, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        client.settimeout(patient(20))
        while sent[0] < total:
            client.sendall(piece)
            sent[0] += len(piece)

    with Upstream(answer) as upstream:
        policy = write_policy(tmp_path, upstream=upstream.url)
        key = make_key(policy)
        with running_gateway(policy) as running, running.connect() as client:
            client.sendall(f"GET /things/1 HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n".encode())
            last = -1
            while last != sent[0]:  # until nothing has moved for a while
                last = sent[0]
                time.sleep(0.5)
            assert 0 < sent[0] < 8 << 20
            got = 0
            while got < total:
                got += len(client.recv(1 << 20))
    assert sent[0] == total, "and it goes on where it stopped"


def test_a_second_gateway_on_the_port_says_so(served, tmp_path: Path) -> None:
    policy = write_policy(tmp_path, f"listen: {{https: 127.0.0.1:{served[0].port}}}")
    with pytest.raises(AssertionError, match="cannot listen there"), running_gateway(policy):
        pass
