"""IP addresses and prefixes: one spelling for each, and the networks they are counted by.

Knows nothing of who is trusted or blocked.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

ADDRESSES_CACHED = 16_384
"""Parsed addresses kept. A look-up costs 0.1 µs, parsing 3 µs; a cache larger than the callers of a few seconds only
costs memory (about 400 bytes each)."""

MAPPED_BITS = 96
"""`::ffff:0:0/96` holds IPv4 (RFC 4291, section 2.5.5.2)."""

ADDRESS_CHARS_MAX = 64
"""`INET6_ADDRSTRLEN` is 46; a zone index is refused, so nothing longer is an address."""


class Address(Struct, frozen=True, gc=False):
    """Parsed IP address, with the network it is counted by."""

    text: str
    """Canonical; IPv4-mapped IPv6 as IPv4, so that one client has one name."""
    number: int
    bits: int
    """32 or 128; 0 for a peer without an address (a Unix socket)."""
    network: str
    """What it is counted by: an IPv4 address alone, an IPv6 /64, since one subscriber owns that much."""


UNKNOWN = Address("unknown", 0, 0, "unknown")


@lru_cache(ADDRESSES_CACHED)
def parse_address(text: str) -> Address | None:
    """The address, or None when `text` is none."""
    if len(text) > ADDRESS_CHARS_MAX or "%" in text:
        return None
    try:
        value: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(value, IPv6Address):
        if value.ipv4_mapped is None:
            network = IPv6Network((int(value) >> 64 << 64, 64))
            return Address(value.compressed, int(value), 128, network.compressed)
        value = value.ipv4_mapped
    return Address(str(value), int(value), 32, str(value))


@lru_cache(ADDRESSES_CACHED)
def location_network(address: str) -> str:
    """The network that counts as one place: a /24, or a /48, which is what one site has (RFC 6177). An address that is
    none (a Unix socket's) is a location by itself."""
    parsed = parse_address(address)
    if parsed is None:
        return address[:ADDRESS_CHARS_MAX]
    if parsed.bits == 32:
        return f"{IPv4Address(parsed.number >> 8 << 8)}/24"
    return f"{IPv6Address(parsed.number >> 80 << 80).compressed}/48"


class Prefixes(Struct, frozen=True, gc=False):
    """A set of prefixes, asked in one dictionary look-up per distinct length."""

    lengths: tuple[tuple[int, int, frozenset[int]], ...]
    """(bits of the family, shift, network numbers shifted)."""

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, Address):
            return False
        return any(
            bits == address.bits and (address.number >> shift) in numbers for bits, shift, numbers in self.lengths
        )


def parse_prefix(text: str) -> tuple[int, int, int]:
    """(bits of the family, prefix length, network number). `ValueError` says what is wrong.

    IPv4-mapped ones are IPv4, as addresses are: `::ffff:203.0.113.0/120` would cover nobody otherwise."""
    if "%" in text:
        raise ValueError(
            f"{text[:64]!r} names an interface of this machine; write the address without `%` and what follows"
        )
    try:
        network = ip_network(text.strip(), strict=True)
    except ValueError:
        raise ValueError(_no_prefix(text)) from None
    number = int(network.network_address)
    if network.version == 6 and network.prefixlen >= MAPPED_BITS and number >> 32 == 0xFFFF:
        return 32, network.prefixlen - MAPPED_BITS, number & 0xFFFFFFFF
    return network.max_prefixlen, network.prefixlen, number


def _no_prefix(text: str) -> str:
    try:
        return f"{text[:64]!r} has host bits set; write {ip_network(text.strip(), strict=False)}"
    except ValueError:
        return f"{text[:64]!r} is not an address or prefix; write for example 192.0.2.0/24"


def prefix_set(texts: tuple[str, ...]) -> Prefixes:
    """Set of the prefixes in `texts`. Raises `ValueError` for the first text that is no prefix."""
    return prefixes_of(map(parse_prefix, texts))


def prefixes_of(parsed: Iterable[tuple[int, int, int]]) -> Prefixes:
    """Of what `parse_prefix` gave."""
    by_length: dict[tuple[int, int], set[int]] = {}
    for bits, length, number in parsed:
        by_length.setdefault((bits, bits - length), set()).add(number >> (bits - length))
    return Prefixes(tuple((bits, shift, frozenset(numbers)) for (bits, shift), numbers in by_length.items()))


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    address = parse_address(host)
    if address is None:
        return host == "localhost"
    return address.number >> 24 == 127 if address.bits == 32 else address.number == 1


def strip_port(text: str) -> str:
    """`192.0.2.1:80` → `192.0.2.1`, `[2001:db8::1]:80` → `2001:db8::1`; anything else as it is."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
