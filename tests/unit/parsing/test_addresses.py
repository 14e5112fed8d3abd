"""Addresses and prefixes as an operator writes them: what would match nobody is refused."""

from __future__ import annotations

import pytest

from sallygate.parsing.addresses import parse_address, parse_prefix


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::%1/64", "192.0.2.1%lo"])
def test_an_address_of_one_interface_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="without `%`"):
        parse_prefix(text)
    assert parse_address(text) is None


def test_the_same_address_without_its_interface_is_taken() -> None:
    assert parse_prefix("fe80::1")[:2] == (128, 128)
