"""Builders of audit events: one event for each administrative act."""

from __future__ import annotations

import secrets

from sallygate.model.event import NO_LOCATION, Event


def act_of(act: str, subject: str, actor: str, note: str, now: float) -> Event:
    """The event of an administrative act."""
    return Event(
        at=now, request_id=secrets.token_hex(16), trace_id="", decision="allow", status=0, method="", path="",
        client_address="", location=NO_LOCATION, kind="audit", act=act, subject=subject, actor=actor, note=note,
    )  # fmt: skip
