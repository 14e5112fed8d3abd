"""The sample shop does what its contract says, and has the flaws its docstring promises."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import yaml

from sallygate.demo import data
from sallygate.demo.api import OPENAPI, create_app

Call = Callable[..., httpx.Response]

DOCUMENT: dict[str, Any] = yaml.safe_load(OPENAPI.read_text())
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


@pytest.fixture
def call(tmp_path: Path) -> Call:
    app = create_app(tmp_path / "shop.sqlite")

    def request(method: str, url: str, **options: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app)  # raises what the application raises
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.request(method, url, **options)

        return asyncio.run(once())

    return request


def conforms(name: str, value: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(value)


def test_the_contract_is_the_one_that_was_agreed() -> None:
    assert {name: f"{method.upper()} {path}" for name, (method, path, _) in OPERATIONS.items()} == {
        "getStatus": "GET /status",
        "getMe": "GET /users/me",
        "listProducts": "GET /products",
        "listOrders": "GET /orders",
        "getOrder": "GET /orders/{orderId}",
        "createOrder": "POST /orders",
        "sendMessage": "POST /messages",
        "createPost": "POST /posts",
        "listPosts": "GET /posts",
        "uploadFile": "POST /files",
        "getFile": "GET /files/{fileId}",
    }
    assert OPERATIONS["getStatus"][2]["security"] == []
    assert OPERATIONS["createOrder"][2]["security"] == [{"apiKey": ["orders:write"]}]


def test_every_schema_of_the_contract_is_one() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert len(schemas) == 22
    for schema in schemas.values():
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_every_text_that_comes_in_has_a_bound() -> None:
    unbounded: list[str] = []

    def walk(pointer: str, schema: Any) -> None:
        if isinstance(schema, list):
            for at, member in enumerate(schema):
                walk(f"{pointer}/{at}", member)
        elif isinstance(schema, dict):
            text = schema.get("type") == "string" and schema.get("format") != "binary"
            if text and not {"maxLength", "enum", "const"} & schema.keys():
                unbounded.append(pointer)
            for name, member in schema.items():
                walk(f"{pointer}/{name}", member)

    walk("", DOCUMENT)
    assert unbounded == []


@pytest.mark.parametrize(
    ("url", "schema"),
    [
        ("/status", "Status"),
        ("/users/me", "Me"),
        ("/products", "ProductPage"),
        ("/products?search=lamp&sort=-price&limit=3&cursor=2", "ProductPage"),
        ("/products?limit=1" + "0" * 40, "ProductPage"),
        ("/products?cursor=999999999", "ProductPage"),
        ("/orders", "OrderPage"),
        ("/orders?from=2026-03-01&to=2026-03-31&limit=100", "OrderPage"),
        ("/orders?from=2026-03-31&to=0000-01-01", "OrderPage"),
        ("/orders/42", "Order"),
        ("/posts", "PostPage"),
    ],
)
def test_answers_conform(call: Call, url: str, schema: str) -> None:
    answer = call("GET", url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    conforms(schema, answer.json())


@pytest.mark.parametrize("search", ["'", "''", "%", "_", "\\", '"', "--", "';", "' --", "a\tb", "%00'", "é🙂", "'/*"])
def test_ordinary_text_never_breaks_the_search(call: Call, search: str) -> None:
    answer = call("GET", "/products", params={"search": search})
    assert answer.status_code == 200
    conforms("ProductPage", answer.json())


def test_an_injection_reads_the_accounts(call: Call) -> None:
    search = "zzz%' UNION SELECT id, email, name, password_hash, 1, 1 FROM accounts --"
    items = call("GET", "/products", params={"search": search, "limit": 1000}).json()["items"]
    assert len(items) == data.ACCOUNTS
    assert {item["category"][:9] for item in items} == {"argon2id$"}


def test_an_injection_that_would_run_for_hours_is_stopped(call: Call) -> None:
    search = "x' UNION SELECT count(*),1,1,1,1,1 FROM products,products b,products c,products d,products e --"
    assert call("GET", "/products", params={"search": search}).json() == {"items": [], "next": None}


def test_pages_follow_one_another_to_the_end(call: Call) -> None:
    seen, url = [], "/products?limit=50"
    while True:
        page = call("GET", url).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        url = f"/products?limit=50&cursor={page['next']}"
    assert seen == list(range(1, data.PRODUCTS + 1))


def test_one_call_reads_every_order_whoever_asks(call: Call) -> None:
    items = call("GET", "/orders?limit=100000", headers={"x-sallygate-account": "acct_0001"}).json()["items"]
    assert len(items) == data.ORDERS
    assert len({item["account"] for item in items}) == data.ACCOUNTS
    assert call("GET", "/orders?from=2026-03-01&to=2026-03-31&limit=1000").json()["items"] == [
        item for item in items if item["placedOn"].startswith("2026-03")
    ]


def test_me_is_who_the_gate_says(call: Call) -> None:
    gate = {
        "X-Sallygate-Account": data.DEMO_ACCOUNTS["pro"],
        "X-Sallygate-Plan": "pro",
        "X-Sallygate-Scopes": "orders:read posts:read",
    }
    me = call("GET", "/users/me", headers=gate).json()
    conforms("Me", me)
    assert me["account"] == "acct_0002"
    assert me["plan"] == "pro"
    assert me["scopes"] == ["orders:read", "posts:read"]
    assert me["email"].endswith("@customers.example")


def test_an_order_is_placed_and_found_again(call: Call) -> None:
    new = {"items": [{"productId": 7, "quantity": 2}, {"productId": 8.0, "quantity": 1}], "note": "ring"}
    placed = call("POST", "/orders", json=new, headers={"x-sallygate-account": "acct_0001"})
    assert placed.status_code == 201
    conforms("Order", placed.json())
    assert placed.json()["account"] == "acct_0001"
    assert call("GET", placed.headers["location"]).json() == placed.json()


@pytest.mark.parametrize(
    ("method", "url", "options", "status"),
    [
        ("GET", "/orders/999999", {}, 404),
        ("GET", "/orders/" + "9" * 5000, {}, 404),
        ("GET", "/orders/-1", {}, 400),
        ("GET", "/orders?from=yesterday", {}, 400),
        ("GET", "/products?limit=0", {}, 400),
        ("GET", "/products?cursor=-1", {}, 400),
        ("GET", "/products?sort=stock", {}, 400),
        ("GET", "/files/../etc", {}, 404),
        ("GET", "/files/0000000000000000", {}, 404),
        ("DELETE", "/orders", {}, 405),
        ("POST", "/orders", {"json": {"items": [{"productId": 2147483647, "quantity": 1}]}}, 409),
        ("POST", "/orders", {"json": {"items": [{"productId": 1.5, "quantity": 1}]}}, 400),
        ("POST", "/orders", {"json": {"items": [], "note": "x"}}, 400),
        ("POST", "/orders", {"content": b'{"items":'}, 400),
        ("POST", "/orders", {"content": b'{"items":"\xff"}'}, 400),
        ("POST", "/posts", {"json": {"title": "t", "body": "b", "tags": ["A B"]}}, 400),
        ("POST", "/files", {"data": {"description": "no file"}}, 400),
        ("POST", "/files", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
    ],
)
def test_what_the_contract_does_not_allow_is_a_problem(
    call: Call, method: str, url: str, options: dict[str, Any], status: int
) -> None:
    answer = call(method, url, **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    conforms("Problem", answer.json())


def test_letters_and_posts_are_taken_as_they_come(call: Call) -> None:
    letter = {
        "to": ["a@b.example", "not an address"],
        "template": "prize",
        "subject": "x\r\nBcc: y",
        "text": "",
    }
    sent = call("POST", "/messages", json=letter)
    assert sent.status_code == 202
    conforms("MessageReceipt", sent.json())
    post = {"title": "t", "body": "<script>alert(1)</script>", "tags": ["a", "b"]}
    made = call("POST", "/posts", json=post)
    assert made.status_code == 201
    assert call("GET", "/posts?limit=1").json()["items"] == [made.json()]
    assert made.json()["body"] == post["body"]
    assert made.json()["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "sent_type", "served_type"),
    [
        ("page.html", "text/html", "text/html"),
        ("../../x.php", "application/x-php", "application/x-php"),
        ("odd", "no type at all", "application/octet-stream"),
    ],
)
def test_a_file_comes_back_as_it_came(call: Call, name: str, sent_type: str, served_type: str) -> None:
    content = b"<script>\x00\xff"
    stored = call("POST", "/files", files={"file": (name, content, sent_type)}, data={"description": "d"})
    assert stored.status_code == 201
    conforms("StoredFile", stored.json())
    assert stored.json()["name"] == name
    got = call("GET", stored.headers["location"])
    assert got.content == content
    assert got.headers["content-type"] == served_type


def test_the_seed_is_the_same_everywhere(tmp_path: Path) -> None:
    dumps = []
    for name in ("a", "b"):
        connection = data.open_database(tmp_path / name)
        dumps.append(list(connection.iterdump()))
        connection.close()
    assert dumps[0] == dumps[1]
    assert len(dumps[0]) > 600


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    data.open_database(tmp_path / "shop").execute("DELETE FROM posts")
    count = data.open_database(tmp_path / "shop").execute("SELECT count(*) FROM posts").fetchone()
    assert count == (0,)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        create_app(tmp_path / "no such directory" / "shop")


def test_a_statement_is_stopped_by_the_steps_of_one_run_not_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "STATEMENT_STEPS_MAX", 20_000)
    connection = data.open_database(tmp_path / "shop")
    for _ in range(50):
        assert connection.execute("SELECT id, name FROM products LIMIT ?", (100,)).fetchall()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        connection.execute("SELECT count(*) FROM products, products, products").fetchall()
