"""The policy's `telemetry`, at work: when exports happen, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sallygate import __version__
from sallygate.policy.errors import PolicyError, Problem
from sallygate.policy.load import Loaded
from sallygate.telemetry.metrics import Metrics
from sallygate.telemetry.status import Status

if TYPE_CHECKING:
    from sallygate.telemetry.otlp import OtlpExport

SPANS_EVERY_S = 2.0


def check_telemetry(loaded: Loaded) -> None:
    """Raises `PolicyError` for a policy whose `telemetry` needs what is not installed."""
    if loaded.policy.telemetry is not None and find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        said = "`telemetry` needs packages that are not installed"
        problem = Problem(
            str(loaded.file), 0, "policy.reference", said, "pip install 'sallygate[otel]', or leave it out"
        )
        raise PolicyError([problem])


class Exporting:
    """Sends on a thread of its own. `failed` is told of every export that was not taken."""

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
        self._thread = ThreadPoolExecutor(1, "sallygate-telemetry")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._repeat(self._every, self._send_metrics))]
        if self.export.share > 0:
            self._tasks.append(asyncio.create_task(self._repeat(SPANS_EVERY_S, self._send_spans)))

    async def stop(self) -> None:
        """The last numbers and spans are sent, if the collector takes them soon."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._try(self._send_metrics)
        if self.export.share > 0:
            await self._try(self._send_spans)
        self.export.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

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
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self.export.export_metrics, snapshot, status, now)

    async def _send_spans(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self.export.export_spans)
