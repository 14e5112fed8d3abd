"""Proposals for injection: the narrowest exclusions that would remove its findings in shadow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sallygate.controls.injection.exclusions import LEFT_OUT, Exclusions
from sallygate.offline.tuning.places import PATH_CHARS, generalised, path_patterns
from sallygate.offline.tuning.proposals import Change, Proposal, Seen, proposal

EXCLUDE, KINDS = ("injection", "exclude"), ("injection", "kinds")
FAMILIES_OF_TEXT = 3
"""Families found in one field from which on the field is proposed as a text, instead of one exclusion for each."""
_NOT_OF_A_VALUE = ("injection.size", "injection.charset", "injection.effort")
"""What no exclusion of a family covers."""


def covers(one: Seen) -> bool:
    """Whether an exclusion may pass what was found."""
    return one.code.startswith("injection.") and one.code not in _NOT_OF_A_VALUE


def exclusions(seen: Iterable[Seen], known: Exclusions) -> list[Proposal]:
    """Exclusions for what was found and is not excluded by the policy yet, one for each cause."""
    those = [one for one in seen if not _is_excluded(one, known)]
    # A sender who names a field or path `*` would have it stand for all others in the exclusion.
    those = [one for one in those if "*" not in one.where and "*" not in one.event.path]
    # Of a path that was cut nobody knows the rest.
    those = [one for one in those if one.event.operation or len(one.event.path) < PATH_CHARS]
    paths = path_patterns({one.event.path for one in those if not one.event.operation})
    groups: dict[tuple[str, str, str], list[Seen]] = defaultdict(list)
    for one in those:
        path = "" if one.event.operation else paths[one.event.path]
        groups[one.code.removeprefix("injection."), one.event.operation, path].append(one)
    made = []
    by_place: dict[tuple[str, str, str], dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for (family, operation, path), found in groups.items():
        fields = generalised(one.where for one in found)
        by_field: dict[str, list[Seen]] = defaultdict(list)
        for one in found:
            by_field[fields[one.where]].append(one)
        for field, of_field in by_field.items():
            by_place[operation, path, field][family] += of_field
    for (operation, path, field), by_family in by_place.items():
        if len(LEFT_OUT["text"].intersection(by_family)) >= FAMILIES_OF_TEXT and field.partition(":")[2]:
            texts = [one for family in LEFT_OUT["text"].intersection(by_family) for one in by_family[family]]
            made.append(_kind(operation, path, field, texts))
            by_family = {name: found for name, found in by_family.items() if name not in LEFT_OUT["text"]}
        made += [_proposal(family, operation, path, field, found) for family, found in by_family.items()]
    return made


def _kind(operation: str, path: str, field: str, seen: list[Seen]) -> Proposal:
    """A field in which honest callers write whatever people write."""
    where = {"operation": operation} if operation else {"path": path}
    made = proposal(f"texts in {field}", operation, path, Change(KINDS, {}, True), seen)
    reason = f"{made.requests} requests of {made.callers} callers"
    value = {"field": field, "kind": "text", **where, "reason": reason}
    return proposal(made.cause, operation, path, Change(KINDS, value, is_item=True), seen)


def _is_excluded(one: Seen, known: Exclusions) -> bool:
    return known.excludes(one.event.operation, one.event.path, one.code.removeprefix("injection."), one.where)


def _proposal(family: str, operation: str, path: str, field: str, seen: list[Seen]) -> Proposal:
    where = {"operation": operation} if operation else {"path": path}
    made = proposal(f"{family} in {field}", operation, path, Change(EXCLUDE, {}, True), seen)
    reason = f"{made.requests} requests of {made.callers} callers: {', '.join(made.rules)}"
    value = {"family": family, "field": field, **where, "reason": reason}
    return proposal(made.cause, operation, path, Change(EXCLUDE, value, is_item=True), seen)
