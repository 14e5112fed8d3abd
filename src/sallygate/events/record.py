"""Exchange → Event. A pure function; decides nothing, keeps nothing secret because it never looks at what is."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from sallygate.model.event import Event
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding, Verdict
from sallygate.parsing.identifiers import IdHasher, asked_ids, filter_shape

PATH_CHARS_MAX = 256
"""Of a path kept in an event."""
_PROGRAMS = (
    ("mozilla/", "browser"), ("curl/", "curl"), ("python", "python"), ("aiohttp", "python"), ("httpx", "python"),
    ("go-http-client", "go"), ("java", "java"), ("okhttp", "java"), ("node", "node"), ("axios", "node"),
    ("wget/", "wget"), ("postman", "postman"), ("dart", "dart"), ("ruby", "ruby"), ("php", "php"),
)  # fmt: skip


class Pending(Struct, frozen=True):
    """An exchange on its way to the log. Its event is made by whoever writes it, many at a time: off the request path,
    and at a third of the cost, since the processor has the code at hand."""

    exchange: Exchange
    policy_hash: str
    hash_id: IdHasher
    sampled: int = 1

    @property
    def decision(self) -> Verdict:
        return self.exchange.decision.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.exchange.decision.findings

    def event(self) -> Event:
        event = to_event(self.exchange, self.policy_hash, self.hash_id)
        return event if self.sampled == 1 else replace(event, sampled=self.sampled)


@lru_cache(1024)
def program_of(user_agent: str) -> str:
    """The class of a user agent, `none` when it names none."""
    if not user_agent:
        return "none"
    lower = user_agent[:64].lower()
    return next((program for start, program in _PROGRAMS if lower.startswith(start)), "other")


def to_event(exchange: Exchange, policy_hash: str, hash_id: IdHasher) -> Event:
    head, operation, principal = exchange.head, exchange.operation, exchange.principal
    learned, decision = exchange.learned, exchange.decision
    refs: tuple[int, ...] = ()
    truncated = learned.issued_truncated
    if operation is not None and decision.verdict == "allow":
        pairs = exchange.path_values + head.query if head.query else exchange.path_values
        if pairs or exchange.body_ids:
            refs, more = asked_ids(operation.object_names, pairs, exchange.body_ids, hash_id)
            truncated = truncated or more or exchange.body_ids_truncated
    findings = decision.findings
    shadow = bool(findings) and not any(finding.mode == "enforce" for finding in findings)
    return Event(
        version=1,
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
        policy=policy_hash,
        mode="shadow" if shadow else "enforce",
        principal=principal.id if principal is not None else "",
        account=principal.account if principal is not None else "",
        plan=principal.plan if principal is not None else "",
        peer=head.peer if head.peer != head.client_address else "",
        scheme=head.scheme,
        program=program_of(head.fields.get("user-agent", "")),
        operation=operation.id if operation is not None else "",
        upstream_status=exchange.upstream_status,
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
