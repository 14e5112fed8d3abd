"""Active restrictions: the one mechanism of every block.

Threat: a caller known to be hostile, whatever it asks. Evidence: `restriction.deny` or `restriction.throttle` with the
restriction's id. Known bypasses: an address is not a person; block the key or account when it is known.
Cost: one look-up an indexed kind and prefix length, nothing when none is active.
"""

from __future__ import annotations

from collections.abc import Iterable

from sallygate.model.finding import Finding
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.restriction import Restriction
from sallygate.model.work import Charge
from sallygate.parsing.addresses import UNKNOWN, Address, parse_address, prefix_set
from sallygate.policy.schema import RestrictionsSection
from sallygate.state import State

Outcome = tuple[Finding | None, tuple[Charge, ...], float]
"""What was found, what it costs, and after how many seconds to come back (0: not said)."""

NOTHING: Outcome = (None, (), 0.0)


def throttle_table(restriction_id: str) -> str:
    """The counter of a throttle: one for all it covers, so that a prefix shares its allowance."""
    return f"restriction:{restriction_id}"


class RestrictionsControl:
    def __init__(self, section: RestrictionsSection, state: State) -> None:
        self._state = state

    def admit_address(self, head: RequestHead, now: float) -> Outcome:
        """Those that a place alone decides, before anything else is looked at."""
        index = self._state.restrictions.by_place
        if index.empty:
            return NOTHING
        address = parse_address(head.client_address) or UNKNOWN
        found = index.find(address, ())
        return (
            self._judge([one for one in found if _covers(one, {"address": address.text}, address)], now)
            if found
            else NOTHING
        )

    def admit_principal(
        self, head: RequestHead, principal: Principal | None, operation: Operation | None, now: float
    ) -> Outcome:
        """Those that name a key, an account or an operation, alone or with a place."""
        index = self._state.restrictions.by_name
        if index.empty:
            return NOTHING
        address = parse_address(head.client_address) or UNKNOWN
        names: dict[str, str] = {}
        if principal is not None:
            names["key"] = principal.id.removeprefix("key:")
            names["account"] = principal.account
        if operation is not None:
            names["operation"] = operation.id
        found = index.find(address, names.items())
        names["address"] = address.text
        return self._judge([one for one in found if _covers(one, names, address)], now) if found else NOTHING

    def _judge(self, restrictions: Iterable[Restriction], now: float) -> Outcome:
        """Denials first; of several throttles each must have room, and each is charged."""
        charges: list[Charge] = []
        for restriction in sorted((one for one in restrictions if one.active(now)), key=lambda one: one.act):
            if restriction.act == "deny":
                return _finding(restriction, "deny", 403), (), 0.0
            counter = self._state.tables.get(throttle_table(restriction.id))
            if counter is None:  # a throttle whose counter is gone must not turn into a pass
                return _finding(restriction, "throttle", 429), (), 1.0
            room = counter.look("", now)
            if not room.allowed:
                return _finding(restriction, "throttle", 429), (), room.reset_s
            charges.append(Charge(counter.name, "", 1))
        return None, tuple(charges), 0.0


def _covers(restriction: Restriction, names: dict[str, str], address: Address) -> bool:
    return all(
        address in prefix_set((value,)) if kind == "prefix" else names.get(kind) == value
        for kind, value in restriction.scope
    )


def _finding(restriction: Restriction, act: str, status: int) -> Finding:
    verdict = "throttle" if act == "throttle" else "deny"
    return Finding(
        f"restriction.{act}",
        "Access is restricted at present.",
        status,
        "throttle" if verdict == "throttle" else "deny",
        rule=restriction.id,
        evidence=f"{restriction.reason} (by {restriction.creator})",
        owasp="API4",
    )
