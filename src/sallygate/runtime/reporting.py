"""What a running gate tells of itself: its numbers, its state, and to whom. Asked by operators, never by a decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from sallygate.net.sockets import control_socket, listening
from sallygate.policy.units import read_endpoint
from sallygate.runtime.status import status_of
from sallygate.telemetry.exporting import Exporting
from sallygate.telemetry.management import Management
from sallygate.telemetry.metrics import Metrics
from sallygate.telemetry.status import ListenerStatus, Status, UpstreamState

if TYPE_CHECKING:
    from sallygate.runtime.runtime import Runtime
    from sallygate.telemetry.otlp import OtlpExport

BACKLOG = 64


async def _none() -> Sequence[UpstreamState]:
    return ()


class Reporting:
    """`start` after the stores, `stop` before them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.metrics = Metrics()
        self.listeners: list[ListenerStatus] = []
        self.upstreams: Callable[[], Awaitable[Sequence[UpstreamState]]] = _none
        self.traces: OtlpExport | None = None
        """Where spans go, when some do."""
        self._management = Management(self._status, self.metrics.snapshot)
        self._exporting: Exporting | None = None
        self._controls = False
        """Whether the control socket is this process's."""
        self._told = False

    async def _status(self) -> Status:
        return await status_of(self._runtime)

    async def start(self) -> None:
        """Raises `StoreError` for a management listener that cannot be had."""
        runtime = self._runtime
        await self.take_control()
        policy = runtime.loaded.policy
        if policy.listen is not None and policy.listen.management is not None:
            address = policy.listen.management
            listener = listening(*read_endpoint(address), BACKLOG, runtime.handed_over)
            self.listeners.append(ListenerStatus("management", address))
            await self._management.serve(listener, control=False)
        if policy.telemetry is not None:
            self._exporting = Exporting(
                runtime.loaded, self.metrics, self._status, runtime.clock.now, runtime.failed, runtime.instance
            )
            self._exporting.start()
            if policy.telemetry.traces > 0:
                self.traces = self._exporting.export
                runtime.on_exchange.append(self.traces.watch)

    async def take_control(self) -> None:
        """Answer this machine's commands, unless another process of this state directory does; asked again and again,
        since that one may end first."""
        if self._controls:
            return
        runtime = self._runtime
        why = "another process does"
        try:
            control = control_socket(runtime.installation.control)
        except OSError as error:
            control, why = None, str(error)
        if control is not None:
            self._controls = True
            await self._management.serve(control, control=True)
        elif not self._told:
            self._told = True
            runtime.log.warning("this process does not answer `sallygate status`", why=why)

    async def stop(self) -> None:
        if self._exporting is not None:
            await self._exporting.stop()
        await self._management.close()
        if self._controls:
            self._controls = False
            self._runtime.installation.control.unlink(missing_ok=True)
