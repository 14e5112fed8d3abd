"""Distance of two locations, and whether a person could travel between them in a given time.

Where the geography knows coordinates (databases of cities) these count; otherwise a country is a circle. Part of
`state`: what it keeps is written by others, never from a decision.
"""

from __future__ import annotations

from collections import OrderedDict
from math import asin, cos, radians, sin, sqrt
from typing import ClassVar

from msgspec import Struct

from sallygate.state.geography import Origin

SPEED_KM_H = 1000.0
"""Of an airliner (cruising at 900), without the time to board it."""
NEAR_KM = 500.0
"""Less is within what the geography of addresses is wrong by."""
LAST_MAX = 50_000
"""Most callers whose last location is kept, about 15 MB; further ones count as new callers."""
EARTH_KM = 6371.0

_CIRCLES = """
AD 43 2 20|AE 24 54 250|AF 34 66 700|AG 17 -62 30|AI 18 -63 15|AL 41 20 170|AM 40 45 200|AO -12 18 750|AQ -85 0 2500
AR -36 -65 1900|AS -14 -171 100|AT 47 14 300|AU -25 134 2200|AW 13 -70 20|AX 60 20 60|AZ 40 48 280|BA 44 18 180
BB 13 -60 20|BD 24 90 370|BE 51 4 150|BF 13 -2 450|BG 43 25 270|BH 26 51 40|BI -3 30 130|BJ 10 2 370|BL 18 -63 10
BM 32 -65 20|BN 5 115 80|BO -17 -65 850|BQ 12 -68 500|BR -10 -53 2300|BS 24 -76 500|BT 27 90 170|BV -54 3 10
BW -22 24 600|BY 53 28 330|BZ 17 -89 150|CA 58 -100 2900|CC -12 97 20|CD -3 23 1150|CF 7 21 750|CG -1 15 650
CH 47 8 190|CI 8 -6 420|CK -16 -160 800|CL -33 -71 2300|CM 6 12 650|CN 36 104 2700|CO 4 -73 1000|CR 10 -84 250
CU 22 -79 650|CV 16 -24 150|CW 12 -69 35|CX -10 106 10|CY 35 33 120|CZ 50 15 260|DE 51 10 450|DJ 12 43 120
DK 56 10 250|DM 15 -61 30|DO 19 -71 200|DZ 28 3 1150|EC -2 -80 900|EE 59 26 190|EG 27 30 750|EH 25 -13 450
ER 15 39 450|ES 38 -5 1500|ET 9 40 800|FI 65 26 600|FJ -18 179 300|FK -52 -59 130|FM 7 152 1500|FO 62 -7 70
FR 46 2 600|GA -1 12 380|GB 54 -3 550|GD 12 -62 25|GE 42 43 300|GF 4 -53 230|GG 49 -3 40|GH 8 -1 370|GI 36 -5 5
GL 72 -40 1400|GM 13 -15 200|GN 11 -10 430|GP 16 -62 60|GQ 2 10 450|GR 39 23 450|GS -55 -37 400|GT 15 -90 270
GU 13 145 30|GW 12 -15 170|GY 5 -59 430|HK 22 114 40|HM -53 73 30|HN 15 -87 350|HR 45 16 270|HT 19 -72 160
HU 47 19 260|ID -2 118 2600|IE 53 -8 240|IL 31 35 230|IM 54 -5 30|IN 22 79 1700|IO -7 72 100|IQ 33 44 500
IR 32 54 1100|IS 65 -18 280|IT 42 12 650|JE 49 -2 15|JM 18 -77 120|JO 31 36 250|JP 37 138 1500|KE 1 38 550
KG 41 75 450|KH 13 105 280|KI 0 -170 2800|KM -12 44 130|KN 17 -63 25|KP 40 127 350|KR 36 128 300|KW 29 48 110
KY 19 -81 130|KZ 48 67 1500|LA 18 104 550|LB 34 36 110|LC 14 -61 25|LI 47 10 15|LK 7 81 230|LR 6 -9 280|LS -30 28 130
LT 55 24 210|LU 50 6 45|LV 57 25 230|LY 27 17 900|MA 31 -7 800|MC 44 7 5|MD 47 29 200|ME 43 19 100|MF 18 -63 10
MG -20 47 800|MH 9 169 600|MK 42 22 120|ML 17 -4 900|MM 21 96 1000|MN 46 105 1200|MO 22 114 10|MP 17 146 350
MQ 15 -61 40|MR 20 -10 750|MS 17 -62 10|MT 36 14 25|MU -20 58 600|MV 3 73 450|MW -13 34 450|MX 23 -102 1700
MY 4 109 1100|MZ -18 36 1150|NA -22 17 800|NC -21 165 350|NE 17 9 850|NF -29 168 10|NG 10 8 700|NI 13 -85 300
NL 52 5 180|NO 66 16 1300|NP 28 84 450|NR -1 167 5|NU -19 -170 15|NZ -41 174 900|OM 21 56 550|PA 9 -80 330
PE -10 -76 1100|PF -17 -145 1100|PG -7 147 800|PH 12 122 950|PK 30 70 900|PL 52 19 400|PM 47 -56 20|PN -25 -128 300
PR 18 -67 120|PS 32 35 80|PT 39 -13 1500|PW 6 134 350|PY -23 -58 500|QA 25 51 90|RE -21 56 40|RO 46 25 370
RS 44 21 250|RU 62 100 4300|RW -2 30 130|SA 24 45 1150|SB -9 160 700|SC -7 53 900|SD 15 30 900|SE 62 15 800
SG 1 104 30|SH -20 -9 2200|SI 46 15 130|SJ 77 16 900|SK 49 19 220|SL 8 -12 180|SM 44 12 10|SN 14 -14 350|SO 6 46 850
SR 4 -56 270|SS 7 30 600|ST 0 7 100|SV 14 -89 130|SX 18 -63 10|SY 35 38 380|SZ -27 31 90|TC 22 -72 60|TD 15 19 900
TF -45 65 1600|TG 8 1 290|TH 15 101 850|TJ 39 71 380|TK -9 -172 90|TL -9 126 180|TM 39 60 600|TN 34 9 400
TO -20 -175 350|TR 39 35 850|TT 11 -61 90|TV -8 178 350|TW 24 121 220|TZ -6 35 650|UA 49 31 700|UG 1 32 350
UM 10 -170 4500|US 45 -110 3800|UY -33 -56 280|UZ 41 64 750|VA 42 12 5|VC 13 -61 50|VE 7 -66 750|VG 18 -64 40
VI 18 -65 50|VN 16 107 850|VU -16 168 450|WF -14 -177 150|WS -14 -172 80|XK 43 21 90|YE 15 48 500|YT -13 45 20
ZA -29 25 900|ZM -14 28 700|ZW -19 30 450
"""
"""By country: latitude and longitude of a middle, and the kilometres from it within which nearly all of its people are,
islands and distant parts included. Rounded, and generous: what is said to be impossible must be."""


class Circle(Struct, frozen=True, gc=False):
    """Circle that contains a caller: centre in degrees, radius in kilometres."""

    latitude: float
    longitude: float
    radius_km: float


COUNTRY_CIRCLES: dict[str, Circle] = {
    parts[0]: Circle(float(parts[1]), float(parts[2]), float(parts[3]))
    for parts in (entry.split() for line in _CIRCLES.split("\n") for entry in line.split("|"))
    if parts
}


def circle_of(origin: Origin) -> Circle | None:
    """Where an address may be; None where nobody knows."""
    if origin.located is not None:
        return Circle(*origin.located)
    return COUNTRY_CIRCLES.get(origin.country)


def apart_km(a: Circle, b: Circle) -> float:
    """The least distance between two points of them; the haversine formula on a sphere."""
    lat_a, lat_b = radians(a.latitude), radians(b.latitude)
    north, east = lat_b - lat_a, radians(b.longitude - a.longitude)
    chord = sin(north / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(east / 2) ** 2
    return max(2 * EARTH_KM * asin(sqrt(min(chord, 1.0))) - a.radius_km - b.radius_km, 0.0)


class Seen(Struct, frozen=True, gc=False):
    """Where and when a caller called last."""

    network: str
    country: str
    circle: Circle
    at: float


def too_fast(before: Seen, circle: Circle, at: float) -> float | None:
    """The kilometres between, when nobody could have gone them in the time between; None when somebody could."""
    far_km = apart_km(before.circle, circle)
    hours = max(at - before.at, 0.0) / 3600
    return far_km if far_km > NEAR_KM and far_km > SPEED_KM_H * hours else None


class Travels:
    """The last place of each caller."""

    LOCAL: ClassVar[str] = "what this process saw of LAST_MAX callers; another one looks at its own"

    def __init__(self, entries_max: int = LAST_MAX) -> None:
        self._entries_max = entries_max
        self._last: OrderedDict[str, Seen] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def last(self, principal: str) -> Seen | None:
        """Last location of a principal; None if unknown."""
        return self._last.get(principal)

    def put(self, principal: str, seen: Seen) -> None:
        """Keep the last location of a principal."""
        self._last[principal] = seen
        self._last.move_to_end(principal)
        if len(self._last) > self._entries_max:
            self._last.popitem(last=False)
