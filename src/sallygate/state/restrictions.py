"""Index of active restrictions: by the narrowest name in their scope, and by prefix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from sallygate.model.restriction import Restriction, ScopeKind
from sallygate.parsing.addresses import Address, parse_prefix

_NARROW: tuple[ScopeKind, ...] = ("key", "account", "address")
_ABROAD = frozenset(("asn", "country", "continent"))
_WIDE: tuple[ScopeKind, ...] = ("asn", "operation", "country", "continent")


class _Index:
    """Restrictions by the narrowest name in their scope: one dictionary of names, one a prefix length in use."""

    def __init__(self, restrictions: Iterable[Restriction]) -> None:
        self._exact: dict[tuple[str, str], list[Restriction]] = {}
        self._prefixes: dict[tuple[int, int], dict[int, list[Restriction]]] = {}
        self.empty = True
        for restriction in restrictions:
            self.empty = False
            self._add(restriction)

    def _add(self, restriction: Restriction) -> None:
        names = dict(restriction.scope)
        for kind in _NARROW:
            if kind in names:
                self._exact.setdefault((kind, names[kind]), []).append(restriction)
                return
        if "prefix" in names:
            bits, length, number = parse_prefix(names["prefix"])
            by_number = self._prefixes.setdefault((bits, bits - length), {})
            by_number.setdefault(number >> (bits - length), []).append(restriction)
            return
        kind = next(kind for kind in _WIDE if kind in names)
        self._exact.setdefault((kind, names[kind]), []).append(restriction)

    def find(self, address: Address, names: Iterable[tuple[str, str]]) -> list[Restriction]:
        """Everything indexed under the address, a prefix of it, or one of `names`; ended ones too."""
        found: list[Restriction] = []
        if (by_address := self._exact.get(("address", address.text))) is not None:
            found += by_address
        for name in names:
            if (by_name := self._exact.get(name)) is not None:
                found += by_name
        for (bits, shift), by_number in self._prefixes.items():
            if bits == address.bits and (covering := by_number.get(address.number >> shift)) is not None:
                found += covering
        return found


class Restrictions:
    """Active restrictions, compiled for look-up.

    Rebuilt whole on every change (a thousand take 3 ms), then swapped in, so that a reader never sees half a change.
    """

    LOCAL: ClassVar[str] = "a copy of the store's records; as many as an operator may have in force"

    def __init__(self, restrictions: Iterable[Restriction] = ()) -> None:
        self.all: dict[str, Restriction] = {one.id: one for one in restrictions}
        by_location = [one for one in self.all.values() if one.decided_by_location]
        located = {one.id for one in by_location}
        self.names_methods = any(one.methods for one in self.all.values())
        self.asks_geography = any(kind in _ABROAD for one in self.all.values() for kind, _ in one.scope)
        self.by_location = _Index(by_location)
        """Restrictions whose scope is a location alone."""
        self.by_name = _Index(one for one in self.all.values() if one.id not in located)
        """Restrictions that name a key, an account or an operation, alone or with a location; and challenges."""

    def with_change(self, changed: Iterable[Restriction], now: float) -> Restrictions:
        """Index with changed restrictions; ended ones are left out."""
        merged = {**self.all, **{one.id: one for one in changed}}
        return Restrictions(one for one in merged.values() if one.active(now))
