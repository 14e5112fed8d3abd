"""The only control flow: which controls run for a request, in what order, and what their findings add up to.

Reads state, returns values, changes nothing. Time is an argument. A request goes

    admit ─▶ (Ask ─▶ work ─▶ admit)* ─▶ Refuse | Answer | Admission ─▶ examine ─▶ Refuse | Pass ─▶ release ─▶ learn

and every step may be run again with the same arguments for the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

from msgspec.structs import replace

from sallygate.controls.clients import ClientsControl, wrong_method
from sallygate.controls.contract import Contract
from sallygate.controls.identity import Asking, IdentityControl, Proven, Refused, missing
from sallygate.controls.injection import InjectionControl
from sallygate.controls.limits import Allowed, retry_after
from sallygate.controls.location import LocationControl
from sallygate.controls.network import NetworkControl
from sallygate.controls.restrictions import Outcome, RestrictionsControl
from sallygate.engine.case import Case, Step, decide
from sallygate.engine.examining import Examining, coded
from sallygate.engine.overload import admit_address, admit_load
from sallygate.engine.releasing import Controls, Releasing
from sallygate.model.decision import (
    Admission,
    Answer,
    Ask,
    HeaderList,
    Pass,
    Refuse,
)
from sallygate.model.finding import Finding
from sallygate.model.operation import Match, Operation
from sallygate.model.principal import Principal
from sallygate.model.request import EMPTY_BODY, NO_BODY, Body, BodyPlan, RequestHead
from sallygate.model.work import WorkDone
from sallygate.parsing.http.codings import READABLE
from sallygate.parsing.identifiers import IdHasher
from sallygate.parsing.openapi.routes import RouteTable

BODY_BYTES_MAX = 16 << 20
"""Largest request body where no contract says less."""

OWN_BODY_BYTES_MAX = 16 * 1024
"""At `/auth`: a refresh token, an access token and a list of scopes are below 6 KiB together."""

_BODYLESS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS", "TRACE"))
"""A body that HTTP/2 sends with these, unannounced, is neither read nor passed on (RFC 9110, section 9.3.1)."""

Ts = TypeVarTuple("Ts")


class Engine(Releasing):
    def __init__(
        self, controls: Controls, routes: RouteTable | None, hash_id: IdHasher, own_routes: RouteTable | None = None
    ) -> None:
        """`routes` are the API's, `own_routes` those of `/auth`."""
        super().__init__(controls, hash_id)
        self.routes = routes
        self.own_routes = own_routes
        self._refusal_headers: HeaderList = ()
        self._invalid_headers: HeaderList = ()
        if controls.identity is not None:
            self._refusal_headers = ((b"www-authenticate", controls.identity.challenge),)
            self._invalid_headers = ((b"www-authenticate", controls.identity.challenge_again),)
        if controls.clients is not None:
            self._refusal_headers += controls.clients.link
            self._invalid_headers += controls.clients.link

    # admit ---------------------------------------------------------------------------------------------------------

    def admit(
        self, head: RequestHead, now: float, done: tuple[WorkDone, ...] = (), trace: list[Step] | None = None
    ) -> Ask | Refuse | Answer | Admission:
        """Who may do what, judged from the head alone."""
        case = Case(self.controls.how, trace)
        if self._address(case, head, now) or self._head(case, head):
            return self._refuse(case)
        if (own := self._own(head)) is not None:
            return self._admit_own(case, head, own, now, done)
        match = self.routes.match(head.method, head.raw_path, head.segments) if self.routes is not None else None
        case.match = match
        if (clients := self.controls.clients) is not None and self.routes is not None:
            if (reply := clients.reply(head, match)) is not None:
                case.note("clients", "admit", f"answered by the gate: {reply.status}")
                return Answer(case.decision, reply, tuple(case.charges))
            if case.run("clients", "admit", self._clients, case, clients, head, match):
                return self._refuse(case)
        if match is not None and match.operation is None:
            # In shadow, or without `clients`, a wrong method goes to the API unjudged by a contract.
            match = None
        operation = match.operation if match is not None else None
        if self._operation(case, head, operation):
            return self._refuse(case)
        asked = self._identity(case, head, operation, now, done)
        if asked is not None:
            return asked
        if not case.refused and (asked := self._location(case, head, done)) is not None:
            return asked
        if not case.refused and (asked := self._restricted(case, head, operation, now, done)) is not None:
            return asked
        if case.refused or admit_load(case, self.controls.flood, head, operation, now):
            return self._refuse(case)
        if self._principal(case, head, operation, now):
            return self._refuse(case)
        if head.websocket:
            case.findings.append(Finding("clients.websocket", "WebSocket connections are not supported.", 501))
            return self._refuse(case)
        plan = self._plan_body(case, head, operation)
        if plan is None:
            return self._refuse(case)
        return Admission(
            case.decision,
            operation,
            match.path_values if match is not None else (),
            case.principal,
            plan,
            tuple(case.charges),
            tuple(case.headers),
            tuple(case.held),
        )

    def _own(self, head: RequestHead) -> Match | None:
        routes = self.own_routes
        return routes.match(head.method, head.raw_path, head.segments) if routes is not None else None

    def _admit_own(
        self, case: Case, head: RequestHead, match: Match, now: float, done: tuple[WorkDone, ...]
    ) -> Ask | Refuse | Answer | Admission:
        """A request to `/auth`: what the API demands of callers holds where one must be known; whoever need not be is
        judged there."""
        case.match = match
        operation = match.operation
        if (clients := self.controls.clients) is not None and (reply := clients.reply(head, match)) is not None:
            return Answer(case.decision, reply, tuple(case.charges))  # a preflight
        if operation is None or head.websocket:
            finding, headers = wrong_method(match)
            case.findings.append(finding)
            case.headers.extend(headers)
            return self._refuse(case)
        if operation.security:
            if (asked := self._identity(case, head, operation, now, done)) is not None:
                return asked
            if not case.refused and case.principal is None:
                case.findings.append(missing())
            if (
                not case.refused
                and not operation.admits_locations
                and (asked := self._location(case, head, done)) is not None
            ):
                return asked
        if not case.refused and (asked := self._restricted(case, head, operation, now, done, own=True)) is not None:
            return asked
        if case.refused or self._principal(case, head, operation, now):
            return self._refuse(case)
        body = BodyPlan("whole", bytes_max=OWN_BODY_BYTES_MAX, over="auth.body_size")
        return Admission(case.decision, operation, (), case.principal, body if operation.method == "POST" else NO_BODY,
                         tuple(case.charges), tuple(case.headers), tuple(case.held), own=True)  # fmt: skip

    def _address(self, case: Case, head: RequestHead, now: float) -> bool:
        """What the place alone decides. True: refused."""
        controls = self.controls
        if controls.transport is not None and case.run("transport", "admit", controls.transport.admit, head):
            return True
        if (network := controls.network) is not None and case.run(
            "network", "address", self._network_location, case, network, head
        ):
            return True
        if (
            network is not None
            and network.asks_feeds
            and not case.location_allowed
            and case.run("network", "intelligence", self._feeds, case, network, head, now)
        ):
            return True
        if (restrictions := controls.restrictions) is not None and case.run(
            "restrictions", "address", self._restrict_location, case, restrictions, head, now
        ):
            return True
        if admit_address(case, controls.flood, head, now):
            return True
        if (limits := controls.limits) is not None:
            return case.run("limits", "address", self._limit, case, limits.admit_address, head, now)
        return False

    def _network_location(self, case: Case, network: NetworkControl, head: RequestHead) -> Finding | None:
        finding, case.location_allowed = network.admit_address(head)
        return finding

    def _feeds(self, case: Case, network: NetworkControl, head: RequestHead, now: float) -> Finding | None:
        named = network.judge_feeds(head, now)
        case.findings.extend(named.seen)
        case.charges.extend(named.charges)
        if named.wait_s and self.controls.how["network"].mode == "enforce":
            case.headers.extend(retry_after(named.wait_s))
        return named.finding

    def _head(self, case: Case, head: RequestHead) -> bool:
        if head.fault is None:
            return False
        case.findings.append(head.fault)
        case.note("request", "admit", head.fault.code)
        return True

    def _clients(self, case: Case, clients: ClientsControl, head: RequestHead, match: Match | None) -> Finding | None:
        finding, headers = clients.admit(head, match)
        case.headers.extend(headers)
        return finding

    def _operation(self, case: Case, head: RequestHead, operation: Operation | None) -> bool:
        """What the place decides of this operation. True: refused."""
        network = self.controls.network
        if network is None or operation is None or not network.asks_operations:
            return False
        return case.run("network", "operation", network.admit_operation, head, operation)

    def _identity(
        self,
        case: Case,
        head: RequestHead,
        operation: Operation | None,
        now: float,
        done: tuple[WorkDone, ...],
    ) -> Ask | None:
        """Sets the principal or a finding; returns only a question."""
        identity = self.controls.identity
        if identity is None:
            return None
        case.run("identity", "admit", self._identify, case, identity, head, operation, now, done)
        return Ask(case.asked, case.reserved) if case.asked is not None else None

    def _identify(
        self,
        case: Case,
        identity: IdentityControl,
        head: RequestHead,
        operation: Operation | None,
        now: float,
        done: tuple[WorkDone, ...],
    ) -> Finding | None:
        answer = identity.admit(head, operation, now, done)
        if isinstance(answer, Principal):
            case.principal = answer
        elif isinstance(answer, Finding):
            return answer
        elif isinstance(answer, Proven):
            case.principal = answer.principal
            case.charges.extend(answer.charges)
        elif isinstance(answer, Refused):
            case.charges.extend(answer.charges)
            case.headers.extend(answer.headers)
            return answer.finding
        elif isinstance(answer, Asking):
            case.asked, case.reserved = answer.work, answer.reserved
        elif answer is not None:
            case.asked = answer
        return None

    def _location(self, case: Case, head: RequestHead, done: tuple[WorkDone, ...]) -> Ask | None:
        """Whether the principal may call from where it does; returns only a question."""
        location, principal = self.controls.location, case.principal
        if location is None or principal is None:
            return None
        case.run("location", "admit", self._locate, case, location, head, principal, done)
        return Ask(case.asked) if case.asked is not None else None

    def _locate(
        self, case: Case, location: LocationControl, head: RequestHead, principal: Principal, done: tuple[WorkDone, ...]
    ) -> Finding | None:
        answer = location.admit(head, principal, done)
        if answer is None or isinstance(answer, Finding):
            return answer
        case.asked = answer
        return None

    def _restricted(
        self,
        case: Case,
        head: RequestHead,
        operation: Operation | None,
        now: float,
        done: tuple[WorkDone, ...],
        *,
        own: bool = False,
    ) -> Ask | None:
        """Whether who calls is kept out, from there or altogether; returns only a question."""
        network, restrictions, principal = self.controls.network, self.controls.restrictions, case.principal
        if (
            network is not None
            and principal is not None
            and network.asks_callers
            and case.run("network", "caller", network.admit_caller, head, principal, operation)
        ):
            return None
        if restrictions is not None:
            case.run("restrictions", "caller", self._restrict, case, restrictions, head, operation, now, done, own)
        return Ask(case.asked) if case.asked is not None else None

    def _restrict_location(
        self, case: Case, restrictions: RestrictionsControl, head: RequestHead, now: float
    ) -> Finding | None:
        return None if case.location_allowed else _taken(case, restrictions.admit_address(head, now))

    def _restrict(
        self,
        case: Case,
        restrictions: RestrictionsControl,
        head: RequestHead,
        operation: Operation | None,
        now: float,
        done: tuple[WorkDone, ...],
        own: bool,
    ) -> Finding | None:
        outcome = restrictions.admit_principal(
            head, case.principal, operation, now, done, location_allowed=case.location_allowed, own=own
        )
        return _taken(case, outcome)

    def _principal(self, case: Case, head: RequestHead, operation: Operation | None, now: float) -> bool:
        """What who and what decide. True: refused."""
        controls, principal = self.controls, case.principal
        if (limits := controls.limits) is not None and case.run(
            "limits", "caller", self._limit, case, limits.admit_principal, head, principal, operation, now
        ):
            return True
        if (identity := controls.identity) is not None and principal is not None:
            return case.run("identity", "authorise", identity.authorise, principal, operation)
        return False

    def _limit(self, case: Case, judge: Callable[[*Ts], Allowed], *args: *Ts) -> Finding | None:
        allowed = judge(*args)
        if self.controls.how["limits"].mode != "shadow":
            # In shadow nobody is told of limits that do not hold; the counters and places count all the same.
            case.headers.extend(allowed.headers)
        case.held.extend(allowed.held)
        case.charges.extend(allowed.charges)
        return allowed.finding

    def _plan_body(self, case: Case, head: RequestHead, operation: Operation | None) -> BodyPlan | None:
        """How to read the body; None: refused."""
        contract, injection = self.controls.contract, self.controls.injection
        if contract is not None and operation is not None:
            if case.run("contract", "admit", self._judge_plan, case, contract, operation, head):
                return None
        elif _has_body(head):
            case.body = BodyPlan("stream", bytes_max=BODY_BYTES_MAX)
        if (
            injection is not None
            and case.body.mode == "stream"
            and case.run("injection", "admit", self._read_instead, case, injection, head)
        ):
            return None
        return case.body

    def _judge_plan(self, case: Case, contract: Contract, operation: Operation, head: RequestHead) -> Finding | None:
        plan = contract.plan_body(operation, head)
        if isinstance(plan, Finding):
            case.body = BodyPlan("stream", bytes_max=BODY_BYTES_MAX)  # what shadow reads instead
            return plan
        case.body = plan
        return self._judge_coding(case, head)

    def _read_instead(self, case: Case, injection: InjectionControl, head: RequestHead) -> Finding | None:
        """Reads what would stream past."""
        plan = injection.plan_body(head, case.body)
        if isinstance(plan, Finding):
            return plan
        case.body = plan
        return self._judge_coding(case, head) if plan.mode == "whole" else None

    def _judge_coding(self, case: Case, head: RequestHead) -> Finding | None:
        if (coding := head.fields.get("content-encoding", "").strip().lower()) not in ("", "identity"):
            if case.body.mode == "stream" or coding not in READABLE:
                return coded(Finding("body.coding", "Bodies of this content coding are not accepted.", 415))
            case.body = replace(case.body, coding=coding)
        return None

    # examine -------------------------------------------------------------------------------------------------------

    def examine(
        self, admission: Admission, head: RequestHead, raw: bytes | None, trace: list[Step] | None = None
    ) -> Refuse | tuple[Pass, Body]:
        """What was sent, judged against the contract and for attacks. `raw` is the whole body, or None when it streams
        unread. May be run off the event loop: it reads nothing that changes."""
        if admission.own:
            return Pass(admission.decision), EMPTY_BODY
        controls, operation = self.controls, admission.operation
        case = Case(controls.how, trace)
        examining = Examining(case, admission, head, raw)
        if (contract := controls.contract) is not None and operation is not None:
            examining.run("contract", examining.contract, contract, operation)
        if (injection := controls.injection) is not None and not case.refused:
            examining.run("injection", examining.injection, injection)
        if not case.findings:
            return Pass(admission.decision), examining.body
        findings = (*admission.decision.findings, *case.findings)
        decision = decide(list(findings))
        if decision.verdict == "allow":
            return Pass(decision, examining.edit), examining.body
        return Refuse(decision, (), admission.headers, operation, admission.principal)

    # what findings add up to -----------------------------------------------------------------------------------------

    def _refuse(self, case: Case) -> Refuse:
        decision = case.decision
        headers = tuple(case.headers)
        if decision.status == 401:
            sent = "identity.invalid" in decision.reasons
            headers += self._invalid_headers if sent else self._refusal_headers
        operation = case.match.operation if case.match is not None else None
        return Refuse(decision, tuple(case.charges), headers, operation, case.principal)


def _taken(case: Case, outcome: Outcome) -> Finding | None:
    case.charges.extend(outcome.charges)
    case.asked = outcome.work
    if outcome.wait_s:
        case.headers.extend(retry_after(outcome.wait_s))
    return outcome.finding


def _has_body(head: RequestHead) -> bool:
    if head.unframed:
        return head.method not in _BODYLESS
    return "transfer-encoding" in head.fields or head.fields.get("content-length", "0") != "0"
