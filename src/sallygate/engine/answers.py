"""Answers of the gate itself: problem documents with their headers, and what every response carries."""

from __future__ import annotations

from collections.abc import Iterable

from sallygate.controls.clients import ClientsControl
from sallygate.controls.flood import FloodControl
from sallygate.engine.api_request import REQUEST_ID, Ports
from sallygate.engine.evaluation import decide
from sallygate.engine.gate import Gate
from sallygate.engine.ledger import Ledger
from sallygate.engine.problem import SERVER, problem_body, problem_headers
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.driver import Reply
from sallygate.model.finding import Finding
from sallygate.model.outcome import Admission, Refuse
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge

FINDINGS_MAX = 100
"""Of a stream's records and messages that are not enforced: the first ones tell what the others would."""


def common_headers(gate: Gate, head: RequestHead) -> HeaderList:
    """On every response: HSTS, the request id, the server's name, and what browsers of other origins may do."""
    clients = gate.engine.controls.get(ClientsControl)
    cors = clients.cors_headers(head) if clients is not None else ()
    return (*gate.answer_headers, (REQUEST_ID, head.request_id.encode()), SERVER, *cors)


def problem_reply(gate: Gate, head: RequestHead, refuse: Refuse) -> Reply:
    """The refusal as the client gets it."""
    decision = refuse.decision
    body = problem_body(decision, head.request_id)
    headers = problem_headers(b"" if head.method == "HEAD" else body, refuse.headers)
    if head.http_version[:1] == "1" and (head.fault in decision.findings or decision.verdict == "terminate"):
        # After a head with two readings, client and gate may disagree on where the next request begins (RFC 9112,
        # section 11.2).
        headers = [*headers, (b"connection", b"close")]
    return Reply(decision.status, (*headers, *common_headers(gate, head)), body, refuse.answer_at)


def price(gate: Gate, head: RequestHead, refuse: Refuse) -> tuple[Charge, ...]:
    """Charges of a refusal against its subject."""
    flood = gate.engine.controls.get(FloodControl)
    decisive = next((one for one in refuse.decision.findings if one.mode == "enforce"), None)
    if flood is None or decisive is None:
        return ()
    return flood.refused(decisive, head.client_network, head.client_address, refuse.principal)


def pay_price(gate: Gate, head: RequestHead, refuse: Refuse, ledger: Ledger, now: float, ports: Ports) -> None:
    """Charge what being refused costs. Never raises: a counter that fails must not turn a refusal into an error."""
    try:
        ledger.charge(price(gate, head, refuse), now)
    except Exception as error:
        ports.failed("flood", error)


def refusal(finding: Finding, admission: Admission, headers: HeaderList = ()) -> Refuse:
    """What refuses a request that was admitted. `headers` go with it, beside those the admission has."""
    findings = (*admission.decision.findings, finding)
    return Refuse(Decision(finding.verdict, finding.status, findings), (), (*admission.headers, *headers),
                  admission.operation, admission.principal)  # fmt: skip


def with_findings(decision: Decision, findings: tuple[Finding, ...]) -> Decision:
    """`decision` with what was found besides."""
    more = tuple([one for one in findings if one not in decision.findings])
    return decide((*decision.findings, *more)) if more else decision


def found_too(findings: tuple[Finding, ...], more: Iterable[Finding]) -> tuple[Finding, ...]:
    """`findings` with those of `more` that are not there yet: of a stream, no more than an event can hold."""
    for finding in more:
        if finding not in findings and (len(findings) < FINDINGS_MAX or finding.mode == "enforce"):
            findings += (finding,)
    return findings


def failed(detail: str) -> Decision:
    """The gate itself cannot decide: nobody passes."""
    return Decision("deny", 503, (Finding("control.failed", detail, 503, rule="engine"),))
