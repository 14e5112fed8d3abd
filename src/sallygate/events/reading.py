"""Reader of kept events: those of version 1 become values of version 2.

A file that was being written in the hour of an upgrade holds both, so each record says which it is.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, ValidationError, structs
from msgspec.json import Decoder, decode

from sallygate.model.event import EVENT_VERSION, UNKNOWN, Event, Location
from sallygate.model.finding import Finding, Mode, Verdict


class EventV1(Struct, frozen=True, gc=False, tag_field="version", tag=1, rename={"location": "place"}):
    """Event, version 1, as it was kept until version 2."""

    at: float
    request_id: str
    trace_id: str
    decision: Verdict
    status: int
    method: str
    path: str
    client_address: str
    location: Location
    seq: int = 0
    kind: Literal["exchange", "act"] = "exchange"
    findings: tuple[Finding, ...] = ()
    policy: str = ""
    mode: Mode = "enforce"
    principal: str = ""
    account: str = ""
    plan: str = ""
    peer: str = ""
    scheme: str = "https"
    program: str = ""
    """Empty where the request was refused before it was read."""
    operation: str = ""
    upstream_status: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    records: int | None = None
    object_refs: tuple[int, ...] = ()
    issued_ids: tuple[int, ...] = ()
    ids_truncated: bool = False
    filters: tuple[tuple[str, str], ...] = ()
    took_us: int = 0
    gate_us: int = 0
    charges: tuple[tuple[str, int], ...] = ()
    count: int = 1
    until: float = 0.0
    sampled: int = 1
    act: str = ""
    subject: str = ""
    actor: str = ""
    note: str = ""


_DECODER = Decoder(Event | EventV1)


class _Versioned(Struct):
    version: int = 0


def read_event(record: bytes) -> Event:
    """The event of a kept record. Raises `msgspec.MsgspecError`, also for a version that this program does not know."""
    try:
        event = _DECODER.decode(record)
    except ValidationError:
        if (version := decode(record, type=_Versioned).version) > EVENT_VERSION:
            raise ValidationError(f"an event of version {version}; this program reads up to {EVENT_VERSION}") from None
        raise
    return event if isinstance(event, Event) else _upgraded(event)


def _upgraded(old: EventV1) -> Event:
    fields = structs.asdict(old)
    if old.kind == "act":
        return Event(**{**fields, "kind": "audit", "upstream_status": None, "request_bytes": None,
                        "response_bytes": None, "took_us": None, "gate_us": None, "program": UNKNOWN})  # fmt: skip
    early = not old.program  # version 1 wrote a program for all that was read, be it `none`
    return Event(**{**fields, "kind": "early" if early else "exchange", "program": old.program or UNKNOWN})
