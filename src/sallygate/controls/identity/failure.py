"""Finding of a refused credential: the same for every reason, so that the client learns no more (OWASP API2)."""

from __future__ import annotations

from sallygate.model.finding import Finding


def invalid(why: str, evidence: str = "") -> Finding:
    """`why` and `evidence` are for the operator alone."""
    return Finding("identity.invalid", "The credential is not valid.", 401, rule=why, evidence=evidence,
                   owasp="API2", attack="T1110")  # fmt: skip


def unavailable(what: str) -> Finding:
    """`what` cannot be looked at now: no "no" is made of it, and no "yes"."""
    return Finding("identity.unavailable", f"{what} cannot be checked at present.", 503, owasp="API2")


def plan_gone(evidence: str) -> Finding:
    """Finding `identity.plan`: the policy lacks the plan of a valid credential."""
    return Finding("identity.plan", "The plan of this credential is no longer offered.", 403,
                   evidence=evidence, owasp="API5")  # fmt: skip


def missing(what: str = "a credential") -> Finding:
    """Finding `identity.missing`: the operation needs `what`, and the request has none."""
    return Finding("identity.missing", f"This operation needs {what}.", 401, owasp="API2")
