"""Early rejections, recorded: into events, metrics and hits of restrictions, ten times a second."""

from __future__ import annotations

from collections.abc import Callable

from sallygate.events.early_tally import Tally
from sallygate.events.record import PATH_CHARS_MAX
from sallygate.model.event import Event, Location
from sallygate.model.exchange import MANY, Turned
from sallygate.model.finding import Finding
from sallygate.state.geography import Geography
from sallygate.state.state import State
from sallygate.telemetry.metrics import Metrics


class EarlyRejections:
    """Lives as long as the gate. `met` counts hits of restrictions; `policy_hash` gives the policy in force."""

    def __init__(
        self,
        state: State,
        put: Callable[[Event], None],
        metrics: Metrics,
        met: Callable[[Finding, int], None],
        policy_hash: Callable[[], str],
    ) -> None:
        self._state, self._put, self._metrics, self._met = state, put, metrics, met
        self._policy_hash = policy_hash
        self.tally = Tally()

    async def beat(self) -> None:
        """Record what was counted since the last time."""
        for one in self.tally.take():
            self._put(_event(one, self._state.geography, self._policy_hash()))
            self._metrics.turned_away(one)
            self._met(one.finding, one.count)
            if one.finding.code == "flood.shed":
                self._state.shedder.count(one.finding.rule, one.finding.evidence, True, one.count)


def _event(one: Turned, geography: Geography, policy: str) -> Event:
    origin = geography.of(one.address)
    many = one.address == MANY
    return Event(
        version=1,
        at=one.at,
        request_id=one.request_id,
        trace_id=one.request_id,
        decision=one.finding.verdict,
        status=one.finding.status,
        method=one.method,
        path="" if many else one.path[:PATH_CHARS_MAX],
        client_address=one.address,
        location=Location(one.network, origin.country, origin.asn),
        findings=(one.finding,),
        policy=policy,
        program="",
        response_bytes=one.response_bytes,
        took_us=one.took_us // one.count,
        gate_us=one.took_us // one.count,
        count=one.count,
        until=one.until if one.count > 1 else 0.0,
    )
