"""Exporter of metrics and traces by the policy's `telemetry`: schedule, and treatment of failed exports."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sallygate.policy.errors import PolicyError, Problem
from sallygate.policy.load import Loaded
from sallygate.telemetry.metrics import Metrics
from sallygate.telemetry.status import Status
from sallygate.version import __version__

if TYPE_CHECKING:
    from sallygate.telemetry.otlp import OtlpExport

SPANS_EVERY_S = 2.0
DEADLINE_S = 6.0
"""A little more than an export takes at most when its timeouts hold."""


def can_export() -> bool:
    """Whether the packages of the extra `otel` are there."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def check_telemetry(loaded: Loaded) -> None:
    """Raises `PolicyError` for a policy whose `telemetry` needs what is not installed."""
    if loaded.policy.telemetry is not None and not can_export():
        said = "`telemetry` needs packages that are not installed"
        problem = Problem(
            str(loaded.file), 0, "policy.reference", said, "pip install 'sallygate[otel]', or leave it out"
        )
        raise PolicyError([problem])


class Exporting:
    """Sends on threads of its own. `failed` is called for every export that was not accepted."""

    def __init__(
        self,
        loaded: Loaded,
        metrics: Metrics,
        status: Callable[[], Awaitable[Status]],
        now: Callable[[], float],
        failed: Callable[[str, BaseException], None],
        instance: str,
    ) -> None:
        from sallygate.telemetry.otlp import OtlpExport

        section = loaded.policy.telemetry
        assert section is not None
        self.export: OtlpExport = OtlpExport(
            section.otlp, section.service, section.traces, now(), instance, __version__
        )
        self._every = section.every
        self._metrics, self._status, self._now, self._failed = metrics, status, now, failed
        self._thread: threading.Thread | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the tasks that export metrics, and traces if a share is sampled."""
        self._tasks = [asyncio.create_task(self._repeat(self._every, self._send_metrics))]
        if self.export.share > 0:
            self._tasks.append(asyncio.create_task(self._repeat(SPANS_EVERY_S, self._send_spans)))

    async def stop(self) -> None:
        """The last numbers and spans are sent, if the collector takes them soon."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._thread is None or not self._thread.is_alive():
            await self._try(self._send_metrics)
            if self.export.share > 0:
                await self._try(self._send_spans)
        threading.Thread(target=self.export.close, daemon=True).start()  # it waits for what is under way

    async def _repeat(self, seconds: float, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._try(send)

    async def _try(self, send: Callable[[], Awaitable[None]]) -> None:
        try:
            await send()
        except Exception as error:  # a collector's faults are its own; the gate goes on
            self._failed("telemetry", error)

    async def _send_metrics(self) -> None:
        snapshot, status, now = self._metrics.snapshot(), await self._status(), self._now()
        await self._aside(lambda: self.export.export_metrics(snapshot, status, now))

    async def _send_spans(self) -> None:
        await self._aside(self.export.export_spans)

    async def _aside(self, send: Callable[[], None]) -> None:
        """On a thread that nobody has to wait for, one at a time. A collector that drips its answer, a byte a second,
        passes by every timeout but this one."""
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError("the collector is still taking what was sent before")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if not done.done():
                done.set_exception(error) if error is not None else done.set_result(None)

        def run() -> None:
            error: BaseException | None = None
            try:
                send()
            except Exception as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, error)

        self._thread = threading.Thread(target=run, name="sallygate-telemetry", daemon=True)
        self._thread.start()
        await asyncio.wait_for(done, DEADLINE_S)
