"""Engine: the phases of a decision. Each phase runs the controls of its rows and returns their outcome.

Reads state, returns values, changes nothing. Time is an argument. A request goes

    admit ─▶ (Ask ─▶ work ─▶ admit)* ─▶ Refuse | Answer | Admission ─▶ examine ─▶ Refuse | Pass ─▶ release ─▶ inspect

and every step may be run again with the same arguments for the same answer. Which controls run, and in what order, is
the table in `order`; how each is run is in `evaluation`.
"""

from __future__ import annotations

from functools import partial
from itertools import takewhile
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace

from sallygate.controls.clients import ClientsControl, wrong_method
from sallygate.controls.identity import IdentityControl, missing
from sallygate.engine.controls_in_force import Controls
from sallygate.engine.evaluation import Judge, OpenEvaluation, Step, decide
from sallygate.engine.order import ORDER
from sallygate.model import driver as d
from sallygate.model.control import Phase
from sallygate.model.decision import HeaderList
from sallygate.model.finding import Finding
from sallygate.model.judgement import ResponsePlan
from sallygate.model.operation import Operation
from sallygate.model.outcome import (
    STREAM,
    Admission,
    Answer,
    Ask,
    Inspection,
    Pass,
    Passed,
    Refuse,
    Release,
    ResponseBody,
    Rest,
)
from sallygate.model.request import NO_BODY, Body, BodyPlan, RequestHead, Side
from sallygate.model.work import WorkDone
from sallygate.parsing.http.body import STREAM_BYTES_MAX
from sallygate.parsing.http.media_types import is_readable_json, media_and_coding
from sallygate.parsing.identifiers import IdHasher, answered_ids
from sallygate.parsing.openapi.routes import RouteTable

OWN_BODY = BodyPlan("whole", bytes_max=16 * 1024, over="auth.body_size")
"""At `/auth`: a refresh token, an access token and a list of scopes are below 6 KiB together."""
IDS_READ_BYTES_MAX = 256 * 1024
"""Of a response kept beside its stream to learn ids from. Pages of honest clients are smaller."""

_BODYLESS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS", "TRACE"))
"""A body that HTTP/2 sends with these, unannounced, is neither read nor passed on (RFC 9110, section 9.3.1)."""


class _Plan(Struct, frozen=True):
    """What runs for one operation, by phase."""

    admit: tuple[Judge, ...]
    caller: tuple[Judge, ...]
    plan: tuple[Judge, ...]
    examine: tuple[Judge, ...]
    release: tuple[Judge, ...]
    inspect: tuple[Judge, ...]
    message: tuple[Judge, ...]


class Engine:
    """The decisions of one policy."""

    carries_messages = False
    """Whether the shell carries connections for messages (WebSocket); without, they are refused."""

    def __init__(
        self,
        controls: Controls,
        routes: RouteTable | None,
        hash_id: IdHasher,
        own_routes: RouteTable | None = None,
        body_bytes_max: int = STREAM_BYTES_MAX,
    ) -> None:
        """`routes` are the API's, `own_routes` those of `/auth`; `body_bytes_max` is the largest body that no control
        reads."""
        self._streamed = BodyPlan("stream", bytes_max=body_bytes_max, over="limits.body_size", limit="limits.body")
        self.controls = controls
        self.hash_id = hash_id
        self.routes = routes
        self.own_routes = own_routes
        self.compile()
        self._refusal_headers: HeaderList = ()
        self._invalid_headers: HeaderList = ()
        if (identity := controls.get(IdentityControl)) is not None:
            self._refusal_headers = ((b"www-authenticate", identity.challenge),)
            self._invalid_headers = ((b"www-authenticate", identity.challenge_again),)
        if (clients := controls.get(ClientsControl)) is not None:
            self._refusal_headers += clients.link
            self._invalid_headers += clients.link

    def compile(self) -> None:
        """Look up once which methods run for which operation, so that one that a control does not apply to costs
        nothing. Again after `Controls.put`."""
        controls = self.controls
        self._address = controls.judges("address", None)
        self.early = controls.early(by_location=True), controls.early(by_location=False)
        self._unrouted = self._plan(None, own=False)
        self._own_unrouted = tuple(controls.judge(row) for row in ORDER if row.unrouted and controls.get(row.control))
        self._plans: dict[str, _Plan] = {}
        self._own_plans: dict[str, _Plan] = {}
        self._ending = tuple(controls.judge(row) for row in ORDER if row.ends and controls.get(row.control) is not None)

    def _plan(self, operation: Operation | None, *, own: bool) -> _Plan:
        judges = self.controls.judges
        return _Plan(*(judges(phase, operation, own=own) for phase in _PHASES))

    def _plan_of(self, operation: Operation | None, own: bool) -> _Plan:
        if operation is None:
            return self._unrouted
        plans = self._own_plans if own else self._plans
        plan = plans.get(operation.id)
        if plan is None:  # at the operation's first request: a document may have thousands that nobody calls
            plan = plans[operation.id] = self._plan(operation, own=own)
        return plan

    # admit ---------------------------------------------------------------------------------------------------------

    def admit(
        self, head: RequestHead, now: float, done: tuple[WorkDone, ...] = (), trace: list[Step] | None = None
    ) -> Ask | Refuse | Answer | Admission:
        """Who may do what, judged from the head alone."""
        evaluation = OpenEvaluation(head, now)
        if done:
            evaluation.done = done
        if trace is not None:
            evaluation.trace = trace
        if evaluation.run(self._address):
            return self._refuse(evaluation)
        if head.fault is not None:
            evaluation.find(head.fault)
            evaluation.note("request", "admit", head.fault.code)
            return self._refuse(evaluation)
        self._route(evaluation)
        if evaluation.own and (evaluation.operation is None or head.websocket):
            return self._own_method(evaluation)
        plan = self._plan_of(evaluation.operation, evaluation.own)
        if evaluation.run(plan.admit):
            return self._ended(evaluation)
        operation = evaluation.operation
        if evaluation.own and operation is not None and operation.security and evaluation.principal is None:
            evaluation.find(missing())
            return self._refuse(evaluation)
        if evaluation.run(plan.caller):
            return self._ended(evaluation)
        if head.websocket and not self.carries_messages:
            evaluation.find(Finding("clients.websocket", "WebSocket connections are not supported.", 501))
            return self._refuse(evaluation)
        if evaluation.own:
            evaluation.body_plan = OWN_BODY if head.method == "POST" else NO_BODY
        elif _has_body(head):
            evaluation.body_plan = self._streamed
        if evaluation.run(plan.plan):
            return self._refuse(evaluation)
        return Admission(
            evaluation.decision,
            operation,
            evaluation.path_values,
            evaluation.principal,
            evaluation.body_plan,
            evaluation.charges,
            evaluation.headers,
            evaluation.slots,
            evaluation.own,
            evaluation.pace,
        )

    def _route(self, evaluation: OpenEvaluation) -> None:
        head, match = evaluation.head, None
        if self.own_routes is not None:
            match = self.own_routes.match(head.method, head.raw_path, head.segments)
            evaluation.own = match is not None
        if match is None and self.routes is not None:
            match = self.routes.match(head.method, head.raw_path, head.segments)
            evaluation.routed = True
        evaluation.match = match
        if match is not None and match.operation is not None:
            # In shadow, or without `clients`, a wrong method goes to the API unjudged by a contract.
            evaluation.operation, evaluation.path_values = match.operation, match.path_values

    def _own_method(self, evaluation: OpenEvaluation) -> Ask | Refuse | Answer | Admission:
        """A preflight, or a method that `/auth` does not have there."""
        if evaluation.run(self._own_unrouted):
            return self._ended(evaluation)
        assert evaluation.match is not None
        finding, headers = wrong_method(evaluation.match)
        evaluation.find(finding)
        evaluation.headers += headers
        return self._refuse(evaluation)

    # examine -------------------------------------------------------------------------------------------------------

    def examine(
        self,
        admission: Admission,
        head: RequestHead,
        raw: bytes | None,
        done: tuple[WorkDone, ...] = (),
        trace: list[Step] | None = None,
        spool: object = None,
        aside: bool = False,
    ) -> Ask | Refuse | Pass | Rest:
        """What was sent, judged against the contract and for attacks. `raw` is the whole body, or None when it streams
        unread, or lies in the file `spool`. `aside`: off the event loop, as far as the plan's rows allow it."""
        if admission.own:
            return Pass(admission.decision)
        evaluation = OpenEvaluation.resumed(admission, head, head.received_at, trace)
        if raw is not None:
            evaluation.raw = raw
        if done or spool is not None:
            evaluation.done, evaluation.spool = done, spool
        judges = self._plan_of(admission.operation, False).examine
        here = judges if not aside else tuple(takewhile(attrgetter("may_offload"), judges))
        if not evaluation.run(here) and len(here) < len(judges):
            return Rest(partial(self._rest, evaluation, judges[len(here) :], admission, head))
        return self._examined(evaluation, admission, head)

    def _rest(
        self,
        evaluation: OpenEvaluation,
        judges: tuple[Judge, ...],
        admission: Admission,
        head: RequestHead,
        done: tuple[WorkDone, ...],
    ) -> Ask | Refuse | Pass:
        """What reads state, after the others have run off the event loop."""
        evaluation.run(judges)
        return self._examined(evaluation, admission, head)

    def _examined(self, evaluation: OpenEvaluation, admission: Admission, head: RequestHead) -> Ask | Refuse | Pass:
        decision = admission.decision
        if evaluation.findings:
            decision = decide((*decision.findings, *evaluation.findings))
        if decision.verdict != "allow":
            return Refuse(
                decision, evaluation.charges, (*admission.headers, *evaluation.headers), admission.operation,
                admission.principal, evaluation.answer_at,
            )  # fmt: skip
        if evaluation.asked:
            return Ask(evaluation.asked, evaluation.reserved)
        raw_query = evaluation.head.raw_query
        return Pass(
            decision, evaluation.body, evaluation.edited, raw_query if raw_query != head.raw_query else None,
            evaluation.charges,
        )  # fmt: skip

    def may_offload(self, admission: Admission) -> bool:
        """Whether what examines a request first reads nothing that changes, so that it may run off the event loop."""
        judges = self._plan_of(admission.operation, admission.own).examine
        return not judges or judges[0].may_offload

    # the response --------------------------------------------------------------------------------------------------

    def release(
        self,
        admission: Admission,
        head: RequestHead,
        status: int,
        headers: HeaderList,
        now: float,
        trace: list[Step] | None = None,
    ) -> Release:
        """How the response leaves, judged from its head."""
        evaluation = OpenEvaluation.resumed(admission, head, now, trace)
        evaluation.status, evaluation.response_headers = status, headers
        evaluation.run(self._plan_of(admission.operation, admission.own).release)
        plan = evaluation.plan or STREAM
        if admission.operation is not None and not admission.own:
            media, coding = media_and_coding(headers)
            gzip = "gzip" if coding == b"gzip" else ""
            if is_readable_json(media, coding):
                most = max(plan.copy_bytes_max, IDS_READ_BYTES_MAX)
                plan = ResponsePlan(plan.mode, most, gzip, plan.bytes_max, plan.framing, True, plan.over)
            elif plan.mode == "hold":
                plan = replace(plan, copy_bytes_max=0, coding="" if coding == b"identity" else coding.decode("latin-1"))
            elif plan.copy_bytes_max:  # nothing but JSON is read beside its stream
                plan = replace(plan, copy_bytes_max=0)
        return Release(
            evaluation.decision,
            evaluation.headers,
            evaluation.drop_headers,
            plan,
            evaluation.meter,
            evaluation.pace,
            evaluation.charges,
        )

    def ends(self, admission: Admission, head: RequestHead, now: float) -> Finding | None:
        """The restriction, made since, that ends what is under way; in shadow it is only found."""
        evaluation = OpenEvaluation.resumed(admission, head, now)
        for judge in self._ending:
            evaluation.run((judge,))
            evaluation.refused = False  # a denial alone ends nothing that was let in
        found = [one for one in evaluation.findings if one.verdict == "terminate" or one.code == "control.failed"]
        return next((one for one in found if one.mode == "enforce"), found[0] if found else None)

    def inspect(
        self,
        admission: Admission,
        head: RequestHead,
        response: d.ResponseHead,
        body: ResponseBody,
        now: float,
        done: tuple[WorkDone, ...] = (),
        trace: list[Step] | None = None,
    ) -> Ask | Inspection:
        """Inspect a response, once it is whole."""
        operation, tree = admission.operation, body.tree
        ids: tuple[int, ...] = ()
        truncated = body.unread
        judges = self._plan_of(operation, admission.own).inspect
        if not judges:
            if operation is not None and response.status < 300 and tree is not None:
                ids, truncated = answered_ids(operation.object_names, tree, self.hash_id)
            return Inspection(None, ids, truncated)
        evaluation = OpenEvaluation.resumed(admission, head, now, trace)
        evaluation.status, evaluation.response_headers = response.status, response.headers
        evaluation.tree = tree
        if body.unread:
            evaluation.unread, evaluation.partial = True, body.partial
        if done or body.raw is not None or body.spool is not None:
            evaluation.response_body, evaluation.spool, evaluation.done = body.raw, body.spool, done
        evaluation.run(judges)
        if evaluation.asked and not evaluation.refused:
            return Ask(evaluation.asked, evaluation.reserved)
        if operation is not None and response.status < 300 and evaluation.tree is not None:
            ids, truncated = answered_ids(operation.object_names, evaluation.tree, self.hash_id)
        records = next((facts.records for facts in evaluation.facts if facts.records is not None), None)
        edited = evaluation.response_body if evaluation.edited else None
        return Inspection(records, ids, truncated, evaluation.charges, evaluation.findings, evaluation.headers, edited)

    def message(
        self,
        admission: Admission,
        head: RequestHead,
        side: Side,
        data: bytes,
        now: float,
        trace: list[Step] | None = None,
    ) -> Passed:
        """One record or message that `side` sent."""
        judges = self._plan_of(admission.operation, admission.own).message
        if not judges:
            return Passed(data)
        evaluation = OpenEvaluation.resumed(admission, head, now, trace)
        evaluation.side, evaluation.message = side, data
        evaluation.run(judges)
        refused = next((one for one in evaluation.findings if one.mode == "enforce"), None)
        return Passed(evaluation.message, refused, evaluation.findings, evaluation.charges)

    def edits_records(self, admission: Admission) -> bool:
        """Whether records and messages may go on otherwise than they came."""
        return any(judge.mode == "enforce" for judge in self._plan_of(admission.operation, admission.own).message)

    def named_ids(self, admission: Admission, body: Body) -> tuple[tuple[int, ...], bool]:
        """Hashes of the ids a JSON body names, and whether there were more."""
        if body.kind != "json" or admission.operation is None:
            return (), False
        return answered_ids(admission.operation.object_names, body.tree, self.hash_id)

    # what findings add up to -----------------------------------------------------------------------------------------

    def _ended(self, evaluation: OpenEvaluation) -> Ask | Refuse | Answer:
        if evaluation.reply is not None:
            return Answer(evaluation.decision, evaluation.reply, evaluation.charges)
        if evaluation.asked:
            return Ask(evaluation.asked, evaluation.reserved)
        return self._refuse(evaluation)

    def _refuse(self, evaluation: OpenEvaluation) -> Refuse:
        decision = evaluation.decision
        headers = evaluation.headers
        if decision.status == 401:
            sent = "identity.invalid" in decision.reasons
            headers += self._invalid_headers if sent else self._refusal_headers
        return Refuse(
            decision, evaluation.charges, headers, evaluation.operation, evaluation.principal, evaluation.answer_at
        )


_PHASES: tuple[Phase, ...] = ("admit", "caller", "plan", "examine", "release", "inspect", "message")


def _has_body(head: RequestHead) -> bool:
    if head.unframed:
        return head.method not in _BODYLESS
    return "transfer-encoding" in head.fields or head.fields.get("content-length", "0") != "0"
