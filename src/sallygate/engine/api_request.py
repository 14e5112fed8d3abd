"""Request as the API gets it: headers without credentials and claims of identity, with the gate's own."""

from __future__ import annotations

from typing import Protocol

from sallygate.engine.gate import OVERRIDES, Gate
from sallygate.model.access import AuthCall
from sallygate.model.decision import HeaderList
from sallygate.model.driver import CallApi
from sallygate.model.operation import Operation
from sallygate.model.outcome import Admission, Pass
from sallygate.model.principal import Principal
from sallygate.model.request import Body, RequestHead

IDENTITY_PREFIX = b"x-sallygate-"
REQUEST_ID = b"x-request-id"
OF_WHOLE = frozenset((b"content-length", b"content-md5", b"content-digest", b"digest", b"repr-digest"))
"""Fields that say how long a body is, or what it hashes to."""
_OF_REQUEST = (b"if-", b"content-")
_OF_BODY = frozenset((b"accept-encoding", b"connection", b"expect", b"range", b"te", b"transfer-encoding"))


class Ports(Protocol):
    """What the driver asks of the composition root: values, at once."""

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        """Header fields that name the caller to the API."""
        ...

    def traceparent(self, head: RequestHead) -> bytes | None:
        """`traceparent` for the API; None keeps the caller's."""
        ...

    def tick_us(self) -> int:
        """Microseconds of a clock that never goes back: how long the gate itself takes, which decides nothing."""
        ...

    def failed(self, what: str, error: BaseException) -> None:
        """Tell the operator. Never raises."""
        ...


def api_call(
    gate: Gate, head: RequestHead, admission: Admission, passed: Pass, raw: bytes | None, spool: object, ports: Ports,
    now: float,
) -> CallApi:  # fmt: skip
    """The request as it is handed on. `raw` is its body as it came; None for one that streams or was spooled."""
    body = passed.body
    remade = body if admission.body.coding or passed.edited else None
    # What is sent unannounced with a request that has no body is neither read nor passed on.
    whole = body.raw if raw is not None and body.kind != "none" else raw
    own = None
    if admission.own and admission.operation is not None:
        own = AuthCall(admission.operation.id, head, admission.principal, [])
    headers = api_headers(gate, head, admission, remade, ports, now)
    return CallApi(headers, passed.raw_query, whole, admission.principal, own, spool)


def asking_headers(gate: Gate, head: RequestHead, admission: Admission, ports: Ports, now: float) -> HeaderList:
    """Headers of what the gate asks the API on its own account, in the caller's name: without what is said of the
    caller's body, or of what the caller already has."""
    headers = api_headers(gate, head, admission, None, ports, now)
    return tuple([pair for pair in headers if not pair[0].startswith(_OF_REQUEST) and pair[0] not in _OF_BODY])


def api_headers(
    gate: Gate, head: RequestHead, admission: Admission, body: Body | None, ports: Ports, now: float
) -> HeaderList:
    """The caller's headers without credentials and claims of identity, then the gate's own. `body` is one that was
    remade: its coding was undone, or it was edited."""
    plain = gate.plain_headers
    headers = [pair for pair in head.headers if pair[0] in plain or _travels(gate, pair[0])]
    if (cookie := head.fields.get("cookie")) is not None and len(headers) > len(dict(headers)):
        headers = _joined_cookies(headers, cookie)
    operation: Operation | None = admission.operation
    if operation is not None and operation.id in gate.counted_operations:
        accepts_gzip = "gzip" in head.fields.get("accept-encoding", "")
        headers = [pair for pair in headers if pair[0] != b"accept-encoding"]
        headers.append((b"accept-encoding", b"gzip" if accepts_gzip else b"identity"))
    if body is not None and body.kind != "none":  # its coding was undone: the API gets what was inspected
        headers = [pair for pair in headers if pair[0] not in (b"content-encoding", b"content-length")]
        headers.append((b"content-length", b"%d" % len(body.raw)))
    elif admission.body.mode == "records" and gate.engine.edits_records(admission):  # the whole is not known yet
        headers = [pair for pair in headers if pair[0] not in OF_WHOLE]
        headers.append((b"transfer-encoding", b"chunked"))
    elif admission.body.mode != "none" and head.unframed:
        headers.append((b"transfer-encoding", b"chunked"))  # HTTP/1.1 needs a field that announces a body
    headers.append((REQUEST_ID, head.request_id.encode()))
    if (trace := ports.traceparent(head)) is not None:
        headers = [pair for pair in headers if pair[0] != b"traceparent"]
        headers.append((b"traceparent", trace))
    if admission.principal is not None:
        headers += ports.identity_headers(admission.principal, now)
    return tuple(headers)


def _joined_cookies(headers: list[tuple[bytes, bytes]], cookie: str) -> list[tuple[bytes, bytes]]:
    """One `Cookie`, which HTTP/2 clients send in pieces (RFC 9113, section 8.2.3)."""
    left = [pair for pair in headers if pair[0] != b"cookie"]
    return [*left, (b"cookie", cookie.encode("latin-1"))] if len(left) < len(headers) else headers


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
