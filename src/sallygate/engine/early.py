"""Early rejection: refusals before the head is read, by the controls' own `early` methods.

An address that is listed, restricted, in the penalty box or too fast costs a quarter of what a refusal by the full path
costs, and a flood from such addresses little more than its connections; so do callers that would be shed. Whatever is
not plain to see goes to the full path: hops that do not say where a call comes from, plain HTTP, unusual methods, and
all that a control in shadow finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from sallygate.controls.clients import ClientsControl
from sallygate.controls.flood import FloodControl
from sallygate.engine.controls_in_force import EarlyJudge
from sallygate.engine.engine import Engine
from sallygate.engine.problem import SERVER, problem_body, problem_headers
from sallygate.events.rejection_counts import METHODS
from sallygate.model.control import FULL_PATH
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.early import Client, EarlyRequest
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.work import Charge
from sallygate.parsing.addresses import Address, parse_address
from sallygate.parsing.http.head import HeadReader
from sallygate.state.state import State

RawHead = Mapping[str, Any]  # Any: ASGI's own types are open
"""A request's head as an ASGI scope has it, before it is read."""
KNOWN_MAX = 65_536
"""Clients remembered, about 20 MB when full; then all are forgotten, since a flood from more makes memory useless."""
KNOWN_S = 0.1
"""For so long an answer is believed: lists, restrictions and feeds are in force within 300 ms."""
LIMITS = frozenset(("limits.address", "limits.address_concurrent", "flood.prefix", "flood.prefix_concurrent"))
"""Refusals by client address for how much comes from there."""
LIMITED_S = 1.0
"""For so long after one of them, those limits are asked early."""
_ID = "0" * 32
_NOTHING = Judgement()


class EarlyRefusal(Struct, frozen=True, gc=False):
    """A request that is refused before it is read."""

    finding: Finding
    request_id: str
    address: Address | None
    """None where it was not read: such rejections share one record."""
    headers: HeaderList = ()
    charges: tuple[Charge, ...] = ()


class EarlyRejection:
    """Of one policy."""

    def __init__(self, engine: Engine, reader: HeadReader, state: State, answer_headers: HeaderList) -> None:
        """`answer_headers` are on every answer."""
        self._engine, self._reader, self._state = engine, reader, state
        self._limited_until = 0.0
        self._known: dict[tuple[str, str], tuple[float, Judgement]] = {}
        self._restrictions: object = None
        self._answers: dict[tuple[str, int, str], tuple[bytes, bytes, list[tuple[bytes, bytes]]]] = {}
        self._answer_headers = answer_headers
        clients = engine.controls.get(ClientsControl)
        self._clients = clients if clients is not None and clients.answers_origins else None

    def look(self, scope: RawHead, now: float, new_request_id: Callable[[], str]) -> EarlyRefusal | None:
        """What refuses the request early; None: it has to be read."""
        self._state.shedder.arrived += 1
        limited = now < self._limited_until
        by_location, others = self._engine.early
        client: Client | None = None
        try:
            if _awake(by_location, limited) and (client := self._client(scope)) is not None:
                judged = self._known_of(client, scope, now)
                if judged is FULL_PATH:
                    return None
                if judged.findings:
                    return EarlyRefusal(judged.findings[0], new_request_id(), parse_address(client[0]))
            if not _awake(others, limited):
                return None
            request = self._request(scope, now, limited, client, new_request_id)
            return self._judge(request, others)
        except Exception:  # the full path says what a control that fails means
            return None

    def expect_more(self, now: float) -> None:
        """A limit by client address has refused somebody who may not have noticed."""
        self._limited_until = now + LIMITED_S

    def _request(
        self, scope: RawHead, now: float, limited: bool, client: Client | None, new_request_id: Callable[[], str]
    ) -> EarlyRequest:
        path: bytes = scope.get("raw_path") or scope["path"].encode()  # the former is optional in ASGI
        known = client or (lambda: self._client(scope))
        return EarlyRequest(scope["method"], path, scope["headers"], now, limited, known, new_request_id)

    def _judge(self, request: EarlyRequest, others: tuple[EarlyJudge, ...]) -> EarlyRefusal | None:
        charges: tuple[Charge, ...] = ()
        for one in others:
            judgement = None if one.idle(request.limited) else one.judge(request)
            if judgement is None:
                continue
            if judgement.findings and one.enforced:
                return self._refuse(request, judgement, charges)
            if judgement.findings or judgement is FULL_PATH:
                return None
            charges += judgement.charges
        return None

    def _refuse(self, request: EarlyRequest, judgement: Judgement, charges: tuple[Charge, ...]) -> EarlyRefusal:
        finding, client = judgement.findings[0], request.client if request.asked else None
        if finding.code in LIMITS:
            self.expect_more(request.now)
        flood = self._engine.controls.get(FloodControl)
        if flood is not None and client is not None:
            charges += flood.refused(finding, client[1], client[0], None)
        address = parse_address(client[0]) if client is not None else None
        return EarlyRefusal(finding, request.request_id, address, judgement.headers, charges)

    def _known_of(self, client: Client, scope: RawHead, now: float) -> Judgement:
        """What client address and method alone decide, as it was found a moment ago."""
        if self._state.restrictions is not self._restrictions:  # another object after every change
            self._restrictions = self._state.restrictions
            self._known.clear()
        key = client[0], scope["method"]
        known = self._known.get(key)
        if known is None or not now < known[0] <= now + KNOWN_S:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            request = self._request(scope, now, False, client, str)  # a request id for the record
            known = self._known[key] = now + KNOWN_S, _first(request, self._engine.early[0])
        return known[1]

    def _client(self, scope: RawHead) -> Client | None:
        """The client address and what it is counted by, where that is plain to see and the method one that is usual."""
        peer = scope.get("client")
        if not peer or scope["method"] not in METHODS:
            return None
        address = self._reader.early_client(peer[0], scope["scheme"], scope["headers"])
        return (address.text, address.network) if address is not None else None

    def answer(self, refusal: EarlyRefusal, scope: RawHead) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Header fields and body of the answer to a rejected request."""
        finding, request_id = refusal.finding, refusal.request_id.encode()
        before, after, headers = self._answer(finding)
        out = [*headers, (b"x-request-id", request_id), SERVER, *refusal.headers]
        if self._clients is not None:
            out += self._clients.headers_for(_origin(scope))
        if finding.verdict == "terminate" and scope.get("http_version", "1.1")[:1] == "1":
            out.append((b"connection", b"close"))
        return out, before + request_id + after

    def _answer(self, finding: Finding) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
        """The problem document before and after its request id, and its headers. A handful: details are fixed words."""
        key = (finding.code, finding.status, finding.detail)
        answer = self._answers.get(key)
        if answer is None:
            body = problem_body(Decision(finding.verdict, finding.status, (finding,)), _ID)
            before, _, after = body.partition(_ID.encode())
            headers = [*problem_headers(body, ()), *self._answer_headers]
            answer = self._answers[key] = before, after, headers
        return answer


def _awake(judges: tuple[EarlyJudge, ...], limited: bool) -> bool:
    """Whether any of them could refuse something at present."""
    for one in judges:  # noqa: SIM110  # a generator would cost more than what it asks, for every request
        if not one.idle(limited):
            return True
    return False


def _first(request: EarlyRequest, judges: tuple[EarlyJudge, ...]) -> Judgement:
    """What refuses, `FULL_PATH`, or nothing."""
    for one in judges:
        judgement = one.judge(request)
        if judgement is None:
            continue
        if judgement.findings:
            return judgement if one.enforced else FULL_PATH
        if judgement is FULL_PATH:
            return FULL_PATH
        request.location_allowed = request.location_allowed or judgement.allowed
    return _NOTHING


def _origin(scope: RawHead) -> str | None:
    """As the full path reads it: repeated fields joined."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    return ", ".join(values) if values else None
