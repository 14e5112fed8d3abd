"""Proposals of `sallygate tune`: the narrowest changes of a policy after which honest requests found in shadow pass.

What many callers send is most likely what the API is for; what one caller sends may be an attack. So only what several
callers were found with is proposed, and every proposal shows the requests it would let through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from sallygate.controls.injection.exclusions import Exclusions
from sallygate.model.event import Event
from sallygate.offline.tuning import contract, injection, limits
from sallygate.offline.tuning.proposals import EXAMPLES_MAX, Change, Proposal, Seen, proposal
from sallygate.parsing.openapi.field_kinds import kinds_by_operation
from sallygate.policy.injection import Injection
from sallygate.policy.load import Loaded

__all__ = ["EXAMPLES_MAX", "Change", "Proposal", "Tuning", "propose"]


class Tuning(Struct, frozen=True):
    """What was found in shadow and the policy does not pass yet, each by number of requests."""

    proposed: list[Proposal]
    few: list[Proposal]
    """What too few callers speak for."""
    left: list[Proposal]
    """What no narrow change passes, as a body with two readings; without a change."""


def propose(events: Iterable[Event], loaded: Loaded, callers_min: int) -> Tuning:
    """Changes for what was found in shadow, from events of any policy; of settings, only from those of this one."""
    seen, policy = list(_found_in_shadow(events)), loaded.policy
    section = policy.injection or Injection()
    known = Exclusions(section.exclude, section.kinds, kinds_by_operation(loaded.operations, loaded.document))
    made = injection.exclusions(filter(injection.covers, seen), known)
    # Of a setting, only what the present policy found is known not to be covered by it.
    present = [one for one in seen if one.event.policy in ("", loaded.hash)]
    made += contract.changes(filter(contract.covers, present), policy, loaded.operations, loaded.document)
    made += limits.changes(filter(limits.covers, present), policy, loaded.operations)
    kinds = (injection, contract, limits)
    left = _without_change(one for one in present if not any(kind.covers(one) for kind in kinds))
    for those in (made, left):
        those.sort(key=lambda one: (-one.requests, one.cause))
    return Tuning(
        [one for one in made if one.callers >= callers_min], [one for one in made if one.callers < callers_min], left
    )


def _without_change(seen: Iterable[Seen]) -> list[Proposal]:
    groups: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for one in seen:
        groups[f"{one.code} {one.rule}".strip(), one.event.operation].append(one)
    return [proposal(cause, operation, "", None, found) for (cause, operation), found in groups.items()]


def _found_in_shadow(events: Iterable[Event]) -> Iterable[Seen]:
    for event in events:
        for one in event.findings:
            if one.mode == "shadow":
                yield Seen(event, one.code, one.where, one.rule, one.detail, one.evidence)
