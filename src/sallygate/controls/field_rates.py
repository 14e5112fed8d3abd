"""Control of rates by a field of the request: at most so many calls of an operation for one value, over all callers.

Threat: guesses at one account from many addresses, codes sent to one number, votes for one entry (OWASP API2, API6).
Evidence: `limits.field` (429) with the field, never its value. Known bypasses: values that the API takes for one and
the gate for two (an alias of a mail address); a value spread over several fields. Everybody who knows an account's name
can use up its rate. `accounts.logins` tells the networks of the owner from others; this rate does not.
Cost: 2 µs a field, at the operations that have one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import ClassVar

from msgspec import Struct

from sallygate.model.control import Phase
from sallygate.model.decision import retry_after
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.work import Charge
from sallygate.parsing.request_fields import field_values
from sallygate.state.bounded_table import Table
from sallygate.state.counters import RateTable
from sallygate.state.parts import Parts


class _FieldRate(Struct, frozen=True):
    place: str
    table: Table


class FieldRatesControl:
    """How often an operation may be called for one value of a field."""

    name: ClassVar = "field_rates"
    section: ClassVar = "limits"

    def __init__(self, rates: dict[str, tuple[_FieldRate, ...]]) -> None:
        self._rates = rates

    @classmethod
    def build(cls, parts: Parts) -> FieldRatesControl | None:
        """The control of a policy; None where no operation has a rate by a field."""
        made: dict[str, tuple[_FieldRate, ...]] = {}
        for name, operation in parts.loaded.policy.operations.items():
            if operation.rates:
                tables = [
                    (one.by, RateTable(f"operation:{name}:{one.by}", one.rate.per_s, one.rate.burst))
                    for one in operation.rates
                ]
                made[name] = tuple([_FieldRate(by, parts.state.table(table, parts.now)) for by, table in tables])
        return cls(made) if made else None

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """To operations that have such a rate."""
        return operation is not None and operation.id in self._rates

    def examine(self, evaluation: Evaluation) -> Judgement | None:
        """Charges the value, or refuses it while its rate is used up."""
        assert evaluation.operation is not None
        charges: list[Charge] = []
        for rate in self._rates[evaluation.operation.id]:
            for value in field_values(rate.place, evaluation.head, evaluation.path_values, evaluation.body):
                # A digest: the table holds no name or address of a person.
                subject = blake2b(value.encode("utf-8", "replace"), digest_size=16).hexdigest()
                room = rate.table.look(subject, evaluation.now)
                if not room.allowed:
                    detail = "This operation was called too often for this value."
                    finding = Finding("limits.field", detail, 429, "throttle", where=rate.place, rule=rate.table.name,
                                      owasp="API2", attack="T1110")  # fmt: skip
                    return Judgement((finding,), headers=retry_after(room.reset_s))
                charges.append(Charge(rate.table.name, subject, 1))
        return Judgement(charges=tuple(charges)) if charges else None
