"""Finished exchange (request and response) and early rejections: the source of an event."""

from __future__ import annotations

from msgspec import Struct

from sallygate.model.decision import Decision
from sallygate.model.event import NO_LOCATION, Location
from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.outcome import Inspection
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge

NOTHING_LEARNED = Inspection()
GONE = 499
"""Status of an exchange whose client left first (nginx's number)."""
CUT = 599
"""Status of an exchange whose answer was cut on the way."""


class Exchange(Struct, frozen=True, gc=False):
    """Finished exchange with its decision, findings, sizes and times. Times are in microseconds."""

    head: RequestHead
    decision: Decision
    status: int
    """What the client was answered."""
    upstream_status: int = 0
    """0: the API was not asked."""
    operation: Operation | None = None
    principal: Principal | None = None
    path_values: tuple[tuple[str, str], ...] = ()
    body_ids: tuple[int, ...] = ()
    """Hashes of the ids a JSON body names; the body itself is not kept."""
    body_ids_truncated: bool = False
    request_bytes: int = 0
    response_bytes: int = 0
    learned: Inspection = NOTHING_LEARNED
    location: Location = NO_LOCATION
    charges: tuple[Charge, ...] = ()
    took_us: int = 0
    admit_us: int = 0
    """Until it was admitted, or refused."""
    gate_us: int = 0
    asked: tuple[tuple[bytes, int], ...] = ()
    """What the API was asked on the gate's own account: path and status, 0 where it failed."""


MANY = ""
"""Stands for the addresses of refusals that share one event."""


class EarlyRejection(Struct):
    """Refusals alike: one finding, one source, one method."""

    finding: Finding
    address: str
    network: str
    method: str
    path: str
    request_id: str
    at: float
    """Of the first; all else of it too."""
    until: float
    count: int = 0
    response_bytes: int = 0
    took_us: int = 0
    """Of all together."""
