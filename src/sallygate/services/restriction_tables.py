"""Loader of restrictions into the state: the index that decisions read, and a counter for each throttle."""

from __future__ import annotations

from sallygate.controls.restrictions import throttle_table
from sallygate.model.restriction import Restriction
from sallygate.policy.units import read_rate
from sallygate.state.counters import RateTable
from sallygate.state.state import State


def add_restrictions(state: State, changed: list[Restriction], now: float) -> None:
    """Take `changed` over, and drop what has ended, with its counter."""
    for restriction in changed:
        name = throttle_table(restriction.id)
        if restriction.act == "throttle" and restriction.active(now) and name not in state.tables:
            rate = read_rate(restriction.rate)
            state.table(RateTable(name, rate.per_s, rate.burst, entries_max=1), now)
    before = state.restrictions.all
    state.restrictions = state.restrictions.with_change(changed, now)
    for ended in before.keys() - state.restrictions.all.keys():
        state.tables.pop(throttle_table(ended), None)
