"""Guard inside an ASGI application: `app = Guard(app, policy="sallygate.yaml")`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sallygate import guard
from sallygate.guard import App, Receive, Scope, Send
from sallygate.runtime.runtime import Runtime


class Guard(guard.Guard):
    """ASGI middleware that decides as the gateway does, by the same policy.

    Starts with the application's lifespan, or at the first request where a server or framework has none. One Guard
    serves from a state directory: a second one, of this process or another, is refused at its start.

    Raises `sallygate.policy.errors.PolicyError` when the policy does not apply, and
    `sallygate.ports.StoreError` when the state directory cannot be used, or another gate serves from it.
    """

    def __init__(self, app: App, policy: str | Path) -> None:
        self.runtime = Runtime(policy, "in_process")
        self._starting: asyncio.Lock | None = None
        self._ready = False
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
