"""Where addresses are: country, continent, network number. Part of `state`; filled by others, never from a decision.

Knows no file: it is given functions that look an address up, as readers of MMDB files have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

ORIGINS_CACHED = 65_536
"""Addresses whose origin is kept, about 12 MB when full; forgotten all at once, since a flood would push out the
others anyway."""

RADIUS_KM = 100.0
"""Where a database has a point and no radius."""
_BY_CONTINENT = {
    "AF": "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA "
          "NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    "AN": "AQ BV GS HM TF",
    "AS": "AE AF AM AZ BD BH BN BT CC CN CX CY GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY "
          "NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    "EU": "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK "
          "MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    "NA": "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC "
          "TT US VC VG VI",
    "OC": "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    "SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
}  # fmt: skip
"""ISO 3166-1 alpha-2 codes (and XK, which registries use for Kosovo) by continent, as GeoNames has them."""
CONTINENTS = tuple(_BY_CONTINENT)
COUNTRIES: dict[str, str] = {code: continent for continent, codes in _BY_CONTINENT.items() for code in codes.split()}
"""Continent by country."""


class Origin(Struct, frozen=True, gc=False):
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

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        """Earlier sources are believed first, for country and for number each."""
        self._sources = tuple(sources)
        self._known: dict[str, Origin] = {}

    def of(self, address: str) -> Origin:
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
