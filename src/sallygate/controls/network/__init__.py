"""Control of networks: allows and denies callers by address, country and network number.

Threat: callers from where nobody should call: another region, a hosting provider, outside the partners' networks
(OWASP API2, API8). Evidence: `network.denied`, `network.not_listed` (partner mode), `network.country`, `network.asn`,
each 403, with the rule that spoke; `network.intelligence` (see `intelligence`).
Known bypasses: an address is where a call comes from, not who calls: a proxy in an allowed country is an allowed
caller, and the geography is wrong for some addresses.
Cost: 1 µs, one look-up a distinct prefix length in each list, one into the geography where a rule asks for it.

Allow takes precedence over deny: an address in `network.allow` passes every `deny`, `countries` and `asns`, feeds, and
restrictions whose scope is a location alone. It passes no `only` of a rule: who binds a key to an address means it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from msgspec import Struct

from sallygate.controls.network.intelligence import IntelligenceControl
from sallygate.controls.network.reach import Denial, ReachOf
from sallygate.model.control import Phase
from sallygate.model.early import EarlyRequest
from sallygate.model.evaluation import Evaluation
from sallygate.model.finding import Finding
from sallygate.model.judgement import Judgement
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead, is_among
from sallygate.parsing.addresses import UNKNOWN, Address, Prefixes, parse_address
from sallygate.policy.network import Network, NetworkRule
from sallygate.state.parts import Parts
from sallygate.state.state import State

__all__ = ["IntelligenceControl", "NetworkControl"]


class _Rule(Struct, frozen=True):
    """For some requests; an empty selector selects all."""

    name: str
    methods: frozenset[str]
    operations: frozenset[str]
    plans: frozenset[str]
    accounts: frozenset[str]
    keys: frozenset[str]
    reach: ReachOf

    @property
    def names_callers(self) -> bool:
        """Whether the rule applies to certain callers only, so that it has to wait for identity."""
        return bool(self.plans or self.accounts or self.keys)


class NetworkControl:
    """Where callers may come from."""

    name: ClassVar = "network"
    section: ClassVar = "network"

    def __init__(self, section: Network, lists: Mapping[str, Prefixes], state: State) -> None:
        """`lists` are the address files by the names the policy gives them; they may be replaced while the control
        lives."""
        self._state = state
        self._everywhere = ReachOf(section, lists)
        rules = [_compile(rule, number, lists) for number, rule in enumerate(section.rules, 1)]
        self._by_method = tuple(rule for rule in rules if not rule.operations and not rule.names_callers)
        self._by_operation = tuple(rule for rule in rules if rule.operations and not rule.names_callers)
        self._by_caller = tuple(rule for rule in rules if rule.names_callers)

    @classmethod
    def build(cls, parts: Parts) -> NetworkControl:
        """The control of a policy."""
        section = parts.sections[cls.section]
        assert isinstance(section, Network)
        return cls(section, parts.loaded.lists, parts.state)

    def applies(self, phase: Phase, operation: Operation | None) -> bool:
        """Rules of operations before identity, of callers after it, where there are any."""
        if phase == "admit":
            return operation is not None and bool(self._by_operation)
        return phase != "caller" or bool(self._by_caller)

    def idle(self, limited: bool) -> bool:
        """Never: lists are always in force."""
        return False

    def early(self, request: EarlyRequest) -> Judgement | None:
        """What location and method decide."""
        return self._by_location(request.client[0], request.method) if request.client is not None else None

    def address(self, evaluation: Evaluation) -> Judgement | None:
        """What location and method decide; and whether the address is let in whatever else is said of locations."""
        return self._by_location(evaluation.head.client_address, evaluation.head.method)

    def _by_location(self, address: str, method: str) -> Judgement | None:
        finding, allowed = self.judge_location(parse_address(address) or UNKNOWN, method)
        if finding is None and not allowed:
            return None
        return Judgement((finding,) if finding is not None else (), allowed=allowed)

    def admit(self, evaluation: Evaluation) -> Judgement | None:
        """Rules that name operations, before anybody is asked who calls."""
        operation = evaluation.operation
        finding = self.judge_operation(evaluation.head, operation) if operation is not None else None
        return Judgement((finding,)) if finding is not None else None

    def caller(self, evaluation: Evaluation) -> Judgement | None:
        """Rules that name plans, accounts or keys."""
        principal = evaluation.principal
        if principal is None:
            return None
        finding = self.judge_caller(evaluation.head, principal, evaluation.operation)
        return Judgement((finding,)) if finding is not None else None

    def admits(self, address: Address) -> bool:
        """Whether the address is on the list that takes precedence over every denial by location."""
        return address in self._everywhere.allow

    def judge_location(self, address: Address, method: str) -> tuple[Finding | None, bool]:
        """What an address and a method decide."""
        allowed = address in self._everywhere.allow
        denial = self._everywhere.judge(address, self._state.geography, allowed=allowed)
        if denial is not None:
            return _finding(denial, "network"), allowed
        for rule in self._by_method:
            if is_among(method, rule.methods) and (finding := self._judge(rule, address, allowed)) is not None:
                return finding, allowed
        return None, allowed

    def judge_operation(self, head: RequestHead, operation: Operation) -> Finding | None:
        """What rules that name this operation say."""
        address = parse_address(head.client_address) or UNKNOWN
        fitting = (
            rule
            for rule in self._by_operation
            if operation.id in rule.operations and (not rule.methods or is_among(head.method, rule.methods))
        )
        return self._first(fitting, address)

    def judge_caller(self, head: RequestHead, principal: Principal, operation: Operation | None) -> Finding | None:
        """What rules that name this caller say."""
        address = parse_address(head.client_address) or UNKNOWN
        key, name = principal.id.removeprefix("key:"), operation.id if operation is not None else ""
        fitting = (
            rule
            for rule in self._by_caller
            if (not rule.plans or principal.plan in rule.plans)
            and (not rule.accounts or principal.account in rule.accounts)
            and (not rule.keys or key in rule.keys)
            and (not rule.operations or name in rule.operations)
            and (not rule.methods or is_among(head.method, rule.methods))
        )
        return self._first(fitting, address)

    def _first(self, rules: Iterable[_Rule], address: Address) -> Finding | None:
        allowed = address in self._everywhere.allow
        return next((found for rule in rules if (found := self._judge(rule, address, allowed)) is not None), None)

    def _judge(self, rule: _Rule, address: Address, allowed: bool) -> Finding | None:
        denial = rule.reach.judge(address, self._state.geography, allowed=allowed or address in rule.reach.allow)
        return None if denial is None else _finding(denial, rule.name)


def _compile(rule: NetworkRule, number: int, lists: Mapping[str, Prefixes]) -> _Rule:
    return _Rule(
        f"network.rules.{number}",
        frozenset(rule.methods),
        frozenset(rule.operations),
        frozenset(rule.plans),
        frozenset(rule.accounts),
        frozenset(rule.keys),
        ReachOf(rule, lists),
    )


def _finding(denial: Denial, rule: str) -> Finding:
    code, evidence = denial
    return Finding(
        f"network.{code}", "Access from this address is not allowed.", 403, rule=rule, evidence=evidence, owasp="API8"
    )
