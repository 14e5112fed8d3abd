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

from functools import lru_cache
from zlib import crc32

from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import Charge
from sallygate.parsing.addresses import location_network
from sallygate.parsing.http.credentials import parse_api_key
from sallygate.policy.flood import Flood
from sallygate.policy.schema import Plan
from sallygate.state.counters import RateTable
from sallygate.state.load_shedding import RANKS, UNKNOWN_RANK, Reason
from sallygate.state.penalty_box import UNITS, Penalties
from sallygate.state.state import State

PREFIX_TABLE = "flood:prefix"
STANDING_TABLE = "flood:standing"
STANDING_PER_S, STANDING_BURST = 0.5, 30
"""Refusals a known caller may have and still be in good standing: who goes on at more than one every two seconds does
not look at the answers."""
FALSE_CLAIM = 10
"""So many refusals is one that got past the box under the name of a key that it does not have."""
UNBOXED = frozenset(("127.0.0.1", "::/64", "unknown"))
"""This machine, and peers without an address."""
SHARED = frozenset(
    ("flood.penalty", "flood.prefix", "flood.prefix_concurrent", "restriction.throttle", "identity.guesses")
)
"""Refusals that others can bring about, or that count elsewhere."""
RETRY_S = (1, 1, 2, 5, 10)
"""By rank: how long who is shed is asked to stay away at least; up to twice that, spread by request id, so that not all
come back at once."""
REFUSED_RANK = RANKS.index("refused")

Judged = tuple[Finding | None, tuple[Charge, ...], tuple[tuple[str, str, int], ...], float]
"""What was found, what it costs, which place among concurrent requests it takes, when to come back (0: not said)."""
NOTHING: Judged = (None, (), (), 0.0)


class FloodControl:
    """What is asked before identity, what refusals cost, and who comes first when the API is loaded."""

    def __init__(
        self,
        section: Flood,
        plans: dict[str, Plan],
        state: State,
        credential_headers: frozenset[str],
        long_polls: frozenset[str],
        sign_in: frozenset[bytes],
        now: float,
    ) -> None:
        """`credential_headers`: those whose credentials identity judges, and refuses when they are none.
        `long_polls`: operations that wait for something to say, and take no place. `sign_in`: paths to which a
        credential comes in the body."""
        self.counting = section.mode != "off"
        """Whether refusals are counted."""
        self.long_polls = long_polls
        self.body, self.answer = section.body, section.answer
        self._state = state
        self._credential_headers, self.sign_in = credential_headers, sign_in
        self._key_header = next((name for name in credential_headers if name != "authorization"), "")
        self._authorization = "authorization" in credential_headers
        penalty = section.penalty
        self._prefix = state.table(RateTable(PREFIX_TABLE, section.prefix.per_s, section.prefix.burst), now)
        self._prefix_concurrent = section.prefix_concurrent
        self._standing = state.table(RateTable(STANDING_TABLE, STANDING_PER_S, STANDING_BURST), now)
        box = state.table(Penalties(penalty.refusals.per_s, penalty.refusals.burst, penalty.first, penalty.most), now)
        assert isinstance(box, Penalties)
        self._penalties = state.penalties = box
        self._ranks = {name: RANKS.index(plan.priority) for name, plan in plans.items()}

    # before identity -------------------------------------------------------------------------------------------------

    def admit_address(self, head: RequestHead, now: float) -> Judged:
        """The penalty box, and what the whole network sends."""
        network = head.client_network
        site = location_network(head.client_address)
        if (boxed := self.boxed(network, site, now)) is not None and not self._may_prove(head, now):
            return boxed[0], (), (), boxed[1]
        return self.judge_site(site, now)

    def judge_site(self, site: str, now: float) -> Judged:
        """One more request from a /24 or IPv6 /48."""
        room = self._prefix.look(site, now)
        if not room.allowed:
            detail = "This network has sent too many requests."
            return _over("flood.prefix", detail, PREFIX_TABLE), (), (), room.reset_s
        if self._state.slots.count(PREFIX_TABLE, site) >= self._prefix_concurrent:
            detail = "This network has too many requests under way."
            return _over("flood.prefix_concurrent", detail, PREFIX_TABLE), (), (), 1.0
        held = ((PREFIX_TABLE, site, self._prefix_concurrent),)
        return None, (Charge(PREFIX_TABLE, site, 1),), held, 0.0

    @property
    def has_boxed(self) -> bool:
        """Whether there is anybody in the box, or may be."""
        return self._penalties.holds_anybody

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
        if head.method == "POST" and head.raw_path in self.sign_in:
            return True
        return self._names_key(head, now) or self._prepares(head)

    def _prepares(self, head: RequestHead) -> bool:
        """Whether a browser asks if it may send a request with a credential: it never sends that along."""
        if head.method != "OPTIONS" or "origin" not in head.fields:
            return False
        if head.raw_path in self.sign_in:
            return "access-control-request-method" in head.fields
        wanted = head.fields.get("access-control-request-headers", "").lower().split(",")
        return not self._credential_headers.isdisjoint(name.strip() for name in wanted)

    def _names_key(self, head: RequestHead, now: float) -> bool:
        """Whether the request names a living key. Says nothing about whether it has the key."""
        sent = head.fields.get(self._key_header) if self._key_header else None
        return sent is not None and self.is_living(sent, now)

    def is_living(self, key_text: str, now: float) -> bool:
        """Whether there is a key of that name."""
        key = parse_api_key(key_text)
        credential = self._state.credentials.get(key.id) if key is not None else None
        return credential is not None and credential.alive(now)

    # after a refusal -------------------------------------------------------------------------------------------------

    def refused(self, finding: Finding, network: str, address: str, principal: Principal | None) -> tuple[Charge, ...]:
        """What a refusal costs whoever it is of."""
        if not self.counting or not 400 <= finding.status < 500 or finding.code in SHARED:
            return ()
        if principal is not None:
            return (Charge(STANDING_TABLE, principal.account, 1),)
        if network in UNBOXED:
            return ()
        times = FALSE_CLAIM if finding.code == "identity.invalid" and finding.rule == "digest" else 1
        own = Charge(Penalties.NAME, network, times * UNITS)
        # Whoever has a /48 has 65,536 networks that are counted apart. A /24 is not one's own.
        return (own, Charge(Penalties.NAME, location_network(address), times)) if ":" in network else (own,)

    # what the API bears ----------------------------------------------------------------------------------------------

    def rank(self, principal: Principal | None, now: float) -> int:
        """Whose turn it is first when not all can be served: an index of `RANKS`."""
        if principal is None:
            return UNKNOWN_RANK
        if not self._standing.look(principal.account, now).allowed:
            return REFUSED_RANK
        return self._ranks.get(principal.plan, REFUSED_RANK)

    def claimed(self, key_text: bytes, now: float) -> tuple[int, str]:
        """Rank and account of whoever a key says it is; the best there is for one that memory does not have."""
        key = parse_api_key(key_text.decode("latin-1"))
        if key is None:
            return UNKNOWN_RANK, ""
        credential = self._state.credentials.get(key.id)
        if credential is None:  # it may be in the store; what it is, identity finds out
            return 0, ""
        if not credential.alive(now):
            return UNKNOWN_RANK, ""
        if not self._standing.look(credential.account, now).allowed:
            return REFUSED_RANK, credential.account
        return self._ranks.get(credential.plan, REFUSED_RANK), credential.account

    def source(self, head: RequestHead, principal: Principal | None) -> str:
        """Whose share a request is of: an account's, or a network's."""
        return principal.account if principal is not None else location_network(head.client_address)

    def look(
        self, head: RequestHead, principal: Principal | None, operation: Operation | None, now: float
    ) -> Finding | None:
        """Before anything is read or parsed: whether the request would be refused for want of a place. Changes
        nothing."""
        if operation is not None and operation.id in self.long_polls:
            return None
        rank = self.rank(principal, now)
        reason = self._state.shedder.look(rank, self.source(head, principal))
        return shed(rank, reason) if reason else None


@lru_cache(len(RANKS) * 8)
def shed(rank: int, reason: Reason) -> Finding:
    """For one that gets no place at the API."""
    return Finding("flood.shed", "The API has more to do than it can bear; try again later.", 503,
                   "throttle", rule=RANKS[rank], evidence=reason, owasp="API4", attack="T1499")  # fmt: skip


def retry_s(rank: str, request_id: str) -> float:
    """When who was shed may come again."""
    least = RETRY_S[RANKS.index(rank)]
    return least + crc32(request_id.encode()) % (least + 1)


def _over(code: str, detail: str, rule: str) -> Finding:
    return Finding(code, detail, 429, "throttle", rule=rule, owasp="API4", attack="T1499")
