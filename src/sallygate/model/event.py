"""Event, version 2: the record of one exchange, early rejection, message, query or administrative act.

Secrets and bodies are in no event. A source that cannot know a word writes `unknown`, and leaves a number out, which
reads as `None`: a gate that refuses early has not read the user agent, an imported log knows no durations. A name is
empty where nobody established it: a caller may be called `unknown`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from sallygate.model.finding import Finding, Mode, Verdict

EVENT_VERSION = 2
UNKNOWN = "unknown"
"""What a source writes where it cannot know a word."""
Kind = Literal["exchange", "early", "message", "query", "imported", "audit"]
Shell = Literal["gateway", "in_process", "replay", "unknown"]


class Location(Struct, frozen=True, gc=False, omit_defaults=True):
    """Location of a caller. What is not known is empty; TLS fingerprints come with an edge."""

    network: str
    country: str = ""
    asn: int = 0
    tls: str = ""


NO_LOCATION = Location("")


class Event(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="version", tag=EVENT_VERSION):
    """One exchange, or `count` refusals alike. Times in seconds since the epoch, durations in microseconds, sizes in
    bytes. Its JSON begins with `"version":2`; a field at its default is left out.

    Under a flood, refusals alike become one event. `events.aggregation.SURVIVING` names the fields that hold for all
    of them, `SUMMED` those that are added up; every other field is that of the first refusal, as an example.
    """

    version: ClassVar[int] = EVENT_VERSION
    at: float
    request_id: str
    """Ties the events of one exchange together."""
    trace_id: str
    decision: Verdict
    status: int
    """Status sent to the client; 499 when it had gone, 599 when the response was cut, 0 where none was sent."""
    method: str
    path: str
    """Without the query, at most 256 characters."""
    client_address: str
    """Empty in an event that stands for many clients."""
    location: Location
    seq: int = 0
    """Sequence number, given by the store: never two alike, and growing."""
    kind: Kind = "exchange"
    """`exchange`: a request and its response. `early`: requests that were refused before they were read, with their
    `count`. `message`: one message of a connection that stays open. `query`: a query analysed inside an application.
    `imported`: from another source's log. `audit`: an administrative act."""
    api: str = UNKNOWN
    """Name of the API, the policy's `api`."""
    shell: Shell = "unknown"
    """Which shell decided."""
    findings: tuple[Finding, ...] = ()
    """Of the request, then of the response, each with its reason and mode."""
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
    program: str = UNKNOWN
    """Class of the user agent: `browser`, `curl`, `python`, `none`, `other`."""
    operation: str = ""
    upstream_status: int | None = None
    """Status sent by the API; 0 when it was not asked."""
    asked: tuple[tuple[str, int], ...] = ()
    """What the gate asked the API on its own account: path and status, 0 where it failed; at most 16."""
    request_bytes: int | None = None
    response_bytes: int | None = None
    records: int | None = None
    sensitive_records: tuple[tuple[str, int], ...] | None = None
    """Records sent with sensitive data, by class; `None` where no control looks for them."""
    object_refs: tuple[int, ...] = ()
    """Ids the caller asked for, as keyed 64-bit hashes of collection and id; at most 128."""
    issued_ids: tuple[int, ...] = ()
    """Ids the response gave, hashed alike, so that an id asked for can be recognised as one handed out; at most 128."""
    ids_truncated: bool = False
    """Whether there were more ids, asked for or given."""
    filters: tuple[tuple[str, str], ...] = ()
    """Query parameter names with their values bucketed: `("limit", "n3")` is a number of three digits."""
    took_us: int | None = None
    """From the head's arrival to the end of the response."""
    gate_us: int | None = None
    """Of which the gate itself."""
    charges: tuple[tuple[str, int], ...] = ()
    """Counter table and amount."""
    count: int = 1
    """How many refusals alike the event stands for."""
    until: float = 0.0
    """Time of the last of them; 0 where there is one."""
    sampled: int = 1
    """The event stands for so many ordinary ones under overload."""
    act: str = ""
    """Of an audit event: what was done, `restriction.add`."""
    subject: str = ""
    actor: str = ""
    note: str = ""
