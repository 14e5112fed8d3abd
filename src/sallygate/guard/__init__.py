"""Guard: the ASGI shell of the exchange driver. It reads, waits and writes, and branches on no finding.

The flow of an exchange is `engine/exchange.py`; `guard/shell.py` carries out its commands over ASGI.
"""

from __future__ import annotations

from sallygate.engine.early import EarlyRefusal
from sallygate.guard.early import refuse_early
from sallygate.guard.services import App, Message, Receive, Scope, Send, Services
from sallygate.guard.shell import Shell

__all__ = ["App", "Guard", "Receive", "Scope", "Send", "Services"]


class Guard:
    """Protects `app`. `services` is the composition root's; users build one with `sallygate.Guard(app, policy=…)`."""

    def __init__(self, app: App, services: Services) -> None:
        self.app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" or kind == "websocket":
            services = self._services
            if kind == "http" and (refusal := self._early(scope)) is not None:
                await refuse_early(services, scope, receive, send, refusal)
                return
            services.under_way += 1
            try:
                await Shell(services, self.app, scope, receive, send).run()
            finally:
                services.under_way -= 1
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            raise RuntimeError(f"ASGI scope type {kind!r} is not known, so it is not let through")

    def _early(self, scope: Scope) -> EarlyRefusal | None:
        """What refuses the request before it is read. Nothing does while somebody wants to see every exchange."""
        services = self._services
        gate = services.gate
        if services.watched:
            gate.state.shedder.arrived += 1
            return None
        return gate.early.look(scope, services.now(), services.new_request_id)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start with the application, before it answers; stop after it."""

        async def started(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._services.lifespan("startup")
            elif message["type"] == "lifespan.shutdown.complete":
                await self._services.lifespan("shutdown")
            await send(message)

        await self.app(scope, receive, started)
