"""Addresses that are not routed on the Internet: private, loopback, link-local, shared, multicast and reserved ones
(RFC 6890 and its registries). A feed or a geography that names one is not believed.

Networks for documentation (RFC 5737, 3849, 9637) are left out: nobody is there, so that naming them harms nobody, and
examples work.
"""

from __future__ import annotations

from sallygate.parsing.addresses import parse_prefix

_RESERVED_V4 = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
)  # fmt: skip
_PUBLIC_V6 = 0b001
"""Of the first three bits: all global unicast addresses are in 2000::/3 (RFC 4291, section 2.4)."""
_RESERVED_V6 = ("2001::/23", "2002::/16")
"""Protocol assignments with Teredo, and 6to4: they carry an IPv4 address of anybody's."""
_BLOCKS = tuple(parse_prefix(text) for text in _RESERVED_V4 + _RESERVED_V6)
PUBLIC_ADDRESSES = {
    32: 2**32 - sum(2 ** (bits - length) for bits, length, _ in _BLOCKS if bits == 32),
    128: 8 * 2**116,
}
"""By bits of the family, how many addresses can be routed. Of IPv6, the eight /12 that registries
give networks from: measured by all of 2000::/3, a whole continent would be a small share."""
LONGEST_RESERVED = max(length for _, length, _ in _BLOCKS)
"""A prefix at least as long is reserved as a whole, or not at all."""
_BY_FIRST_BYTE = tuple(
    tuple((bits - length, start >> (bits - length)) for bits, length, start in _BLOCKS
          if bits == 32 and start >> 24 <= first <= (start + (1 << (bits - length)) - 1) >> 24)
    for first in range(256)
)  # fmt: skip
_V6 = tuple((bits - length, start >> (bits - length)) for bits, length, start in _BLOCKS if bits == 128)


def is_reserved(bits: int, number: int) -> bool:
    """Whether an address is not routed on the Internet."""
    if bits == 32:
        blocks = _BY_FIRST_BYTE[number >> 24]
    elif number >> 125 == _PUBLIC_V6:
        blocks = _V6
    else:
        return True
    for shift, start in blocks:  # noqa: SIM110 - a generator takes five times as long
        if number >> shift == start:
            return True
    return False


def is_wholly_reserved(bits: int, number: int, length: int) -> bool:
    """Whether a prefix holds no routed address."""
    if not is_reserved(bits, number):
        return False
    if bits == 128 and number >> 125 != _PUBLIC_V6:
        return length >= 3 or number != 0
    return any(family == bits and length >= width and number >> (bits - width) == other >> (bits - width)
               for family, width, other in _BLOCKS)  # fmt: skip


def is_partly_reserved(bits: int, number: int, length: int) -> bool:
    """Whether a prefix contains addresses that are not routed."""
    if bits == 128 and length < 3:
        return True
    return any(family == bits and width > length and start >> (bits - length) == number >> (bits - length)
               for family, width, start in _BLOCKS)  # fmt: skip
