"""Control of active restrictions: the one mechanism of every block.

Threat: a caller known to be hostile, whatever it asks. Evidence: `restriction.deny`, `restriction.terminate`,
`restriction.throttle` or `challenge.required`, with the restriction's id.
Known bypasses: an address is not a person; block the key or account when it is known.
Cost: one look-up an indexed kind and prefix length, nothing when none is active.

If a location alone decides, addresses on the policy's allow list pass: a country can be closed without its
partners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import ClassVar

from sallygate.model.control import FULL_PATH, Everywhere
from sallygate.model.decision import retry_after
from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead, is_among
from sallygate.model.restriction import ACTS, Restriction
from sallygate.model.work import Charge, LoadLocations, LocationsLoaded, WorkDone
from sallygate.parsing.addresses import UNKNOWN, Address, Prefixes, location_network, parse_address, prefix_set
from sallygate.policy.schema import RestrictionsSection
from sallygate.state.geography import Origin
from sallygate.state.parts import Parts
from sallygate.state.restrictions import Restrictions
from sallygate.state.state import State

PREFIXES_CACHED = 10_000
"""As many as restrictions may be in force: reading a prefix takes 5 µs, half of what a refusal may cost."""
_RANK = {act: rank for rank, act in enumerate(ACTS)}


def throttle_table(restriction_id: str) -> str:
    """The counter of a throttle: one for all it covers, so that a prefix shares its allowance."""
    return f"restriction:{restriction_id}"


class RestrictionsControl(Everywhere):
    """Active restrictions."""

    name: ClassVar = "restrictions"
    section: ClassVar = "restrictions"

    def __init__(self, section: RestrictionsSection, state: State, ask_at: str) -> None:
        """`ask_at`: the path where a challenge is met, if there is one."""
        self._state = state
        self._how = (
            f" POST to {ask_at} with this credential sends its owner a code; the same with the code opens it again."
            if ask_at
            else ""
        )

    @classmethod
    def build(cls, parts: Parts) -> RestrictionsControl:
        """The control of a policy."""
        section = parts.sections[cls.section]
        assert isinstance(section, RestrictionsSection)
        return cls(section, parts.state, parts.ask_at)

    def idle(self, limited: bool) -> bool:
        """Whether there are none that a location alone decides."""
        return self._state.restrictions.by_location.empty

    def early(self, request: EarlyRequest) -> Judgement | None:
        """Denials that a location alone decides; a throttle changes with every request."""
        if request.location_allowed or request.client is None:
            return None
        address = parse_address(request.client[0]) or UNKNOWN
        judged = self.judge_location(address, request.method, request.now)
        return FULL_PATH if judged is not None and (judged.charges or judged.headers) else judged

    def address(self, evaluation: Evaluation) -> Judgement | None:
        """Those that a location alone decides, before anything else is looked at."""
        if evaluation.location_allowed or self._state.restrictions.by_location.empty:
            return None
        head = evaluation.head
        return self.judge_location(parse_address(head.client_address) or UNKNOWN, head.method, evaluation.now)

    def judge_location(self, address: Address, method: str, now: float) -> Judgement | None:
        """The same of an address and a method."""
        index = self._state.restrictions.by_location
        names = self._names(address, None, None)
        found = _covering(index.find(address, names.items()), names, address, method)
        return self._judge(found, now) if found else None

    def caller(self, evaluation: Evaluation) -> Judgement | None:
        """Those that name a key, an account or an operation, alone or with a location; and challenges, which are met
        at `/auth`."""
        index = self._state.restrictions.by_name
        if index.empty:
            return None
        head, now, principal = evaluation.head, evaluation.now, evaluation.principal
        address = parse_address(head.client_address) or UNKNOWN
        names = self._names(address, principal, evaluation.operation)
        found = _covering(index.find(address, names.items()), names, address, head.method)
        if not found:
            return None
        challenges = [one for one in found if one.act == "challenge" and one.active(now)]
        others = [one for one in found if one.act != "challenge"]
        judged = self._judge(others, now)
        if judged.findings or evaluation.own or not challenges:
            return judged
        if evaluation.location_allowed:
            challenges = [one for one in challenges if not one.by_location_alone]
        return self._challenge(challenges, head, principal, evaluation.done, judged)

    def ends(
        self,
        head: RequestHead,
        principal: Principal | None,
        operation: Operation | None,
        now: float,
        *,
        location_allowed: bool,
    ) -> bool:
        """Whether what is under way is to be cut."""
        address = parse_address(head.client_address) or UNKNOWN
        names = self._names(address, principal, operation)
        state = self._state.restrictions
        return any(
            one.act == "terminate" and one.active(now)
            for index in ((state.by_name,) if location_allowed else (state.by_location, state.by_name))
            for one in _covering(index.find(address, names.items()), names, address, head.method)
        )

    def _names(self, address: Address, principal: Principal | None, operation: Operation | None) -> dict[str, str]:
        """What is known of the caller, besides its address."""
        names: dict[str, str] = {}
        if self._state.restrictions.asks_geography:
            origin: Origin = self._state.geography.of(address.text)
            names["country"], names["continent"] = origin.country, origin.continent
            if origin.asn:
                names["asn"] = str(origin.asn)
        if principal is not None:
            names["key"] = principal.id.removeprefix("key:")
            names["account"] = principal.account
        if operation is not None:
            names["operation"] = operation.id
        return names

    def _judge(self, restrictions: Iterable[Restriction], now: float) -> Judgement:
        """Denials first; of several throttles each must have room, and each is charged."""
        charges: list[Charge] = []
        for restriction in sorted((one for one in restrictions if one.active(now)), key=lambda one: _RANK[one.act]):
            if restriction.act != "throttle":
                return Judgement((_finding(restriction, 403),))
            counter = self._state.tables.get(throttle_table(restriction.id))
            if counter is None:  # a throttle whose counter is gone must not turn into a pass
                return Judgement((_finding(restriction, 429),), headers=retry_after(1.0))
            room = counter.look("", now)
            if not room.allowed:
                return Judgement((_finding(restriction, 429),), headers=retry_after(room.reset_s))
            charges.append(Charge(counter.name, "", 1))
        return Judgement(charges=tuple(charges))

    def _challenge(
        self,
        challenges: list[Restriction],
        head: RequestHead,
        principal: Principal | None,
        done: tuple[WorkDone, ...],
        passed: Judgement,
    ) -> Judgement:
        """Whether the caller's location was admitted after the restriction was made."""
        if not challenges:
            return passed
        since = max(one.created_at for one in challenges)
        if principal is None:
            return Judgement((self._required(challenges[0]),))
        known = self._state.known_networks.of(principal.id)
        if known is None:
            loaded = next(
                (one for one in done if isinstance(one, LocationsLoaded) and one.principal == principal.id), None
            )
            if loaded is None:
                return Judgement(work=(LoadLocations(principal.id),))
            known = {one.network: one for one in loaded.known_networks}  # none without the store's answer: refused
        one = known.get(location_network(head.client_address))
        if one is not None and one.state == "verified" and one.verified_at >= since:
            return passed
        return Judgement((self._required(challenges[0]),))

    def _required(self, restriction: Restriction) -> Finding:
        return Finding(
            "challenge.required", f"Access is restricted at present.{self._how}", 403, "challenge",
            rule=restriction.id, evidence=_why(restriction), owasp="API2",
        )  # fmt: skip


def is_covered(in_force: Restrictions, names: Mapping[str, str], address: Address, method: str) -> bool:
    """Whether any of them covers a caller from `address`, of whom `names` are known by kind."""
    return any(
        _covering(index.find(address, names.items()), names, address, method)
        for index in (in_force.by_location, in_force.by_name)
    )


def _covering(found: list[Restriction], names: Mapping[str, str], address: Address, method: str) -> list[Restriction]:
    return [one for one in found if _covers(one, names, address, method)] if found else found


def _covers(restriction: Restriction, names: Mapping[str, str], address: Address, method: str) -> bool:
    """Whether a caller from `address`, of whom `names` are known by kind, is in the restriction's scope."""
    if restriction.methods and not is_among(method, restriction.methods):
        return False
    return all(
        address in _prefix(value)
        if kind == "prefix"
        else (address.text if kind == "address" else names.get(kind)) == value
        for kind, value in restriction.scope
    )


@lru_cache(PREFIXES_CACHED)
def _prefix(text: str) -> Prefixes:
    return prefix_set((text,))


def _why(restriction: Restriction) -> str:
    return f"{restriction.reason} (by {restriction.creator})"


def _finding(restriction: Restriction, status: int) -> Finding:
    return Finding(
        f"restriction.{restriction.act}",
        "Access is restricted at present.",
        status,
        restriction.act,
        rule=restriction.id,
        evidence=_why(restriction),
        owasp="API4",
    )
