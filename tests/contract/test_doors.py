"""All doors decide alike: Guard inside an application, the gateway before one, and replay without any."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from doors_corpus import CASES, KEY, KEYS, OPENAPI, POLICY, RESTRICTED, Case
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import sallygate
from sallygate.model.exchange import Exchange
from sallygate.offline.decide import Offline
from sallygate.offline.recordings import from_json
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.stores.events import read_events
from support import Running, Upstream, administration, running_gateway, until, write_policy

CASES_COUNTED = 254
DOORS = ("guard", "gateway", "replay")


@dataclass(frozen=True)
class Outcome:
    verdict: str
    """Empty where the door does not say: the server answered, or alike refusals were written as one event."""
    status: int
    code: str


@dataclass(frozen=True)
class Sent:
    """A case as it is sent, keys filled in."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    chunked: bool


class Keys:
    def __init__(self, policy: Path) -> None:
        ring = KeyRing(Installation(policy.parent / "state").pepper())
        with administration(policy) as admin:
            self.texts = {}
            for name, plan in KEYS.items():
                scopes = ("things:read",) if name == "narrow" else None
                self.texts[name] = admin.create_key(name, plan, scopes=scopes)[1]
            admin.revoke_key(self._id("revoked"))
            for scope, act, rate in RESTRICTED:
                named = {kind: self._id(value) if kind == "key" else value for kind, value in scope.items()}
                admin.restrict(named, act, "test", 86400.0, rate)
        self._missing = ring.compose("Z" * len(self._id("large")), b"\x07" * 32)

    def _id(self, name: str) -> str:
        return self.texts[name].split("_")[1]

    def text(self, key: str) -> str:
        kind, colon, rest = key.partition(":")
        if not colon:
            return self.texts[key]
        if kind == "raw":
            return rest
        if kind == "missing":
            return self._missing
        whole = self.texts[rest]
        if kind == "cut":
            return whole[:-1]
        at = -1 if kind == "check" else 30
        other = "A" if whole[at] != "A" else "B"
        return whole[:at] + other + (whole[at + 1 :] if at != -1 else "")

    def fill(self, text: str) -> str:
        for name, key in self.texts.items():
            text = text.replace("{" + name + "}", key)
            text = text.replace("{" + name + ":basic}", base64.b64encode(f"{key}:".encode()).decode())
        return text


def _sent(case: Case, number: int, keys: Keys) -> Sent:
    headers = [] if case.host is None else [("Host", case.host)]
    if case.hops is not None:
        headers.append(("X-Forwarded-For", case.hops or f"198.51.{100 + number // 200}.{number % 200}"))
    if case.key is not None:
        headers.append((KEY, keys.text(case.key)))
    headers += [(name, keys.fill(value)) for name, value in case.headers]
    if case.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif case.body is not None:
        headers.append(("Content-Length", str(len(case.body))))
    raw = tuple((name.encode(), value.encode()) for name, value in headers)
    return Sent(case.method, keys.fill(case.target.decode("latin-1")).encode("latin-1"), raw, case.body or b"",
                case.chunked)  # fmt: skip


def _code(media: str, body: bytes) -> str:
    return str(json.loads(body)["code"]) if media == "application/problem+json" and body else ""


# the doors ------------------------------------------------------------------------------------------------------------


async def _anything(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse({"items": [{"id": "a1"}, {"id": "a2"}], "next": None})


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def through_guard(policy: Path, sent: list[Sent]) -> list[Outcome]:
    app = Starlette(routes=[Route("/{path:path}", _anything, methods=METHODS)])

    async def run() -> list[Outcome]:
        guard = sallygate.Guard(app, policy=policy)
        exchanges: list[Exchange] = []
        guard.runtime.sinks.watch(exchanges.append)
        outcomes = []
        await guard.runtime.start()
        for one in sent:
            status, code = await _call(guard, one)
            outcomes.append(Outcome(exchanges[-1].decision.verdict, status, code))
        assert len(exchanges) == len(sent), "one exchange for each request"
        await guard.runtime.stop()
        return outcomes

    return asyncio.run(run())


async def _call(guard: sallygate.Guard, one: Sent) -> tuple[int, str]:
    raw_path, _, query = one.target.partition(b"?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": one.method, "scheme": "https",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"), "raw_path": raw_path, "query_string": query,
        "headers": [(name.lower(), value) for name, value in one.headers], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443), "root_path": "",
    }  # fmt: skip
    messages = [{"type": "http.request", "body": one.body, "more_body": False}]
    answers: list[dict] = []

    async def receive() -> dict:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        answers.append(message)

    await guard(scope, receive, send)
    media = dict(answers[0]["headers"]).get(b"content-type", b"").decode()
    return answers[0]["status"], _code(media, b"".join(message.get("body", b"") for message in answers[1:]))


def through_gateway(policy: Path, sent: list[Sent]) -> list[Outcome]:
    with running_gateway(policy) as gateway:
        answers = [_wire(gateway, one) for one in sent]

        def written() -> dict[str, str] | None:
            events = list(read_events(policy.parent / "state" / "events"))
            if sum(event.count for event in events) < sum(bool(answer[2]) for answer in answers):
                return None
            return {event.request_id: event.decision for event in events}

        verdicts = until(written)
    return [Outcome(verdicts.get(request_id, ""), status, code) for status, code, request_id in answers]


def _wire(gateway: Running, one: Sent) -> tuple[int, str, str]:
    """(status or 0 for a dropped connection, code, request id or empty when the gate did not answer)."""
    head = b"%s %s HTTP/1.1\r\n" % (one.method.encode(), one.target)
    head += b"".join(b"%s: %s\r\n" % pair for pair in one.headers) + b"\r\n"
    body = one.body
    if one.chunked:
        half = len(body) // 2
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:])) + b"0\r\n\r\n"
    with gateway.connect() as client:
        client.sendall(head + body)
        answer = http.client.HTTPResponse(client, method=one.method)
        try:
            answer.begin()
        except (http.client.HTTPException, OSError):
            return 0, "", ""
        return (
            answer.status,
            _code(answer.headers.get("Content-Type", ""), answer.read()),
            answer.headers.get("X-Request-Id", ""),
        )


def through_replay(policy: Path, sent: list[Sent]) -> list[Outcome]:
    offline = Offline(policy)
    outcomes = []
    for number, one in enumerate(sent):
        record = {
            "method": one.method,
            "url": one.target.decode("latin-1"),
            "headers": [[name.decode(), value.decode()] for name, value in one.headers],
            "body_base64": base64.b64encode(one.body).decode(),
            "client": "127.0.0.1",
        }
        verdict = offline.decide(from_json(json.loads(json.dumps(record))), number)
        decision = verdict.decision
        outcomes.append(Outcome(decision.verdict, verdict.status, next(iter(decision.reasons), "")))
    return outcomes


# the test -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[list[Outcome]]]]:
    """Every door's outcomes by case: each door has a copy of one policy and one state, and sees every request once."""
    directory = tmp_path_factory.mktemp("doors")
    through: dict[str, Callable[[Path, list[Sent]], list[Outcome]]] = {
        "guard": through_guard, "gateway": through_gateway, "replay": through_replay,
    }  # fmt: skip
    with Upstream() as upstream:
        first = write_policy(directory / "first", POLICY, upstream=upstream.url, openapi=OPENAPI)
        keys = Keys(first)
        sent = [_sent(case, number, keys) for number, case in enumerate(CASES) for _ in range(case.times)]
        found: dict[str, list[list[Outcome]]] = {}
        for door in DOORS:
            shutil.copytree(directory / "first", directory / door)
            flat = iter(through[door](directory / door / "sallygate.yaml", sent))
            found[door] = [[next(flat) for _ in range(case.times)] for case in CASES]
        yield found


def test_the_corpus_is_whole() -> None:
    assert len(CASES) == CASES_COUNTED
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.why for case in CASES if case.server or case.offline), "an exception says why"


def test_most_gateway_decisions_were_found_in_its_events(outcomes: dict[str, list[list[Outcome]]]) -> None:
    flat = [outcome for outcomes_of_case in outcomes["gateway"] for outcome in outcomes_of_case]
    assert sum(bool(outcome.verdict) for outcome in flat) > 0.9 * len(flat)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_doors_decide_alike(outcomes: dict[str, list[list[Outcome]]], number: int) -> None:
    case = CASES[number]
    guard, gateway, replay = (outcomes[door][number] for door in DOORS)
    assert (guard[-1].status, guard[-1].code) == (case.status, case.code)
    if case.server:
        assert all(outcome.status in case.server and not outcome.code for outcome in gateway), case.why
    else:
        assert [(one.status, one.code) for one in gateway] == [(one.status, one.code) for one in guard]
        pairs = zip(gateway, guard, strict=True)
        assert all(one.verdict == other.verdict for one, other in pairs if one.verdict)
    if case.offline is not None:
        assert (replay[-1].status, replay[-1].code) == case.offline, case.why
    else:
        assert replay == guard
