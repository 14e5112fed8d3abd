"""What a plan does about a new place, decided from memory, from what was loaded for the request, or not at all."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gatehouse import load, policy_text
from sallygate.auth.routes import auth_operations
from sallygate.controls.location import LocationControl
from sallygate.model.access import KnownNetwork
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.work import LoadLocations, LocationsLoaded
from sallygate.state.known_networks import KNOWN_NETWORKS_MAX, KnownNetworks
from sallygate.state.state import State


class Head:
    """As much of a head as the control looks at."""

    def __init__(self, client_address: str) -> None:
        self.client_address = client_address


HOME = "198.51.100.7"
NETWORK = "198.51.100.0/24"
WHO = Principal("key:k", "acme", "plan", frozenset(), "api_key")


def judge(does: str, state: State, address: str = HOME, done: tuple[LocationsLoaded, ...] = ()) -> object:
    control = LocationControl({"plan": does}, state, "/auth/locations")  # type: ignore[dict-item]  # one of its words
    return control.judge(Head(address), WHO, done)  # type: ignore[arg-type]  # see Head


def knowing(*states: str) -> State:
    state = State()
    state.known_networks.load(WHO.id, [KnownNetwork(WHO.id, NETWORK, one, 0.0) for one in states])  # type: ignore[arg-type]
    return state


def test_a_plan_that_does_not_ask_costs_nothing() -> None:
    assert judge("off", State()) is None


def test_what_memory_does_not_have_is_asked_for_once() -> None:
    assert judge("verify", State()) == LoadLocations(WHO.id)
    place = KnownNetwork(WHO.id, NETWORK, "verified", 0.0)
    assert judge("verify", State(), done=(LocationsLoaded(WHO.id, (place,)),)) is None
    failed = judge("verify", State(), done=(LocationsLoaded(WHO.id, (), failed=True),))
    assert isinstance(failed, Finding) and (failed.code, failed.status) == ("location.unavailable", 503)


@pytest.mark.parametrize("does, state, code", [
    ("verify", "verified", None), ("verify", "seen", "location.unverified"), ("verify", "forgotten", "location.unverified"),
    ("observe", "verified", None), ("observe", "seen", None), ("observe", "forgotten", "location.new"),
])  # fmt: skip
def test_what_is_known_of_a_place_decides(does: str, state: str, code: str | None) -> None:
    found = judge(does, knowing(state))
    assert (found.code if isinstance(found, Finding) else found) == code


def test_observing_enforces_nothing_and_verifying_challenges() -> None:
    seen, refused = judge("observe", knowing()), judge("verify", knowing())
    assert isinstance(seen, Finding) and seen.mode == "shadow" and seen.evidence == NETWORK
    assert isinstance(refused, Finding) and (refused.status, refused.verdict, refused.mode) == (
        403,
        "challenge",
        "enforce",
    )
    assert "198.51" not in refused.detail


def test_places_are_bounded_and_the_newer_record_counts() -> None:
    places = KnownNetworks(principals_max=2)
    for name in ("a", "b", "c"):
        places.load(name, ())
    assert places.of("a") is None and len(places) == 2
    for number in range(KNOWN_NETWORKS_MAX + 10):
        places.put(KnownNetwork("b", f"10.{number >> 8}.{number & 255}.0/24", "seen", 0.0))
    assert len(places.of("b") or {}) == KNOWN_NETWORKS_MAX
    admitted = KnownNetwork("b", NETWORK, "verified", 0.0)
    places.put(admitted)
    assert places.is_verified("b", NETWORK) and len(places.of("b") or {}) == KNOWN_NETWORKS_MAX, (
        "it takes another's place"
    )
    place = KnownNetwork("c", NETWORK, "verified", 0.0, revision=5)
    places.put(place)
    places.put(replace(place, state="forgotten", revision=4))
    assert places.is_verified("c", NETWORK)
    places.put(replace(place, state="forgotten", revision=6))
    assert not places.is_verified("c", NETWORK)


def test_a_policy_without_such_plans_has_no_such_control() -> None:
    from sallygate.engine.compose import compose
    from sallygate.security.key_ring import KeyRing

    gate = compose(load(policy_text()), State(), KeyRing(b"p" * 32), b"k" * 32, 0.0, auth_operations)
    assert gate.engine.controls.get(LocationControl) is None
