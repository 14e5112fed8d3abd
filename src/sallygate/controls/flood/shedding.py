"""Control of load shedding: under overload, callers of higher rank are served first and others are refused.

Threat: floods below every limit, an API that slows down (OWASP API4). Evidence: `flood.shed` (503) with the caller's
rank as its rule and why as its evidence. Known bypasses: a flood of callers with valid keys of a good plan is what the
plan allows them. Cost: 1 µs a request.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar
from zlib import crc32

from sallygate.model.control import Everywhere
from sallygate.model.decision import HeaderList, retry_after
from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.parsing.addresses import location_network
from sallygate.parsing.http.credentials import parse_api_key
from sallygate.policy.schema import Plan
from sallygate.state.bounded_table import Table
from sallygate.state.counters import RateTable
from sallygate.state.load_shedding import RANKS, UNKNOWN_RANK, Reason
from sallygate.state.parts import Parts
from sallygate.state.state import State

STANDING_TABLE = "flood:standing"
STANDING_PER_S, STANDING_BURST = 0.5, 30
"""Refusals a known caller may have and still be in good standing: who goes on at more than one every two seconds does
not look at the answers."""
RETRY_S = (1, 1, 2, 5, 10)
"""By rank: how long who is shed is asked to stay away at least; up to twice that, spread by request id, so that not all
come back at once."""
REFUSED_RANK = RANKS.index("refused")


def standing_table(state: State, now: float) -> Table:
    """Counter of refusals by account."""
    return state.table(RateTable(STANDING_TABLE, STANDING_PER_S, STANDING_BURST), now)


class SheddingControl(Everywhere):
    """Whose turn it is, and who is refused before anything of a request is read."""

    name: ClassVar = "shedding"
    section: ClassVar = "flood.shedding"

    def __init__(
        self,
        plans: dict[str, Plan],
        state: State,
        long_polls: frozenset[str],
        now: float,
        key_header: bytes = b"",
        own_paths: tuple[bytes, ...] = (),
    ) -> None:
        """`long_polls`: operations that wait for something to say, and take no slot. `own_paths`: beginnings of those
        the gate answers itself, which ask nothing of the API."""
        self.long_polls = long_polls
        self._key_header, self._own_paths = key_header, own_paths
        self._state = state
        self._standing = standing_table(state, now)
        self._ranks = {name: RANKS.index(plan.priority) for name, plan in plans.items()}

    @classmethod
    def build(cls, parts: Parts) -> SheddingControl:
        """The control of a policy."""
        loaded = parts.loaded
        long_polls = frozenset(name for name, part in loaded.policy.operations.items() if part.long_poll)
        key_header = parts.key_header.lower().encode()
        return cls(loaded.plans, parts.state, long_polls, parts.now, key_header, parts.own_paths)

    def idle(self, limited: bool) -> bool:
        """Whether slots at the API are free."""
        return not self._state.shedder.crowded

    def early(self, request: EarlyRequest) -> Judgement | None:
        """Shed a request early that would be shed later, at a tenth of the cost of a decision.

        The claimed key decides only whether the request gets a full decision: `early` takes the key id as claimed, and
        identity verifies the key later. A false key under a known id counts as ten refusals.
        """
        if request.method == "OPTIONS":
            return None  # what browsers ask first has no credential, the request after it may have the best
        key = b""
        for name, value in request.headers:
            if name == self._key_header:
                key = value
            elif name == b"authorization":
                return None
        rank, source = self.claimed(key, request.now) if key else (UNKNOWN_RANK, "")
        reason = self._state.shedder.look(rank, source)
        if not reason or request.path.startswith(self._own_paths):
            return None
        finding = shed(rank, reason)
        return Judgement((finding,), headers=retry_after(retry_s(finding.rule, request.request_id)))

    def caller(self, evaluation: Evaluation) -> Judgement | None:
        """Whether the request would be refused for want of a slot. Changes nothing."""
        operation, principal = evaluation.operation, evaluation.principal
        if operation is not None and operation.id in self.long_polls:
            return None
        rank = self.rank(principal, evaluation.now)
        reason = self._state.shedder.look(rank, self.source(evaluation.head, principal))
        if not reason:
            return None
        finding = shed(rank, reason)
        return Judgement((finding,), headers=come_back(finding, evaluation.head))

    def rank(self, principal: Principal | None, now: float) -> int:
        """Whose turn it is first when not all can be served: an index of `RANKS`."""
        if principal is None:
            return UNKNOWN_RANK
        if not self._standing.look(principal.account, now).allowed:
            return REFUSED_RANK
        return self._ranks.get(principal.plan, REFUSED_RANK)

    def claimed(self, key_text: bytes, now: float) -> tuple[int, str]:
        """Rank and account of the key id as claimed; the best rank for a key that memory does not have."""
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


def is_living(state: State, key_text: str, now: float) -> bool:
    """Whether there is a key of that name."""
    key = parse_api_key(key_text)
    credential = state.credentials.get(key.id) if key is not None else None
    return credential is not None and credential.alive(now)


@lru_cache(len(RANKS) * 8)
def shed(rank: int, reason: Reason) -> Finding:
    """Finding for a request that gets no slot at the API."""
    return Finding("flood.shed", "The API is overloaded; try again later.", 503,
                   "throttle", rule=RANKS[rank], evidence=reason, owasp="API4", attack="T1499")  # fmt: skip


def retry_s(rank: str, request_id: str) -> float:
    """When who was shed may come again."""
    least = RETRY_S[RANKS.index(rank)]
    return least + crc32(request_id.encode()) % (least + 1)


def come_back(finding: Finding, head: RequestHead) -> HeaderList:
    """When one for which the gate or the API has no room may come again; nothing for other findings."""
    if finding.code == "flood.memory":
        return retry_after(1)
    return retry_after(retry_s(finding.rule, head.request_id)) if finding.code == "flood.shed" else ()
