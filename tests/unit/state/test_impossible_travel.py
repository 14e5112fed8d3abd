"""How far apart places are at least, and what nobody can have travelled."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sallygate.controls.location import LocationControl
from sallygate.model.access import KnownNetwork
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.parsing.countries import COUNTRIES
from sallygate.state.geography import Geography, Origin, located_of
from sallygate.state.impossible_travel import (
    COUNTRY_CIRCLES,
    LAST_MAX,
    Circle,
    Seen,
    Travels,
    apart_km,
    circle_of,
    too_fast,
)
from sallygate.state.state import State

OSLO, SYDNEY = Circle(59.9, 10.7, 20), Circle(-33.9, 151.2, 20)


def test_every_country_is_somewhere() -> None:
    assert set(COUNTRY_CIRCLES) == set(COUNTRIES)
    assert all(abs(one.latitude) <= 90 and abs(one.longitude) <= 180 for one in COUNTRY_CIRCLES.values())


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        (OSLO, SYDNEY, 15_900),  # by the great circle, 15,950 km
        (OSLO, OSLO, 0),
        (Circle(0, 179.5, 0), Circle(0, -179.5, 0), 111),
        (Circle(90, 0, 0), Circle(-90, 0, 0), 20_015),
    ],
)
def test_distances(a: Circle, b: Circle, km: float) -> None:
    assert apart_km(a, b) == pytest.approx(km, rel=0.01, abs=1)
    assert apart_km(a, b) == apart_km(b, a)


@pytest.mark.parametrize(
    "pair", ["NO SE", "DE FR", "US CA", "ES MA", "TR GR", "RU CN", "ID AU", "GB IE", "PA CO", "US MX", "EG SA"]
)
def test_neighbours_are_never_far(pair: str) -> None:
    a, b = (COUNTRY_CIRCLES[code] for code in pair.split())
    assert too_fast(Seen("n", "", a, 0.0), b, 0.0) is None


@pytest.mark.parametrize("pair", ["NO BR", "DE JP", "US IN", "ZA FI", "AU GB", "CN ZA"])
def test_the_other_end_of_the_world_is(pair: str) -> None:
    a, b = (COUNTRY_CIRCLES[code] for code in pair.split())
    far_km = too_fast(Seen("n", "", a, 0.0), b, 600.0)
    assert far_km is not None and far_km > 2000
    assert too_fast(Seen("n", "", a, 0.0), b, 24 * 3600.0) is None


def test_a_clock_set_back_makes_nobody_travel_backwards() -> None:
    assert too_fast(Seen("n", "", OSLO, 1000.0), SYDNEY, 0.0) is not None
    assert too_fast(Seen("n", "", OSLO, 1000.0), OSLO, 0.0) is None


def test_what_a_database_of_cities_knows_counts() -> None:
    assert located_of({"location": {"latitude": 59.9, "longitude": 10.7, "accuracy_radius": 20}}) == (59.9, 10.7, 20.0)
    assert located_of({"location": {"latitude": 59.9, "longitude": 10.7}}) == (59.9, 10.7, 100.0)
    assert (
        located_of({"location": {"latitude": "x", "longitude": 10.7}}) is None and located_of({"location": 1}) is None
    )
    assert circle_of(Origin("NO", "EU", 0, (59.9, 10.7, 20.0))) == OSLO
    assert circle_of(Origin()) is None


def test_no_more_callers_are_kept_than_stated() -> None:
    travels = Travels()
    for number in range(LAST_MAX + 5):
        travels.put(str(number), Seen("n", "", OSLO, 0.0))
    assert len(travels) == LAST_MAX and travels.last("4") is None and travels.last("5") is not None


class Head:
    def __init__(self, client_address: str, received_at: float) -> None:
        self.client_address, self.received_at = client_address, received_at


@pytest.mark.parametrize("does", ["verify", "observe"])
def test_two_places_at_once_are_a_finding_and_refuse_nobody(does: str) -> None:
    who = Principal("key:k", "acme", "plan", frozenset(), "api_key")
    state = State()
    state.geography = Geography(
        [
            {
                "192.0.2.1": {"country_code": "NO"},
                "198.51.100.1": {"country_code": "BR"},
                "192.0.2.200": {"country_code": "BR"},
            }.get
        ]
    )
    place = KnownNetwork(who.id, "198.51.100.0/24", "verified", 0.0)
    state.known_networks.load(who.id, [place, replace(place, network="192.0.2.0/24")])
    control = LocationControl({"plan": does}, state, "")  # type: ignore[dict-item]

    def call(address: str, at: float) -> object:
        return control.judge(Head(address, at), who, ())  # type: ignore[arg-type]

    assert call("198.51.100.1", 100.0) is None, "nothing is known of where it was"
    state.travels.put(who.id, Seen("192.0.2.0/24", "NO", COUNTRY_CIRCLES["NO"], 0.0))
    found = call("198.51.100.1", 600.0)
    assert isinstance(found, Finding) and (found.code, found.mode) == ("location.travel", "shadow")
    assert "192.0.2.0/24 (NO) to 198.51.100.0/24 (BR)" in found.evidence and "10 min" in found.evidence
    assert call("198.51.100.1", 24 * 3600.0) is None
    assert call("192.0.2.200", 600.0) is None, "the same network, whatever the geography says of it"
