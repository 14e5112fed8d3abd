"""Counts of early rejections: refusals of the same kind from the same source become one record with a count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from sallygate.model.exchange import MANY, EarlyRejection
from sallygate.model.finding import Finding
from sallygate.parsing.addresses import Address

SOURCES_MAX = 256
"""Most sources a kind of refusal has separate records for, per tenth of a second; all other sources share one
record."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
OTHER = "_OTHER"
"""Any other method, in events and numbers."""


class RejectionCounts:
    """Counts of early rejections, until `take` removes them."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str, str, str, str], EarlyRejection] = {}
        self._sources: dict[tuple[str, str], int] = {}

    def add(
        self,
        finding: Finding,
        address: Address | None,
        head: Mapping[str, Any],  # Any: ASGI's own types are open
        request_id: str,
        now: float,
        sent: int,
    ) -> EarlyRejection:
        """Count one. `address` is None where nobody looked; `sent`: bytes of the answer's body."""
        kind = (finding.code, finding.rule)  # evidence may name the source: each would be a kind of its own
        method = head["method"] if head["method"] in METHODS else OTHER  # bounds what is kept
        key = (*kind, finding.evidence, address.network if address is not None else MANY, method)
        record = self._records.get(key)
        if record is None and address is not None:
            many = self._sources.get(kind, 0)
            if many >= SOURCES_MAX:
                address, key = None, (*kind, "", MANY, method)
                finding = replace(finding, evidence="")  # it would be one source's, and is many's
                record = self._records.get(key)
            else:
                self._sources[kind] = many + 1
        if record is None:
            source = (address.text, address.network) if address is not None else (MANY, MANY)
            path: bytes = head.get("raw_path") or b""
            record = self._records[key] = EarlyRejection(
                finding, *source, method, path.decode("ascii", "backslashreplace"), request_id, now, now
            )
        record.count += 1
        record.until = now
        record.response_bytes += sent
        return record

    def take(self) -> list[EarlyRejection]:
        """Records since the last call; the counts are empty afterwards."""
        taken = list(self._records.values())
        self._records, self._sources = {}, {}
        return taken
