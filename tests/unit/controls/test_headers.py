"""Header fields of responses, removed and set: by operation, by mode, and what a policy may not ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatehouse import NOW, House, Request, policy_text
from sallygate.controls.headers import HeadersControl
from sallygate.engine.evaluation import OpenEvaluation
from sallygate.engine.exchange import ExchangeDriver
from sallygate.model import driver as d
from sallygate.model.exchange import Exchange
from sallygate.policy.errors import PolicyError
from sallygate.policy.headers import Headers
from sallygate.policy.load import load_policy
from support import write_policy

API = ((b"content-type", b"text/plain"), (b"content-length", b"2"), (b"x-powered-by", b"PHP/8.1"), (b"etag", b'"1"'),
       (b"cache-control", b"public"), (b"cache-control", b"max-age=60"), (b"vary", b"Cookie"))  # fmt: skip
"""What the API answers."""
GATE = (b"x-request-id", b"server", b"strict-transport-security", b"ratelimit", b"ratelimit-policy")
"""What the gate adds, beside the fields of this control."""
CASES: dict[str, tuple[str, Request, dict[str, str | None]]] = {
    "removed": ("remove: [X-POWERED-BY]", Request(key="large"), {"x-powered-by": None}),
    "set in the place of all of that name": (
        "set: {Cache-Control: no-store}", Request(key="large"), {"cache-control": "no-store"},
    ),
    "set where the API has none": ("set: {X-Frame-Options: DENY}", Request(key="large"), {"x-frame-options": "DENY"}),
    "set that the gate only adds to": ("set: {Vary: Accept}", Request(key="large"), {"vary": "Accept"}),
    "of an operation": (
        "operations: {getStatus: {set: {Cache-Control: no-store}}}", Request(path="/status"), {"cache-control": "no-store"},
    ),
    "of another operation": (
        "operations: {getStatus: {set: {Cache-Control: no-store}}}", Request(key="large"), {},
    ),
    "an operation adds": (
        "remove: [X-Powered-By], operations: {getStatus: {remove: [ETag]}}", Request(path="/status"),
        {"x-powered-by": None, "etag": None},
    ),
    "an operation sets what is removed for all": (
        "remove: [Cache-Control], operations: {getStatus: {set: {cache-control: private}}}", Request(path="/status"),
        {"cache-control": "private"},
    ),
    "an operation removes what is set for all": (
        "set: {Cache-Control: no-store}, operations: {getStatus: {remove: [cache-control]}}", Request(path="/status"),
        {"cache-control": None},
    ),
    "without an operation": (
        "set: {Cache-Control: no-store}, operations: {getStatus: {remove: [ETag]}}", Request("PUT", "/status", key="large"),
        {"cache-control": "no-store"},
    ),
    "shadow": ("remove: [ETag], set: {Cache-Control: no-store}", Request(key="large"), {}),
    "off": ("remove: [ETag], set: {Cache-Control: no-store}", Request(key="large"), {}),
}  # fmt: skip


REFUSED = {
    "remove: [Content-Length]": "which only the API may set",
    "set: {Content-Length: 9}": "which only the API may set",
    "set: {Transfer-Encoding: chunked}": "which only the API may set",
    "set: {Connection: X-Request-Id}": "which only the API may set",
    "remove: [trailer]": "which only the API may set",
    "set: {UPGRADE: h2c}": "which only the API may set",
    "set: {Content-Type: text/html}": "which only the API may set",
    "remove: [Content-Encoding]": "which only the API may set",
    "operations: {getStatus: {set: {content-range: bytes 0-1/2}}}": "which only the API may set",
    "set: {Server: nginx}": "is set by the gate",
    "set: {Strict-Transport-Security: max-age=0}": "`transport.hsts`",
    "set: {access-control-allow-origin: '*'}": "`clients.cors`",
    "set: {X-Request-Id: a}": "is set by the gate",
    'set: {X-A: "a\\r\\nSet-Cookie: b=c"}': "not a field value",
    'set: {X-A: "a\\n"}': "not a field value",
    'set: {X-A: "a\\0"}': "not a field value",
    'set: {X-A: " a"}': "not a field value",
    'set: {X-A: ""}': "not a field value",
    "set: {X-A: ü}": "not a field value",
    'set: {"X-A: b\\r\\nX-B": c}': "is not a field name",
    'remove: ["X A"]': "is not a field name",
    "set: {X-A: a, x-a: b}": "has `x-a` twice",
    "remove: [X-A], set: {x-a: b}": "has `x-a` twice",
}
"""Sections that do not load, and what the operator is told."""


def exchange(mode: str, headers: str, request: Request, answer: d.ResponseHead) -> tuple[d.SendHead, Exchange]:
    """The command that sends the head, and the exchange as it is recorded."""
    house = House(policy_text({"clients": "shadow", "headers": mode}, headers=headers))
    driver = ExchangeDriver(house.gate, house.head(request), house, 0.0)
    (call,) = driver.start()
    assert isinstance(call, d.CallApi)
    (sent,) = driver.feed(answer)
    driver.feed(d.Chunk(NOW, 0.0, "api", b"ok", False))
    (record,) = driver.feed(d.End(NOW, 0.0))
    assert isinstance(sent, d.SendHead) and isinstance(record, d.Record)
    return sent, record.exchange


def test_the_tables_are_whole() -> None:
    assert (len(CASES), len(REFUSED)) == (12, 23)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("status", [200, 304, 404])
def test_fields_are_removed_and_set(case: str, status: int) -> None:
    headers, request, changes = CASES[case]
    sent, recorded = exchange(
        case if case in ("shadow", "off") else "enforce", headers, request, d.ResponseHead(NOW, 0.0, status, API)
    )
    wanted = [(name, value) for name, value in API if name.decode() not in changes]
    wanted += [(name.encode(), value.encode()) for name, value in changes.items() if value is not None]
    assert sorted(pair for pair in sent.headers if pair[0] not in GATE) == sorted(wanted)
    assert (sent.status, recorded.status, recorded.decision.verdict) == (status, status, "allow")
    assert not [finding for finding in recorded.decision.findings if finding.control == "headers"]


@pytest.mark.parametrize("text", REFUSED)
def test_what_a_policy_may_not_ask_for(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(write_policy(tmp_path, f"headers: {{{text}}}"), "in_process")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line > 1) == ("policy.value", True)
    assert REFUSED[text] in f"{problem.message}; {problem.hint}" and "`headers" in problem.message


def test_operations_must_be_in_the_contract(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="the contract has no operation `getStatu`; did you mean `getStatus`"):
        load_policy(write_policy(tmp_path, "headers:\n  operations:\n    getStatu: {remove: [ETag]}"), "in_process")


def test_what_the_gate_says_is_not_lost() -> None:
    """What an operator removes is the API's: the gate's own fields of the same name go on leaving."""
    headers = "remove: [Access-Control-Allow-Origin, Vary, Server, RateLimit, X-Request-Id, Strict-Transport-Security]"
    origin = (b"origin", b"https://app.example")
    made = House(policy_text(headers=headers, clients="cors: {origins: ['https://app.example']}"))
    assert made.passes(Request(key="large", headers=(origin,)))
    sent = dict(made.said[0]["headers"])
    assert sent[b"access-control-allow-origin"] == origin[1] and sent[b"vary"] == b"Origin"
    assert {b"server", b"ratelimit", b"x-request-id", b"strict-transport-security"} <= set(sent)


def test_what_the_gate_answers_itself_stays_as_it_is() -> None:
    changed, unchanged = House(policy_text(headers="set: {Cache-Control: private}")), House(policy_text(headers=""))
    for request in (Request(path="/openapi.json"), Request(path="/nothing"), Request(path="/status", scheme="http")):
        assert not changed.passes(request) and not unchanged.passes(request)
        assert _fields(changed) == _fields(unchanged)


def _fields(house: House) -> list[tuple[bytes, bytes]]:
    return [pair for pair in house.said[0]["headers"] if pair[0] != b"etag"]  # of the specification: the policy's hash


def test_in_shadow_no_byte_of_a_response_changes() -> None:
    text = policy_text(
        {"headers": "shadow"}, headers="remove: [Content-Language, ETag], set: {Cache-Control: no-store}"
    )
    shadow, without = House(text), House(policy_text({"headers": "off"}))
    assert shadow.passes(Request(key="large")) and without.passes(Request(key="large"))
    assert shadow.said == without.said


def test_nothing_named_changes_nothing() -> None:
    control = HeadersControl(Headers())
    assert control.release(OpenEvaluation(House().head(Request()), NOW)) is None
