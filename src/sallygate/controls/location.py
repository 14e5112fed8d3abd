"""Control of new locations: reports or refuses a credential from a location that is not known for it.

Threat: a stolen key, password or token, used from elsewhere (OWASP API2; MITRE T1078). Evidence: `location.new` where a
plan observes, `location.unverified` (403, a challenge) where it verifies; both name the network. `location.travel`
when a caller is at two of its locations, and no person could travel between them in the time.
Known bypasses: who calls from the owner's own network, /24 or /48, is at the owner's location. Who reads the owner's
mail, too, may admit another. Cost: 0.5 µs: two look-ups. The first call of a principal that memory does not know costs
a look into the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sallygate.model.access import KnownNetwork
from sallygate.model.control import Everywhere
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import LoadLocations, LocationsLoaded, WorkDone
from sallygate.parsing.addresses import location_network
from sallygate.policy.schema import NewLocation
from sallygate.state.impossible_travel import circle_of, too_fast
from sallygate.state.parts import Parts
from sallygate.state.state import State


class LocationControl(Everywhere):
    """Verified locations."""

    name: ClassVar = "location"
    section: ClassVar = "location"

    def __init__(self, plans: Mapping[str, NewLocation], state: State, ask_at: str) -> None:
        """`plans`: act of each plan on a new location; `ask_at`: path of the endpoint for codes, if there is one."""
        self._plans = {name: does for name, does in plans.items() if does != "off"}
        self._state = state
        self._how = (
            f"POST to {ask_at} with it sends its owner a code; a second one with the code admits the location."
            if ask_at
            else "The operator can admit it."
        )

    @classmethod
    def build(cls, parts: Parts) -> LocationControl | None:
        """The control of a policy; None where no plan asks about locations."""
        plans = {name: plan.new_location for name, plan in parts.loaded.plans.items()}
        return cls(plans, parts.state, parts.ask_at) if any(does != "off" for does in plans.values()) else None

    def admit(self, evaluation: Evaluation) -> Judgement | None:
        """Whether the principal may call from where it does."""
        principal, operation = evaluation.principal, evaluation.operation
        if principal is None or (operation is not None and operation.admits_locations):
            return None
        found = self.judge(evaluation.head, principal, evaluation.done)
        if found is None:
            return None
        return Judgement((found,)) if isinstance(found, Finding) else Judgement(work=(found,))

    def judge(
        self, head: RequestHead, principal: Principal, done: tuple[WorkDone, ...]
    ) -> Finding | LoadLocations | None:
        """What is found, or to be found out, of a principal's location."""
        does = self._plans.get(principal.plan)
        if does is None:
            return None
        known = self._known(principal.id, done)
        if known is None:
            return LoadLocations(principal.id)
        if isinstance(known, Finding):
            return known
        network = location_network(head.client_address)
        one = known.get(network)
        state = one.state if one is not None else "new"
        if state == "verified" or (does == "observe" and state == "seen"):
            return self._travelled(head, principal, network)
        if does == "observe":
            return Finding("location.new", "This credential comes from a new location.", 403, "challenge", rule=state,
                           evidence=network, mode="shadow", owasp="API2", attack="T1078")  # fmt: skip
        return Finding("location.unverified", f"This credential is not admitted from this network yet. {self._how}",
                       403, "challenge", rule=state, evidence=network, owasp="API2", attack="T1078")  # fmt: skip

    def _travelled(self, head: RequestHead, principal: Principal, network: str) -> Finding | None:
        """Whether the caller was elsewhere too shortly before. For the record: a VPN explains it as well as a thief."""
        before = self._state.travels.last(principal.id)
        if before is None or before.network == network:
            return None
        origin = self._state.geography.of(head.client_address)
        circle = circle_of(origin)
        if circle is None or (far_km := too_fast(before, circle, head.received_at)) is None:
            return None
        minutes = max(head.received_at - before.at, 0.0) / 60
        evidence = (
            f"{before.network} ({before.country}) to {network} ({origin.country}): {far_km:.0f} km in {minutes:.0f} min"
        )
        return Finding("location.travel", "This credential was used too far away shortly before.", 403, "challenge",
                       evidence=evidence, mode="shadow", owasp="API2", attack="T1078")  # fmt: skip

    def _known(self, principal: str, done: tuple[WorkDone, ...]) -> Mapping[str, KnownNetwork] | Finding | None:
        known = self._state.known_networks.of(principal)
        if known is not None:
            return known
        loaded = next((one for one in done if isinstance(one, LocationsLoaded) and one.principal == principal), None)
        if loaded is None:
            return None
        if loaded.failed:
            return Finding("location.unavailable", "Locations cannot be looked up at present.", 503, owasp="API2")
        return {one.network: one for one in loaded.known_networks}
