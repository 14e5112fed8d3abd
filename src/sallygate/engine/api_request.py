"""Request as the API gets it: headers without credentials and claims of identity, with the gate's own."""

from __future__ import annotations

from typing import Protocol

from sallygate.engine.gate import OVERRIDES, Gate
from sallygate.model.decision import HeaderList
from sallygate.model.operation import Operation
from sallygate.model.outcome import Admission
from sallygate.model.principal import Principal
from sallygate.model.request import Body, RequestHead

IDENTITY_PREFIX = b"x-sallygate-"
REQUEST_ID = b"x-request-id"


class Ports(Protocol):
    """What the driver asks of the composition root: values, at once."""

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        """Who is calling, as the API is told."""
        ...

    def traceparent(self, head: RequestHead) -> bytes | None:
        """What the API is told of the trace; None: what the caller said."""
        ...

    def tick_us(self) -> int:
        """Microseconds of a clock that never goes back: how long the gate itself takes, which decides nothing."""
        ...

    def failed(self, what: str, error: BaseException) -> None:
        """Tell the operator. Never raises."""
        ...


def api_headers(
    gate: Gate, head: RequestHead, admission: Admission, body: Body | None, ports: Ports, now: float
) -> tuple[tuple[bytes, bytes], ...]:
    """The caller's headers without credentials and claims of identity, then the gate's own. `body` is one that was
    remade: its coding was undone, or fields were stripped."""
    plain = gate.plain_headers
    headers = [pair for pair in head.headers if pair[0] in plain or _travels(gate, pair[0])]
    operation: Operation | None = admission.operation
    if operation is not None and operation.id in gate.counted_operations:
        accepts_gzip = "gzip" in head.fields.get("accept-encoding", "")
        headers = [pair for pair in headers if pair[0] != b"accept-encoding"]
        headers.append((b"accept-encoding", b"gzip" if accepts_gzip else b"identity"))
    if body is not None and body.kind != "none":  # its coding was undone: the API gets what was inspected
        headers = [pair for pair in headers if pair[0] not in (b"content-encoding", b"content-length")]
        headers.append((b"content-length", b"%d" % len(body.raw)))
    elif admission.body.mode != "none" and head.unframed:
        headers.append((b"transfer-encoding", b"chunked"))  # HTTP/1.1 needs to be told that there is a body
    headers.append((REQUEST_ID, head.request_id.encode()))
    if (trace := ports.traceparent(head)) is not None:
        headers = [pair for pair in headers if pair[0] != b"traceparent"]
        headers.append((b"traceparent", trace))
    if admission.principal is not None:
        headers += ports.identity_headers(admission.principal, now)
    return tuple(headers)


def _travels(gate: Gate, name: bytes) -> bool:
    if name in gate.dropped_headers or (name in OVERRIDES and gate.state.restrictions.names_methods):
        return False
    if name == REQUEST_ID or name.startswith(IDENTITY_PREFIX):
        return False
    return b"_" not in name or not _protected(gate, name)


def _protected(gate: Gate, name: bytes) -> bool:
    """CGI-like servers read `X_Sallygate_Account` as `X-Sallygate-Account`, and `X_Role` as the `X-Role` that the
    contract would have judged."""
    dashed = name.replace(b"_", b"-")
    return (
        dashed in gate.dropped_headers
        or dashed in gate.declared_headers
        or dashed == REQUEST_ID
        or dashed.startswith(IDENTITY_PREFIX)
    )
