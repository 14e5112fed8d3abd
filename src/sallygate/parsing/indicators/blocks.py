"""Reader of one text as prefixes: an address, a prefix, or a range `a-b`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from sallygate.parsing.addresses import ADDRESS_CHARS_MAX, parse_prefix

Block = tuple[int, int, int]
"""Bits of the family, network number, prefix length."""

RANGE_CHARS_MAX = 2 * ADDRESS_CHARS_MAX + 3


def blocks_of(text: str) -> tuple[Block, ...]:
    """A range becomes its prefixes: at most 62 of IPv4, 254 of IPv6. `ValueError` says what is wrong, without the
    text."""
    if len(text) > RANGE_CHARS_MAX or "%" in text or not text.isascii():
        raise ValueError("not an address, prefix or range")
    if "-" in text:
        first, _, last = text.partition("-")
        return _range(_address(first.strip()), _address(last.strip()))
    if "/" in text:
        try:
            bits, length, number = parse_prefix(text)
        except ValueError as error:
            why = "a prefix with host bits set" if "host bits" in str(error) else "not a prefix"
            raise ValueError(why) from None
        return ((bits, number, length),)
    bits, number = _address(text)
    return ((bits, number, bits),)


def block_text(bits: int, number: int, length: int) -> str:
    """In its canonical spelling; an address alone without its length."""
    address = IPv4Address(number) if bits == 32 else IPv6Address(number)
    return str(address) if length == bits else f"{address}/{length}"


def _address(text: str) -> tuple[int, int]:
    try:
        value: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        raise ValueError("not an address, prefix or range") from None
    if isinstance(value, IPv6Address):
        if value.ipv4_mapped is None:
            return 128, int(value)
        value = value.ipv4_mapped
    return 32, int(value)


def _range(first: tuple[int, int], last: tuple[int, int]) -> tuple[Block, ...]:
    (bits, number), (other, end) = first, last
    if bits != other or end < number:
        raise ValueError("a range whose end is before its beginning, or of another family")
    blocks = []
    while number <= end:
        # The largest prefix that begins here and does not go beyond the end.
        free = (number & -number).bit_length() - 1 if number else bits
        free = min(free, (end - number + 1).bit_length() - 1)
        blocks.append((bits, number, bits - free))
        number += 1 << free
    return tuple(blocks)
