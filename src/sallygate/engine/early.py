"""Refusals that a place alone decides, before the request is read: an address that is listed, restricted, in the
penalty box or too fast costs a quarter of what a refusal by the whole way costs, and a flood from such addresses little
more than its connections. How whoever is turned away is told, and counted.

Decides nothing by itself: it asks the engine, and lets everything through to the whole way that is not plain: hops
that do not say where a call comes from in one word, plain HTTP, other methods than the usual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from msgspec import Struct

from sallygate.controls.clients import ClientsControl
from sallygate.controls.flood import FloodControl
from sallygate.controls.flood.shedding import is_living
from sallygate.controls.identity import IdentityControl
from sallygate.controls.limits import LimitsControl
from sallygate.controls.network import IntelligenceControl, NetworkControl
from sallygate.controls.restrictions import RestrictionsControl
from sallygate.engine.engine import Engine
from sallygate.engine.problem import SERVER, problem_body, problem_headers
from sallygate.events.early_tally import METHODS
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.finding import Finding
from sallygate.model.work import Charge
from sallygate.parsing.addresses import Address, location_network, parse_address, strip_port
from sallygate.parsing.http.head import HeadReader

RawHead = Mapping[str, Any]  # Any: ASGI's own types are open
"""A request's head as an ASGI scope has it, before it is read."""
KNOWN_MAX = 65_536
"""Callers remembered, about 20 MB when full; then all are forgotten, since a flood from more makes memory useless."""
KNOWN_S = 0.1
"""For so long an answer is believed: lists, restrictions and feeds are in force within 300 ms."""
HASTY = frozenset(("limits.address", "limits.address_concurrent", "flood.prefix", "flood.prefix_concurrent"))
"""Refusals of places for how much comes from them."""
HASTE_S = 1.0
"""For so long after one of them, those limits are asked at the door."""
_ID = "0" * 32


class Away(Struct, frozen=True, gc=False):
    """Somebody is turned away."""

    finding: Finding
    address: Address | None = None
    """None where nobody looked: they are told of together."""
    wait_s: Callable[[str], float] | None = None
    """By request id: after how many seconds to come back; None: not said."""
    charges: tuple[Charge, ...] = ()
    """What that costs whoever it is."""


class Door:
    """Of one policy."""

    def __init__(self, engine: Engine, reader: HeadReader, answer_headers: HeaderList) -> None:
        self._engine = engine
        self._hops = reader.trusted_hops
        self._by_chain = reader.forwarded == "x-forwarded-for"
        controls = engine.controls
        identity = controls.get(IdentityControl)
        self._credential_headers = frozenset(identity.credential_headers) if identity is not None else frozenset()
        self._network, self._restrict = controls.get(NetworkControl), controls.get(RestrictionsControl)
        self._feeds, self._limits = controls.get(IntelligenceControl), controls.get(LimitsControl)
        self._flood = controls.get(FloodControl)
        self._hasty_until = 0.0
        self._known: dict[tuple[str, str], tuple[float, Finding | None, bool]] = {}
        self._restrictions: object = None
        self._answers: dict[tuple[str, int, str], tuple[bytes, bytes, list[tuple[bytes, bytes]]]] = {}
        self._answer_headers = answer_headers
        clients = controls.get(ClientsControl)
        self._clients = clients if clients is not None and clients.answers_origins else None

    def look(self, scope: RawHead, now: float) -> Away | None:
        """Who is turned away, and why; None: come in, and be looked at."""
        judges, boxes, hasty = self._judges_locations, self._boxes, now < self._hasty_until
        if not (judges or boxes or hasty) or (method := scope["method"]) not in METHODS:
            return None
        address = self._caller(scope)
        if address is None:
            return None
        finding, plain = self._denied(address, method, now) if judges else (None, True)
        if finding is not None:
            return Away(finding, address)
        if not plain:
            return None
        if boxes and (boxed := self._boxed(address, now)) is not None:
            proves = self._may_prove(scope, now)
            if proves is None:
                return None
            if not proves:
                finding, wait_s = boxed
                return Away(finding, address, lambda _: wait_s)
        return self._hasty(address, now) if hasty else None

    def expect_haste(self, now: float) -> None:
        """Somebody was too fast, and may not have noticed."""
        self._hasty_until = now + HASTE_S

    def _hasty(self, address: Address, now: float) -> Away | None:
        try:
            found = self._too_fast(address, now)
        except Exception:  # the whole way says what a control that fails means
            return None
        if found is None:
            return None
        finding, wait_s, charges = found
        self.expect_haste(now)
        return Away(finding, address, lambda _: wait_s, charges)

    def _may_prove(self, scope: RawHead, now: float) -> bool | None:
        """Whether identity is worth asking, for one who is in the box; None where that is not plain to see."""
        flood, key = self._flood, None
        if flood is None:
            return None
        if scope["method"] == "POST" and scope.get("raw_path") in flood.sign_in:
            return True
        for name, value in scope["headers"]:
            if name in self._credential_headers:
                if name == b"authorization":
                    return True
                if key is not None:
                    return None
                key = value
        return key is not None and is_living(flood.state, key.decode("latin-1"), now)

    def _denied(self, address: Address, method: str, now: float) -> tuple[Finding | None, bool]:
        in_force = self._restrict.in_force if self._restrict is not None else None
        if in_force is not self._restrictions:  # another object after every change
            self._restrictions = in_force
            self._known.clear()
        key = (address.text, method)
        known = self._known.get(key)
        if known is None or not now < known[0] <= now + KNOWN_S:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            try:
                known = (now + KNOWN_S, *self._turns_away(address, method, now))
            except Exception:  # the whole way says what a control that fails means
                known = now + KNOWN_S, None, False
            self._known[key] = known
        return known[1:]

    # what the controls say of an address alone ---------------------------------------------------------------------

    @property
    def _judges_locations(self) -> bool:
        """Whether a location alone may decide anything at present."""
        return self._network is not None or (self._restrict is not None and not self._restrict.none_by_location)

    def _turns_away(self, address: Address, method: str, now: float) -> tuple[Finding | None, bool]:
        """What refuses whoever calls from there, whatever is asked; and, where nothing does, whether restrictions have
        nothing to say of the location (a throttle needs the whole way)."""
        controls, allowed = self._engine.controls, False
        if self._network is not None:
            finding, allowed = self._network.judge_location(address, method)
            if finding is None and not allowed and self._feeds is not None:
                finding = self._feeds.denies(address, now)
            if finding is not None and controls.enforces(NetworkControl):
                return finding, True
        if self._restrict is None or allowed or not controls.enforces(RestrictionsControl):
            return None, True
        judged = self._restrict.judge_location(address, method, now)
        if judged is None:
            return None, True
        if judged.findings and not judged.headers:
            return judged.findings[0], True
        return None, not judged.findings and not judged.charges

    @property
    def _boxes(self) -> bool:
        """Whether anybody is in the penalty box at present, and kept out."""
        return self._flood is not None and self._flood.has_boxed and self._engine.controls.enforces(FloodControl)

    def _boxed(self, address: Address, now: float) -> tuple[Finding, float] | None:
        """What keeps a stranger from there out, and for how many seconds more."""
        flood = self._flood
        return flood.boxed(address.network, location_network(address.text), now) if flood is not None else None

    def _too_fast(self, address: Address, now: float) -> tuple[Finding, float, tuple[Charge, ...]] | None:
        """What refuses more requests from there, whoever sends them; for how many seconds; and what that costs."""
        flood, limits, controls = self._flood, self._limits, self._engine.controls
        charges: tuple[Charge, ...] = ()
        if flood is not None:
            finding, charges, wait_s = flood.room_of(location_network(address.text), now)
            if finding is not None:  # in shadow, the whole way has more to tell
                return (finding, wait_s, ()) if controls.enforces(FloodControl) else None
        if limits is None or not controls.enforces(LimitsControl):
            return None
        finding, wait_s = limits.judge_network(address.network, now)
        if finding is None:
            return None
        if flood is not None:
            charges += flood.refused(finding, address.network, address.text, None)
        return finding, wait_s, charges

    # -----------------------------------------------------------------------------------------------------------------

    def _caller(self, scope: RawHead) -> Address | None:
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
        if not self._by_chain or (chain is not None and b"," in chain):
            return None
        if scheme != b"https" and (scheme is not None or scope["scheme"] != "https"):
            return None
        if chain is None:
            return address  # it is its own call
        address = parse_address(strip_port(chain.decode("latin-1").strip()))
        return None if address is None or address in self._hops else address

    def answer(self, away: Away, scope: RawHead, request_id: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Headers and body of what whoever is turned away is told."""
        finding = away.finding
        before, after, headers = self._answer(finding)
        out = [*headers, (b"x-request-id", request_id.encode()), SERVER]
        if self._clients is not None:
            out += self._clients.headers_for(_origin(scope))
        if away.wait_s is not None:
            out.append((b"retry-after", b"%d" % max(1, ceil(away.wait_s(request_id)))))
        if finding.verdict == "terminate" and scope.get("http_version", "1.1")[:1] == "1":
            out.append((b"connection", b"close"))
        return out, before + request_id.encode() + after

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


def _origin(scope: RawHead) -> str | None:
    """As the whole way reads it: repeated fields joined."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    return ", ".join(values) if values else None
