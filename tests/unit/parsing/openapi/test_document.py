"""Documents to operations: references followed, defaults settled, everything wrong reported at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sallygate.parsing.openapi.document import OpenAPIError, public_view, read_document, read_operations
from sallygate.parsing.openapi.routes import RouteTable
from sallygate.parsing.openapi.servers import BASE_PATHS_MAX, base_paths

SHOP = """
openapi: 3.1.0
info: {title: Shop, version: '1'}
servers:
  - url: https://{region}.shop.example/{version}/
    variables: {region: {default: eu}, version: {default: v2}}
security: [{key: []}]
paths:
  /status:
    get: {operationId: getStatus, security: [], responses: {'200': {description: ok}}}
  /orders:
    get:
      operationId: listOrders
      parameters:
        - $ref: '#/components/parameters/limit'
        - {name: ids, in: query, schema: {type: array}}
        - {name: X-Trace, in: header, schema: {type: string}}
        - {name: Accept, in: header, schema: {type: string}}
  /orders/{orderId}:
    parameters:
      - {name: orderId, in: path, required: true, schema: {type: string}}
      - {name: verbose, in: query, schema: {type: boolean}}
    get:
      operationId: getOrder
      security: [{key: [], user: [orders.read]}, {}]
      parameters:
        - {name: verbose, in: query, required: true, schema: {type: integer}}
    delete: {x-internal: true, operationId: deleteOrder}
  /orders/{orderId}/items/{id}:
    put: {requestBody: {$ref: '#/components/requestBodies/Item'}}
  /users/{id}:
    $ref: '#/components/pathItems/user'
  x-note: not a path
components:
  parameters:
    limit: {name: limit, in: query, schema: {$ref: '#/components/schemas/Limit'}, allowEmptyValue: true}
  requestBodies:
    Item:
      required: true
      content:
        Application/JSON; charset=utf-8: {schema: {$ref: '#/components/schemas/Item'}}
        multipart/form-data: {schema: {type: object}, encoding: {a: {contentType: image/png}}}
  pathItems:
    user: {get: {operationId: getUser}, delete: {x-internal: true, operationId: deleteUser}}
  schemas:
    Limit: {type: integer}
    Item:
      type: object
      properties: {x-size: {type: string}, kind: {$ref: '#/components/schemas/Kind'}}
      x-team: orders
    Kind: {type: string, enum: [x-large, small], example: {x-keep: 1}}
    Unused: {type: object}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-API-Key}
    user: {type: oauth2, flows: {}}
    unused: {type: http, scheme: basic}
"""


@pytest.fixture
def shop() -> dict[str, Any]:
    return read_document(SHOP.encode(), "shop.yaml")


def test_operations_of_a_document(shop: dict[str, Any]) -> None:
    found = {operation.id: operation for operation in read_operations(shop)}
    assert list(found) == [
        "getStatus",
        "listOrders",
        "getOrder",
        "deleteOrder",
        "PUT /orders/{orderId}/items/{id}",
        "getUser",
        "deleteUser",
    ]
    assert found["getStatus"].security == ()
    assert found["listOrders"].security == ({"key": ()},)
    assert found["getOrder"].security == ({"key": (), "user": ("orders.read",)}, {})
    assert (found["deleteOrder"].internal, found["deleteUser"].internal, found["getUser"].internal) == (
        True,
        True,
        False,
    )


def test_parameters_are_merged_and_settled(shop: dict[str, Any]) -> None:
    found = {operation.id: operation for operation in read_operations(shop)}
    limit, ids, trace = found["listOrders"].parameters
    assert (limit.name, limit.allow_empty, limit.pointer) == ("limit", True, "/components/parameters/limit/schema")
    assert (ids.style, ids.explode, trace.style, trace.explode) == ("form", True, "simple", False)
    verbose = {parameter.name: parameter for parameter in found["getOrder"].parameters}["verbose"]
    assert (verbose.required, verbose.schema) == (True, {"type": "integer"})
    assert [p.name for p in found["PUT /orders/{orderId}/items/{id}"].parameters] == ["id", "orderId"]


def test_bodies_are_read_through_references(shop: dict[str, Any]) -> None:
    operation = next(operation for operation in read_operations(shop) if operation.method == "PUT")
    assert operation.body_required
    first, second = operation.body
    assert first.name == "application/json"
    assert first.pointer == "/components/requestBodies/Item/content/Application~1JSON; charset=utf-8/schema"
    assert second.encoding == {"a": {"contentType": "image/png"}}


def test_names_of_objects_lead_to_their_collections(shop: dict[str, Any]) -> None:
    found = {operation.id: operation for operation in read_operations(shop)}
    assert found["listOrders"].resource == "orders"
    assert found["listOrders"].object_names == {"orderId": "orders", "id": "orders"}
    assert found["getUser"].object_names == {"orderId": "orders", "id": "users"}
    assert found["PUT /orders/{orderId}/items/{id}"].object_names == {"orderId": "orders", "id": "items"}


def test_every_server_is_a_base_path(shop: dict[str, Any]) -> None:
    assert base_paths(shop["servers"])[0] == "/v2"
    for url, path in (
        ("/", ""),
        ("/v1", "/v1"),
        ("https://h.example", ""),
        ("https://h.example/a/b/", "/a/b"),
        ("v1", "/v1"),
    ):
        assert base_paths([{"url": url}]) == (path,)
    assert base_paths(None) == base_paths([]) == ("",)
    assert base_paths([{"url": "https://a.example/v1"}, {"url": "/v2/"}, {"url": "/v1"}]) == ("/v1", "/v2")
    assert base_paths({"$ref": "#/x"}) is base_paths([{"$ref": "#/x"}]) is base_paths(["/v1"]) is None
    version = {"url": "https://{region}.a.example/{version}/x", "variables": {"version": {"default": "v1", "enum": ["v1", "v2"]},
               "region": {"default": "eu", "enum": ["eu", "us"]}}}  # fmt: skip
    assert base_paths([version]) == ("/v1/x", "/v2/x")
    many = {"url": "/{a}/{b}", "variables": {name: {"enum": list("abcdefghij")} for name in "ab"}}
    assert len(base_paths([many])) == BASE_PATHS_MAX


def test_a_path_and_an_operation_have_servers_of_their_own() -> None:
    document = {
        "openapi": "3.1.0", "servers": [{"url": "/v1"}, {"url": "/v2"}],
        "paths": {"/a": {"get": {}, "post": {"servers": [{"url": "/up"}]}}, "/b": {"servers": [{"url": "/"}], "get": {}}},
    }  # fmt: skip
    found = {one.id: one.base_paths for one in read_operations(document)}
    assert found == {"GET /a": ("/v1", "/v2"), "POST /a": ("/up",), "GET /b": ("",)}
    table = RouteTable(read_operations(document))
    reached = {(method, path) for method in ("GET", "POST") for path in ("/a", "/v1/a", "/v2/a", "/up/a", "/b", "/v1/b")
               if (match := table.match(method, path.encode(), tuple(path.split("/")[1:]))) and match.operation}  # fmt: skip
    assert reached == {("GET", "/v1/a"), ("GET", "/v2/a"), ("POST", "/up/a"), ("GET", "/b")}
    own = RouteTable(read_operations(document), "/own")
    assert own.match("GET", b"/own/a", ("own", "a")) is not None and own.match("GET", b"/v1/a", ("v1", "a")) is None


def test_the_public_view_keeps_nothing_internal(shop: dict[str, Any]) -> None:
    view = public_view(shop)
    assert "servers" not in view
    assert set(view["paths"]["/orders/{orderId}"]) == {"parameters", "get"}
    assert set(view["components"]["pathItems"]["user"]) == {"get"}
    assert set(view["components"]["schemas"]) == {"Limit", "Item", "Kind"}
    assert set(view["components"]["securitySchemes"]) == {"key", "user"}
    item = view["components"]["schemas"]["Item"]
    assert "x-team" not in item and "x-size" in item["properties"]
    assert view["components"]["schemas"]["Kind"]["example"] == {"x-keep": 1}
    assert "deleteOrder" not in json.dumps(view) and "deleteUser" not in json.dumps(view)
    assert {operation.id for operation in read_operations(view)} == {
        "getStatus",
        "listOrders",
        "getOrder",
        "getUser",
        "PUT /orders/{orderId}/items/{id}",
    }
    assert shop["paths"]["/orders/{orderId}"]["delete"]["x-internal"] is True


def test_json_and_yaml_are_the_same_document(shop: dict[str, Any]) -> None:
    assert read_document(json.dumps(shop).encode(), "shop.json") == shop


@pytest.mark.parametrize("data, said", [
    (b"swagger: '2.0'", "Swagger 2.0"), (b"openapi: 2.0.0", "3.0.x or 3.1.x"), (b"openapi: 3.2.0", "3.0.x or 3.1.x"), (b"openapi: 3.1", "3.0.x or 3.1.x"),
    (b"[]", "not an object"), (b"", "not an object"), (b"{", "not JSON"), (b'{"openapi":"3.1.0","openapi":"3.0.0"}', "twice"),
    (b"openapi: 3.1.0\nopenapi: 3.0.0", "already given"), (b"\xff", "not UTF-8"), (b"a: [", "did not find"),
])  # fmt: skip
def test_what_is_no_document_says_why(data: bytes, said: str) -> None:
    with pytest.raises(OpenAPIError, match=said):
        read_document(data, "api.yaml")


def test_a_problem_in_yaml_has_its_line() -> None:
    with pytest.raises(OpenAPIError) as caught:
        read_document(b"a: 1\nb: 1\na: 2\nb: 2\n", "api.yaml")
    assert [where for where, _ in caught.value.problems] == ["api.yaml:3", "api.yaml:4"]


def test_a_path_that_another_one_hides_is_noted() -> None:
    notes: list[str] = []
    paths = {"/users/{id}": {"get": {}}, "/users/{name}": {"get": {}, "put": {}}, "/users/me": {"get": {}}}
    assert len(read_operations({"openapi": "3.1.0", "paths": paths}, notes)) == 4
    assert notes == ["GET /users/{name} is never reached: /users/{id} is the same path"]


def test_an_id_used_twice_goes_by_method_and_path() -> None:
    notes: list[str] = []
    same = {"operationId": "same"}
    operations = read_operations(
        {"openapi": "3.1.0", "paths": {"/a": {"get": same}, "/b": {"get": same, "post": same}}}, notes
    )
    assert [one.id for one in operations] == ["same", "GET /b", "POST /b"]
    assert len(notes) == 2 and notes[0].startswith("operationId same is used by GET /a and by GET /b")
    taken = {"/a": {"get": same}, "/b": {"get": same}, "/c": {"get": {"operationId": "GET /b"}}}
    assert [one.id for one in read_operations({"openapi": "3.1.0", "paths": taken})] == ["same", "GET /b", "GET /c"]


def test_all_problems_of_the_operations_come_at_once() -> None:
    paths = {
        "no-slash": {"get": {}},
        "/a/{x}{y}": {"get": {}},
        "/b/{x}/{x}": {"get": {}},
        "/c": {"$ref": "other.yaml"},
        "/d": {
            "get": {
                "operationId": "same",
                "parameters": [{"$ref": "#/nowhere"}, {"in": "query"}, {"name": "p", "in": "query", "style": "matrix"}],
            }
        },
        "/e": {"get": {"operationId": "same", "requestBody": {"$ref": "#/paths/~1e/get/requestBody"}}},
        "/f": {"get": {"requestBody": {}, "security": "none"}},
    }
    with pytest.raises(OpenAPIError) as caught:
        read_operations({"openapi": "3.1.0", "paths": paths})
    said = [f"{where}: {message}" for where, message in caught.value.problems]
    for wanted in ("does not begin with a slash", "/paths/~1a~1{x}{y}: two expressions", "stands twice", "bundle it", "/paths/~1d/get/parameters/0: $ref '#/nowhere' leads nowhere", "/parameters/1: a parameter needs a name", "style 'matrix' is not for", "/paths/~1e/get/requestBody: $ref leads in a circle", "needs `content`", "security is a list"):  # fmt: skip
        assert any(wanted in line for line in said), wanted
    assert len(said) == 10
