"""Guard: the ASGI middleware, and the only place that enforces.

    read head ─▶ engine.admit ─▶ work, at most three rounds ─▶ charge ─▶ read body as told ─▶ engine.examine    (call)
        ─▶ the API ─▶ engine.release ─▶ stream, metered ─▶ engine.learn ─▶ charge ─▶ record                     (answer)

Guard does what the engine only says: it waits, reads, writes, charges. It judges nothing itself; when something it
depends on fails, it refuses.
"""

from __future__ import annotations

from sallygate.guard.call import Call
from sallygate.guard.rush import turn_away
from sallygate.guard.services import App, Gate, Message, Receive, Scope, Send, Services

__all__ = ["App", "Gate", "Guard", "Receive", "Scope", "Send", "Services"]


class Guard:
    """Protects `app`. `services` is the composition root's; users build one with `sallygate.Guard(app, policy=…)`."""

    def __init__(self, app: App, services: Services) -> None:
        self.app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" or kind == "websocket":
            services = self._services
            door = services.gate.door
            if kind == "http" and (away := door.look(scope, services.now())) is not None and not services.watched:
                await door.turn_away(services, scope, send, *away)
                return
            rush = services.gate.rush
            if rush is not None and (finding := rush.look(scope, services.now())) is not None:
                await turn_away(services, scope, send, finding)
                return
            services.under_way += 1
            try:
                await Call(services, self.app, scope, receive, send).run()
            finally:
                services.under_way -= 1
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            raise RuntimeError(f"ASGI scope type {kind!r} is not known, so it is not let through")

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start with the application, before it answers; stop after it."""

        async def started(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._services.lifespan("startup")
            elif message["type"] == "lifespan.shutdown.complete":
                await self._services.lifespan("shutdown")
            await send(message)

        await self.app(scope, receive, started)
