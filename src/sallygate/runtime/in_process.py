"""Protection inside an ASGI application: `app = Guard(app, policy="sallygate.yaml")`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sallygate import guard
from sallygate.guard import App, Receive, Scope, Send
from sallygate.runtime.runtime import Runtime


class Guard(guard.Guard):
    """ASGI middleware that decides as the gateway does, by the same policy.

    Starts with the application's lifespan, or at the first request where a server or framework has none. Its counters
    are those of its process: with several server processes each allows the whole rate, and it says so at start.

    Raises `sallygate.policy.errors.PolicyError` when the policy does not apply, and
    `sallygate.ports.StoreError` when the state directory cannot be used.
    """

    def __init__(self, app: App, policy: str | Path) -> None:
        self.runtime = Runtime(policy, "guard")
        self._starting: asyncio.Lock | None = None
        self._ready = False
        self.runtime.log.info(
            "limits are counted per process: run one server process, or each of them allows the whole rate",
            policy=self.runtime.loaded.hash,
        )
        super().__init__(app, self.runtime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._ready and scope["type"] != "lifespan":
            await self._start()
        await super().__call__(scope, receive, send)

    async def _start(self) -> None:
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            await self.runtime.start()
            self._ready = True
