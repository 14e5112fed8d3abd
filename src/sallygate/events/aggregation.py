"""Aggregation of equal refusals into events with exact counts, so that a flood does not fill the disk."""

from __future__ import annotations

from msgspec.structs import replace

from sallygate.events.record import Pending
from sallygate.model.event import Event, Location
from sallygate.model.exchange import MANY, Exchange

ALIKE_KEPT = 20
"""Refusals of one kind by one caller kept one by one in a batch; the others become one event with their count."""
SPREAD_KEPT = 50
"""Refusals of one kind by many callers kept in a batch, which is a thousand a second; the others become one event that
names no caller, with their count. A flood from ten thousand addresses would fill 9 GB an hour otherwise."""
SURVIVING = frozenset(
    ("kind", "api", "shell", "policy", "decision", "status", "findings", "operation", "method", "account", "location")
)
"""Fields of an event with a count that hold for all it stands for: of `findings` the codes, of `location` the network.
`account` and `location` are empty in an event that stands for many callers."""
MERGED_KINDS = frozenset(("exchange", "early"))
SUMMED = frozenset(("count", "request_bytes", "response_bytes"))
"""Fields that are exact sums; a sum with a size that is not known is not known."""


def exchanges_in(one: Event | Pending) -> int:
    """How many exchanges `one` stands for."""
    return 1 if isinstance(one, Pending) else one.count


def condense(batch: list[Event | Pending]) -> list[Event]:
    """Events of a batch. Once refusals alike but for their callers have `SPREAD_KEPT` events, each further one is added
    to its caller's last event, or to one for all callers that have none; counts and sizes are exact. Events that are
    not made are also what a flood would cost most."""
    made: dict[tuple[object, ...], int] = {}
    rows: dict[tuple[object, ...], int] = {}
    more: dict[int, list[Exchange]] = {}
    out: list[Event] = []
    for one in batch:
        if not isinstance(one, Pending) or one.decision == "allow":
            out.append(one.event() if isinstance(one, Pending) else one)
            continue
        exchange = one.exchange
        operation, principal = exchange.operation, exchange.principal
        kind = (one.source.policy, one.decision, exchange.status, tuple([finding.code for finding in one.findings]),
                operation.id if operation is not None else "", exchange.head.method)  # fmt: skip
        caller = (kind, exchange.head.client_network, principal.account if principal is not None else "")
        if (count := made.get(kind, 0)) < SPREAD_KEPT:
            made[kind] = count + 1
            rows[caller] = len(out)
            out.append(one.event())
        elif (row := rows.get(caller, rows.get(kind))) is not None:
            more.setdefault(row, []).append(exchange)
        else:
            rows[kind] = len(out)
            out.append(
                replace(one.event(), client_address=MANY, location=Location(MANY), peer="", principal="", account="")
            )
    for row, exchanges in more.items():
        first = out[row]
        out[row] = replace(
            first,
            count=first.count + len(exchanges),
            until=exchanges[-1].head.received_at,
            request_bytes=_sum(first.request_bytes, sum(exchange.request_bytes for exchange in exchanges)),
            response_bytes=_sum(first.response_bytes, sum(exchange.response_bytes for exchange in exchanges)),
        )
    return out


def aggregate(events: list[Event]) -> list[Event]:
    """Refusals alike beyond `ALIKE_KEPT` become one event with the exact count and the time of the last."""
    if len(events) <= ALIKE_KEPT:
        return events
    seen: dict[tuple[object, ...], int] = {}
    last_of: dict[tuple[object, ...], int] = {}
    out: list[Event] = []
    for event in events:
        if event.decision == "allow" or event.kind not in MERGED_KINDS:
            out.append(event)
            continue
        codes = tuple(finding.code for finding in event.findings)
        alike = (event.kind, event.policy, event.decision, event.status, codes, event.location.network, event.account,
                 event.operation, event.method)  # fmt: skip
        seen[alike] = count = seen.get(alike, 0) + 1
        if count <= ALIKE_KEPT:
            out.append(event)
        elif alike not in last_of:
            last_of[alike] = len(out)
            out.append(event)
        else:
            merged = out[last_of[alike]]
            out[last_of[alike]] = replace(
                merged,
                count=merged.count + event.count,
                until=event.until or event.at,
                request_bytes=_sum(merged.request_bytes, event.request_bytes),
                response_bytes=_sum(merged.response_bytes, event.response_bytes),
            )
    return out


def _sum(a: int | None, b: int | None) -> int | None:
    return a + b if a is not None and b is not None else None
