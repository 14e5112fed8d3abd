"""Sample API: a Starlette application over SQLite that implements `openapi.yaml`, with deliberate flaws.

It refuses to know that a gate stands before it, and believes the three headers a gate sends:
`X-Sallygate-Account`, `X-Sallygate-Plan`, `X-Sallygate-Scopes`. It never answers 5xx to a request that its
contract allows.

Its flaws are on purpose. Real APIs have them, and they are what the gate's controls are shown on:

- neither `listOrders` nor `getOrder` asks whose orders they are, and ids count upwards (OWASP API1:2023);
- `limit` has no maximum, so one call reads a whole table (API4:2023);
- `listProducts` writes its `search` into the SQL text (CWE-89): `%' UNION SELECT ... --` reads the accounts;
- letters go to any recipient, with any template, subject and text (API6:2023);
- posts keep their HTML as it came (CWE-79);
- files keep the name, type and bytes they came with, of any size (CWE-434), and are served as that type.

What is not on purpose: a request outside the contract is answered 400, 404 or 405 with a problem document.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from msgspec import Meta, Struct
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sallygate.demo.data import file_id, open_database

OPENAPI: Final = Path(__file__).with_name("openapi.yaml")
"""The shop's contract."""

TODAY: Final = "2026-11-23"
"""The day every new order is placed on: the shop has no clock, so that its answers can be compared."""

ID_MAX: Final = 2**31 - 1
"""As in the contract; far below what SQLite's 64 bits hold."""

INT_DIGITS_MAX: Final = 18
"""Numbers with more digits may exceed SQLite's 64 bits; a `limit` of that size means everything."""

EVERYTHING: Final = 10**INT_DIGITS_MAX
PAGE_ITEMS: Final = 20

SORTS: Final = {
    "id": "id",
    "name": "name",
    "-name": "name DESC",
    "price": "price_cents",
    "-price": "price_cents DESC",
}

_DIGITS: Final = re.compile(r"[0-9]+")
_CURSOR: Final = re.compile(r"[0-9]{1,9}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FILE_ID: Final = re.compile(r"[0-9a-f]{16}")
_MEDIA: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")

Id = Annotated[float, Meta(ge=1, le=ID_MAX)]
"""A whole number, which JSON Schema lets be written `7.0`."""
Quantity = Annotated[float, Meta(ge=1, le=100)]
Tag = Annotated[str, Meta(pattern="^[a-z0-9-]{1,30}$")]


class Camel(Struct, rename="camel", forbid_unknown_fields=True):
    """What travels: `snake_case` here, `camelCase` there."""


class NewOrderLine(Camel):
    """Line of a new order, as a client sends it."""

    product_id: Id
    quantity: Quantity


class NewOrder(Camel):
    """New order, as a client sends it."""

    items: Annotated[list[NewOrderLine], Meta(min_length=1, max_length=50)]
    note: Annotated[str, Meta(max_length=500)] = ""


class NewMessage(Camel):
    """New message, as a client sends it."""

    to: Annotated[list[Annotated[str, Meta(max_length=254)]], Meta(min_length=1, max_length=100)]
    template: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
    subject: Annotated[str, Meta(min_length=1, max_length=200)]
    text: Annotated[str, Meta(max_length=5000)]


class NewPost(Camel):
    """New post, as a client sends it."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    body: Annotated[str, Meta(min_length=1, max_length=20000)]
    tags: Annotated[list[Tag], Meta(max_length=10)] = []


class Product(Camel):
    """Product of the catalogue; the price is in cents."""

    id: int
    sku: str
    name: str
    category: str
    price_cents: int
    stock: int


class OrderLine(Camel):
    """Line of a stored order; the price is in cents."""

    product_id: int
    quantity: int
    price_cents: int


class Order(Camel):
    """Stored order with its lines; the total is in cents."""

    id: int
    account: str
    placed_on: str
    status: str
    total_cents: int
    note: str
    items: list[OrderLine]


class Post(Camel):
    """Stored post."""

    id: int
    account: str
    title: str
    body: str
    tags: list[str]


_order_decoder: Final = msgspec.json.Decoder(NewOrder)
_message_decoder: Final = msgspec.json.Decoder(NewMessage)
_post_decoder: Final = msgspec.json.Decoder(NewPost)
_encode: Final = msgspec.json.Encoder().encode

T = TypeVar("T")
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]  # Any: Starlette's own signature


class Shop:
    """The endpoints. SQLite is called in place: a statement takes tens of microseconds, a thread more."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._status = _encode({"status": "open", "version": "1.0.0"})

    async def get_status(self, request: Request) -> Response:
        """Answer the shop's state and version; public."""
        return _json(self._status)

    async def get_me(self, request: Request) -> Response:
        """Answer who the caller is, from the headers of the gate."""
        account = _account(request)
        scopes = request.headers.get("x-sallygate-scopes", "").replace(",", " ").split()
        row = self._execute("SELECT name, email FROM accounts WHERE id = ?", (account,)).fetchone()
        name, email = row or (None, None)
        plan = request.headers.get("x-sallygate-plan")
        me = {"account": account, "plan": plan, "scopes": scopes, "name": name, "email": email}
        return _json(_encode(me))

    async def list_products(self, request: Request) -> Response:
        """Answer one page of products; public. Raises `HTTPException` 400 for an unknown sort field."""
        limit, start = _page(request)
        search = request.query_params.get("search", "")
        sort = request.query_params.get("sort", "id")
        if sort not in SORTS:
            raise HTTPException(400, "sort is none of those offered")
        statement = (
            "SELECT id, sku, name, category, price_cents, stock FROM products"  # noqa: S608 (planted)
            f" WHERE name LIKE '%{search}%' ORDER BY {SORTS[sort]} LIMIT {limit + 1} OFFSET {start}"
        )
        try:
            rows = self._execute(statement).fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError):  # text that is no SQL finds nothing
            rows = []
        return _answer_page([Product(*row) for row in rows], limit, start)

    async def list_orders(self, request: Request) -> Response:
        """Answer one page of the caller's orders, between two dates."""
        limit, start = _page(request)
        first, last = _date(request, "from", "0000-00-00"), _date(request, "to", "9999-99-99")
        rows = self._execute(
            "SELECT id, account, placed_on, status, total_cents, note FROM orders"
            " WHERE placed_on BETWEEN ? AND ? ORDER BY id LIMIT ? OFFSET ?",
            (first, last, limit + 1, start),
        ).fetchall()
        return _answer_page(self._orders(rows), limit, start)

    async def get_order(self, request: Request) -> Response:
        """Answer any order by its number, with no check of its owner: the flaw API1:2023."""
        text = request.path_params["order_id"]
        if not _DIGITS.fullmatch(text):
            raise HTTPException(400, "orderId is not a number")
        number = int(text) if len(text) <= INT_DIGITS_MAX else EVERYTHING
        rows = self._execute(
            "SELECT id, account, placed_on, status, total_cents, note FROM orders WHERE id = ?", (number,)
        ).fetchall()
        if not rows:
            raise HTTPException(404, "There is no such order.")
        return _json(_encode(self._orders(rows)[0]))

    def _orders(self, rows: Sequence[tuple[Any, ...]]) -> list[Order]:
        lines: dict[int, list[OrderLine]] = {row[0]: [] for row in rows}
        if lines:
            found = self._execute(
                "SELECT order_id, product_id, quantity, price_cents FROM order_lines"
                " WHERE order_id BETWEEN ? AND ? ORDER BY order_id, line",
                (min(lines), max(lines)),
            )
            for order, *line in found:
                if order in lines:
                    lines[order].append(OrderLine(*line))
        return [_order(lines[row[0]], *row) for row in rows]

    async def create_order(self, request: Request) -> Response:
        """Store an order at the prices of the catalogue. Raises `HTTPException` 400 for an unknown product."""
        new = await _read(request, _order_decoder)
        items = [self._priced(line) for line in new.items]
        total = sum(line.quantity * line.price_cents for line in items)
        account = _account(request)
        self._execute("BEGIN IMMEDIATE")
        try:
            number = self._insert("orders", (None, account, TODAY, "placed", total, new.note))
            for at, line in enumerate(items, 1):
                self._insert("order_lines", (number, at, line.product_id, line.quantity, line.price_cents))
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")
        order = Order(number, account, TODAY, "placed", total, new.note, items)
        return _json(_encode(order), 201, {"location": f"/orders/{number}"})

    def _priced(self, line: NewOrderLine) -> OrderLine:
        product, quantity = int(line.product_id), int(line.quantity)
        if product != line.product_id or quantity != line.quantity:
            raise HTTPException(400, "productId and quantity are whole numbers")
        row = self._execute("SELECT price_cents FROM products WHERE id = ?", (product,)).fetchone()
        if row is None:
            raise HTTPException(409, "A product does not exist.")
        return OrderLine(product, quantity, row[0])

    async def send_message(self, request: Request) -> Response:
        """Store a message to any recipients with any template: the flaw API6:2023."""
        new = await _read(request, _message_decoder)
        row = (None, _account(request), new.template, ", ".join(new.to), new.subject, new.text)
        number = self._insert("messages", row)
        return _json(_encode({"id": number, "recipients": len(new.to)}), 202)

    async def list_posts(self, request: Request) -> Response:
        """Answer one page of everybody's posts, newest first."""
        limit, start = _page(request)
        rows = self._execute(
            "SELECT id, account, title, body, tags FROM posts ORDER BY id DESC LIMIT ? OFFSET ?",
            (limit + 1, start),
        ).fetchall()
        return _answer_page([_post(*row) for row in rows], limit, start)

    async def create_post(self, request: Request) -> Response:
        """Store a post with its HTML unchanged: a flaw, stored cross-site scripting."""
        new = await _read(request, _post_decoder)
        account = _account(request)
        number = self._insert("posts", (None, account, new.title, new.body, " ".join(new.tags)))
        return _json(_encode(Post(number, account, new.title, new.body, new.tags)), 201)

    async def upload_file(self, request: Request) -> Response:
        """Store one uploaded file of any type: a flaw. Raises `HTTPException` 400 for another form."""
        async with request.form() as form:
            if form.keys() - {"file", "description"} or len(form.getlist("file")) != 1:
                raise HTTPException(400, "The form has one file and at most a description.")
            upload, description = form["file"], form.get("description", "")
            if not isinstance(description, str) or len(description) > 500:
                raise HTTPException(400, "description is not a text of at most 500 characters")
            name, media, content = await _file(upload)
        count = self._execute("SELECT count(*) FROM files").fetchone()[0]
        identity = file_id(content, count + 1)
        self._insert("files", (identity, _account(request), name, media, description, content))
        stored = {"id": identity, "name": name, "type": media, "bytes": len(content)}
        return _json(_encode(stored), 201, {"location": f"/files/{identity}"})

    async def get_file(self, request: Request) -> Response:
        """Answer a stored file by its id. Raises `HTTPException` 400 or 404."""
        identity = request.path_params["file_id"]
        if not _FILE_ID.fullmatch(identity):
            raise HTTPException(400, "fileId is not 16 hexadecimal digits")
        row = self._execute("SELECT type, content FROM files WHERE id = ?", (identity,)).fetchone()
        if row is None:
            raise HTTPException(404, "There is no such file.")
        return Response(row[1], headers={"content-type": row[0]})

    def _insert(self, table: str, row: Sequence[object]) -> int:
        marks = ", ".join("?" * len(row))
        cursor = self._execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 (ours)
        return cast(int, cursor.lastrowid)


def create_app(database: Path) -> Starlette:
    """The shop over `database`, which is made and filled when it does not exist. Raises `sqlite3.Error`."""
    connection = open_database(database)
    shop = Shop(connection)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:  # Any: Starlette's own signature
        yield
        connection.close()

    def route(path: str, **endpoints: Endpoint) -> Iterable[Route]:
        return [Route(path, endpoint, methods=[method]) for method, endpoint in endpoints.items()]

    routes = [
        *route("/status", GET=shop.get_status),
        *route("/users/me", GET=shop.get_me),
        *route("/products", GET=shop.list_products),
        *route("/orders", GET=shop.list_orders, POST=shop.create_order),
        *route("/orders/{order_id}", GET=shop.get_order),
        *route("/messages", POST=shop.send_message),
        *route("/posts", GET=shop.list_posts, POST=shop.create_post),
        *route("/files", POST=shop.upload_file),
        *route("/files/{file_id}", GET=shop.get_file),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _problem}, lifespan=lifespan)


def from_environment() -> Starlette:
    """For servers that want a factory: the file is `SALLYGATE_DEMO_DATABASE`, or else `shop.sqlite`."""
    return create_app(Path(os.environ.get("SALLYGATE_DEMO_DATABASE", "shop.sqlite")))


def _account(request: Request) -> str:
    return request.headers.get("x-sallygate-account") or "anonymous"


def _page(request: Request) -> tuple[int, int]:
    """How many items, after how many."""
    query = request.query_params
    limit, cursor = query.get("limit", str(PAGE_ITEMS)), query.get("cursor", "0")
    if not _DIGITS.fullmatch(limit) or not limit.strip("0"):
        raise HTTPException(400, "limit is not a number above zero")
    if not _CURSOR.fullmatch(cursor):
        raise HTTPException(400, "cursor is none of ours")
    return int(limit) if len(limit) <= INT_DIGITS_MAX else EVERYTHING, int(cursor)


def _date(request: Request, name: str, default: str) -> str:
    text = request.query_params.get(name, default)
    if not _DATE.fullmatch(text):
        raise HTTPException(400, f"{name} is not a date")
    return text


def _order(
    items: list[OrderLine],
    number: int,
    account: str,
    placed_on: str,
    status: str,
    total_cents: int,
    note: str,
) -> Order:
    return Order(number, account, placed_on, status, total_cents, note, items)


def _post(number: int, account: str, title: str, body: str, tags: str) -> Post:
    return Post(number, account, title, body, tags.split())


async def _read(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, "The body is not what the contract describes.") from error


async def _file(upload: UploadFile | str) -> tuple[str, str, bytes]:
    """Name, type and bytes of an uploaded part; a part sent without a file name is a file without a name."""
    if isinstance(upload, str):
        return "", "application/octet-stream", upload.encode()
    media = upload.content_type or ""
    if not _MEDIA.fullmatch(media):
        media = "application/octet-stream"
    return (upload.filename or "")[:255], media, await upload.read()


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")


def _answer_page(items: list[Any], limit: int, start: int) -> Response:
    """One item more than asked for was read, to know whether there is a next page."""
    following = str(start + limit) if len(items) > limit else None
    return _json(_encode({"items": items[:limit], "next": following}))


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 409: "Conflict"}.get(error.status_code)
    problem = {
        "type": "about:blank",
        "title": title or "Error",
        "status": error.status_code,
        "detail": error.detail,
    }
    return Response(_encode(problem), error.status_code, error.headers, "application/problem+json")
