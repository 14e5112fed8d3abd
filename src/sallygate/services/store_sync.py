"""Taking over what other processes write: accounts, keys, restrictions. Each by its revision, so that only what is new
is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sallygate.model.restriction import Restriction
from sallygate.services.restriction_tables import add_restrictions
from sallygate.state.state import State
from sallygate.stores.sqlite.store import SqliteStore

T = TypeVar("T")


class Runs(Protocol):
    """What it needs of the runtime."""

    state: State
    store: SqliteStore

    def now(self) -> float: ...
    def in_store(self, call: Callable[[], T]) -> Awaitable[T]: ...


class Following:
    def __init__(self, runtime: Runs) -> None:
        self._runtime = runtime
        self._seen = -1
        self._credentials = self._restrictions = self._accounts = 0
        """Up to here all were taken over. One loaded by itself may be younger than changes not seen yet."""

    def load(self) -> None:
        """All there is, in the store's own thread. Raises `StoreError`."""
        self._read()()
        self._seen = self._runtime.store.changed()

    async def take_over(self) -> bool:
        """What is new; whether anything was written since the last time. Raises `StoreError`."""
        runtime = self._runtime
        change = await runtime.in_store(runtime.store.changed)
        if change == self._seen:
            return False
        take = await runtime.in_store(self._read)
        take()
        self._seen = change
        return True

    def _read(self) -> Callable[[], None]:
        """Reads, and gives back what puts it into memory, all in one turn of the loop."""
        store, state = self._runtime.store, self._runtime.state
        accounts = store.accounts(self._accounts)
        credentials = store.credentials(self._credentials)
        restrictions = list(store.restrictions(self._restrictions))

        def take() -> None:
            for account in accounts:
                state.accounts.put(account)
                self._accounts = max(self._accounts, account.revision)
            for credential in credentials:
                state.credentials.put(credential)
                self._credentials = max(self._credentials, credential.revision)
            self._take_restrictions(restrictions)

        return take

    def _take_restrictions(self, changed: list[Restriction]) -> None:
        if changed:
            self._restrictions = max(self._restrictions, *(one.revision for one in changed))
            add_restrictions(self._runtime.state, changed, self._runtime.now())
