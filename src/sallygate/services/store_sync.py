"""Synchronisation with the store: loads other processes' changes of accounts, keys and restrictions into memory.

Each by its revision, so that only what is new is read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sallygate.model.restriction import Restriction
from sallygate.ports import StateStore, StoreError
from sallygate.services.restriction_tables import add_restrictions
from sallygate.services.store_thread import StoreThread
from sallygate.state.state import State


class StoreSync:
    """`database` is the file that `store` has open."""

    def __init__(
        self, state: State, store: StateStore, database: Path, in_store: StoreThread, now: Callable[[], float]
    ) -> None:
        self._state, self._store, self._in_store, self._now = state, store, in_store, now
        self._database, self._inode = database, database.stat().st_ino
        self._seen = -1
        self._credentials = self._restrictions = self._accounts = 0
        """Up to here all were taken over. One loaded by itself may be younger than changes not seen yet."""
        self.act = 0
        """Number of the last administrative act whose change is in memory."""

    def load(self) -> None:
        """All there is, in the store's own thread. Raises `StoreError`."""
        self._read()()
        self._seen = self._store.changed()

    async def take_over(self) -> bool:
        """What is new; whether anything was written since the last time. Raises `StoreError`."""
        change = await self._in_store(self._store.changed)
        if change == self._seen:
            return False
        take = await self._in_store(self._read)
        take()
        self._seen = change
        return True

    @property
    def in_place(self) -> bool:
        """Whether the file at the database's name is the open one."""
        try:
            return self._database.stat().st_ino == self._inode
        except OSError:
            return False

    def check_in_place(self) -> None:
        """A file put in the open one's place (a copy brought back) would be written by others and read by nobody.
        Raises `StoreError`."""
        if not self.in_place:
            raise StoreError(f"{self._database}: was removed or replaced; changes are not seen until a restart")

    def _read(self) -> Callable[[], None]:
        """Reads, and gives back what puts it into memory, all in one turn of the loop."""
        state, act = self._state, self._store.last_act()  # first: what is read after it is not older
        accounts = self._store.accounts(self._accounts)
        credentials = self._store.credentials(self._credentials)
        restrictions = list(self._store.restrictions(self._restrictions))

        def take() -> None:
            for account in accounts:
                state.accounts.put(account)
                self._accounts = max(self._accounts, account.revision)
            for credential in credentials:
                state.credentials.put(credential)
                self._credentials = max(self._credentials, credential.revision)
            self._take_restrictions(restrictions)
            self.act = act

        return take

    def _take_restrictions(self, changed: list[Restriction]) -> None:
        if changed:
            self._restrictions = max(self._restrictions, *(one.revision for one in changed))
            add_restrictions(self._state, changed, self._now())
