"""Early answers reach clients that are still sending: the gate reads on, within bounds, before the connection ends."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from patience import patient
from support import Received, Running, Upstream, make_key, running_gateway, write_policy

BODY = b"x" * 6_000_000
TRIES = 4


def statuses(
    running: Running, path: str, key: str | None, *, chunked: bool, media: str = "application/json"
) -> list[int]:
    """What `http.client` reads after it has sent all; it raises where the connection ended before."""
    found = []
    for _ in range(TRIES):
        client = http.client.HTTPSConnection("127.0.0.1", running.port, timeout=patient(20), context=running._trust)
        headers = {"Content-Type": media, **({"X-API-Key": key} if key else {})}
        pieces = [BODY[at : at + 65536] for at in range(0, len(BODY), 65536)]
        client.request("POST", path, iter(pieces) if chunked else BODY, headers, encode_chunked=chunked)
        found.append(client.getresponse().status)
        client.close()
    return found


@pytest.mark.parametrize("chunked", [False, True])
def test_a_refusal_reaches_who_is_still_uploading(tmp_path: Path, chunked: bool) -> None:
    with Upstream() as upstream:
        policy = write_policy(tmp_path, upstream=upstream.url)
        key = make_key(policy)
        with running_gateway(policy) as running:
            assert statuses(running, "/things", None, chunked=chunked) == [401] * TRIES
            assert statuses(running, "/things", key, chunked=chunked) == [413] * TRIES
        assert not upstream.received


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: apt-get install curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_refusal_reaches_curl(tmp_path: Path, version: str) -> None:
    (tmp_path / "body").write_bytes(BODY)
    with Upstream() as upstream, running_gateway(write_policy(tmp_path, upstream=upstream.url)) as running:
        for _ in range(TRIES):
            said = subprocess.run(
                ["curl", "-sk", version, "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "--data-binary",
                 f"@{tmp_path / 'body'}", f"https://127.0.0.1:{running.port}/things"],
                capture_output=True, text=True, timeout=patient(30), check=False,
            )  # fmt: skip
            assert said.stdout == "401" and said.returncode == 0


def test_an_early_answer_of_the_api_reaches_who_is_still_uploading(tmp_path: Path) -> None:
    def answers_at_once(request: Received, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with Upstream(answers_at_once) as upstream:
        upstream._body = lambda request, stream: b""  # type: ignore[method-assign]  # it reads no body
        policy = write_policy(
            tmp_path, "openapi: none\ninjection: {uninspected: pass}\noperations: {}", upstream=upstream.url
        )
        key = make_key(policy)
        with running_gateway(policy) as running:
            assert statuses(running, "/files", key, chunked=True, media="application/zip") == [507] * TRIES
