"""Every byte in every place of a request head, and every way to write JSON, sent to a running gateway: refused, or
forwarded byte for byte."""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway_wire import HOST, OPEN, check_only_inspected_left, echo, statuses
from support import DATA, OPENAPI, Running, Upstream, make_key, running_gateway, write_policy

PLACES = {
    "path": b"GET /a%sb/c HTTP/1.1\r\n",
    "path's end": b"GET /a%s HTTP/1.1\r\n",
    "query": b"GET /a?b%sc=d HTTP/1.1\r\n",
    "method": b"GE%sT /a HTTP/1.1\r\n",
    "version": b"GET /a HTTP/1.1%s\r\n",
    "header name": b"GET /a HTTP/1.1\r\nX-N%sm: v\r\n",
    "header name's start": b"GET /a HTTP/1.1\r\n%sX-N: v\r\n",
    "header name's end": b"GET /a HTTP/1.1\r\nX-N%s: v\r\n",
    "header value": b"GET /a HTTP/1.1\r\nX-N: v%sw\r\n",
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    policy = write_policy(tmp_path_factory.mktemp("bytes"), OPEN, upstream=upstream.url)
    with running_gateway(policy) as running:
        yield running


def test_every_byte_in_every_place(gateway: Running, upstream: Upstream) -> None:
    def one(place: str, value: int) -> tuple[str, int, bytes, list[int]]:
        mark = b"X-Mark: %s-%d\r\n" % (place.encode(), value)
        sent = PLACES[place] % bytes([value])
        return place, value, sent, statuses(gateway.send(sent + HOST + mark + b"Connection: close\r\n\r\n", 1.0))

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda case: one(*case), [(place, value) for place in PLACES for value in range(256)]))
    assert len(done) == 9 * 256
    seen = {request.values(b"x-mark")[0].decode(): request for request in upstream.received}
    passed: dict[str, set[int]] = {place: set() for place in PLACES}
    for place, value, sent, got in done:
        request = seen.get(f"{place}-{value}")
        if request is None:
            # Some bytes make it two lines, whose second is not a request.
            assert got and all(400 <= status < 600 for status in got), (place, value, got)
            assert 503 not in got and 502 not in got, (place, value, got)
            continue
        passed[place].add(value)
        line, _, field = sent.removesuffix(b"\r\n").partition(b"\r\n")
        if (place, value) in (("path", ord("#")), ("path's end", ord("#")), ("query", ord("#"))):
            continue  # a fragment, which no target has: taken off before anything is looked at, see `parsing.head`
        if request.line != line:
            assert (place, value) == ("path's end", ord("?")), (place, value, request)  # an empty query
        if field:
            name, _, text = field.partition(b":")
            assert request.values(name) == [text.strip(b" \t")], (place, value, request)
    unreserved = {ord(char) for char in "abcXYZ019-._~"}
    assert all(passed[place] >= unreserved for place in ("path", "query", "header name", "header value"))
    controls = {*range(9), *range(10, 32), 127}
    assert not any(passed[place] & controls for place in PLACES)
    assert not passed["path"] & {32, *range(128, 256)} and not passed["query"] & {32, *range(128, 256)}
    assert not passed["version"]
    check_only_inspected_left(gateway, upstream)


def free_form() -> dict[str, Any]:
    document = copy.deepcopy(OPENAPI)
    document["paths"]["/any"] = {
        "post": {
            "operationId": "postAny",
            "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
            "security": [{"key": []}],
            "responses": {"200": {"description": "ok"}},
        }
    }
    return document


REPEATED = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}
"""Good JSON to the letter; two readings in practice."""


@pytest.mark.skipif(not (DATA / "http" / "json_parsing.tar.gz").exists(), reason=f"no JSON cases at {DATA}")
def test_all_of_the_json_suite(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> None:
    with tarfile.open(DATA / "http" / "json_parsing.tar.gz") as archive:
        cases = {
            member.name.rpartition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile() and member.name.endswith(".json")
        }
    policy = write_policy(tmp_path_factory.mktemp("json"), upstream=upstream.url, openapi=free_form())
    key = make_key(policy)
    with running_gateway(policy) as running:
        upstream.received.clear()

        def one(case: tuple[str, bytes]) -> tuple[str, int, bytes]:
            # A body of no bytes at all is sent as such, not left out.
            status, _, body = running.get("/any", key, "POST", case[1], Content_Type="application/json",
                                          **({} if case[1] else {"Content_Length": "0"}))  # fmt: skip
            return case[0], status, body

        with ThreadPoolExecutor(4) as threads:
            done = list(threads.map(one, cases.items()))
    counts = {"y": 0, "n": 0, "i": 0}
    for name, status, body in done:
        counts[name[0]] += 1
        if name[0] == "y" and name not in REPEATED:
            assert status == 200, (name, body)
        elif name[0] == "n" or name in REPEATED:
            assert status == 400, (name, status, body)
        else:
            assert status in (200, 400), (name, status)
    assert counts["y"] >= 90 and counts["n"] >= 180 and counts["i"] >= 30, counts
    forwarded = {request.body for request in upstream.received}
    assert forwarded == {cases[name] for name, status, _ in done if status == 200}
