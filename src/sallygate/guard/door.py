"""Refusals that a place alone decides, before the request is read: an address that is listed or restricted costs a
quarter of what a refusal by the whole way costs, and a flood from such addresses little more than its connections.

Decides nothing by itself: it asks the engine, and lets everything through to the whole way that is not plain: hops
that do not say where a call comes from in one word, plain HTTP, other methods than the usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sallygate.engine import Engine
from sallygate.guard.services import Scope, Send
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.exchange import MANY, Turned
from sallygate.model.finding import Finding
from sallygate.parsing.addresses import Address, parse_address, strip_port
from sallygate.parsing.head import HeadReader
from sallygate.problem import problem_body, problem_headers

if TYPE_CHECKING:
    from sallygate.guard.services import Services

KNOWN_MAX = 65_536
"""Callers remembered, about 20 MB when full; then all are forgotten, since a flood from more makes memory useless."""
KNOWN_S = 0.1
"""For so long an answer is believed: lists, restrictions and feeds are in force within 300 ms."""
SOURCES_MAX = 256
"""Of one kind of refusal, sources told of one by one every tenth of a second; all others together."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
_ID = "0" * 32
SERVER = (b"server", b"sallygate")


class Tally:
    """Counts refusals at the door, until somebody takes them."""

    def __init__(self) -> None:
        self._turned: dict[tuple[str, str, str, str], Turned] = {}
        self._sources: dict[tuple[str, str], int] = {}

    def add(self, finding: Finding, address: Address, scope: Scope, request_id: str, now: float, sent: int) -> Turned:
        kind = (finding.code, finding.rule)
        key = (*kind, address.network, scope["method"])
        turned = self._turned.get(key)
        if turned is None:
            many = self._sources.get(kind, 0)
            if many >= SOURCES_MAX:
                key = (*kind, MANY, scope["method"])
                turned = self._turned.get(key)
            else:
                self._sources[kind] = many + 1
        if turned is None:
            source = (MANY, MANY) if key[2] is MANY else (address.text, address.network)
            path: bytes = scope.get("raw_path") or b""
            turned = self._turned[key] = Turned(
                finding, *source, scope["method"], path.decode("ascii", "backslashreplace"), request_id, now, now
            )
        turned.count += 1
        turned.until = now
        turned.response_bytes += sent
        return turned

    def take(self) -> list[Turned]:
        taken = list(self._turned.values())
        self._turned, self._sources = {}, {}
        return taken


class Door:
    """Of one policy."""

    def __init__(self, engine: Engine, reader: HeadReader, answer_headers: HeaderList) -> None:
        self._engine = engine
        self._hops = reader.trusted_hops
        self._by_chain = reader.forwarded == "x-forwarded-for"
        self._known: dict[tuple[str, str], tuple[float, Finding | None]] = {}
        self._restrictions: object = None
        self._answers: dict[tuple[str, int, str], tuple[bytes, bytes, list[tuple[bytes, bytes]]]] = {}
        self._answer_headers = answer_headers
        clients = engine.controls.clients
        self._clients = clients if clients is not None and clients.answers_origins else None

    def look(self, scope: Scope, now: float) -> tuple[Finding, Address] | None:
        """Who is turned away, and why; None: come in, and be looked at."""
        engine = self._engine
        if not engine.judges_places or (method := scope["method"]) not in METHODS:
            return None
        address = self._caller(scope)
        if address is None:
            return None
        if engine.restrictions_in_force is not self._restrictions:
            self._restrictions = engine.restrictions_in_force
            self._known.clear()
        key = (address.text, method)
        known = self._known.get(key)
        if known is None or not now < known[0] <= now + KNOWN_S:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            try:
                known = now + KNOWN_S, engine.turns_away(address, method, now)
            except Exception:  # the whole way says what a control that fails means
                known = now + KNOWN_S, None
            self._known[key] = known
        return None if known[1] is None else (known[1], address)

    def _caller(self, scope: Scope) -> Address | None:
        """Where the call comes from, where that is plain to see."""
        peer = scope.get("client")
        address = parse_address(peer[0]) if peer else None
        if address is None:
            return None
        if not self._hops.lengths or address not in self._hops:
            return address if scope["scheme"] == "https" else None
        chain = scheme = None
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                if chain is not None:
                    return None
                chain = value
            elif name == b"x-forwarded-proto":
                if scheme is not None:
                    return None
                scheme = value
        if not self._by_chain or chain is None or b"," in chain:
            return None
        if scheme != b"https" and (scheme is not None or scope["scheme"] != "https"):
            return None
        address = parse_address(strip_port(chain.decode("latin-1").strip()))
        return None if address is None or address in self._hops else address

    async def turn_away(self, services: Services, scope: Scope, send: Send, finding: Finding, address: Address) -> None:
        began_us, now, request_id = services.tick_us(), services.now(), services.new_request_id()
        before, after, headers = self._answer(finding)
        body = before + request_id.encode() + after
        out = [*headers, (b"x-request-id", request_id.encode()), SERVER]
        if self._clients is not None:
            out += self._clients.headers_for(_origin(scope))
        if finding.verdict == "terminate" and scope.get("http_version", "1.1")[:1] == "1":
            out.append((b"connection", b"close"))
        turned = services.turned.add(finding, address, scope, request_id, now, len(body))
        try:
            await send({"type": "http.response.start", "status": finding.status, "headers": out})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        except OSError:
            pass  # the client has gone
        turned.took_us += services.tick_us() - began_us

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


def _origin(scope: Scope) -> str | None:
    """As the whole way reads it: repeated fields joined."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    return ", ".join(values) if values else None
