"""Proposal of a change to a policy, and what speaks for it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from sallygate.model.event import Event

EXAMPLES_MAX = 5


class Change(Struct, frozen=True):
    """One change of the policy, or of its overlay."""

    path: tuple[str, ...]
    """Names from the root of the file to the field."""
    value: Any  # Any: as YAML has it
    is_item: bool = False
    """Whether `value` is added to the list at `path`, instead of taking the field's place."""
    file: str = "policy"
    """`policy`, or `overlay` for the file that `contract.overlay` names."""


class Seen(Struct, frozen=True):
    """One finding in shadow, with the event it is of."""

    event: Event
    code: str
    where: str
    rule: str
    detail: str
    evidence: str


class Proposal(Struct, frozen=True):
    """One change, and the requests that it would let through."""

    cause: str
    """What was found, `nosql in body:/where/*`."""
    operation: str
    """Empty without a contract; then `path` says where."""
    path: str
    change: Change | None
    """None where no narrow change would let the requests through."""
    callers: int
    """Different accounts, or addresses of the unknown."""
    requests: int
    rules: tuple[str, ...]
    examples: tuple[Event, ...]
    evidence: tuple[str, ...] = ()
    """What was found in each example."""


def caller_of(event: Event) -> str:
    """Account, or address of an unknown caller."""
    return event.account or event.client_address


def proposal(cause: str, operation: str, path: str, change: Change | None, seen: list[Seen]) -> Proposal:
    """A proposal for a change, or for none, with what was seen of its cause. One example a caller: that different
    callers send it is what speaks for it."""
    by_caller = {caller_of(one.event): one for one in reversed(seen)}
    events = {one.event.request_id or id(one.event): one.event for one in seen}
    examples = list(by_caller.values())[:EXAMPLES_MAX]
    return Proposal(
        cause,
        operation,
        path,
        change,
        len(by_caller),
        sum(event.count * event.sampled for event in events.values()),
        tuple(sorted({one.rule for one in seen if one.rule})),
        tuple(one.event for one in examples),
        tuple(one.evidence or one.detail for one in examples),
    )
