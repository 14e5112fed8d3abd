"""State of a running gate as one value: for `sallygate status` and for gauges."""

from __future__ import annotations

from msgspec import Struct


class Check(Struct, frozen=True):
    """One condition of being ready."""

    name: str
    ok: bool
    said: str = ""
    """What is wrong, for a person."""


class ListenerStatus(Struct, frozen=True):
    """Listener with its address and, for TLS, the end of its certificate (seconds since the epoch)."""

    name: str
    address: str
    certificate_until: float | None = None
    """When the certificate expires, in seconds since the epoch."""


class UpstreamState(Struct, frozen=True):
    """Upstream with its health and its counts since the start."""

    url: str
    healthy: bool
    requests: int
    failures: int
    """Failures to connect."""


class IssuerState(Struct, frozen=True):
    """An issuer whose tokens are believed."""

    name: str
    issuer: str
    source: str
    """Where its keys come from: a URL, a file, or by discovery."""
    keys: int
    """That count now; with none, its tokens cannot be checked."""
    fetched_at: float
    """0 for a file."""
    failing: bool
    """It could not be asked the last time."""
    failures: int
    said: str = ""
    """What went wrong, or which of its keys are not used."""


class GeographyState(Struct, frozen=True):
    """A database of addresses' countries and networks."""

    name: str
    made_at: float
    old: bool


class FeedState(Struct, frozen=True):
    """A feed of threat intelligence."""

    name: str
    source: str
    """Where it is from, without what may be secret."""
    act: str
    indicators: int
    confirmed_at: float
    """When its source last had all that is in force; 0 when nothing is."""
    failing: bool
    """The last fetch failed: what is in force is as old as `confirmed_at` says."""
    failures: int
    said: str = ""
    """What went wrong, or why it does not act as the policy says."""
    read: int = 0
    bad: int = 0
    """Lines or objects that could not be read."""
    bad_said: tuple[str, ...] = ()
    unused: dict[str, int] = {}
    """Good ones that are not used, by reason."""
    shares: tuple[float, float] = (0.0, 0.0)
    """Of all public addresses of IPv4 and IPv6, what it covers."""
    tried_at: float = 0.0
    """When the last fetch ended, however it did; 0 when there was none."""


class EventsState(Struct, frozen=True):
    """Queue and counts of the event log."""

    waiting: int
    queue: int
    """How many may wait."""
    written: int
    dropped: int
    sampled_away: int
    failing: bool
    removed: int = 0
    """Events that were written, and are gone with a file that was removed, emptied or damaged."""


class StoreState(Struct, frozen=True):
    """Store with its size in bytes and its health."""

    name: str
    file: str
    bytes: int
    ok: bool
    read_at: float
    """When it was last read without an error."""


class SheddingState(Struct, frozen=True):
    """State of load shedding: concurrency limit, queue and refusals. By rank: `high`, `normal`, `low` (plans by
    priority), `refused` (callers whose requests are refused often) and `unknown`."""

    mode: str
    limit: int
    """Requests the API gets at once."""
    working: dict[str, int]
    """Requests it works on, by rank."""
    waiting: dict[str, int]
    """Requests that wait for a place, by rank."""
    shed: dict[str, int]
    """Refused since the start, by `rank.reason`."""
    would_shed: dict[str, int]
    """The same, where shedding is in shadow."""
    since: float
    """When it began to shed; 0: it does not at present."""


class FloodState(Struct, frozen=True):
    """State of the penalty box and of load shedding."""

    penalised: int
    """Sources in the penalty box."""
    penalised_max: int
    """How many it may hold."""
    overflowed: int
    """How often it was too full for another."""
    shedding: SheddingState


class Status(Struct, frozen=True):
    """Times in seconds since the epoch."""

    version: str
    pid: int
    shell: str
    ready: bool
    draining: bool
    checks: tuple[Check, ...]
    started_at: float
    policy: str
    policy_file: str
    policy_at: float
    reloads: int
    reloads_refused: int
    listeners: tuple[ListenerStatus, ...]
    upstreams: tuple[UpstreamState, ...]
    stores: tuple[StoreState, ...]
    events: EventsState
    under_way: int
    credentials: int
    restrictions: int
    counters: dict[str, int]
    """Subjects, by table."""
    failures: dict[str, int]
    """Failures of background work and of stores, by what failed."""
    clock_jumps: int
    log_lines_lost: int
    memory_bytes: int
    api: str = "default"
    """The policy's name of the API."""
    sinks_lost: dict[str, int] = {}
    """Exchanges that an event sink did not take, by its name."""
    issuers: tuple[IssuerState, ...] = ()
    geography: tuple[GeographyState, ...] = ()
    feeds: tuple[FeedState, ...] = ()
    act_taken_over: int = 0
    """Number of the last administrative act that this gate has taken over."""
    not_enforced: dict[str, tuple[str, ...]] = {}
    """`shadow` and `off`, each with the sections of the policy in force that are so."""
    flood: FloodState | None = None
    """None of a gate whose policy has no such section in force."""
