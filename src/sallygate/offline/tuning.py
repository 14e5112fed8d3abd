"""Proposals of exclusions for `sallygate tune`: the narrowest that would remove injection's findings in shadow.

What many callers send to one field is most likely what that field is for; what one caller sends may be an attack. So
only fields that several callers were found in are proposed, and every proposal shows the requests it would let through.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from sallygate.model.event import Event
from sallygate.model.finding import Finding

EXAMPLES_MAX = 5
_INDEX = re.compile(r"/\d+(?=/|$)")
_PATH_ID = re.compile(r"/(?:\d+|[0-9a-fA-F-]{16,})(?=/|$)")


class Proposal(Struct, frozen=True):
    """One exclusion, and what speaks for it."""

    family: str
    field: str
    operation: str
    """Empty without a contract; then `path` says where."""
    path: str
    callers: int
    """Different accounts, or addresses of the unknown."""
    requests: int
    rules: tuple[str, ...]
    examples: tuple[Event, ...]

    def patch(self) -> dict[str, str]:
        """Exclusion as it is written in a policy, with its reason."""
        where = {"operation": self.operation} if self.operation else {"path": self.path}
        seen = f"{self.requests} requests of {self.callers} callers: {', '.join(self.rules)}"
        return {"family": self.family, "field": self.field, **where, "reason": seen}


def propose(events: Iterable[Event], callers_min: int) -> tuple[list[Proposal], list[Proposal]]:
    """Exclusions for what was found in shadow, by number of requests; and those too few callers speak for."""
    groups: dict[tuple[str, str, str, str], list[tuple[Event, Finding]]] = defaultdict(list)
    for event in events:
        for finding in event.findings:
            family = finding.code.removeprefix("injection.")
            if finding.mode == "shadow" and family != finding.code and finding.where.partition(":")[2]:
                path = "" if event.operation else _PATH_ID.sub("/*", event.path)
                groups[family, _INDEX.sub("/*", finding.where), event.operation, path].append((event, finding))
    made = [_proposal(*key, found) for key, found in groups.items()]
    made.sort(key=lambda one: (-one.requests, one.field))
    return [one for one in made if one.callers >= callers_min], [one for one in made if one.callers < callers_min]


def _proposal(family: str, field: str, operation: str, path: str, found: list[tuple[Event, Finding]]) -> Proposal:
    callers = {event.account or event.client_address for event, _ in found}
    rules = sorted({finding.rule for _, finding in found})
    # One example a caller: that different people send it is what speaks for it.
    examples = {event.account or event.client_address: event for event, _ in reversed(found)}
    requests = sum(event.count * event.sampled for event, _ in found)
    return Proposal(
        family, field, operation, path, len(callers), requests, tuple(rules), tuple(examples.values())[:EXAMPLES_MAX]
    )


def as_patch(proposals: Iterable[Proposal]) -> str:
    """The policy's `injection` section to merge, as YAML whose values are JSON strings, which YAML reads alike."""
    from msgspec.json import encode

    lines = ["injection:", "  exclude:"]
    for proposal in proposals:
        members = ", ".join(f"{name}: {encode(value).decode()}" for name, value in proposal.patch().items())
        lines.append(f"    - {{{members}}}")
    return "\n".join(lines) + "\n"
