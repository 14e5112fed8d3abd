"""Refusals before the request is read, answered and counted; `engine.early` decides them."""

from __future__ import annotations

from sallygate.engine.early import EarlyRefusal
from sallygate.guard.services import Scope, Send, Services


async def refuse_early(services: Services, scope: Scope, send: Send, refusal: EarlyRefusal) -> None:
    """Answer, charge and count one refusal."""
    began_us, now, finding = services.tick_us(), services.now(), refusal.finding
    gate = services.gate
    headers, body = gate.early.answer(refusal, scope)
    gate.state.charge(refusal.charges, now)
    turned = services.turned.add(finding, refusal.address, scope, refusal.request_id, now, len(body))
    try:
        await send({"type": "http.response.start", "status": finding.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
    except OSError:
        pass  # the client has gone
    turned.took_us += services.tick_us() - began_us
