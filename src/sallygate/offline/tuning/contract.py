"""Proposals for the contract: settings of one operation, or actions of an overlay.

A setting is proposed where one says what honest clients do (nulls, undeclared fields); an action of an overlay where a
single keyword of the document is wrong; and the operation's shadow mode only where neither covers what was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.json import encode

from sallygate.controls.contract.settings import passed_by
from sallygate.model.operation import Operation
from sallygate.offline.tuning import limits
from sallygate.offline.tuning.proposals import Change, Proposal, Seen, proposal
from sallygate.offline.tuning.schema_targets import targets_of
from sallygate.policy.schema import Policy

_TWO_READINGS = ("contract.parameter_repeated",)
"""What two readers may read differently, as is a body that cannot be read at all: no setting passes it."""


def covers(one: Seen) -> bool:
    """Whether a setting of one operation, or an action of the overlay, may pass what was found."""
    return one.code.startswith("contract.") and one.code not in _TWO_READINGS and not limits.covers(one)


def changes(
    seen: Iterable[Seen], policy: Policy, operations: Iterable[Operation], document: Mapping[str, object] | None
) -> list[Proposal]:
    """Changes for what was found, one for each cause."""
    by_id = {operation.id: operation for operation in operations}
    groups: dict[tuple[str, str, bytes], tuple[Change, list[Seen]]] = {}
    for one in seen:
        name = one.event.operation
        if name in by_id:
            for cause, change in _changes(one, policy, by_id[name], document):
                groups.setdefault((cause, name, encode(change)), (change, []))[1].append(one)
    return [proposal(cause, name, "", change, found) for (cause, name, _), (change, found) in groups.items()]


def _changes(
    one: Seen, policy: Policy, operation: Operation, document: Mapping[str, object] | None
) -> list[tuple[str, Change]]:
    own = policy.operations[operation.id].contract if operation.id in policy.operations else None
    at = ("operations", operation.id, "contract")
    setting, value = passed_by(one.code, one.rule)
    if setting and value not in (getattr(own, setting, None), getattr(policy.contract, setting)):
        return [(setting.replace("_", " "), Change((*at, setting), value))]
    place = f"{one.rule or one.code} at {one.where}" if one.where else one.rule or one.code
    targets = targets_of(one, operation, document or {})
    if targets:
        return [
            (place, Change(("actions",), {"target": target, "remove": True}, is_item=True, file="overlay"))
            for target in targets
        ]
    if own is not None and own.mode is not None:
        return []
    return [(place, Change((*at, "mode"), "shadow"))]
