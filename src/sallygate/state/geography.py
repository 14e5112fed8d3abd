"""Geography of addresses: country, continent, network number. Part of `state`; filled by services, never by a decision.

Knows no file: it is given functions that look an address up, as readers of MMDB files have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from msgspec import Struct

from sallygate.parsing.countries import COUNTRIES

ORIGINS_CACHED = 65_536
"""Addresses whose origin is kept, about 12 MB when full; forgotten all at once, since a flood would push out the
others anyway."""

RADIUS_KM = 100.0
"""Where a database has a point and no radius."""


class Origin(Struct, frozen=True, gc=False):
    """Country, continent, network number and coordinates of an address; empty if unknown."""

    country: str = ""
    """ISO 3166-1 alpha-2; empty where nobody knows."""
    continent: str = ""
    asn: int = 0
    """The network's number (RFC 6793); 0 where nobody knows."""
    located: tuple[float, float, float] | None = None
    """Latitude, longitude, and within how many kilometres, where a database has them."""


NOWHERE = Origin()
Source = Callable[[str], object]
"""The record of an address in text, `{"country": {"iso_code": …}, "autonomous_system_number": …}`; None without one."""


class Geography:
    """`of` is asked by decisions. Replaced as a whole when a source changes."""

    LOCAL: ClassVar[str] = "files that are read alike everywhere; answers are kept up to the bound of their cache"

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        """Earlier sources are believed first, for country and for number each."""
        self._sources = tuple(sources)
        self._known: dict[str, Origin] = {}

    def of(self, address: str) -> Origin:
        """Origin of an address, from the cache or the files."""
        origin = self._known.get(address)
        return origin if origin is not None else self._look(address)

    def _look(self, address: str) -> Origin:
        country, asn, located = "", 0, None
        for source in self._sources:
            try:
                record = source(address)
            except ValueError:  # what is no address (a Unix socket's peer), or IPv6 in a file that has IPv4 alone
                continue
            if isinstance(record, dict):
                country = country or country_of(record)
                asn = asn or asn_of(record)
                located = located or located_of(record)
            if country and asn:
                break
        origin = Origin(country, COUNTRIES.get(country, ""), asn, located) if country or asn else NOWHERE
        if len(self._known) >= ORIGINS_CACHED:
            self._known.clear()
        self._known[address] = origin
        return origin


def country_of(record: Mapping[str, object]) -> str:
    """Of a record as the common databases have it: GeoIP2's fields, or `country_code` or `country` as text."""
    for name in ("country", "registered_country", "country_code"):
        value = record.get(name)
        if isinstance(value, dict):
            value = value.get("iso_code")
        if isinstance(value, str) and value.upper() in COUNTRIES:
            return value.upper()
    return ""


def asn_of(record: Mapping[str, object]) -> int:
    """Network number in a record of an MMDB file; 0 if it has none."""
    for name in ("autonomous_system_number", "asn"):
        value = record.get(name)
        if isinstance(value, str):
            value = value.upper().removeprefix("AS")
            value = int(value) if value.isdecimal() else 0
        if isinstance(value, int) and 0 < value < 2**32:
            return value
    return 0


def located_of(record: Mapping[str, object]) -> tuple[float, float, float] | None:
    """As databases of cities have it: GeoIP2's `location`, whose radius is in kilometres."""
    location = record.get("location")
    if not isinstance(location, dict):
        return None
    numbers = [location.get(name) for name in ("latitude", "longitude")]
    if not all(isinstance(number, int | float) and abs(number) <= 180 for number in numbers):
        return None
    radius = location.get("accuracy_radius")
    latitude, longitude = (float(number) for number in numbers if isinstance(number, int | float))
    return latitude, longitude, float(radius) if isinstance(radius, int | float) and radius > 0 else RADIUS_KM
