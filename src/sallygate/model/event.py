"""Event, version 1: what is remembered of one exchange. Secrets and bodies never are."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from sallygate.model.finding import Finding, Mode, Verdict


class Location(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a call came from. What nobody knows is empty; TLS fingerprints come with an edge."""

    network: str
    country: str = ""
    asn: int = 0
    tls: str = ""


NO_LOCATION = Location("")


class Event(Struct, frozen=True, gc=False, omit_defaults=True):
    """One exchange, or `count` alike refusals of one flood. Times in seconds since the epoch, durations in
    microseconds, sizes in bytes."""

    version: Literal[1]
    """Always written: readers of kept events go by it."""
    at: float
    request_id: str
    trace_id: str
    decision: Verdict
    status: int
    """What the client was answered; 499 when it had gone, 599 when the answer was cut."""
    method: str
    path: str
    """Without the query, at most 256 characters."""
    client_address: str
    location: Location = field(name="place")
    """Under its former name in the files and databases of version 1."""
    seq: int = 0
    """Given by the log."""
    kind: Literal["exchange", "act"] = "exchange"
    """`act` is an administrative act: a key made, a restriction lifted."""
    findings: tuple[Finding, ...] = ()
    policy: str = ""
    """The first 12 hexadecimal digits of the policy's SHA-256."""
    mode: Mode = "enforce"
    """`shadow` when something was found and nothing of it enforced."""
    principal: str = ""
    account: str = ""
    plan: str = ""
    peer: str = ""
    """Only where it differs from `client_address`."""
    scheme: str = "https"
    program: str = ""
    """User-agent class: `browser`, `curl`, `python`, `none`, `other`."""
    operation: str = ""
    upstream_status: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    records: int | None = None
    object_refs: tuple[int, ...] = ()
    """Ids the caller asked for, as keyed 64-bit hashes of collection and id."""
    issued_ids: tuple[int, ...] = ()
    """Ids our answer gave, hashed alike, so that an id asked for can be recognised as one handed out."""
    ids_truncated: bool = False
    filters: tuple[tuple[str, str], ...] = ()
    """Query parameter names with their values bucketed: `("limit", "n3")` is a number of three digits."""
    took_us: int = 0
    """From the head's arrival to the end of the answer."""
    gate_us: int = 0
    """Of which the gate itself."""
    charges: tuple[tuple[str, int], ...] = ()
    count: int = 1
    """Of aggregated refusals, how many this one stands for."""
    until: float = 0.0
    """Of aggregated refusals, when the last one came."""
    sampled: int = 1
    """This event stands for so many ordinary ones under overload."""
    act: str = ""
    subject: str = ""
    actor: str = ""
    note: str = ""
