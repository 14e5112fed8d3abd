"""Types of the policy. Each absent field gets the default written here: always finite, always the safer value.

Every field's description is its documentation: the reference and the editors' JSON Schema are made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, field_validator

from sallygate.parsing.request_fields import PLACE
from sallygate.policy.accounts import AccountsSection
from sallygate.policy.auth import Auth
from sallygate.policy.contract import ContractSection, OperationContract
from sallygate.policy.fields import (
    ByteBudget,
    Bytes,
    ControlSection,
    Count,
    Prefix,
    RateText,
    RecordBudget,
    Seconds,
    Section,
)
from sallygate.policy.flood import Flood
from sallygate.policy.headers import Headers
from sallygate.policy.identity import Identity
from sallygate.policy.injection import Injection
from sallygate.policy.network import Network
from sallygate.policy.reading import STATE_DEFAULT
from sallygate.policy.serving import EventsSection, Listen, LogSection, Telemetry, UpstreamSection
from sallygate.policy.units import Budget, read_rate


class Transport(ControlSection):
    """HTTPS always. Plain HTTP is refused, never redirected, since its key has already been sent unencrypted."""

    plain: Literal["refuse", "loopback"] = Field(
        "refuse",
        description="`loopback` accepts plain HTTP from this machine only, for development inside an application server.",
    )
    hsts: Seconds = Field(
        31536000.0, description="`Strict-Transport-Security` max-age on every response; 0s sends none."
    )
    trusted_hops: list[Prefix] = Field(
        [], description="Proxies whose forwarding headers count, as addresses or prefixes."
    )
    forwarded: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for", description="The header that the proxies write the client's address to."
    )
    ambiguous_paths: Literal["refuse", "allow"] | None = Field(
        None,
        description="Encoded slashes and doubly encoded separators in paths. Refused under a contract by default; `allow` accepts them.",
    )


class Data(Section):
    """Most data of responses for one account, in a calendar window."""

    bytes: ByteBudget | None = Field(None, description="Most bytes of responses per calendar window, `50MB/day`.")
    records: RecordBudget | None = Field(
        None,
        description="Most records per calendar window, `10000/day`, counted in the operations that name `records`.",
    )


class Quota(Section):
    """Most requests of one account, in calendar windows."""

    hour: Count | None = Field(None, description="Requests per calendar hour.")
    day: Count | None = Field(None, description="Requests per calendar day.")
    month: Count | None = Field(None, description="Requests per calendar month.")


NewLocation = Literal["off", "observe", "verify"]


class Plan(Section):
    """Limits and scopes of a plan. All counters are by account."""

    rate: RateText = Field(default_factory=lambda: read_rate("10/s burst 20"), description="`10/s burst 20`.")
    quota: Quota = Field(Quota(hour=10_000, day=100_000), description="Requests per calendar hour, day and month.")
    data: Data = Field(Data(bytes=Budget(10**9, "day", "1GB/day")), description="Most data per window.")
    concurrent: Count = Field(50, description="Requests under way at once.")
    priority: Literal["high", "normal", "low"] = Field(
        "normal",
        description="Whose requests are served first under load shedding; callers without a credential are last.",
    )
    scopes: list[str] = Field([], description="Scopes that keys of the plan may use; `*` is all.")
    new_location: NewLocation = Field(
        "off",
        description="Treatment of a call from a network (/24, /48) that is new for its credential: none, a finding (`observe`), or 403 until the owner or an operator admits the location (`verify`).",
    )


class Limits(ControlSection):
    """Rates by address, and settings of quotas."""

    address: RateText = Field(
        default_factory=lambda: read_rate("50/s burst 200"),
        description="Requests per client address (an IPv6 /64 counts as one), before identity.",
    )
    body: Bytes = Field(
        64 << 20, description="Largest request body where no contract gives a limit; also in shadow, for any body."
    )
    form_fields: Annotated[int, Field(ge=1, le=100_000)] = Field(1000, description="Most fields of a form.")
    parts: Annotated[int, Field(ge=1, le=10_000)] = Field(1000, description="Most parts of a multipart body.")
    target: Annotated[Bytes, Field(ge=1024, le=64 << 10)] = Field(
        16 << 10, description="Longest request target, path and query together; then 414."
    )
    query_fields: Annotated[int, Field(ge=1, le=10_000)] = Field(256, description="Most fields of a query.")
    header_fields: Annotated[int, Field(ge=10, le=100)] = Field(
        100, description="Most header fields of a request, 100 at most; then 431."
    )
    header_bytes: Annotated[Bytes, Field(ge=1024, le=64 << 10)] = Field(
        32 << 10, description="Most bytes of header fields together; then 431."
    )
    address_concurrent: Count = Field(200, description="Requests of one client address under way at once.")
    time_zone: str = Field("UTC", description="Time zone of the hours, days and months of quotas, `Europe/Berlin`.")
    on_exceed: Literal["finish", "cut"] = Field(
        "finish",
        description="Treatment of a response that exceeds the byte budget: `finish` completes it and refuses the next, `cut` cuts it at once.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("not a time zone; write for example UTC or Europe/Berlin") from None
        return name


class Cors(Section):
    """Cross-origin rules for browsers. Without this section a preflight is answered 405."""

    origins: list[str] = Field(description="Allowed origins, `https://app.example`, or `*`.", min_length=1)
    headers: list[str] = Field([], description="Request headers allowed besides the key's and `Content-Type`.")
    expose: list[str] = Field([], description="Response headers that scripts may read.")
    credentials: bool = Field(False, description="Whether cookies may be sent; not with `*`.")
    max_age: Seconds = Field(600.0, description="How long a browser may cache the answer.")

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and (not origin.startswith(("https://", "http://")) or origin.count("/") != 2):
                raise ValueError(f"{origin!r} is not an origin; write for example https://app.example, without a path")
        return origins


class Clients(ControlSection):
    """What an unknown client gets: the specification and the public operations only."""

    specification: str | None = Field(
        "/openapi.json",
        description="Where the public view of the contract is served; `null` serves none.",
        pattern="^/",
    )
    shows: Literal["described", "public"] = Field(
        "described",
        description="Operations in the specification: all that the contract describes and nobody denied, or only those that need no credential.",
    )
    cors: Cors | None = Field(None, description="Cross-origin rules.")


class RestrictionsSection(ControlSection):
    """Active blocks, made by `sallygate restrict`."""


class Location(ControlSection):
    """New locations of callers; each plan's `new_location` gives the treatment."""


class FieldRate(Section):
    """Rate of one operation by the value of a field, over all callers."""

    by: str = Field(
        description="The field, as findings name it: `body:/username`, `query:email`, `path:id`, `header:x-device`, `cookie:sid`."
    )
    rate: RateText = Field(description="Calls for one value of the field, `5/min burst 10`.")

    @field_validator("by")
    @classmethod
    def _is_place(cls, by: str) -> str:
        if PLACE(by) is None:
            raise ValueError(f"{by!r} is not a field; write for example body:/username or query:email")
        return by


class OperationSection(Section):
    """What one operation adds."""

    cost: Count = Field(1, description="How many requests one call counts as, in rates and quotas.")
    rate: RateText | None = Field(None, description="A rate of its own per account (per address where public).")
    rates: list[FieldRate] = Field(
        [], description="Rates by fields of the request, over all callers: at most so many calls for one user name."
    )
    records: str | None = Field(
        None,
        description="JSON pointer to the array of records in the answer, `/items`; an empty string is the whole answer.",
    )
    body: Annotated[Bytes, Field(ge=1)] | None = Field(
        None, description="Largest request body of this operation, of any kind."
    )
    contract: OperationContract | None = Field(None, description="How strictly the document is read here.")
    deny: bool = Field(
        False,
        description="Nobody may call it: 404, and neither the public specification nor `Allow` names it. It needs `clients`.",
    )
    long_poll: bool = Field(
        False,
        description="Long polling: requests of this operation take no slot (`flood.shedding`).",
    )


class Policy(Section):
    """The whole file."""

    version: Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"]})] = Field(description="The format of this file.")
    api: str = Field(
        "default",
        description="Name of the API, in events and metrics.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    )
    upstream: UpstreamSection | None = Field(
        None, description="Needed by the gateway. The API: a URL, a list of URLs, or a section."
    )
    openapi: str | None = Field(
        None,
        description="Needed. The contract: an OpenAPI 3.0 or 3.1 file, relative to this one; write `none` to run without one.",
    )
    listen: Listen | None = Field(None, description="Needed by `sallygate up`.")
    state: str = Field(
        STATE_DEFAULT,
        description="Directory of keys, counters, restrictions and events, relative to this file.",
    )
    workers: int = Field(
        1,
        description="Gate processes. More than one needs shared counters, which this version lacks.",
    )
    reload: Literal["signal", "file"] = Field(
        "signal", description="Reload at SIGHUP only, or also when this file or the contract changes."
    )
    transport: Transport | None = Field(None, description="HTTPS, forwarding headers, paths.")
    network: Network | None = Field(None, description="Networks and countries of callers; all by default.")
    restrictions: RestrictionsSection = Field(RestrictionsSection(), description="Active blocks.")
    clients: Clients | None = Field(None, description="Unknown clients.")
    identity: Identity | None = Field(None, description="Needed. Who is calling; write `none` to run without one.")
    auth: Auth | None = Field(None, description="Access codes and tokens; none by default.")
    accounts: AccountsSection = Field(AccountsSection(), description="Passwords, and limits on failed logins.")
    plans: dict[str, Plan] = Field({}, description="Limits and scopes of callers.")
    location: Location = Field(Location(), description="New locations of callers.")
    limits: Limits | None = Field(None, description="Rates by address, and how quotas are counted.")
    flood: Flood = Field(
        Flood(), description="Limits against floods and slow senders, and load shedding; enforced by default."
    )
    contract: ContractSection = Field(ContractSection(), description="How strictly the OpenAPI document is read.")
    injection: Injection | None = Field(None, description="Code and commands in values; enforced by default.")
    headers: Headers | None = Field(None, description="Header fields of responses; unchanged by default.")
    operations: dict[str, OperationSection] = Field({}, description="By `operationId`.")
    events: EventsSection = Field(EventsSection(), description="The event log.")
    log: LogSection = Field(LogSection(), description="The operator's log.")
    telemetry: Telemetry | None = Field(None, description="Export by OpenTelemetry; none by default.")

    @field_validator("upstream", mode="before")
    @classmethod
    def _short_upstream(cls, value: object) -> object:
        if isinstance(value, str):
            return {"urls": [value]}
        return {"urls": value} if isinstance(value, list) else value


SECTION_DEFAULTS: dict[str, Callable[[], ControlSection]] = {
    "transport": Transport,
    "clients": Clients,
    "limits": Limits,
    "injection": Injection,
}
"""What a policy that leaves a section out gets, where that is not nothing."""
