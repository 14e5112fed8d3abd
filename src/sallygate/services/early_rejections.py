"""Who was turned away at the door: into events, numbers and hits, ten times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sallygate.events.early_tally import Tally
from sallygate.events.record import PATH_CHARS_MAX
from sallygate.model.event import Event, Place
from sallygate.model.exchange import MANY, Turned
from sallygate.state.geography import Geography

if TYPE_CHECKING:
    from sallygate.runtime.runtime import Runtime


class AtTheDoor:
    """Lives as long as the runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.tally = Tally()

    async def beat(self) -> None:
        runtime = self._runtime
        for one in self.tally.take():
            runtime.events.put(_event(one, runtime.state.geography, runtime.gate.policy_hash))
            runtime.reporting.metrics.turned_away(one)
            runtime.counters.met(one.finding, one.count)
            if one.finding.code == "flood.shed":
                runtime.state.shedder.count(one.finding.rule, one.finding.evidence, True, one.count)


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
        place=Place(one.network, origin.country, origin.asn),
        findings=(one.finding,),
        policy=policy,
        program="",
        response_bytes=one.response_bytes,
        took_us=one.took_us // one.count,
        gate_us=one.took_us // one.count,
        count=one.count,
        until=one.until if one.count > 1 else 0.0,
    )
