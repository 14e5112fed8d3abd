"""Compiled address section: the addresses, countries and networks it allows, and the reason of a refusal."""

from __future__ import annotations

from collections.abc import Mapping

from sallygate.parsing.addresses import Address, Prefixes, prefix_set
from sallygate.policy.network import Addresses, AddressFile, Countries, Reach
from sallygate.state.geography import Geography

Denial = tuple[str, str]
"""What decided (`denied`, `not_listed`, `country`, `asn`), and what of the address it was."""


class AddressSet:
    """Prefixes written in the policy, and address lists in files, which are looked up at each call."""

    __slots__ = ("_files", "_lists", "_written")

    def __init__(self, entries: Addresses, lists: Mapping[str, Prefixes]) -> None:
        self._written = prefix_set(tuple(entry for entry in entries if isinstance(entry, str)))
        self._files = tuple(entry.file for entry in entries if isinstance(entry, AddressFile))
        self._lists = lists

    def __bool__(self) -> bool:
        """Whether there is anything to be in; a file is, with nothing in it too."""
        return bool(self._files or self._written.lengths)

    def __contains__(self, address: Address) -> bool:
        if address in self._written:
            return True
        return any(address in self._lists[file] for file in self._files)


class ReachOf:
    """Reach of an address: allowed or denied, and by which list, country or network number."""

    def __init__(self, section: Reach, lists: Mapping[str, Prefixes]) -> None:
        self.allow = AddressSet(section.allow, lists)
        self._deny = AddressSet(section.deny, lists)
        self._only = AddressSet(section.only, lists) if section.only else None
        self._countries = section.countries
        self._asns = frozenset(section.asns)
        self._asks_geography = self._countries is not None or bool(self._asns)

    def judge(self, address: Address, geography: Geography, *, allowed: bool) -> Denial | None:
        """Why the address may not call. `allowed`: it is on a list that takes precedence over denials."""
        if self._only is not None and not (address in self._only or address in self.allow):
            return "not_listed", ""
        if allowed:
            return None
        if self._deny and address in self._deny:
            return "denied", ""
        if not self._asks_geography:
            return None
        origin = geography.of(address.text)
        if self._countries is not None and not _is_welcome(self._countries, origin.country, origin.continent):
            return "country", origin.country or "unknown"
        if origin.asn in self._asns:
            return "asn", f"AS{origin.asn}"
        return None


def _is_welcome(countries: Countries, country: str, continent: str) -> bool:
    if not country:
        return not countries.refuses_unknown
    if country in countries.deny or continent in countries.deny_continents:
        return False
    if countries.allow or countries.continents:
        return country in countries.allow or continent in countries.continents
    return True
