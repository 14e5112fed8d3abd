"""Where addresses are, from whatever sources there are."""

from __future__ import annotations

import pytest

from sallygate.parsing.countries import COUNTRIES
from sallygate.services.network_files import packaged_database
from sallygate.state.geography import NOWHERE, ORIGINS_CACHED, Geography, Origin, asn_of, country_of


def test_the_first_source_that_knows_is_believed_for_each_part() -> None:
    geography = Geography(
        [
            {"192.0.2.1": {"country": {"iso_code": "NO"}}}.get,
            {"192.0.2.1": {"country": {"iso_code": "FR"}, "autonomous_system_number": 64496}}.get,
        ]
    )
    assert geography.of("192.0.2.1") == Origin("NO", "EU", 64496)
    assert geography.of("192.0.2.2") is NOWHERE


def test_a_source_that_cannot_read_the_address_is_passed_over() -> None:
    def fails(address: str) -> object:
        raise ValueError(f"{address!r} does not appear to be an address")

    assert Geography([fails, {"x": {"country_code": "de"}}.get]).of("x") == Origin("DE", "EU", 0)


@pytest.mark.parametrize(
    ("record", "country", "asn"),
    [
        ({"country": {"iso_code": "NO"}, "autonomous_system_number": 64496}, "NO", 64496),
        ({"registered_country": {"iso_code": "NO"}}, "NO", 0),
        ({"country": "no", "asn": "AS64496"}, "NO", 64496),
        ({"country_code": "NO", "asn": "64496"}, "NO", 64496),
        ({"country": {"iso_code": "??"}, "asn": "none"}, "", 0),
        ({"country": 7, "asn": -1}, "", 0),
        ({}, "", 0),
    ],
)
def test_records_of_the_common_databases(record: dict[str, object], country: str, asn: int) -> None:
    assert (country_of(record), asn_of(record)) == (country, asn)


def test_no_more_is_kept_than_stated() -> None:
    geography = Geography([lambda address: {"country_code": "NO"}])
    for number in range(ORIGINS_CACHED + 10):
        geography.of(str(number))
    assert len(geography._known) == 10


def test_every_country_is_on_one_continent() -> None:
    assert len(COUNTRIES) == 250 and set(COUNTRIES.values()) == {"AF", "AN", "AS", "EU", "NA", "OC", "SA"}


def test_the_packaged_database_knows_well_known_networks() -> None:
    database = packaged_database()
    geography = Geography([database.source])
    assert geography.of("193.0.6.139") == Origin("NL", "EU", 3333)
    assert geography.of("2001:67c:2e8:22::c100:68b").country == "NL"
    assert geography.of("127.0.0.1") is NOWHERE and geography.of("unknown") is NOWHERE
    assert database.made_at > 1_780_000_000
