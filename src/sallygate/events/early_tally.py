"""Tally of early rejections: refusals of the same kind from the same source become one record with a count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from sallygate.model.exchange import MANY, Turned
from sallygate.model.finding import Finding
from sallygate.parsing.addresses import Address

SOURCES_MAX = 256
"""Most sources a kind of refusal has separate records for, per tenth of a second; all other sources share one
record."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
OTHER = "_OTHER"
"""Any other method, in events and numbers."""


class Tally:
    """Counts refusals at the door, until somebody takes them."""

    def __init__(self) -> None:
        self._turned: dict[tuple[str, str, str, str, str], Turned] = {}
        self._sources: dict[tuple[str, str], int] = {}

    def add(
        self,
        finding: Finding,
        address: Address | None,
        head: Mapping[str, Any],  # Any: ASGI's own types are open
        request_id: str,
        now: float,
        sent: int,
    ) -> Turned:
        """Count one. `address` is None where nobody looked; `sent`: bytes of the answer's body."""
        kind = (finding.code, finding.rule)  # evidence may name the source: each would be a kind of its own
        method = head["method"] if head["method"] in METHODS else OTHER  # bounds what is kept
        key = (*kind, finding.evidence, address.network if address is not None else MANY, method)
        turned = self._turned.get(key)
        if turned is None and address is not None:
            many = self._sources.get(kind, 0)
            if many >= SOURCES_MAX:
                address, key = None, (*kind, "", MANY, method)
                finding = replace(finding, evidence="")  # it would be one source's, and is many's
                turned = self._turned.get(key)
            else:
                self._sources[kind] = many + 1
        if turned is None:
            source = (address.text, address.network) if address is not None else (MANY, MANY)
            path: bytes = head.get("raw_path") or b""
            turned = self._turned[key] = Turned(
                finding, *source, method, path.decode("ascii", "backslashreplace"), request_id, now, now
            )
        turned.count += 1
        turned.until = now
        turned.response_bytes += sent
        return turned

    def take(self) -> list[Turned]:
        """Records since the last call; the tally is empty afterwards."""
        taken = list(self._turned.values())
        self._turned, self._sources = {}, {}
        return taken
