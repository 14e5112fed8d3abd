"""What memory holds of the places callers are known from. Part of `state`; filled by others, never from a decision."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from sallygate.model.access import KnownPlace

PRINCIPALS_MAX = 50_000
"""About 50 MB at four places each; those of a caller beyond it are fetched when it calls."""
PLACES_MAX = 1000
"""Of one principal: more networks than that are no places, and further ones count as new."""


class Places:
    """By principal, all its places or none of them."""

    def __init__(self, principals_max: int = PRINCIPALS_MAX) -> None:
        self._principals_max = principals_max
        self._known: OrderedDict[str, dict[str, KnownPlace]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, principal: str) -> dict[str, KnownPlace] | None:
        """Its places by network; None when memory does not have them."""
        return self._known.get(principal)

    def is_verified(self, principal: str, network: str) -> bool:
        place = self._known.get(principal, {}).get(network)
        return place is not None and place.state == "verified"

    def load(self, principal: str, places: Iterable[KnownPlace]) -> None:
        self._known[principal] = {}
        for place in places:
            self.put(place)
        if len(self._known) > self._principals_max:
            self._known.popitem(last=False)

    def put(self, place: KnownPlace) -> None:
        """A change. Nothing for a principal whose places are not here: they are fetched when they are needed."""
        known = self._known.get(place.principal)
        if known is None:
            return
        before = known.get(place.network)
        if before is not None and before.revision > place.revision:
            return
        if before is None and len(known) >= PLACES_MAX and not self._made_room(known, place):
            return
        known[place.network] = place

    def _made_room(self, known: dict[str, KnownPlace], place: KnownPlace) -> bool:
        """One that was admitted takes the place of one that was not."""
        if place.state != "verified":
            return False
        other = next((network for network, one in known.items() if one.state != "verified"), None)
        if other is not None:
            del known[other]
        return other is not None
