"""Floods: what comes too fast from one network, from sources that are refused again and again, and more than the API
bears.

Threat: HTTP floods, from one address or ten thousand (OWASP API4). Evidence: `flood.penalty`, `flood.prefix`,
`flood.prefix_concurrent` (429) before identity; `flood.shed` (503) after it, with the caller's rank as its rule.
Known bypasses: a flood from many networks of callers with valid keys of a good plan is what the plan allows them.
Cost: 1.5 µs before identity, 1 µs after.

**Whose a refusal is.** A refusal counts against whoever it is known to be of: the account, once a credential has proven
it, and the address only of those who have proven nothing. So nobody behind a shared address is boxed for what a known
neighbour sends. What anonymous neighbours send, in an office or behind a carrier's translation, can get the address
boxed. That is why the box holds strangers only: a request that names a living key this gate knows, or carries a
credential in `Authorization` that identity judges, goes on to identity and is served when it proves right; what it
costs there has limits of its own. So does whoever signs in, whose code or token is in the body, and the question a
browser asks before it sends a credential along. A false proof under a known key's name counts as `FALSE_CLAIM`
refusals, in the box too. Pages of others that have browsers ask for things that are not there can so shut out their
visitors from public operations, for a minute, and not from what they have a credential for. Addresses of this machine
are never boxed: a proxy on it that is not named in `transport.trusted_hops` would take everyone with it.

**Which refusals count.** All that the caller can help (4xx), but for those that others can bring about: limits shared
with a network, throttles shared with all that a restriction covers, and logins, which have counts of their own. Never
503: whoever is shed did nothing wrong. What is refused in the box does not count: whoever keeps knocking gets out in
time, and back in for longer when the next requests are refused too.
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
UNBOXED = frozenset(("127.0.0.1", "::/64", "unknown"))
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
        """Strangers in the penalty box; and while limits refuse, what the whole network sends."""
        if request.client is None:
            return None
        address, network = request.client
        site, now = location_network(address), request.now
        if (boxed := self.boxed(network, site, now)) is not None:
            proves = self._may_prove_early(request)
            if proves is None:
                return FULL_PATH
            if not proves:
                return Judgement((boxed[0],), headers=retry_after(boxed[1]))
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
        if (boxed := self.boxed(head.client_network, site, now)) is not None and not self._may_prove(head, now):
            return Judgement((boxed[0],), headers=retry_after(boxed[1]))
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

    def boxed(self, network: str, site: str, now: float) -> tuple[Finding, float] | None:
        """What a stranger from there is told, and for how many seconds more."""
        until = self._penalties.until(network, now) or (self._penalties.until(site, now) if ":" in site else 0.0)
        if not until:
            return None
        return _over("flood.penalty", "Too many requests from here were refused.", "penalty"), until - now

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
        """What a refusal costs whoever it is of."""
        if not 400 <= finding.status < 500 or finding.code in SHARED:
            return ()
        if principal is not None:
            return (Charge(STANDING_TABLE, principal.account, 1),)
        if network in UNBOXED:
            return ()
        times = FALSE_CLAIM if finding.code == "identity.invalid" and finding.rule == "digest" else 1
        own = Charge(Penalties.NAME, network, times * UNITS)
        # Whoever has a /48 has 65,536 networks that are counted apart. A /24 is not one's own.
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
