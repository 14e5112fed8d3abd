"""Ledger of one exchange: what it was charged, and which slots and how much memory it holds.

The only writer of counters, slots and the memory budget."""

from __future__ import annotations

from sallygate.model.judgement import Slot
from sallygate.model.work import Charge
from sallygate.state.state import State

SUMMED_FROM = 16
"""From so many charges on, those to one counter are summed: a long stream must not make a long event."""


class Ledger:
    """Charges are applied once each; slots are given back once each."""

    _reserved: tuple[Charge, ...] = ()
    _slots: tuple[Slot, ...] = ()
    _memory_bytes = 0
    charges: tuple[Charge, ...] = ()
    """All of the exchange, for its event."""

    def __init__(self, state: State) -> None:
        self._state = state

    def charge(self, charges: tuple[Charge, ...], now: float) -> None:
        """Apply what a decision costs, right after it, without waiting in between."""
        if charges:
            if len(self.charges) < SUMMED_FROM:
                self.charges += charges
            else:
                for charge in charges:
                    self._sum(charge)
            self._state.charge(charges, now)

    def pay(self, charge: Charge, now: float) -> None:
        """Apply a part of what is charged as a whole at the end."""
        self._state.charge((charge,), now)

    def note(self, charge: Charge) -> None:
        """For the event, what was paid in parts."""
        self.charges += (charge,)

    def _sum(self, charge: Charge) -> None:
        for number, one in enumerate(self.charges):
            if one.subject == charge.subject and one.table == charge.table:
                summed = Charge(one.table, one.subject, one.amount + charge.amount)
                self.charges = (*self.charges[:number], summed, *self.charges[number + 1 :])
                return
        self.charges += (charge,)

    @property
    def reserved(self) -> tuple[Charge, ...]:
        """What is held while work is done."""
        return self._reserved

    def reserve(self, charges: tuple[Charge, ...]) -> None:
        """Hold `charges` in the place of those held before, so that many at once do not pass a limit together."""
        self.give_reserved_back()
        self._reserved = charges
        for charge in charges:
            self._state.slots.take(charge.table, charge.subject)

    def give_reserved_back(self) -> None:
        """The request is decided."""
        for charge in self._reserved:
            self._state.slots.give_back(charge.table, charge.subject)
        self._reserved = ()

    def hold(self, slots: tuple[Slot, ...]) -> None:
        """Take the exchange's slots."""
        self._slots = slots
        for slot in slots:
            self._state.slots.take(slot.table, slot.subject)

    def keep(self, size: int) -> bool:
        """Hold so many bytes of a body in memory. Whether there is room."""
        kept = self._state.memory.take(size)
        if kept:
            self._memory_bytes += size
        return kept

    def give_back(self) -> None:
        """All that is held. May be said more than once."""
        if self._reserved:
            self.give_reserved_back()
        for slot in self._slots:
            self._state.slots.give_back(slot.table, slot.subject)
        self._slots = ()
        self._state.memory.give_back(self._memory_bytes)
        self._memory_bytes = 0
