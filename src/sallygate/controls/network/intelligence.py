"""Control of threat intelligence: applies the policy's act to addresses that feeds name.

Threat: addresses others have seen attack (OWASP API4, API8; MITRE T1595). Evidence: `network.intelligence` with the
feed, the indicator, its confidence and its age; `network.intelligence_rate` (429) where a feed throttles and the
address asks for more. Known bypasses: an address nobody has reported yet; an attacker who has many. An address has many
users: a feed that denies shuts out those behind the same one. Cost: 0.6 µs a feed of a million indicators for an
address it does not name.

A feed that covers more than its share is observed, whatever its act: it came to be so under another policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sallygate.model.control import Everywhere
from sallygate.model.decision import retry_after
from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding, Mode
from sallygate.model.judgement import Judgement
from sallygate.model.work import Charge
from sallygate.parsing.addresses import UNKNOWN, Address, parse_address
from sallygate.policy.intelligence import FeedSection
from sallygate.policy.network import Network
from sallygate.state.bounded_table import Table
from sallygate.state.counters import RateTable
from sallygate.state.feeds import Match
from sallygate.state.parts import Parts
from sallygate.state.state import State

STRONGEST_FIRST = ("deny", "throttle", "score", "observe")


class IntelligenceControl(Everywhere):
    """What feeds of threat intelligence make of a client address that is not in `network.allow`."""

    name: ClassVar = "intelligence"
    section: ClassVar = "network"

    def __init__(self, sections: Sequence[FeedSection], state: State, now: float) -> None:
        self._state = state
        self._sections = {section.name: section for section in sections}
        self._tables: dict[str, Table] = {}
        for section in sections:
            if section.act == "throttle":
                per_s, burst = section.allowed_rate
                self._tables[section.name] = state.table(RateTable(f"feed:{section.name}", per_s, burst), now)

    @classmethod
    def build(cls, parts: Parts) -> IntelligenceControl | None:
        """The control of a policy; None of one that names no feed."""
        section = parts.sections[cls.section]
        assert isinstance(section, Network)
        return cls(section.intelligence, parts.state, parts.now) if section.intelligence else None

    def idle(self, limited: bool) -> bool:
        """Never: lists are always in force."""
        return False

    def early(self, request: EarlyRequest) -> Judgement | None:
        """What refuses every request from there."""
        if request.location_allowed or request.client is None:
            return None
        finding = self.denies(parse_address(request.client[0]) or UNKNOWN, request.now)
        return Judgement((finding,)) if finding is not None else None

    def address(self, evaluation: Evaluation) -> Judgement | None:
        """What the feeds say of the address."""
        if evaluation.location_allowed:
            return None
        return self.judge(parse_address(evaluation.head.client_address) or UNKNOWN, evaluation.now)

    def judge(self, address: Address, now: float) -> Judgement | None:
        """The same of an address."""
        matches = self._state.feeds.find(address, now)
        return self._weigh(matches, address, now) if matches else None

    def denies(self, address: Address, now: float) -> Finding | None:
        """What refuses every request from there, whatever else is said of it."""
        for match in self._state.feeds.find(address, now):
            if match.feed in self._sections and self._act(match) == "deny":
                return _finding(match, "deny", now, refuses=True)
        return None

    def _weigh(self, matches: tuple[Match, ...], address: Address, now: float) -> Judgement:
        acts = [(self._act(match), match) for match in matches if match.feed in self._sections]
        acts.sort(key=lambda pair: (STRONGEST_FIRST.index(pair[0]), -pair[1].confidence))
        seen: list[Finding] = []
        charges: list[Charge] = []
        refused: Finding | None = None
        wait_s = 0.0
        for act, match in acts:
            if act == "throttle" and refused is None:
                # Looked at by name: what a reload put in its place is what is charged.
                room = self._tables[match.feed].look(address.network, now)
                if not room.allowed:
                    refused, wait_s = _finding(match, act, now, refuses=True), room.reset_s
                    continue
                charges.append(Charge(f"feed:{match.feed}", address.network, 1))
            elif act == "deny" and refused is None:
                refused = _finding(match, act, now, refuses=True)
                continue
            seen.append(_finding(match, act, now, refuses=False))
        if refused is None:
            return Judgement(tuple(seen), tuple(charges))
        return Judgement((*seen, refused), headers=retry_after(wait_s) if wait_s else ())

    def _act(self, match: Match) -> str:
        section, feed = self._sections[match.feed], self._state.feeds.get(match.feed)
        if feed is None or section.is_over_share(feed.compiled.about.shares):
            return "observe"
        return section.act


def _finding(match: Match, act: str, now: float, *, refuses: bool) -> Finding:
    age = f"{max(now - match.since, 0) / 86400:.1f} d"
    evidence = f"{match.indicator}, confidence {match.confidence}, {age} old, {act}"
    if refuses and act == "throttle":
        return Finding("network.intelligence_rate", "Too many requests from this address.", 429, "throttle",
                       rule=match.feed, evidence=evidence, owasp="API4", attack="T1595")  # fmt: skip
    mode: Mode = "enforce" if refuses else "shadow"
    return Finding("network.intelligence", "Access from this address is not allowed.", 403, "deny", rule=match.feed,
                   evidence=evidence, mode=mode, owasp="API8", attack="T1595")  # fmt: skip
