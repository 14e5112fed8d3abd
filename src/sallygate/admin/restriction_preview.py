"""Preview of a restriction from the events of the last hour: the callers it would have met, for `--dry-run` and for the
guard against restricting everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from sallygate.controls.restrictions import is_covered
from sallygate.model.event import Event
from sallygate.model.restriction import Restriction
from sallygate.parsing.addresses import UNKNOWN, parse_address
from sallygate.parsing.countries import COUNTRIES
from sallygate.ports import EventSource
from sallygate.state.geography import Geography
from sallygate.state.restrictions import Restrictions

LOOK_BACK_S = 3600.0
EVENTS_MAX = 200_000
"""The latest of the hour: read and judged in about a second."""
EXAMPLES = 10


class Met(Struct, frozen=True):
    """One caller a restriction would have met."""

    caller: str
    country: str
    requests: int


class Impact(Struct, frozen=True):
    """Callers are accounts, or addresses of those without."""

    since: float
    """Seconds since the epoch; later than an hour ago where there was more to read than `EVENTS_MAX`."""
    requests: int
    requests_met: int
    callers: int
    """Of those whose requests passed."""
    callers_met: int
    most: tuple[Met, ...]

    @property
    def share(self) -> float:
        """Share of the served callers that the restriction would have met, 0 to 1."""
        return self.callers_met / self.callers if self.callers else 0.0


def impact_of(restrictions: Iterable[Restriction], events: EventSource, geography: Geography, now: float) -> Impact:
    """What all of `restrictions` together would have met."""
    index = Restrictions(restrictions)  # 10,000 may be in force: asked one by one, it would take an hour
    since, requests, requests_met = now, 0, 0
    served: set[str] = set()
    met: Counter[tuple[str, str]] = Counter()
    for event in events.latest(now - LOOK_BACK_S, EVENTS_MAX):
        if event.kind not in ("exchange", "early"):
            continue
        since = min(since, event.at)
        times = event.count * event.sampled
        requests += times
        caller = event.account or event.location.network
        if event.decision == "allow":
            served.add(caller)
        names = names_of(event, geography)
        address = parse_address(event.client_address) or UNKNOWN
        if is_covered(index, names, address, event.method):
            requests_met += times
            met[caller, names.get("country", "")] += times
    callers_met = {caller for caller, _ in met} & served
    most = tuple(Met(caller, country, times) for (caller, country), times in met.most_common(EXAMPLES))
    return Impact(since, requests, requests_met, len(served), len(callers_met), most)


def names_of(event: Event, geography: Geography) -> Mapping[str, str]:
    """What a scope may name, by kind; events of before the geography are looked up now."""
    country, asn = event.location.country, event.location.asn
    if not country and not asn:
        origin = geography.of(event.client_address)
        country, asn = origin.country, origin.asn
    return {
        "account": event.account, "key": event.principal.removeprefix("key:"), "operation": event.operation,
        "country": country, "continent": COUNTRIES.get(country, ""), "asn": str(asn) if asn else "",
    }  # fmt: skip
