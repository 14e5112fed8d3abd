"""One request's part in a flood, as the engine asks about it: before identity, after it, and once it is refused.

Knows no order but its callers'.
"""

from __future__ import annotations

from sallygate.controls.flood import FloodControl, retry_s
from sallygate.controls.limits import retry_after
from sallygate.engine.case import Case
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge


def admit_address(case: Case, flood: FloodControl | None, head: RequestHead, now: float) -> bool:
    """The penalty box and the network's limits. True: refused."""
    if flood is None or "flood" not in case.how:
        return False

    def judge() -> Finding | None:
        finding, charges, held, wait_s = flood.admit_address(head, now)
        case.charges.extend(charges)
        case.held.extend(held)
        if wait_s and case.how["flood"].mode == "enforce":
            case.headers.extend(retry_after(wait_s))
        return finding

    return case.run("flood", "address", judge)


def admit_load(
    case: Case, flood: FloodControl | None, head: RequestHead, operation: Operation | None, now: float
) -> bool:
    """Whether the API is too busy for this caller, before anything of it is read, parsed or charged. True: refused."""
    if flood is None or "shedding" not in case.how:
        return False
    if not case.run("shedding", "admit", flood.look, head, case.principal, operation, now):
        return False
    case.headers.extend(come_back(case.findings[-1], head))
    return True


def come_back(finding: Finding, head: RequestHead) -> HeaderList:
    """For one that is shed; nothing for other findings."""
    return retry_after(retry_s(finding.rule, head.request_id)) if finding.code == "flood.shed" else ()


def price(
    flood: FloodControl | None, decision: Decision, head: RequestHead, principal: Principal | None
) -> tuple[Charge, ...]:
    """What a refusal costs whoever it is of."""
    if flood is None:
        return ()
    decisive = next((finding for finding in decision.findings if finding.mode == "enforce"), None)
    if decisive is None:
        return ()
    return flood.refused(decisive, head.client_network, head.client_address, principal)
