"""Guard over small ASGI applications: what reaches them, what comes back, what is remembered."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from patience import patient
from sallygate.events.rejection_counts import RejectionCounts
from sallygate.guard import Guard
from sallygate.model.exchange import GONE, Exchange
from sallygate.model.work import CredentialLoaded
from sallygate.offline.decide import Offline
from sallygate.state.load_shedding import Ticket
from support import OPENAPI, make_key, write_policy


@dataclass
class Services:
    """What Guard asks of the composition root, without stores, threads or chance."""

    offline: Offline
    exchanges: list[Exchange] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    time: float = 1_790_000_000.0
    ids: int = 0
    under_way: int = 0
    live: set[Any] = field(default_factory=set)
    watched: bool = False
    rejections: RejectionCounts = field(default_factory=RejectionCounts)

    @property
    def gate(self):
        return self.offline.gate

    def now(self) -> float:
        return self.time

    def tick_us(self) -> int:
        return 0

    def traceparent(self, head: object) -> None:
        return None

    def new_request_id(self) -> str:
        self.ids += 1
        return f"{self.ids:032x}"

    async def work(self, work):
        return CredentialLoaded(work.id, None)

    async def aside(self, call):
        return call()

    def identity_headers(self, principal, now):
        return (b"x-sallygate-account", principal.account.encode()), (b"x-sallygate-assertion", b"signed")

    def record(self, exchange: Exchange, gate) -> None:
        self.exchanges.append(exchange)

    def failed(self, what: str, error: BaseException) -> None:
        self.failures.append(f"{what}: {error!r}")

    async def lifespan(self, event: str) -> None:
        self.failures.append(event)


@dataclass
class Bench:
    services: Services
    key: str
    seen: dict[str, Any] = field(default_factory=dict)

    async def app(self, scope, receive, send) -> None:
        self.seen = dict(scope)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.seen["body"] = body
        await answer(send, 200, b'{"items":[{"id":"a1"},{"id":"a2"}]}', (b"content-type", b"application/json"))

    def call(
        self,
        target: str = "/things",
        method: str = "GET",
        body: list[bytes] | None = None,
        app=None,
        key: str | None = "",
        **more: Any,
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        return asyncio.run(self._call(target, method, body or [b""], app or self.app, key, more))

    async def _call(self, target, method, body, app, key, more):
        path, _, query = target.partition("?")
        headers = [(b"host", b"api.example")]
        key = self.key if key == "" else key
        if key:
            headers.append((b"x-api-key", key.encode()))
        headers += more.pop("headers", [])
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "https", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "headers": headers,
            "client": ("192.0.2.1", 1234), "server": ("127.0.0.1", 443), **more,
        }  # fmt: skip
        messages = [
            {"type": "http.request", "body": part, "more_body": n < len(body) - 1} for n, part in enumerate(body)
        ]
        sent: list[dict[str, Any]] = []

        async def receive():
            if messages:
                return messages.pop(0)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(dict(message))

        try:
            await Guard(app, self.services)(scope, receive, send)
        finally:
            self.sent = sent
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:])

    @property
    def last(self) -> Exchange:
        return self.services.exchanges[-1]


async def answer(send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


JSON = (b"content-type", b"application/json")


@pytest.fixture
def bench(tmp_path: Path):
    def make(text: str = "", plan: str = "large") -> Bench:
        policy = write_policy(tmp_path, text)
        key = make_key(policy, plan)
        return Bench(Services(Offline(policy)), key)

    return make


def test_what_passes_carries_who_and_not_the_key(bench) -> None:
    made = bench()
    forged = [(b"x-sallygate-account", b"admin"), (b"x_sallygate_plan", b"admin"), (b"accept", b"*/*")]
    status, headers, body = made.call("/things?limit=5", headers=forged)
    assert status == 200 and json.loads(body)["items"]
    seen = made.seen["headers"]
    names = [name for name, _ in seen]
    assert (b"x-sallygate-account", b"acme") in seen and names.count(b"x-sallygate-account") == 1
    assert not {b"x-api-key", b"x_sallygate_plan"} & set(names)
    assert dict(seen)[b"x-sallygate-assertion"] == b"signed" and (b"accept", b"*/*") in seen
    assert made.seen["raw_path"] == b"/things" and made.seen["query_string"] == b"limit=5"
    assert headers[b"server"] == b"sallygate" and b"ratelimit" in headers and b"x-request-id" in headers
    assert not any(made.key.encode() in value for _, value in seen)


def test_another_spelling_of_a_declared_header_does_not_travel(tmp_path: Path) -> None:
    """A CGI-like API reads `X_Role` as the `X-Role` that the contract would have refused."""
    role = {"name": "X-Role", "in": "header", "schema": {"enum": ["reader"]}}
    listing = OPENAPI["paths"]["/things"]["get"]
    things = {**OPENAPI["paths"]["/things"], "get": {**listing, "parameters": [*listing["parameters"], role]}}
    policy = write_policy(tmp_path, openapi={**OPENAPI, "paths": {**OPENAPI["paths"], "/things": things}})
    key = make_key(policy)
    made = Bench(Services(Offline(policy)), key)
    assert made.call(headers=[(b"x-role", b"admin")])[0] == 400
    assert made.call(headers=[(b"x_role", b"admin"), (b"x_other", b"1")])[0] == 200
    names = [name for name, _ in made.seen["headers"]]
    assert b"x_role" not in names and b"x_other" in names


def test_refusals_are_problem_documents_that_tell_nothing_internal(bench) -> None:
    made = bench()
    status, headers, body = made.call("/things?limit=-1")
    problem = json.loads(body)
    assert status == 400 and headers[b"content-type"] == b"application/problem+json"
    assert problem["code"] == "contract.parameter" and problem["request_id"] == headers[b"x-request-id"].decode()
    assert problem["errors"][0]["where"] == "query:limit" and "-1" not in body.decode()
    assert not made.seen, "the application was never called"


def test_a_head_request_gets_no_body(bench) -> None:
    status, _, body = bench().call("/things", method="HEAD")
    assert status == 200 and body == b"", "it is a GET without its body"
    _, headers, _ = bench().call("/things", method="PUT")
    assert headers[b"allow"] == b"GET, HEAD, POST"


def test_the_body_is_read_whole_and_handed_on_as_it_was(bench) -> None:
    made = bench()
    parts = [b'{"name"', b': "a", ', b'"count": 2}']
    length = [(b"content-length", str(sum(map(len, parts))).encode()), JSON]
    status, _, _ = made.call(method="POST", body=parts, headers=length)
    assert status == 200 and made.seen["body"] == b"".join(parts)
    assert made.last.request_bytes == len(b"".join(parts))


def test_a_caller_without_identity_never_reaches_a_parser(bench) -> None:
    made = bench()

    sent = []

    async def never():
        assert len(sent) == 2, "the body was read"  # after the answer it is read on, and forgotten
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def run() -> int:
        async def send(message):
            sent.append(message)

        scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "https", "path": "/things",
                 "raw_path": b"/things", "query_string": b"", "client": ("192.0.2.1", 1),
                 "headers": [(b"host", b"a"), JSON, (b"content-length", b"2")]}  # fmt: skip
        await Guard(made.app, made.services)(scope, never, send)
        return sent[0]["status"]

    assert asyncio.run(run()) == 401


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ([b'{"a":1'], [JSON, (b"content-length", b"6")], 400, "body.json"),
        ([b'{"name":"a","name":"b"}'], [JSON, (b"content-length", b"23")], 400, "body.json"),
        ([b'{"count":1}'], [JSON, (b"content-length", b"11")], 422, "contract.body"),
        ([b'{"name":"a","x":1}'], [JSON, (b"content-length", b"18")], 422, "contract.body"),
        ([b"x" * 2_100_000, b"x" * 2_100_000], [JSON, (b"transfer-encoding", b"chunked")], 413, "contract.body_size"),
        ([b"x"], [JSON, (b"content-length", b"5000000")], 413, "contract.body_size"),
        ([b"x"], [(b"content-length", b"1")], 415, "contract.content_type"),
    ],
)
def test_bodies_that_are_refused(bench, body, headers, status: int, code: str) -> None:
    made = bench()
    assert made.call(method="POST", body=body, headers=headers)[0] == status
    assert made.last.decision.reasons[0] == code
    assert not made.seen


def test_a_body_that_ends_early_is_refused(bench) -> None:
    made = bench()

    async def run() -> int:
        messages = [{"type": "http.request", "body": b'{"na', "more_body": True}, {"type": "http.disconnect"}]
        sent = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "https", "path": "/things",
                 "raw_path": b"/things", "query_string": b"", "client": ("192.0.2.1", 1),
                 "headers": [(b"host", b"a"), (b"x-api-key", made.key.encode()), JSON, (b"content-length", b"99")]}  # fmt: skip
        await Guard(made.app, made.services)(scope, receive, send)
        return sent[0]["status"]

    assert asyncio.run(run()) == 400
    assert made.last.decision.reasons == ("request.body_cut",)


def test_a_streamed_body_is_metered(bench) -> None:
    made = bench("contract: {upload: 10KB}")
    parts = [b"x" * 4000] * 4
    headers = [(b"content-type", b"application/octet-stream"), (b"transfer-encoding", b"chunked")]
    assert made.call(method="POST", body=parts, headers=headers)[0] == 413
    assert made.call(method="POST", body=parts[:2], headers=headers)[0] == 200
    assert made.seen["body"] == b"x" * 8000


def test_a_client_that_leaves_while_its_upload_waits_for_a_place_is_reported_as_gone(bench) -> None:
    """Not as an API that is broken: the proxy would say 502 of an upload that raises."""
    made = bench("contract: {upload: 10KB}\nflood: {shedding: {min: 2, initial: 2, max: 2, wait: 5s}}\n")
    shedder = made.services.gate.state.shedder
    for index in range(shedder.limit):
        ticket = Ticket(0, f"x{index}", "")
        shedder.open(ticket)
        shedder.enter(ticket, 0.0)
    under_way, told = shedder.under_way, []

    async def app(scope, receive, send) -> None:
        told.extend([await receive(), await receive()])

    headers = [(b"content-type", b"application/octet-stream"), (b"transfer-encoding", b"chunked")]
    with pytest.raises(IndexError):  # there is no answer
        made.call(method="POST", body=[b"x" * 4000] * 2, headers=headers, app=app)
    assert [message["type"] for message in told] == ["http.request", "http.disconnect"]
    assert made.last.status == GONE and not made.services.failures
    assert shedder.under_way == under_way and not sum(shedder.waiting)


def test_what_left_is_counted_and_its_ids_remembered(bench) -> None:
    made = bench(plan="small")
    made.call("/things?limit=12")
    event = made.last
    assert event.learned.records == 2 and len(event.learned.issued_ids) == 2
    assert {(c.table, c.amount) for c in event.learned.charges} >= {("plan:small:records", 2)}
    assert event.response_bytes == 35
    made.call("/things/a1")
    from sallygate.events.record import to_event

    asked = to_event(made.last, made.services.offline.gate.source)
    assert asked.object_refs[0] in event.learned.issued_ids, "the id asked for is the one that was handed out"
    listed = to_event(event, made.services.offline.gate.source)
    assert listed.filters == (("limit", "n2"),)


def test_compressed_answers_are_counted_too(bench) -> None:
    made = bench(plan="small")

    async def app(scope, receive, send):
        made.seen = dict(scope)
        await answer(send, 200, gzip.compress(b'{"items":[1,2,3]}'), JSON, (b"content-encoding", b"gzip"))

    made.call(app=app, headers=[(b"accept-encoding", b"br, gzip")])
    assert made.last.learned.records == 3
    assert (b"accept-encoding", b"gzip") in made.seen["headers"], "only what can be read is asked for"


@pytest.mark.parametrize("headers", [[JSON, (b"content-encoding", b"br")], [(b"content-type", b"text/csv")]])
def test_records_that_cannot_be_counted_do_not_leave(bench, headers) -> None:
    made = bench(plan="small")

    async def app(scope, receive, send):
        await answer(send, 200, b"secret", *headers)

    status, _, body = made.call(app=app)
    assert status == 502 and b"secret" not in body
    assert made.last.decision.reasons == ("limits.uncountable",)


def test_a_garbled_answer_costs_the_budget(bench) -> None:
    made = bench(plan="small")

    async def app(scope, receive, send):
        await answer(send, 200, b'{"items":[1,2', JSON)

    assert made.call(app=app)[0] == 200
    assert made.call()[0] == 429 and made.last.decision.reasons == ("limits.data.records",)


def test_the_answer_may_be_cut_at_the_budget(bench) -> None:
    made = bench("limits: {on_exceed: cut}\nplans: {large: {data: {bytes: 100KB/day}, scopes: ['*']}}")

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(50):
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with pytest.raises(ConnectionAbortedError):
        made.call("/things/1", app=app)
    assert sum(len(m.get("body", b"")) for m in made.sent) == 100_000
    assert made.last.status == 599
    assert made.call("/things/1")[0] == 429


def test_ten_answers_at_once_share_one_budget(bench) -> None:
    made = bench("limits: {on_exceed: cut}\nplans: {large: {data: {bytes: 1MB/day}, scopes: ['*']}}")
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            sent.append(10_000)
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        calls = [made._call("/things/1", "GET", [b""], app, made.key, {}) for _ in range(10)]
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(run())
    assert sum(sent) == 1_000_000


def test_a_long_answer_is_charged_while_it_leaves(bench) -> None:
    made = bench()
    table = made.services.offline.state.tables["plan:large:bytes"]
    used = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4):
            await send({"type": "http.response.body", "body": b"x" * 70_000, "more_body": True})
            used.append(table.most - table.look("acme", made.services.time, 0).remaining)
        await send({"type": "http.response.body", "body": b"xyz"})

    made.call("/things/1", app=app)
    assert used == [70_000, 140_000, 210_000, 280_000]
    assert table.most - table.look("acme", made.services.time, 0).remaining == 280_003
    assert [c.amount for c in made.last.charges if c.table == "plan:large:bytes"] == [280_003]


def test_a_response_over_the_budget_is_finished_and_the_next_refused(bench) -> None:
    made = bench("plans: {large: {data: {bytes: 1KB/day}, scopes: ['*']}}")

    async def app(scope, receive, send):
        await answer(send, 200, b"x" * 5000)

    assert len(made.call("/things/1", app=app)[2]) == 5000
    assert made.call("/things/1", app=app)[0] == 429


def test_an_answer_that_stops_never_looks_whole(bench) -> None:
    made = bench()

    async def swallows(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    with pytest.raises(ConnectionAbortedError):
        made.call(app=swallows)
    assert made.last.status == 599


def test_an_application_that_raises_is_recorded(bench) -> None:
    made = bench()

    async def raises(scope, receive, send):
        raise LookupError("internal")

    with pytest.raises(LookupError):
        made.call(app=raises)
    assert made.last.status == 500


def test_extensions_that_would_leave_unmetered_are_not_let_through(bench) -> None:
    made = bench()

    async def sends_file(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/etc/passwd"})

    with pytest.raises(RuntimeError):
        made.call(app=sends_file)


def test_extensions_that_would_leave_unmetered_are_not_offered(bench) -> None:
    made = bench()
    offered = {"http.response.pathsend": {}, "http.response.trailers": {}, "tls": {"version": 772}}
    assert made.call(extensions=offered)[0] == 200
    assert made.seen["extensions"] == {"http.response.trailers": {}, "tls": {"version": 772}}


def test_a_body_whose_first_byte_never_comes_is_given_up(bench) -> None:
    made = bench("flood: {body: {time: 10ms}}\n")
    sent: list[dict[str, Any]] = []

    async def never():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(dict(message))

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "https", "path": "/things",
        "raw_path": b"/things", "query_string": b"", "client": ("192.0.2.1", 1234), "server": ("127.0.0.1", 443),
        "headers": [(b"host", b"api.example"), (b"x-api-key", made.key.encode()), JSON, (b"content-length", b"9")],
    }  # fmt: skip

    async def run() -> None:
        async with asyncio.timeout(patient(5)):
            await Guard(made.app, made.services)(scope, never, send)

    asyncio.run(run())
    assert sent[0]["status"] == 408 and made.last.decision.findings[0].code == "request.body_time"
    assert made.services.offline.state.slots.count("address", "192.0.2.1") == 0


def test_in_shadow_places_are_counted_too(bench) -> None:
    """Or the user would be told that nobody sends too many at once, and enforce it."""
    made = bench("limits: {mode: shadow, address: 1000/s burst 1000, address_concurrent: 1}")

    async def waits(scope, receive, send):
        if len(made.services.exchanges) == 0 and not scope["query_string"]:
            await made._call("/things?limit=1", "GET", [b""], made.app, made.key, {})
        await answer(send, 200, b"")

    assert made.call(app=waits)[0] == 200
    inner, outer = ([found.code for found in one.decision.findings] for one in made.services.exchanges)
    assert (inner, outer) == (["limits.address_concurrent"], [])
    assert made.services.offline.state.slots.count("address", "192.0.2.1") == 0


def test_places_are_given_back_whatever_happens(bench) -> None:
    made = bench()

    async def raises(scope, receive, send):
        assert made.services.offline.state.slots.count("plan:large:concurrent", "acme") == 1
        raise LookupError

    with pytest.raises(LookupError):
        made.call(app=raises)
    made.call(method="POST", body=[b"{"], headers=[JSON, (b"content-length", b"1")])
    assert made.services.offline.state.slots.count("plan:large:concurrent", "acme") == 0
    assert made.services.offline.state.slots.count("address", "192.0.2.1") == 0


def test_an_engine_that_fails_lets_nobody_pass(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench()

    def broken(*_: object, **__: object):
        raise MemoryError("secret detail")

    for method in ("admit", "examine"):
        with monkeypatch.context() as patch:
            patch.setattr(made.services.offline.gate.engine, method, broken)
            status, _, body = made.call()
        assert status == 503 and b"secret" not in body and not made.seen
    assert len(made.services.failures) == 2


def test_websockets_pass_the_same_controls_and_get_a_501(bench) -> None:
    made = bench()
    upgrade = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    assert made.call(headers=upgrade)[0] == 501
    assert made.call(headers=upgrade, key=None)[0] == 401

    async def run(extensions) -> list[dict[str, Any]]:
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "http_version": "1.1", "scheme": "wss", "path": "/things", "raw_path": b"/things",
                 "query_string": b"", "client": ("192.0.2.1", 1), "extensions": extensions,
                 "headers": [(b"host", b"a"), (b"x-api-key", made.key.encode())]}  # fmt: skip
        await Guard(made.app, made.services)(scope, receive, send)
        return sent

    assert asyncio.run(run({"websocket.http.response": {}}))[0]["status"] == 501
    assert asyncio.run(run({}))[0]["type"] == "websocket.close"


def test_unknown_scopes_are_not_let_through(bench) -> None:
    with pytest.raises(RuntimeError):
        bench().call(type="carrier-pigeon")


def test_cors_headers_stand_on_every_answer(bench) -> None:
    made = bench("clients: {cors: {origins: ['https://app.example'], expose: [RateLimit]}}")
    origin = [(b"origin", b"https://app.example")]
    for target, status in (("/things", 200), ("/nothing", 404)):
        got, headers, _ = made.call(target, headers=origin)
        assert got == status and headers[b"access-control-allow-origin"] == b"https://app.example"
    assert b"access-control-allow-origin" not in made.call(headers=[(b"origin", b"https://evil.example")])[1]


def coded(data: bytes, coding: bytes = b"gzip") -> list[tuple[bytes, bytes]]:
    return [JSON, (b"content-encoding", coding), (b"content-length", str(len(data)).encode())]


def test_a_compressed_body_is_inspected_and_handed_on_plain(bench) -> None:
    made = bench()
    data = gzip.compress(b'{"name":"a"}')
    assert made.call(method="POST", body=[data], headers=coded(data))[0] == 200
    assert made.seen["body"] == b'{"name":"a"}'
    names = dict(made.seen["headers"])
    assert b"content-encoding" not in names and names[b"content-length"] == b"12"


@pytest.mark.parametrize(
    ("data", "coding", "status"),
    [
        (gzip.compress(b'{"name":"a","x":1}'), b"gzip", 422),
        (gzip.compress(b"x" * 50_000_000), b"gzip", 413),
        (gzip.compress(b'{"name":"a"}') + gzip.compress(b'{"x":1}'), b"gzip", 400),
        (gzip.compress(b'{"name":"a"}')[:-6], b"gzip", 400),
        (b'{"name":"a"}', b"gzip", 400),
        (b'{"name":"a"}', b"compress", 415),
        (b'{"name":"a"}', b"gzip, gzip", 415),
    ],
    ids=["against the contract", "too large", "two members", "cut", "not gzip", "unknown coding", "coded twice"],
)
def test_compressed_bodies_that_are_refused(bench, data: bytes, coding: bytes, status: int) -> None:
    made = bench()
    assert made.call(method="POST", body=[data], headers=coded(data, coding))[0] == status
    assert not made.seen


def test_an_operation_may_have_a_body_limit_of_its_own(bench) -> None:
    made = bench("operations: {createThing: {body: 20B}}")
    small, large = b'{"name":"a"}', b'{"name":"aaaaaaaaaaaaaaaaaaaaaaa"}'
    for body, status in ((small, 200), (large, 413)):
        headers = [JSON, (b"content-length", str(len(body)).encode())]
        assert made.call(method="POST", body=[body], headers=headers)[0] == status


STRIP = "injection: {act: strip, strip: ['query:q', 'body:/name']}\nopenapi: none\nidentity: none\nplans: {}\noperations: {}"


def test_stripped_fields_arrive_without_what_offends_and_the_rest_as_sent(bench) -> None:
    made = bench()
    policy = write_policy(made.services.offline.loaded.file.parent / "strip", STRIP)
    made = Bench(Services(Offline(policy)), "")
    status, _, _ = made.call("/a?x=%2fz&q=Tom+%3Cb+onclick%3Drun()%3E+Jerry&y=1%2B1")
    assert status == 200
    assert made.seen["query_string"] == b"x=%2fz&q=Tom+b+onclickrun+Jerry&y=1%2B1"
    assert [f.code for f in made.last.decision.findings] == ["injection.xss"] and made.last.decision.verdict == "allow"
    raw = b'{ "name": "it\'s <img src=x onerror=run()>", "other": [1.50, "a<b"] }'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw))]
    status, _, _ = made.call("/a", "POST", [raw], headers=headers)
    assert status == 200
    assert json.loads(made.seen["body"]) == {"name": "its img srcx onerrorrun", "other": [1.5, "a<b"]}
    assert dict(made.seen["headers"])[b"content-length"] == b"%d" % len(made.seen["body"])
    honest = b'{ "name": "Tom & Jerry" }'
    made.call("/a", "POST", [honest], headers=[(b"content-type", b"application/json"), (b"content-length", b"25")])
    assert made.seen["body"] == honest, "not stripped, not touched"


def test_large_bodies_are_examined_aside(bench) -> None:
    made = bench()
    policy = write_policy(
        made.services.offline.loaded.file.parent / "aside", "openapi: none\nidentity: none\nplans: {}\noperations: {}"
    )
    services = Services(Offline(policy))
    made, aside = Bench(services, ""), []

    async def count(call):
        aside.append(1)
        return call()

    services.aside = count  # type: ignore[method-assign]
    for size, more in ((1000, 0), (70_000, 1)):
        raw = json.dumps({"a": "x" * size}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw))]
        assert made.call("/a", "POST", [raw], headers=headers)[0] == 200
        assert len(aside) == more and made.seen["body"] == raw
    attack = json.dumps({"a": "x" * 70_000, "b": "<script>alert(1)</script>"}).encode()
    json_type = (b"content-type", b"application/json")
    assert made.call("/a", "POST", [attack], headers=[json_type, (b"content-length", b"%d" % len(attack))])[0] == 403
    too_large = json.dumps({"a": "x" * 4_300_000}).encode()
    for framing in ((b"content-length", b"%d" % len(too_large)), (b"transfer-encoding", b"chunked")):
        assert made.call("/a", "POST", [too_large], headers=[json_type, framing])[0] == 413
    assert made.last.decision.findings[0].code == "injection.size"
