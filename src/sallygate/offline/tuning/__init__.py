"""Proposals of `sallygate tune`: the narrowest changes of a policy after which honest requests found in shadow pass.

What many callers send is most likely what the API is for; what one caller sends may be an attack. So only what several
callers were found with is proposed, and every proposal shows the requests it would let through.
"""

from __future__ import annotations

from collections.abc import Iterable

from sallygate.controls.injection.exclusions import Exclusions
from sallygate.model.event import Event
from sallygate.offline.tuning import contract, injection
from sallygate.offline.tuning.proposals import EXAMPLES_MAX, Change, Proposal, Seen
from sallygate.parsing.openapi.field_kinds import kinds_by_operation
from sallygate.policy.injection import Injection
from sallygate.policy.load import Loaded

__all__ = ["EXAMPLES_MAX", "Change", "Proposal", "propose"]


def propose(events: Iterable[Event], loaded: Loaded, callers_min: int) -> tuple[list[Proposal], list[Proposal]]:
    """Changes for what was found in shadow and the policy does not pass yet, by number of requests; and those that too
    few callers speak for."""
    seen, policy = list(_found_in_shadow(events)), loaded.policy
    section = policy.injection or Injection()
    known = Exclusions(section.exclude, section.kinds, kinds_by_operation(loaded.operations, loaded.document))
    made = injection.exclusions((one for one in seen if one.code.startswith("injection.")), known)
    # Of a setting, only what the present policy found is known not to be covered by it.
    present = [one for one in seen if one.event.policy in ("", loaded.hash)]
    made += contract.changes(present, policy, loaded.operations, loaded.document)
    made.sort(key=lambda one: (-one.requests, one.cause))
    return [one for one in made if one.callers >= callers_min], [one for one in made if one.callers < callers_min]


def _found_in_shadow(events: Iterable[Event]) -> Iterable[Seen]:
    for event in events:
        for one in event.findings:
            if one.mode == "shadow":
                yield Seen(event, one.code, one.where, one.rule, one.detail, one.evidence)
