"""`/auth` inside an application: the same door as the gateway's, and the application never sees it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sallygate import Guard
from support import make_account, make_key, write_policy

POLICY = "transport: {plain: loopback}\nauth: {issuer: 'https://api.example', delivery: {outbox: outbox.jsonl}}\n"
SEEN: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    SEEN.append(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def ask(guarded: Guard, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    sent: list[Any] = []
    given = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "server": ("127.0.0.1", 443),
        "client": ("127.0.0.1", 1), "headers": [(b"host", b"a"), (b"content-length", b"%d" % len(body)), *given],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await guarded(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(one.get("body", b"") for one in sent[1:]) or b"null")


def test_a_key_is_traded_in_process_and_the_application_never_asked(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, POLICY)
    make_account(policy, "alice", contact="alice@example.org")
    key = make_key(policy)
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    async def story() -> None:
        guarded = Guard(app, policy=policy)
        body = urlencode({"grant_type": "client_credentials", "client_secret": key}).encode()
        status, tokens = await ask(guarded, "POST", "/auth/token", body, **form)
        assert status == 200 and not SEEN
        token = f"Bearer {tokens['access_token']}"
        assert (await ask(guarded, "GET", "/things", Authorization=token))[0] == 200 and SEEN == ["/things"]
        assert (await ask(guarded, "POST", "/auth/codes", b"account=alice", **form))[0] == 202
        assert (await ask(guarded, "GET", "/auth/token"))[0] == 405
        assert (
            await ask(guarded, "POST", "/auth/revoke", urlencode({"token": tokens["access_token"]}).encode(), **form)
        )[0] == 200
        assert (await ask(guarded, "GET", "/things", Authorization=token))[0] == 401 and len(SEEN) == 1
        await guarded.runtime.stop()

    asyncio.run(story())
