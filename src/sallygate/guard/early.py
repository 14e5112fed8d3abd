"""Sender of early rejections, which `engine.early` decides: answers and counts them."""

from __future__ import annotations

from sallygate.engine.early import EarlyRefusal
from sallygate.guard.draining import drain, has_body
from sallygate.guard.services import Receive, Scope, Send, Services

DRAINED_BYTES_MAX, DRAINED_S_MAX = 1 << 20, 1.0
"""Of a body that is still being sent: less than is read on for a request that was read."""
_BODYLESS = frozenset(("GET", "HEAD", "OPTIONS"))


async def refuse_early(services: Services, scope: Scope, receive: Receive, send: Send, refusal: EarlyRefusal) -> None:
    """Answer, charge and count one refusal."""
    began_us, now, finding = services.tick_us(), services.now(), refusal.finding
    gate = services.gate
    headers, body = gate.early.answer(refusal, scope)
    gate.state.charge(refusal.charges, now)
    rejection = services.rejections.add(finding, refusal.address, scope, refusal.request_id, now, len(body))
    try:
        await send({"type": "http.response.start", "status": finding.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
    except OSError:
        pass  # the client has gone
    rejection.took_us += services.tick_us() - began_us
    if scope["method"] not in _BODYLESS and has_body(scope["headers"]):
        await drain(receive, DRAINED_BYTES_MAX, DRAINED_S_MAX)
