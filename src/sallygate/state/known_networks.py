"""Known networks of principals in memory. Part of `state`; filled by services, never by a decision."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import ClassVar

from sallygate.model.access import KnownNetwork

PRINCIPALS_MAX = 50_000
"""Most principals in memory, about 50 MB at four networks each; networks of further ones are loaded when they call."""
KNOWN_NETWORKS_MAX = 1000
"""Most known networks of one principal; further ones count as new."""


class KnownNetworks:
    """By principal, all its known networks or none of them."""

    LOCAL: ClassVar[str] = "a copy of the store's records; PRINCIPALS_MAX callers with KNOWN_NETWORKS_MAX networks each"

    def __init__(self, principals_max: int = PRINCIPALS_MAX) -> None:
        self._principals_max = principals_max
        self._known: OrderedDict[str, dict[str, KnownNetwork]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, principal: str) -> dict[str, KnownNetwork] | None:
        """Known networks of a principal; None if memory does not have them."""
        return self._known.get(principal)

    def is_verified(self, principal: str, network: str) -> bool:
        """Whether a network is admitted for a principal."""
        one = self._known.get(principal, {}).get(network)
        return one is not None and one.state == "verified"

    def load(self, principal: str, known_networks: Iterable[KnownNetwork]) -> None:
        """Replace the known networks of a principal."""
        self._known[principal] = {}
        for one in known_networks:
            self.put(one)
        if len(self._known) > self._principals_max:
            self._known.popitem(last=False)

    def put(self, one: KnownNetwork) -> None:
        """A change. Nothing for a principal whose networks are not in memory: they are loaded when needed."""
        known = self._known.get(one.principal)
        if known is None:
            return
        before = known.get(one.network)
        if before is not None and before.revision > one.revision:
            return
        if before is None and len(known) >= KNOWN_NETWORKS_MAX and not self._made_room(known, one):
            return
        known[one.network] = one

    def _made_room(self, known: dict[str, KnownNetwork], one: KnownNetwork) -> bool:
        """One that was admitted takes the place of one that was not."""
        if one.state != "verified":
            return False
        other = next((network for network, one in known.items() if one.state != "verified"), None)
        if other is not None:
            del known[other]
        return other is not None
