"""Guard inside real applications of three frameworks, under real servers: decisions, life, streams, failures."""

from __future__ import annotations

import copy
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from asgi_servers import SERVERS, Served, served

import sallygate
from sallygate.policy.errors import PolicyError
from support import OPENAPI, PLANS, make_key, until, write_policy

POLICY = "transport: {plain: loopback}\n" + PLANS
DOCUMENT = copy.deepcopy(OPENAPI)
"""With a HEAD beside the GET: what is not in the document is not there."""
DOCUMENT["paths"]["/things"]["head"] = {**DOCUMENT["paths"]["/things"]["get"], "operationId": "headThings"}
WAYS = [("fastapi", "wrapped"), ("fastapi", "middleware"), ("starlette", "wrapped"), ("starlette", "middleware"),
        ("litestar", "wrapped")]  # fmt: skip


class Running:
    def __init__(self, server: Served, policy: Path, name: str) -> None:
        self.served, self.policy, self.name = server, policy, name
        self.large, self.small = make_key(policy), make_key(policy, "small", "bit")
        # Made beside a running gate, as an operator does; in force within 300 ms.
        until(lambda: server.ask("/things", self.small)[0] == 200)
        until(lambda: server.ask("/things", self.large)[0] == 200)


@pytest.fixture(scope="module", params=[(s, *way) for s in SERVERS for way in WAYS], ids=lambda p: "-".join(p))
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    server, name, how = request.param
    policy = write_policy(tmp_path_factory.mktemp("inprocess"), POLICY, openapi=DOCUMENT)
    with served(server, name, policy, how) as one:
        yield Running(one, policy, name)


def test_a_call_passes_and_says_its_limits(running: Running) -> None:
    status, headers, body = running.served.ask("/things?limit=2", running.large)
    assert status == 200 and json.loads(body)["items"]
    assert headers["ratelimit-policy"].startswith('"rate"') and headers["x-request-id"]
    assert headers["strict-transport-security"]


def test_a_body_reaches_the_application(running: Running) -> None:
    status, _, body = running.served.ask(
        "/things", running.large, "POST", b'{"name":"a","count":2}', Content_Type="application/json"
    )
    assert (status, json.loads(body)) == (201, {"name": "a", "count": 2})


@pytest.mark.parametrize(
    ("code", "path", "keyed", "more"),
    [
        ("identity.missing", "/things", False, {}),
        ("identity.missing", "/things/a1", False, {}),
        ("clients.path", "/docs", True, {}),
        ("clients.path", "/nothing", False, {}),
        ("clients.method", "/things", True, {"method": "DELETE"}),
        ("contract.parameter", "/things?limit=0", True, {}),
        ("contract.query_unknown", "/things?admin=1", True, {}),
        ("contract.body", "/things", True, {"method": "POST", "body": b'{"name":3}', "Content_Type": "application/json"}),
        ("body.json", "/things", True, {"method": "POST", "body": b'{"name":"a","name":"b"}',
                                        "Content_Type": "application/json"}),
        ("request.path", "/things/%2e%2e/status", True, {}),
        ("request.path", "/things/a%2fb", True, {}),
    ],
)  # fmt: skip
def test_a_refusal_has_its_code(running: Running, code: str, path: str, keyed: bool, more: dict) -> None:
    assert running.served.code(path, running.large if keyed else None, **more) == code


def test_scopes_and_limits_hold(running: Running) -> None:
    sent = {"method": "POST", "body": b'{"name":"a"}', "Content_Type": "application/json"}
    answers = [running.served.ask("/things", running.small, **sent) for _ in range(8)]
    codes = [json.loads(body)["code"] for _, _, body in answers]
    assert codes[0] in ("identity.scope", "limits.rate") and codes[-1] == "limits.rate"
    assert int(answers[-1][1]["retry-after"]) >= 1


def test_the_application_sees_who_calls(running: Running) -> None:
    _, _, body = running.served.ask("/things/me", running.large)
    assert json.loads(body) == {"account": "acme", "plan": "large"}


def test_a_stream_comes_whole(running: Running) -> None:
    status, _, body = running.served.ask("/things/stream", running.large)
    assert (status, body) == (200, b"part 0\npart 1\npart 2\n")


def test_head_has_no_body(running: Running) -> None:
    status, headers, body = running.served.ask("/things", running.large, "HEAD")
    assert (status, body) == (200, b"")
    status, headers, body = running.served.ask("/things", None, "HEAD")
    assert (status, body) == (401, b"") and headers["content-type"] == "application/problem+json"


def test_a_failure_of_the_application_is_its_own_answer(running: Running) -> None:
    status, _, _ = running.served.ask("/things/fail", running.large)
    assert status == 500
    assert running.served.ask("/things", running.large)[0] == 200, "and the next one is served"


@pytest.mark.parametrize("keyed", [False, True])
def test_a_websocket_is_refused(running: Running, keyed: bool) -> None:
    key = f"X-API-Key: {running.large}\r\n" if keyed else ""
    answer = running.served.raw(
        f"GET /things HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode(),
        0.3,
    )
    status = int(answer.split(b" ")[1])
    # A server that knows no denial response closes the handshake with 403.
    assert status in ((501, 403) if keyed else (401, 403))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("name", "how"), WAYS)
def test_both_live_and_stop_together(server: str, name: str, how: str, tmp_path: Path) -> None:
    policy = write_policy(tmp_path, POLICY)
    key = make_key(policy)
    with served(server, name, policy, how) as one:
        until(lambda: one.ask("/things", key)[0] == 200)
        for _ in range(9):
            assert one.ask("/things", key)[0] == 200
        assert one.stop() == "started\nstopped\n"
    with sqlite3.connect(policy.parent / "state" / "sallygate.db") as database:
        rows = dict(database.execute("SELECT name, a FROM counters WHERE name = 'plan:large:hour'").fetchall())
    assert rows == {"plan:large:hour": 10.0}, "the counters were written at the stop"


@pytest.mark.parametrize("server", SERVERS)
def test_an_application_without_a_lifespan(server: str, tmp_path: Path) -> None:
    policy = write_policy(tmp_path, POLICY)
    key = make_key(policy)
    with served(server, "plain", policy) as one:
        until(lambda: one.ask("/things", key)[0] == 200)
        assert one.code("/things") == "identity.missing"


def test_plain_http_is_refused_unless_the_policy_says_loopback(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, "transport: {plain: refuse}\n" + PLANS)
    key = make_key(policy)
    with served("uvicorn", "plain", policy) as one:
        assert one.code("/status") == "transport.plain"
        assert one.code("/status", key) == "transport.credential_exposed"


def test_a_wrong_policy_does_not_construct_and_says_everything(tmp_path: Path) -> None:
    policy = write_policy(
        tmp_path, "limits: {address: often}\nnetwrk: {}\nworkers: 2\ntransport: {trusted_hops: [1.2.3]}"
    )

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("never served")

    with pytest.raises(PolicyError) as caught:
        sallygate.Guard(app, policy=policy)
    said = str(caught.value)
    assert all(word in said for word in ("netwrk", "limits", "trusted_hops")), said
    with pytest.raises(PolicyError, match="nowhere"):
        sallygate.Guard(app, policy=tmp_path / "nowhere.yaml")
