"""One request on its way through: admitted, charged, read, examined, passed on; or refused, at any of these."""

from __future__ import annotations

from sallygate.engine.case import decide
from sallygate.engine.early import HASTY
from sallygate.engine.gate import OVERRIDES
from sallygate.engine.overload import come_back
from sallygate.engine.problem import problem_body, problem_headers
from sallygate.guard.answer import ApiAnswer, Stopped, refusal
from sallygate.guard.body import read_body
from sallygate.guard.context import REQUEST_ID, Context
from sallygate.guard.turn import ClientLeft, Turn, note_shed
from sallygate.model.access import AuthCall
from sallygate.model.decision import Admission, Answer, Ask, Decision, Refuse, Reply
from sallygate.model.finding import Finding
from sallygate.model.request import Body
from sallygate.model.work import ROUNDS_MAX, WorkDone

ASIDE_BYTES = 64 * 1024
"""Larger bodies are examined off the event loop, where they make nobody wait."""
IDENTITY_PREFIX = b"x-sallygate-"
UNMETERED = frozenset(
    f"http.response.{name}" for name in ("pathsend", "zerocopysend", "trailers", "push", "early_hint")
)
"""ASGI extensions by which an answer would leave unseen."""


class _Refused(Exception):
    """Unwinds to where the problem document is sent."""

    def __init__(self, refuse: Refuse) -> None:
        self.refuse = refuse


async def run(call: Context) -> None:
    """The whole way of one call, to its answer and its record."""
    try:
        outcome = await _admit(call)
    except Exception as error:  # the engine itself failed: nobody passes
        call.services.failed("engine", error)
        outcome = Refuse(_failed("The request cannot be checked at present."), call.reserved)
    except BaseException:  # who leaves before the answer has tried all the same
        call.apply(call.reserved)
        _give_back(call)
        raise
    call.admit_us = call.services.tick_us() - call.started_us
    call.charge(outcome.charges)
    _give_back(call)
    note_shed(call.gate.state.shedder, outcome.decision)
    if isinstance(outcome, Refuse):
        await _refuse(call, outcome)
    elif isinstance(outcome, Answer):
        await _reply(call, outcome)
    else:
        await _admitted(call, outcome)


async def _admit(call: Context) -> Refuse | Answer | Admission:
    done: tuple[WorkDone, ...] = ()
    for _ in range(ROUNDS_MAX + 1):
        # The first time at the very moment the event will tell, so that it can be decided again from there.
        now = call.services.now() if done else call.head.received_at
        outcome = call.gate.engine.admit(call.head, now, done)
        if not isinstance(outcome, Ask):
            return outcome
        _give_back(call)
        call.reserved = outcome.reserved
        for charge in call.reserved:
            call.gate.state.slots.take(charge.table, charge.subject)
        done = (*done, await call.services.work(outcome.work))
    return Refuse(_failed("The request cannot be decided."), call.reserved)


def _give_back(call: Context) -> None:
    for charge in call.reserved:
        call.gate.state.slots.give_back(charge.table, charge.subject)
    call.reserved = ()


async def _refuse(call: Context, refuse: Refuse, request_bytes: int = 0) -> None:
    call.price(refuse)
    if refuse.decision.status == 429 and not HASTY.isdisjoint(refuse.decision.reasons):
        call.gate.door.expect_haste(call.services.now())
    body = problem_body(refuse.decision, call.head.request_id)
    headers = problem_headers(b"" if call.head.method == "HEAD" else body, refuse.headers)
    if refuse.decision.verdict == "terminate" and call.head.http_version[:1] == "1":
        headers = [*headers, (b"connection", b"close")]
    await call.send_whole(refuse.decision.status, [*headers, *call.common_headers()], body)
    call.record(refuse.decision, refuse.decision.status, operation=refuse.operation, principal=refuse.principal,
                 response_bytes=len(body), request_bytes=request_bytes)  # fmt: skip


async def _reply(call: Context, answer: Answer) -> None:
    reply: Reply = answer.reply
    await call.send_whole(reply.status, [*reply.headers, *call.common_headers()], reply.body)
    call.record(answer.decision, reply.status, response_bytes=len(reply.body))


async def _admitted(call: Context, admission: Admission) -> None:
    held = call.gate.state.slots
    for table, subject, _ in admission.held:
        held.take(table, subject)
    try:
        await _pass_on(call, admission)
    except _Refused as refused:
        await _refuse(call, refused.refuse)
    finally:
        for table, subject, _ in admission.held:
            held.give_back(table, subject)


async def _pass_on(call: Context, admission: Admission) -> None:
    raw = None
    if admission.body.mode == "whole":
        read = await read_body(call, admission)
        if isinstance(read, Finding):
            raise _Refused(refusal(read, admission))
        raw = read
    engine = call.gate.engine
    try:
        if raw is not None and len(raw) > ASIDE_BYTES:
            examined = await call.services.aside(lambda: engine.examine(admission, call.head, raw))
        else:
            examined = engine.examine(admission, call.head, raw)
    except Exception as error:
        call.services.failed("engine", error)
        raise _Refused(Refuse(_failed("The request cannot be checked at present."))) from None
    if isinstance(examined, Refuse):
        await _refuse(call, examined, len(raw or b""))
        return
    passed, body = examined
    edit = passed.edit
    if edit is not None and edit.body is not None:
        body = Body(edit.body, body.kind, body.media, body.tree, body.declared)
    remade = admission.body.coding or (edit is not None and edit.body is not None)
    scope = {
        **call.scope,
        "headers": _upstream_headers(call, admission, body if remade else None),
    }
    if edit is not None and edit.raw_query is not None:
        scope["query_string"] = edit.raw_query
    scope["sallygate"] = admission.principal
    app, own = call.app, None
    if admission.own and admission.operation is not None:
        own = AuthCall(admission.operation.id, call.head, admission.principal, [])
        app, scope["sallygate.auth"] = call.services.own, own
    if extensions := call.scope.get("extensions"):
        # Not offered, so not used: a `FileResponse` under Granian would hand its path past the gate.
        scope["extensions"] = {name: extensions[name] for name in extensions if name not in UNMETERED}
    upstream = ApiAnswer(call, admission, passed.decision)
    receive = upstream.receive_from(raw if raw is not None else None, body, admission.body)
    turn = Turn.of(call, admission)
    call.gate_us = call.services.tick_us() - call.started_us
    try:
        if turn is not None:
            await _turn(call, turn, upstream, admission)
        await app(scope, receive, upstream.send)
        if own is not None and own.findings:
            upstream.decision = decide([*passed.decision.findings, *own.findings])
    except _Refused:
        raise
    except ClientLeft:
        upstream.gone = True
    except Stopped as stopped:
        if not upstream.status:
            raise _Refused(refusal(stopped.finding, admission)) from None
        upstream.finish(body)
        raise
    except BaseException:
        upstream.finish(body)
        raise
    finally:
        if turn is not None:
            turn.end(gone=upstream.gone)
    upstream.finish(body)
    if not upstream.done and not upstream.gone:
        # Whoever swallowed the error: an answer that is not whole must not look whole. The server cuts it.
        raise ConnectionAbortedError("the answer was not finished")


async def _turn(call: Context, turn: Turn, upstream: ApiAnswer, admission: Admission) -> None:
    """A connection to the API, and a place at it; a body that streams takes its place when it is all there."""
    finding = turn.open()
    upstream.turn = turn
    if finding is None and admission.body.mode != "stream":
        finding = await turn.take()
    if finding is not None:
        raise _Refused(refusal(finding, admission, come_back(finding, call.head)))


def _upstream_headers(call: Context, admission: Admission, body: Body | None) -> list[tuple[bytes, bytes]]:
    """The caller's headers without credentials and claims of identity, then the gate's own."""
    dropped = call.gate.dropped_headers
    if call.gate.state.restrictions.names_methods:
        dropped |= OVERRIDES
    headers = [
        pair
        for pair in call.head.headers
        if pair[0] not in dropped
        and pair[0] != REQUEST_ID
        and not pair[0].startswith(IDENTITY_PREFIX)
        and (b"_" not in pair[0] or not _protected(call, pair[0]))
    ]
    operation = admission.operation
    if operation is not None and operation.id in call.gate.counted_operations:
        accepts_gzip = "gzip" in call.head.fields.get("accept-encoding", "")
        headers = [pair for pair in headers if pair[0] != b"accept-encoding"]
        headers.append((b"accept-encoding", b"gzip" if accepts_gzip else b"identity"))
    if body is not None and body.kind != "none":  # its coding was undone: the API gets what was inspected
        headers = [pair for pair in headers if pair[0] not in (b"content-encoding", b"content-length")]
        headers.append((b"content-length", b"%d" % len(body.raw)))
    elif admission.body.mode != "none" and call.head.unframed:
        headers.append((b"transfer-encoding", b"chunked"))  # HTTP/1.1 needs to be told that there is a body
    headers.append((REQUEST_ID, call.head.request_id.encode()))
    if (trace := call.services.traceparent(call.head)) is not None:
        headers = [pair for pair in headers if pair[0] != b"traceparent"]
        headers.append((b"traceparent", trace))
    if admission.principal is not None:
        headers += call.services.identity_headers(admission.principal, call.services.now())
    return headers


def _protected(call: Context, name: bytes) -> bool:
    """CGI-like servers read `X_Sallygate_Account` as `X-Sallygate-Account`, and `X_Role` as the `X-Role` that the
    contract would have judged."""
    dashed, gate = name.replace(b"_", b"-"), call.gate
    return (
        dashed in gate.dropped_headers
        or dashed in gate.declared_headers
        or dashed == REQUEST_ID
        or dashed.startswith(IDENTITY_PREFIX)
    )


def _failed(detail: str) -> Decision:
    return Decision("deny", 503, (Finding("control.failed", detail, 503, rule="engine"),))
