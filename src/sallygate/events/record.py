"""Builder of events from exchanges and early rejections: pure functions that read no secret."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from sallygate.model.event import UNKNOWN, Event, Location, Shell
from sallygate.model.exchange import MANY, EarlyRejection, Exchange
from sallygate.model.finding import Finding, Verdict
from sallygate.parsing.identifiers import IdHasher, asked_ids, filter_shape

PATH_CHARS_MAX = 256
"""Of a path kept in an event."""
ASKED_MAX = 16
"""Questions to the API kept in an event; a control asks a few at most."""
_PROGRAMS = (
    ("mozilla/", "browser"), ("curl/", "curl"), ("python", "python"), ("aiohttp", "python"), ("httpx", "python"),
    ("go-http-client", "go"), ("java", "java"), ("okhttp", "java"), ("node", "node"), ("axios", "node"),
    ("wget/", "wget"), ("postman", "postman"), ("dart", "dart"), ("ruby", "ruby"), ("php", "php"),
)  # fmt: skip


class Source(Struct, frozen=True):
    """What all events of one policy in force have in common."""

    policy: str
    """The first 12 hexadecimal digits of the policy's SHA-256."""
    api: str
    shell: Shell
    hash_id: IdHasher


class Pending(Struct, frozen=True):
    """Finished exchange in a queue. The thread that writes makes its event, many at a time: off the request path,
    and at a third of the cost, since the processor has the code at hand."""

    exchange: Exchange
    source: Source
    sampled: int = 1

    @property
    def decision(self) -> Verdict:
        """Decision on the exchange, for aggregation."""
        return self.exchange.decision.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of the exchange, for aggregation."""
        return self.exchange.decision.findings

    def event(self) -> Event:
        """Build the event. Call it in the thread that writes it."""
        event = to_event(self.exchange, self.source)
        return event if self.sampled == 1 else replace(event, sampled=self.sampled)


@lru_cache(1024)
def program_of(user_agent: str) -> str:
    """The class of a user agent, `none` when it names none."""
    if not user_agent:
        return "none"
    lower = user_agent[:64].lower()
    return next((program for start, program in _PROGRAMS if lower.startswith(start)), "other")


def to_event(exchange: Exchange, source: Source) -> Event:
    """Event of one exchange."""
    head, operation, principal = exchange.head, exchange.operation, exchange.principal
    learned, decision = exchange.learned, exchange.decision
    refs: tuple[int, ...] = ()
    truncated = learned.issued_truncated
    if operation is not None and decision.verdict == "allow":
        pairs = exchange.path_values + head.query if head.query else exchange.path_values
        if pairs or exchange.body_ids:
            refs, more = asked_ids(operation.object_names, pairs, exchange.body_ids, source.hash_id)
            truncated = truncated or more or exchange.body_ids_truncated
    findings = decision.findings
    shadow = bool(findings) and not any(finding.mode == "enforce" for finding in findings)
    return Event(
        at=head.received_at,
        request_id=head.request_id,
        trace_id=head.trace_id,
        decision=decision.verdict,
        status=exchange.status,
        method=head.method[:24],
        path=head.path[:PATH_CHARS_MAX],
        client_address=head.client_address,
        location=exchange.location,
        findings=findings,
        api=source.api,
        shell=source.shell,
        policy=source.policy,
        mode="shadow" if shadow else "enforce",
        principal=principal.id if principal is not None else "",
        account=principal.account if principal is not None else "",
        plan=principal.plan if principal is not None else "",
        peer=head.peer if head.peer != head.client_address else "",
        scheme=head.scheme,
        program=program_of(head.fields.get("user-agent", "")),
        operation=operation.id if operation is not None else "",
        upstream_status=exchange.upstream_status,
        asked=_asked(exchange.asked) if exchange.asked else (),
        request_bytes=exchange.request_bytes,
        response_bytes=exchange.response_bytes,
        records=learned.records,
        object_refs=refs,
        issued_ids=learned.issued_ids,
        ids_truncated=truncated,
        filters=filter_shape(head.query) if head.query and decision.verdict == "allow" else (),
        took_us=exchange.took_us,
        gate_us=exchange.gate_us,
        charges=tuple([(charge.table, charge.amount) for charge in exchange.charges]),
    )


def _asked(asked: tuple[tuple[bytes, int], ...]) -> tuple[tuple[str, int], ...]:
    return tuple(
        [(path.decode("ascii", "backslashreplace")[:PATH_CHARS_MAX], status) for path, status in asked[:ASKED_MAX]]
    )


def early_event(rejected: EarlyRejection, source: Source, country: str, asn: int) -> Event:
    """Event of early rejections alike. Nobody has looked at the caller: user agent, principal and operation are not
    known, and a body was not read."""
    one = rejected
    return Event(
        kind="early",
        at=one.at,
        request_id=one.request_id,
        trace_id=one.request_id,
        decision=one.finding.verdict,
        status=one.finding.status,
        method=one.method,
        path="" if one.address == MANY else one.path[:PATH_CHARS_MAX],
        client_address=one.address,
        location=Location(one.network, country, asn),
        api=source.api,
        shell=source.shell,
        findings=(one.finding,),
        policy=source.policy,
        program=UNKNOWN,
        upstream_status=0,
        request_bytes=0,
        response_bytes=one.response_bytes,
        took_us=one.took_us // one.count,
        gate_us=one.took_us // one.count,
        count=one.count,
        until=one.until if one.count > 1 else 0.0,
    )
