"""Flood controls: limits by network, the penalty box for sources of repeated refusals, and load shedding.

Threat: HTTP floods, from one address or ten thousand (OWASP API4). Evidence: `flood.penalty`, `flood.prefix`,
`flood.prefix_concurrent` (429) before identity; `flood.shed` (503) after it, with the caller's rank as its rule.
Known bypasses: a flood from many networks of callers with valid keys of a good plan is what the plan allows them.
Cost: 1.5 µs before identity, 1 µs after.

**Subject of a refusal.** A refusal counts against the account if a credential has proven one, otherwise against the
address. So the requests of a known neighbour never put a shared address into the penalty box. The requests of anonymous
neighbours, in an office or behind carrier-grade NAT, can. For this reason the penalty box holds anonymous callers only:
a request with the id of a valid key that this gate knows, or with a credential in `Authorization`, continues to
identity and is served if the credential is valid; the cost of verification has limits of its own. Sign-ins (code or
token in the body) and preflight requests of browsers continue too. A wrong secret under a known key id counts as
`FALSE_CLAIM` refusals, also in the penalty box. A page of another origin can make a browser send requests that are
refused; the visitor then loses public operations for a minute, but no operation that the visitor has a credential for.
Addresses of this machine never enter the penalty box: a local proxy missing in `transport.trusted_hops` would take all
its clients with it.

**Which refusals count.** Every 4xx that the caller causes. Exceptions, since other callers can cause them: limits
shared with a network, throttles shared by all callers under one restriction, and logins, which have counts of their
own. A 503 never counts: a request that is shed did nothing wrong. A refusal in the penalty box does not count: a source
that keeps sending leaves the box in time, and enters it for longer when its next requests are refused too.
"""

from __future__ import annotations

from typing import ClassVar

from sallygate.controls.flood.shedding import STANDING_TABLE, SheddingControl, is_living, shed, standing_table
from sallygate.model.control import FULL_PATH, Phase
from sallygate.model.decision import retry_after
from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement, Pace, Slot
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge
from sallygate.parsing.addresses import location_network
from sallygate.policy.flood import Flood
from sallygate.state.counters import RateTable
from sallygate.state.parts import Parts
from sallygate.state.penalty_box import UNITS, Penalties
from sallygate.state.state import State

__all__ = ["PREFIX_TABLE", "FloodControl", "SheddingControl", "shed"]

PREFIX_TABLE = "flood:prefix"
FALSE_CLAIM = 10
"""So many refusals is one that got past the box under the name of a key that it does not have."""
EXEMPT = frozenset(("127.0.0.1", "::/64", "unknown"))
"""This machine, and peers without an address."""
SHARED = frozenset(
    ("flood.penalty", "flood.prefix", "flood.prefix_concurrent", "restriction.throttle", "identity.guesses")
)
"""Refusals that others can bring about, or that count elsewhere."""


class FloodControl:
    """The penalty box, limits of networks, and the pace of bodies and responses."""

    name: ClassVar = "flood"
    section: ClassVar = "flood"

    def __init__(
        self,
        section: Flood,
        state: State,
        credential_headers: frozenset[str],
        sign_in: frozenset[bytes],
        now: float,
    ) -> None:
        """`credential_headers`: those whose credentials identity judges, and refuses when they are none. `sign_in`:
        paths to which a credential comes in the body."""
        body, response = section.body, section.answer
        slow = Finding("flood.slow_body", f"The body arrives at less than {body.rate} bytes a second.", 408,
                       owasp="API4", attack="T1499")  # fmt: skip
        late = Finding("request.body_time", f"The body did not arrive within {body.time:.0f} s.", 408)
        self._body_pace = Judgement(pace=Pace(body.after, body.rate, slow, body.time, late))
        reader = Finding("flood.slow_reader", "The response is read too slowly.", 408, "terminate", rule="answer.rate",
                         owasp="API4", attack="T1499")  # fmt: skip
        self._response_pace = Judgement(pace=Pace(response.after, response.rate, reader)) if response.rate else None
        self._state = state
        self._credential_headers, self._sign_in = credential_headers, sign_in
        self._raw_headers = frozenset(name.encode() for name in credential_headers)
        self._key_header = next((name for name in credential_headers if name != "authorization"), "")
        self._authorization = "authorization" in credential_headers
        penalty = section.penalty
        self._prefix = state.table(RateTable(PREFIX_TABLE, section.prefix.per_s, section.prefix.burst), now)
        self._prefix_concurrent = section.prefix_concurrent
        standing_table(state, now)
        box = state.table(Penalties(penalty.refusals.per_s, penalty.refusals.burst, penalty.first, penalty.most), now)
        assert isinstance(box, Penalties)
        self._penalties = state.penalties = box

    # before identity -------------------------------------------------------------------------------------------------

    @classmethod
    def build(cls, parts: Parts) -> FloodControl:
        """The control of a policy."""
        section, auth = parts.sections[cls.section], parts.loaded.policy.auth
        assert isinstance(section, Flood)
        judged = parts.credential_headers if parts.enforces("identity") else frozenset()
        sign_in = frozenset(f"{auth.prefix}/{name}".encode() for name in ("token", "codes")) if auth else frozenset()
        return cls(section, parts.state, frozenset(name.decode() for name in judged), sign_in, parts.now)

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """To all requests and responses."""
        return True

    def idle(self, limited: bool) -> bool:
        """While nobody is in the box and no limit has refused."""
        return not (limited or self._penalties.holds_anybody)

    def early(self, request: EarlyRequest) -> Judgement | None:
        """Anonymous callers of sources in the penalty box; and, while limits refuse, everything from the network."""
        if request.client is None:
            return None
        address, network = request.client
        site, now = location_network(address), request.now
        if (penalty := self.penalty(network, site, now)) is not None:
            proves = self._may_prove_early(request)
            if proves is None:
                return FULL_PATH
            if not proves:
                return Judgement((penalty[0],), headers=retry_after(penalty[1]))
        if not request.limited:
            return None
        finding, charges, wait_s = self.room_of(site, now)
        if finding is not None:
            return Judgement((finding,), headers=retry_after(wait_s))
        return Judgement(charges=charges)

    def address(self, evaluation: Evaluation) -> Judgement:
        """The penalty box, and what the whole network sends."""
        head, now = evaluation.head, evaluation.now
        site = location_network(head.client_address)
        if (penalty := self.penalty(head.client_network, site, now)) is not None and not self._may_prove(head, now):
            return Judgement((penalty[0],), headers=retry_after(penalty[1]))
        return self.judge_site(site, now)

    def plan(self, evaluation: Evaluation) -> Judgement:
        """How slowly the request's body may arrive."""
        return self._body_pace

    def release(self, evaluation: Evaluation) -> Judgement | None:
        """How slowly the response may be read: who reads too slowly keeps a connection to the API from others."""
        return self._response_pace

    def judge_site(self, site: str, now: float) -> Judgement:
        """One more request from a /24 or IPv6 /48."""
        finding, charges, wait_s = self.room_of(site, now)
        if finding is not None:
            return Judgement((finding,), headers=retry_after(wait_s))
        return Judgement(charges=charges, slots=(Slot(PREFIX_TABLE, site, self._prefix_concurrent),))

    def room_of(self, site: str, now: float) -> tuple[Finding | None, tuple[Charge, ...], float]:
        """What refuses one more request from there and for how many seconds, or what it costs."""
        room = self._prefix.look(site, now)
        if not room.allowed:
            detail = "This network has sent too many requests."
            return _over("flood.prefix", detail, PREFIX_TABLE), (), room.reset_s
        if self._state.slots.count(PREFIX_TABLE, site) >= self._prefix_concurrent:
            detail = "This network has too many requests under way."
            return _over("flood.prefix_concurrent", detail, PREFIX_TABLE), (), 1.0
        return None, (Charge(PREFIX_TABLE, site, 1),), 0.0

    def penalty(self, network: str, site: str, now: float) -> tuple[Finding, float] | None:
        """Finding for an anonymous caller of a source in the penalty box, and the seconds that remain; None: not in
        it."""
        until = self._penalties.until(network, now) or (self._penalties.until(site, now) if ":" in site else 0.0)
        if not until:
            return None
        return _over("flood.penalty", "Too many requests from this address were refused.", "penalty"), until - now

    def _may_prove(self, head: RequestHead, now: float) -> bool:
        """Whether identity is worth asking, for one who is in the box."""
        if self._authorization and "authorization" in head.fields:
            return True
        if head.method == "POST" and head.raw_path in self._sign_in:
            return True
        return self._names_key(head, now) or self._prepares(head)

    def _may_prove_early(self, request: EarlyRequest) -> bool | None:
        """The same before the head is read; None where that is not plain to see."""
        if request.method == "POST" and request.path in self._sign_in:
            return True
        key = None
        for name, value in request.headers:
            if name in self._raw_headers:
                if name == b"authorization":
                    return True
                if key is not None:
                    return None
                key = value
        return key is not None and is_living(self._state, key.decode("latin-1"), request.now)

    def _prepares(self, head: RequestHead) -> bool:
        """Whether a browser asks if it may send a request with a credential: it never sends that along."""
        if head.method != "OPTIONS" or "origin" not in head.fields:
            return False
        if head.raw_path in self._sign_in:
            return "access-control-request-method" in head.fields
        wanted = head.fields.get("access-control-request-headers", "").lower().split(",")
        return not self._credential_headers.isdisjoint(name.strip() for name in wanted)

    def _names_key(self, head: RequestHead, now: float) -> bool:
        """Whether the request names a living key. Says nothing about whether it has the key."""
        sent = head.fields.get(self._key_header) if self._key_header else None
        return sent is not None and is_living(self._state, sent, now)

    # after a refusal -------------------------------------------------------------------------------------------------

    def refused(self, finding: Finding, network: str, address: str, principal: Principal | None) -> tuple[Charge, ...]:
        """Charges of a refusal against its subject."""
        if not 400 <= finding.status < 500 or finding.code in SHARED:
            return ()
        if principal is not None:
            return (Charge(STANDING_TABLE, principal.account, 1),)
        if network in EXEMPT:
            return ()
        times = FALSE_CLAIM if finding.code == "identity.invalid" and finding.rule == "digest" else 1
        own = Charge(Penalties.NAME, network, times * UNITS)
        # The holder of a /48 has 65,536 networks that are counted separately. A /24 has many holders.
        return (own, Charge(Penalties.NAME, location_network(address), times)) if ":" in network else (own,)


NO_MEMORY = Finding(
    "flood.memory",
    "The gate holds as many bodies as it can; try again later.",
    503,
    "throttle",
    owasp="API4",
    attack="T1499",
)
"""What is found where a body would go over the process's memory budget."""


def _over(code: str, detail: str, rule: str) -> Finding:
    return Finding(code, detail, 429, "throttle", rule=rule, owasp="API4", attack="T1499")
