"""A gate with accounts, in this process: the real runtime and store, cheap hashes, a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sallygate.admin.accounts import Accounts
from sallygate.guard import Guard
from sallygate.model.exchange import Exchange
from sallygate.runtime.runtime import Runtime
from sallygate.security import passwords
from sallygate.services.clock import Clock
from sallygate.stores.sqlite.store import SqliteStore
from support import write_policy

PASSWORD = "correct horse battery"
LOGINS = "{answer_every: 50ms}"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class HandClock(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s

    def check(self) -> float | None:
        return None


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


@dataclass
class LoginHouse:
    runtime: Runtime
    clock: HandClock
    store: SqliteStore
    accounts: Accounts
    exchanges: list[Exchange] = field(default_factory=list)
    reached: int = 0

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"items":[]}'})

    async def ask(
        self,
        name: str = "alice",
        password: str = PASSWORD,
        address: str = "192.0.2.1",
        *,
        raw: str = "",
        **headers: str,
    ) -> Answer:
        """One call with an account's name and password; `raw` is the whole `Authorization` instead."""
        pairs = [(b"host", b"a"), (b"authorization", (raw or basic(name, password)).encode())]
        pairs += [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        return await self.send(pairs, address)

    async def send(self, headers: list[tuple[bytes, bytes]], address: str = "192.0.2.1") -> Answer:
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "path": "/things",
            "raw_path": b"/things", "query_string": b"", "headers": headers, "client": (address, 1),
            "server": ("127.0.0.1", 443), "root_path": "",
        }  # fmt: skip
        got: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            got.append(message)

        await Guard(self._app, self.runtime)(scope, receive, send)
        head = {name.decode().lower(): value.decode() for name, value in got[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in got[1:])
        return Answer(got[0]["status"], head, json.loads(body or b"{}"))

    async def synced(self) -> None:
        await self.runtime._sync()

    @property
    def rules(self) -> list[str]:
        """What the events say was wrong, oldest first."""
        return [one.decision.findings[0].rule for one in self.exchanges if one.decision.findings]


@pytest.fixture(autouse=False)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passwords.PROFILES, "rfc9106-low-memory", passwords.PROFILES["for-tests"])


@asynccontextmanager
async def house(
    directory: Path, logins: str = LOGINS, accounts: str = "", identity: str = ""
) -> AsyncIterator[LoginHouse]:
    """With the account `alice`."""
    file = write_policy(
        directory,
        f"identity: {{basic: {{}}{identity}}}\naccounts: {{logins: {logins}{accounts}}}\n"
        'plans:\n  large: {rate: 1000/s burst 1000, concurrent: 1000, scopes: ["*"]}\n',
    )
    clock = HandClock()
    runtime = Runtime(file, "in_process", clock=clock)
    store = SqliteStore(runtime.installation.database)  # another connection, as a command has
    admin = Accounts(store, "test", now=clock.now)
    admin.create("alice", "large", password=PASSWORD)
    await runtime.start()
    made = LoginHouse(runtime, clock, store, admin)
    runtime.sinks.watch(made.exchanges.append)
    try:
        yield made
    finally:
        await runtime.stop()
        store.close()


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)
