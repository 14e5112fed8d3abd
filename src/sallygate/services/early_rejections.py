"""Recorder of early rejections: into events, metrics and hits of restrictions, ten times a second."""

from __future__ import annotations

from collections.abc import Callable

from sallygate.events.record import Source, early_event
from sallygate.events.rejection_counts import RejectionCounts
from sallygate.model.event import Event
from sallygate.model.finding import Finding
from sallygate.state.state import State
from sallygate.telemetry.metrics import Metrics


class EarlyRejections:
    """Lives as long as the gate. `met` counts hits of restrictions; `source` gives what the events of the policy in
    force have in common."""

    def __init__(
        self,
        state: State,
        put: Callable[[Event], None],
        metrics: Metrics,
        met: Callable[[Finding, int], None],
        source: Callable[[], Source],
    ) -> None:
        self._state, self._put, self._metrics, self._met = state, put, metrics, met
        self._source = source
        self.counts = RejectionCounts()

    async def step(self) -> None:
        """Record what was counted since the last time."""
        for one in self.counts.take():
            origin = self._state.geography.of(one.address)
            self._put(early_event(one, self._source(), origin.country, origin.asn))
            self._metrics.count_early(one)
            self._met(one.finding, one.count)
            if one.finding.code == "flood.shed":
                self._state.shedder.count(one.finding.rule, one.finding.evidence, True, one.count)
