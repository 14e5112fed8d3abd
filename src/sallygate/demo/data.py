"""Database of the sample API: tables, and rows that are the same on every machine.

Knows SQLite and the shop's nouns; refuses to know HTTP. No chance and no clock: every row is a function of
its number, so that a demonstration, a test and a benchmark speak of the same orders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

ACCOUNTS: Final = 40
PRODUCTS: Final = 120
ORDERS: Final = 400
POSTS: Final = 60
MESSAGES: Final = 30
FILES: Final = 12

DEMO_ACCOUNTS: Final = {"free": "acct_0001", "pro": "acct_0002", "partner": "acct_0003"}
"""Plan → the seeded account the demonstration's key of that plan belongs to."""

BUSY_S: Final = 5.0
"""How long a writer waits for another one: above any transaction here by three orders of magnitude."""

STATEMENT_STEPS_MAX: Final = 5_000_000
"""SQLite steps one statement may take: a listing of everything takes under 50,000, and an injected cross join
is stopped after about a tenth of a second, because it would hold the event loop."""

_TABLES: Final = """
CREATE TABLE accounts (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, plan TEXT NOT NULL,
  password_hash TEXT NOT NULL, card_last4 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE products (
  id INTEGER PRIMARY KEY, sku TEXT NOT NULL, name TEXT NOT NULL, category TEXT NOT NULL,
  price_cents INTEGER NOT NULL, stock INTEGER NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, account TEXT NOT NULL, placed_on TEXT NOT NULL, status TEXT NOT NULL,
  total_cents INTEGER NOT NULL, note TEXT NOT NULL
);
CREATE TABLE order_lines (
  order_id INTEGER NOT NULL, line INTEGER NOT NULL, product_id INTEGER NOT NULL, quantity INTEGER NOT NULL,
  price_cents INTEGER NOT NULL, PRIMARY KEY (order_id, line)
) WITHOUT ROWID;
CREATE TABLE messages (
  id INTEGER PRIMARY KEY, account TEXT NOT NULL, template TEXT NOT NULL, recipients TEXT NOT NULL,
  subject TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE posts (
  id INTEGER PRIMARY KEY, account TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, tags TEXT NOT NULL
);
CREATE TABLE files (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  description TEXT NOT NULL, content BLOB NOT NULL
);
"""

_CATEGORIES: Final = ("garden", "kitchen", "lighting", "office", "outdoor", "textiles")
_ADJECTIVES: Final = (
    "Plain",
    "Oak",
    "Folding",
    "Enamel",
    "Linen",
    "Brass",
    "Slate",
    "Tall",
    "Woven",
    "Round",
)
_NOUNS: Final = (
    "Lamp",
    "Stool",
    "Kettle",
    "Trowel",
    "Blanket",
    "Tray",
    "Shelf",
    "Basket",
    "Lantern",
    "Jug",
    "Clock",
    "Bench",
)
_FIRST: Final = ("Ada", "Bram", "Chidi", "Dara", "Elif", "Farid", "Greta", "Hana", "Ivo", "Jun")
_LAST: Final = ("Abara", "Berg", "Castro", "Dietz", "Eriksen", "Fontaine", "Gupta", "Haddad")
_STATUSES: Final = ("placed", "paid", "shipped", "delivered", "cancelled")
_TEMPLATES: Final = ("welcome", "reset", "receipt")


def open_database(path: Path) -> sqlite3.Connection:
    """Opens the shop's database, making and filling it when the file is new. Raises `sqlite3.Error`.

    The connection commits by itself and may be used from any one thread at a time.
    """
    # Statements that are kept count their steps over all their runs, and would be stopped after many.
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=0
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")  # a sample may lose its last order when the machine dies
        connection.execute("BEGIN IMMEDIATE")
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'files'").fetchone()
        if known is None:
            _seed(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    connection.set_progress_handler(lambda: 1, STATEMENT_STEPS_MAX)
    return connection


def _seed(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    products = list(_products())
    connection.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?)", _accounts())
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)", products)
    prices = {product[0]: product[4] for product in products}
    for number in range(1, ORDERS + 1):
        lines = list(_lines(number, prices))
        connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", _order(number, lines))
        connection.executemany("INSERT INTO order_lines VALUES (?, ?, ?, ?, ?)", lines)
    connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", _messages())
    connection.executemany("INSERT INTO posts VALUES (?, ?, ?, ?, ?)", _posts())
    connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", _files())


def _spread(*seed: object) -> int:
    """A number that looks arbitrary and never changes."""
    return int.from_bytes(sha256(repr(seed).encode()).digest()[:6], "big")


def _account(number: int) -> str:
    return f"acct_{number:04d}"


def _accounts() -> Iterator[tuple[str, str, str, str, str, str]]:
    plans = tuple(DEMO_ACCOUNTS)
    for number in range(1, ACCOUNTS + 1):
        first, last = _FIRST[number % len(_FIRST)], _LAST[number // 2 % len(_LAST)]
        email = f"{first}.{last}{number}@customers.example".lower()
        stored = "argon2id$" + sha256(b"password %d" % number).hexdigest()
        yield (
            _account(number),
            f"{first} {last}",
            email,
            plans[(number - 1) % 3],
            stored,
            f"{_spread(number) % 10000:04d}",
        )


def _products() -> Iterator[tuple[int, str, str, str, int, int]]:
    for number in range(1, PRODUCTS + 1):
        noun = _NOUNS[(number - 1) % len(_NOUNS)]
        name = f"{_ADJECTIVES[(number - 1) // len(_NOUNS)]} {noun}"
        category = _CATEGORIES[_spread("category", number) % len(_CATEGORIES)]
        price_cents = 495 + _spread("price", number) % 200 * 100
        yield (
            number,
            f"{noun[:3].upper()}-{number:04d}",
            name,
            category,
            price_cents,
            _spread("stock", number) % 300,
        )


def _lines(order: int, prices: dict[int, int]) -> Iterator[tuple[int, int, int, int, int]]:
    for line in range(1, 2 + _spread("lines", order) % 3):
        product = 1 + _spread("product", order, line) % PRODUCTS
        yield order, line, product, 1 + _spread("quantity", order, line) % 4, prices[product]


def _order(number: int, lines: list[tuple[int, int, int, int, int]]) -> tuple[int, str, str, str, int, str]:
    month, day = 1 + (number - 1) * 12 // ORDERS, 1 + _spread("day", number) % 28
    account = _account(1 + _spread("account", number) % ACCOUNTS)
    total = sum(line[3] * line[4] for line in lines)
    note = "Please ring twice." if number % 17 == 0 else ""
    return (
        number,
        account,
        f"2026-{month:02d}-{day:02d}",
        _STATUSES[_spread("status", number) % len(_STATUSES)],
        total,
        note,
    )


def _messages() -> Iterator[tuple[int, str, str, str, str, str]]:
    people = list(_accounts())
    for number in range(1, MESSAGES + 1):
        to = people[_spread("to", number) % ACCOUNTS]
        text = f"Hello {to[1]}, thank you for shopping with us."
        yield number, _account(3), _TEMPLATES[number % 3], to[2], f"Your shop, letter {number}", text


def _posts() -> Iterator[tuple[int, str, str, str, str]]:
    for number in range(1, POSTS + 1):
        noun = _NOUNS[number % len(_NOUNS)]
        body = f"<p>Three months with this {noun.lower()}: it does what it should.</p>"
        yield (
            number,
            _account(1 + _spread("author", number) % ACCOUNTS),
            f"On the {noun.lower()}",
            body,
            noun.lower(),
        )


def _files() -> Iterator[tuple[str, str, str, str, str, bytes]]:
    for number in range(1, FILES + 1):
        content = f"Invoice {number}\nTotal: {_spread('invoice', number) % 90000 / 100:.2f} EUR\n".encode()
        yield (
            file_id(content, number),
            _account(1 + number % 3),
            f"invoice-{number:03d}.txt",
            "text/plain",
            "an invoice",
            content,
        )


def file_id(content: bytes, number: int) -> str:
    """The name a stored file gets: 16 hexadecimal digits of its content and place."""
    return sha256(b"%d\n%s" % (number, content)).hexdigest()[:16]
