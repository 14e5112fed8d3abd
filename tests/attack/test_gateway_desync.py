"""Requests framed so that two servers find different ends in them (request smuggling, desynchronisation), sent to a
running gateway: what the upstream sees is what was inspected, and nothing else.

The cases are http-desync-guardian's (Apache-2.0), see `DATA.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from gateway_wire import OPEN, check_only_inspected_left, echo, statuses
from support import DATA, Running, Upstream, running_gateway, write_policy

CASES = sorted((DATA / "http" / "desync").glob("*.yaml"))
TAILS = {
    "no body": b"",
    "a chunk's end and a request": b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Rest: ",
    "a request": b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}
"""What an attacker lets follow, hoping that one side takes it for a body and the other for a request."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    policy = write_policy(tmp_path_factory.mktemp("desync"), OPEN, upstream=upstream.url)
    with running_gateway(policy) as running:
        yield running


def as_bytes(case: dict[str, Any], tail: bytes, mark: str) -> bytes:
    line = f"{case['method']} {case['uri']} {case['version']}\r\n".encode()
    headers = case.get("headers") or []
    if not any(str(header["name"]).strip().lower() == "host" for header in headers):
        line += f"Host: {mark}\r\n".encode()
    rest = [f"{header['name']}: {header['value']}\r\n".encode() for header in headers]
    return line + b"".join(rest) + b"\r\n" + tail


def ask(gateway: Running, mark: str) -> None:
    """An honest request, which must get its own answer, whatever was left on a connection before it."""
    status, headers, body = gateway.get(f"/honest/{mark}")
    assert status == 200
    answer = json.loads(body)
    assert answer["line"] == f"GET /honest/{mark} HTTP/1.1"
    assert answer["id"] == [headers["x-request-id"]]


def attack(gateway: Running, case: dict[str, Any], mark: str) -> list[bytes]:
    answers = [gateway.send(as_bytes(case, tail, mark), wait_s=0.3) for tail in TAILS.values()]
    ask(gateway, mark)
    return answers


@pytest.mark.skipif(not CASES, reason=f"no desync cases at {DATA}")
def test_all_desync_cases(gateway: Running, upstream: Upstream) -> None:
    cases = {
        f"{file.stem}-{number}": case for file in CASES for number, case in enumerate(yaml.safe_load(file.read_text()))
    }
    assert len(cases) >= 158  # 159 are told of, one of them is commented out
    with ThreadPoolExecutor(8) as threads:
        running = {mark: threads.submit(attack, gateway, case, mark) for mark, case in cases.items()}
    answers = {mark: job.result() for mark, job in running.items()}
    check_only_inspected_left(gateway, upstream)
    reached = {host.decode() for request in upstream.received for host in request.values(b"x-forwarded-host")}
    severe = {mark for mark, case in cases.items() if case["expected"]["tier"] == "Severe"}
    assert len(severe) > 40
    assert not severe & reached
    assert len(reached & cases.keys()) > 10, "cases that are sound must pass"
    refused = sum(bool(statuses(answer)) and statuses(answer)[0] >= 400 for each in answers.values() for answer in each)
    assert refused > 200
