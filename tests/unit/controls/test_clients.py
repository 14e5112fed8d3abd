"""Client filtering: what nobody may call, what unknown clients may read, and what browsers of other origins may do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatehouse import House, Request, policy_text
from sallygate.model import driver as d
from transcript import JSON, Transcript, post

CORS = "cors: {origins: ['https://app.example']}"
DENIED = "createThing: {deny: true}"


def house(clients: str = "specification: /openapi.json", operations: str = "", **more: Any) -> House:
    text, _, _ = policy_text(more.pop("modes", None), clients=clients, **more).rpartition("\noperations:")
    return House(text=f"{text}\noperations: {{{operations}}}\n")


def reply(made: House, request: Request) -> tuple[int, dict[bytes, bytes], Any]:
    (answer,) = Transcript(made, request).of(d.Reply)
    return answer.status, dict(answer.headers), json.loads(answer.body or b"{}")


def test_an_operation_that_is_denied_is_not_there() -> None:
    made = house(operations=DENIED)
    status, _, problem = reply(made, Request("POST", key="large", headers=(JSON,), body=b'{"name":"a"}'))
    nothing = reply(made, Request(path="/nowhere", key="large"))
    assert status == nothing[0] == 404 and problem["detail"] == nothing[2]["detail"]
    assert problem["code"] == "clients.denied"
    assert Transcript(made, Request(key="large")).of(d.CallApi), "others of the same path are"
    _, _, view = reply(made, Request(path="/openapi.json"))
    assert "get" in view["paths"]["/things"] and "post" not in view["paths"]["/things"]


def test_the_specification_names_the_gates_own_security_schemes() -> None:
    _, _, view = reply(house(), Request(path="/openapi.json"))
    assert view["components"]["securitySchemes"] == {"apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    assert view["security"] == [{"apiKey": []}]
    assert view["paths"]["/status"]["get"]["security"] == [] and "security" not in view["paths"]["/things"]["get"]
    bearer = house(identity="api_keys: {header: X-Key, bearer: true}, public: [listThings]")
    _, _, view = reply(bearer, Request(path="/openapi.json"))
    assert list(view["components"]["securitySchemes"]) == ["apiKey", "bearer"]
    assert view["paths"]["/things"]["get"]["security"] == [] and view["security"] == [{"apiKey": []}, {"bearer": []}]


def test_the_specification_may_show_public_operations_alone() -> None:
    _, _, view = reply(house("specification: /openapi.json, shows: public"), Request(path="/openapi.json"))
    assert list(view["paths"]) == ["/status"]


def test_no_other_method_tells_of_what_is_denied() -> None:
    made = house(operations="createThing: {deny: true}, listThings: {deny: true}")
    assert [reply(made, Request(method, key="large"))[0] for method in ("DELETE", "OPTIONS", "HEAD")] == [404] * 3
    status, headers, _ = reply(house(operations=DENIED), Request("DELETE", key="large"))
    assert status == 405 and headers[b"allow"] == b"GET, HEAD"


def test_in_shadow_what_is_denied_is_found_and_called() -> None:
    told = Transcript(house(operations=DENIED, modes={"clients": "shadow"}), post(b'{"name":"a"}'))
    told.body(b'{"name":"a"}')
    told.answer()
    assert ("clients.denied", "shadow") in told.found and told.of(d.CallApi)


def answered(made: House, origin: str, *fields: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    """The header of a response whose application says `fields` itself."""
    told = Transcript(made, Request(key="large", headers=((b"origin", origin.encode()),)))
    told.head(200, JSON, *fields)
    return dict(told.of(d.SendHead)[0].headers)


OWN = ((b"access-control-allow-origin", b"*"), (b"access-control-allow-credentials", b"true"),
       (b"access-control-expose-headers", b"x-secret"))  # fmt: skip


@pytest.mark.parametrize("origin", ["https://app.example", "https://evil.example"])
def test_what_the_api_says_of_other_origins_does_not_count(origin: str) -> None:
    found = answered(house(CORS), origin, *OWN)
    said = {name: value for name, value in found.items() if name.startswith(b"access-control-")}
    assert said == ({b"access-control-allow-origin": origin.encode()} if "app" in origin else {})


def test_without_a_policy_for_other_origins_the_api_says() -> None:
    assert answered(house(), "https://app.example", *OWN)[b"access-control-allow-origin"] == b"*"


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        ("api_keys: {header: X-API-Key}", "Content-Type, X-API-Key"),
        ("api_keys: {header: X-API-Key}, basic: {}", "Content-Type, X-API-Key, Authorization"),
    ],
)
def test_a_preflight_names_the_fields_that_credentials_come_in(identity: str, named: str) -> None:
    asks = ((b"origin", b"https://app.example"), (b"access-control-request-method", b"GET"))
    _, headers, _ = reply(house(CORS, identity=identity), Request("OPTIONS", headers=asks))
    assert headers[b"access-control-allow-headers"].decode() == named
