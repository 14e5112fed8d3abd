"""Make `src/sallygate/data/places.mmdb`: the country and network number of addresses, from public data.

    python -m lab.geography COUNTRIES.mmdb ASN-IPV4.csv ASN-IPV6.csv --made 2026-06-17 --out FILE

`COUNTRIES.mmdb` has `country_code` (or GeoIP2's fields) for each network; the CSV files have lines of first address,
last address, number, name. What both say alike is written once. Needs `mmdb_writer` and `netaddr` beside `maxminddb`;
see src/sallygate/data/README.md for where the data comes from and under which terms.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, summarize_address_range
from itertools import pairwise
from pathlib import Path

import maxminddb
from mmdb_writer import MMDBWriter
from netaddr import IPNetwork, IPSet
from rich.progress import track

IPV6_PREFIX_MAX = 48
"""Longer prefixes are left out: a /48 is what one site has (RFC 6177), and half of the tree would be below it."""

Range = tuple[int, int, object]
"""First, last, and what is known of them."""


def countries(file: Path, bits: int) -> Iterator[Range]:
    with maxminddb.open_database(file) as reader:
        for network, record in reader:
            if network.max_prefixlen != bits or (bits == 128 and network.prefixlen > IPV6_PREFIX_MAX):
                continue
            code = record.get("country_code") or (record.get("country") or {}).get("iso_code")
            if code:
                yield int(network.network_address), int(network.broadcast_address), str(code)


def numbers(file: Path) -> Iterator[Range]:
    with file.open(newline="", encoding="utf-8") as lines:
        for first, last, number, *_ in csv.reader(lines):
            yield int(ip_address(first)), int(ip_address(last)), int(number)


def merged(left: list[Range], right: list[Range]) -> Iterator[tuple[int, int, object, object]]:
    """Both cut at each other's edges; neighbours that say the same are one."""
    edges = sorted({edge for first, last, _ in (*left, *right) for edge in (first, last + 1)})
    before: tuple[int, int, object, object] | None = None
    i = j = 0
    for first, after in pairwise(edges):
        while i < len(left) and left[i][1] < first:
            i += 1
        while j < len(right) and right[j][1] < first:
            j += 1
        a = left[i][2] if i < len(left) and left[i][0] <= first else None
        b = right[j][2] if j < len(right) and right[j][0] <= first else None
        if before is not None and before[1] == first - 1 and before[2:] == (a, b):
            before = (before[0], after - 1, a, b)
            continue
        if before is not None and before[2:] != (None, None):
            yield before
        before = (first, after - 1, a, b)
    if before is not None and before[2:] != (None, None):
        yield before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("countries", type=Path)
    parser.add_argument("asn_ipv4", type=Path)
    parser.add_argument("asn_ipv6", type=Path)
    parser.add_argument("--made", required=True, help="the day the data is of, 2026-06-17")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    writer = MMDBWriter(
        ip_version=6, ipv4_compatible=True, database_type="Sallygate-Places", languages=["en"],
        description="Country and network number of addresses, from data of the NRO, Route Views and DB-IP (CC BY 4.0)",
        int_type="u32",
    )  # fmt: skip
    for bits, file in ((32, args.asn_ipv4), (128, args.asn_ipv6)):
        kind = IPv4Address if bits == 32 else IPv6Address
        places = sorted(countries(args.countries, bits))
        networks = sorted(numbers(file))
        for first, last, country, number in track(list(merged(places, networks)), f"IPv{4 if bits == 32 else 6}"):
            record: dict[str, object] = {}
            if country is not None:
                record["country"] = {"iso_code": country}
            if number is not None:
                record["autonomous_system_number"] = number
            found = [n for n in summarize_address_range(kind(first), kind(last))
                     if bits == 32 or n.prefixlen <= IPV6_PREFIX_MAX]  # fmt: skip
            if found:
                writer.insert_network(IPSet([IPNetwork(str(network)) for network in found]), record)
    writer.to_db_file(str(args.out))
    _date(args.out, int(datetime.fromisoformat(args.made).replace(tzinfo=UTC).timestamp()))


def _date(file: Path, made: int) -> None:
    """The writer puts in the day it runs; what counts is the day of the data."""
    data = file.read_bytes()
    at = data.rindex(b"build_epoch") + len(b"build_epoch")
    if data[at] & 0x1F != 4:  # a control byte with the size, one with the type, then the number
        raise SystemExit("the writer writes its time otherwise than known here")
    file.write_bytes(data[: at + 2] + made.to_bytes(4, "big") + data[at + 6 :])


if __name__ == "__main__":
    main()
