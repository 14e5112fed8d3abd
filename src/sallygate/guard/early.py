"""Refusals before the request is read, answered and counted; `engine.early` decides them."""

from __future__ import annotations

from sallygate.engine.early import Away
from sallygate.guard.services import Scope, Send, Services


async def turn_away(services: Services, scope: Scope, send: Send, away: Away) -> None:
    """Answer, charge and count one refusal."""
    began_us, now, request_id = services.tick_us(), services.now(), services.new_request_id()
    gate = services.gate
    headers, body = gate.door.answer(away, scope, request_id)
    gate.state.charge(away.charges, now)
    turned = services.turned.add(away.finding, away.address, scope, request_id, now, len(body))
    try:
        await send({"type": "http.response.start", "status": away.finding.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
    except OSError:
        pass  # the client has gone
    turned.took_us += services.tick_us() - began_us
