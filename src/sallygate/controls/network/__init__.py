"""Where callers may come from: lists of addresses, countries, networks.

Threat: callers from where nobody should call: another region, a hosting provider, outside the partners' networks
(OWASP API2, API8). Evidence: `network.denied`, `network.not_listed` (partner mode), `network.country`, `network.asn`,
each 403, with the rule that spoke; `network.intelligence` (see `intelligence`).
Known bypasses: an address is where a call comes from, not who calls: a proxy in an allowed country is an allowed
caller, and the geography is wrong for some addresses.
Cost: 1 µs, one look-up a distinct prefix length in each list, one into the geography where a rule asks for it.

Allow beats deny: an address in `network.allow` passes every `deny`, `countries` and `asns`, feeds, and restrictions
that a place alone decides. It passes no `only` of a rule: who binds a key to an address means it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sallygate.controls.network.intelligence import NOT_NAMED, Intelligence, Named
from sallygate.controls.network.reach import Denial, ReachOf
from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead, is_among
from sallygate.parsing.addresses import UNKNOWN, Address, Prefixes, parse_address
from sallygate.policy.network import Network, NetworkRule
from sallygate.state.state import State


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
        return bool(self.plans or self.accounts or self.keys)


class NetworkControl:
    def __init__(self, section: Network, lists: Mapping[str, Prefixes], state: State, now: float) -> None:
        """`lists` are the address files by the names the policy gives them; they may be put anew while this lives."""
        self._state = state
        self._everywhere = ReachOf(section, lists)
        self._intelligence = Intelligence(section.intelligence, state, now) if section.intelligence else None
        rules = [_compile(rule, number, lists) for number, rule in enumerate(section.rules, 1)]
        self._by_method = tuple(rule for rule in rules if not rule.operations and not rule.names_callers)
        self._by_operation = tuple(rule for rule in rules if rule.operations and not rule.names_callers)
        self._by_caller = tuple(rule for rule in rules if rule.names_callers)

    def admits(self, address: Address) -> bool:
        """Whether the address is on the list that beats every denial of a place."""
        return address in self._everywhere.allow

    def admit_address(self, head: RequestHead) -> tuple[Finding | None, bool]:
        """What the place and the method decide; and whether the address is let in whatever else is said of places."""
        return self.judge_location(parse_address(head.client_address) or UNKNOWN, head.method)

    def judge_location(self, address: Address, method: str) -> tuple[Finding | None, bool]:
        """The same of an address and a method."""
        allowed = address in self._everywhere.allow
        denial = self._everywhere.judge(address, self._state.geography, allowed=allowed)
        if denial is not None:
            return _finding(denial, "network"), allowed
        for rule in self._by_method:
            if is_among(method, rule.methods) and (finding := self._judge(rule, address, allowed)) is not None:
                return finding, allowed
        return None, allowed

    def judge_feeds(self, head: RequestHead, now: float) -> Named:
        """What threat intelligence makes of an address that is not in `allow`."""
        if self._intelligence is None:
            return NOT_NAMED
        return self._intelligence.judge(parse_address(head.client_address) or UNKNOWN, now)

    def denied_by_feeds(self, address: Address, now: float) -> Finding | None:
        """The denial alone, of an address that is not in `allow`."""
        return self._intelligence.denies(address, now) if self._intelligence is not None else None

    @property
    def asks_feeds(self) -> bool:
        return self._intelligence is not None

    def admit_operation(self, head: RequestHead, operation: Operation) -> Finding | None:
        """Rules that name operations, before anybody is asked who calls."""
        address = parse_address(head.client_address) or UNKNOWN
        fitting = (
            rule
            for rule in self._by_operation
            if operation.id in rule.operations and (not rule.methods or is_among(head.method, rule.methods))
        )
        return self._first(fitting, address)

    def admit_caller(self, head: RequestHead, principal: Principal, operation: Operation | None) -> Finding | None:
        """Rules that name plans, accounts or keys."""
        if not self._by_caller:
            return None
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

    @property
    def asks_operations(self) -> bool:
        return bool(self._by_operation)

    @property
    def asks_callers(self) -> bool:
        return bool(self._by_caller)

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
