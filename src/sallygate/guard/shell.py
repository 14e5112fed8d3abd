"""The ASGI shell of one exchange: translates between ASGI's messages and the driver's events and commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.response import Commands
from sallygate.guard.api_call import ApiCall
from sallygate.guard.connection import ClientConnection, cut
from sallygate.guard.draining import drain
from sallygate.guard.services import App, Receive, Scope, Send, Services
from sallygate.guard.work import do_work
from sallygate.model import driver as d


class Shell:
    """One exchange over ASGI."""

    __slots__ = ("_api", "_app", "_client", "_driver", "_services")

    def __init__(self, services: Services, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self._services, self._app = services, app
        tick = services.tick_us() / 1e6
        self._client = ClientConnection(services, scope, receive, send)
        self._driver = ExchangeDriver(self._client.gate, self._client.head, services, tick)
        self._api = ApiCall(self._client, self._driver, app)

    async def run(self) -> None:
        """The exchange, to its end."""
        driver = self._driver
        try:
            commands = driver.start()
            while commands:
                event = await self._carry_out(commands)
                if event is None:
                    break
                commands = driver.feed(event)
        finally:
            if not driver.ended:
                await self._carry_out(driver.close(*self._client.at()))
        if self._client.unread:  # what was answered has left; the exchange is recorded, its slots given back
            await drain(self._client.receive)

    async def _carry_out(self, commands: Commands) -> d.Event | None:
        """Carry out a batch; the event its last command asks for."""
        event: d.Event | None = None
        for command in commands:
            if (do := _AT_ONCE.get(type(command))) is not None:
                do(self, command)
            else:
                event = await _WAITING[type(command)](self, command)
        return event

    def _record(self, command: d.Record) -> None:
        self._services.record(command.exchange, self._client.gate)

    async def _work(self, command: d.Work) -> d.Event:
        return await do_work(self._client, command, self._app)

    async def _offload(self, command: d.Offload) -> d.Event:
        try:
            result = await self._services.aside(command.call)
        except Exception as error:
            return d.Offloaded(*self._client.at(), error=error)
        return d.Offloaded(*self._client.at(), result)

    async def _reply(self, command: d.Reply) -> d.Event:
        await self._client.reply(command)
        return d.Sent(*self._client.at())


_AT_ONCE: dict[type[Any], Callable[[Shell, Any], None]] = {
    d.Record: Shell._record,
    d.Deadline: lambda shell, command: shell._api.set_deadline(command),
    d.ReadRecord: lambda shell, command: shell._api.read_records(command),
    d.ReleaseSlot: lambda shell, command: shell._client.release_slot(command),
    d.Cut: lambda shell, command: cut(command),
}
_WAITING: dict[type[Any], Callable[[Shell, Any], Awaitable[d.Event]]] = {
    d.Work: Shell._work,
    d.ReadBody: lambda shell, command: shell._client.read_body(command),
    d.Spool: lambda shell, command: shell._client.spool(command),
    d.Offload: Shell._offload,
    d.TakeSlot: lambda shell, command: shell._client.wait_for_slot(command),
    d.CallApi: lambda shell, command: shell._api.run(command),
    d.Reply: Shell._reply,
}
"""Commands outside the API's part, and how they are carried out. One that is in neither ends the exchange: refused."""
