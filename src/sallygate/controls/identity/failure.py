"""The one answer to a credential that does not count, whatever the reason: the client learns no more (OWASP API2)."""

from __future__ import annotations

from msgspec import Struct

from sallygate.model.finding import Finding
from sallygate.model.work import Charge


class Refusal(Struct, frozen=True, gc=False):
    """A finding that costs its caller something, or says when to come back."""

    finding: Finding
    charges: tuple[Charge, ...] = ()
    wait_s: float = 0.0
    """Until it is worth trying again; 0 says nothing."""


def invalid(why: str, evidence: str = "") -> Finding:
    """`why` and `evidence` are for the operator alone."""
    return Finding("identity.invalid", "The credential is not valid.", 401, rule=why, evidence=evidence,
                   owasp="API2", attack="T1110")  # fmt: skip


def unavailable(what: str) -> Finding:
    """`what` cannot be looked at now: no "no" is made of it, and no "yes"."""
    return Finding("identity.unavailable", f"{what} cannot be checked at present.", 503, owasp="API2")


def plan_gone(evidence: str) -> Finding:
    return Finding("identity.plan", "The plan of this credential is no longer offered.", 403,
                   evidence=evidence, owasp="API5")  # fmt: skip
