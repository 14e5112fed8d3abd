"""Reporting of a running gate: metrics, the management listener, the control socket, and exports to OpenTelemetry."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from sallygate.net.sockets import control_socket, listening
from sallygate.policy.load import Loaded
from sallygate.policy.units import read_endpoint
from sallygate.security.state_directory import Installation
from sallygate.telemetry.exporter import Exporting
from sallygate.telemetry.log import Log
from sallygate.telemetry.management import Management
from sallygate.telemetry.metrics import Metrics
from sallygate.telemetry.status import ListenerStatus, Status, UpstreamState

if TYPE_CHECKING:
    from sallygate.telemetry.otlp import OtlpExport

BACKLOG = 64


async def _none() -> Sequence[UpstreamState]:
    return ()


class Reporting:
    """`start` after the stores, `stop` before them. `status` is asked for by each reader."""

    def __init__(
        self,
        installation: Installation,
        status: Callable[[], Awaitable[Status]],
        now: Callable[[], float],
        failed: Callable[[str, BaseException], None],
        log: Log,
    ) -> None:
        self._installation, self._status, self._now, self._failed, self._log = installation, status, now, failed, log
        self.metrics = Metrics()
        self.listeners: list[ListenerStatus] = []
        self.upstreams: Callable[[], Awaitable[Sequence[UpstreamState]]] = _none
        self.traces: OtlpExport | None = None
        """Where spans go, when some do."""
        self._management = Management(status, self.metrics.snapshot)
        self._exporting: Exporting | None = None
        self._controls = False
        """Whether the control socket is this process's."""
        self._has_warned = False

    async def start(self, loaded: Loaded, instance: str, handed_over: dict[tuple[str, int], socket.socket]) -> None:
        """`handed_over`: listening sockets of systemd's. Raises `StoreError` for a management listener that cannot be
        had."""
        await self.take_control()
        policy = loaded.policy
        if policy.listen is not None and policy.listen.management is not None:
            address = policy.listen.management
            listener = listening(*read_endpoint(address), BACKLOG, handed_over)
            self.listeners.append(ListenerStatus("management", address))
            await self._management.serve(listener, control=False)
        if policy.telemetry is not None:
            self._exporting = Exporting(loaded, self.metrics, self._status, self._now, self._failed, instance)
            self._exporting.start()
            if policy.telemetry.traces > 0:
                self.traces = self._exporting.export

    async def take_control(self) -> None:
        """Answer this machine's commands, unless another process of this state directory does; asked again and again,
        since that one may end first."""
        if self._controls:
            return
        why = "another process does"
        try:
            control = control_socket(self._installation.control)
        except OSError as error:
            control, why = None, str(error)
        if control is not None:
            self._controls = True
            await self._management.serve(control, control=True)
        elif not self._has_warned:
            self._has_warned = True
            self._log.warning("this process does not answer `sallygate status`", why=why)

    async def stop(self) -> None:
        """Close what listens, and export what is left."""
        if self._exporting is not None:
            await self._exporting.stop()
        await self._management.close()
        if self._controls:
            self._controls = False
            self._installation.control.unlink(missing_ok=True)
