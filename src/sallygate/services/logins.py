"""What a gate does for logins off the request path: loads accounts, has passwords verified, remembers right ones, and
makes a hash anew that is not of the present profile.

A failure's answer leaves at a multiple of `answer_every` after the request came, so that how long it took, by the
kind of hash, by a look into the store, by a queue, is not told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.model.account import Account
from sallygate.model.work import AccountLoaded, LoadAccount, PasswordVerified, VerifyPassword
from sallygate.policy.load import Loaded
from sallygate.ports import StoreError
from sallygate.security import passwords
from sallygate.services.password_hashing import Busy, Hashing
from sallygate.state.state import State
from sallygate.stores.sqlite.store import SqliteStore

ACTOR = "sallygate"
"""Who made a hash anew, for the record."""
T = TypeVar("T")


class Runs(Protocol):
    """What logins need of the runtime."""

    state: State
    loaded: Loaded

    @property
    def store(self) -> SqliteStore: ...
    def now(self) -> float: ...
    def in_store(self, call: Callable[[], T]) -> Awaitable[T]: ...
    def failed(self, what: str, error: BaseException) -> None: ...


class Logins:
    def __init__(self, runtime: Runs) -> None:
        self._runtime = runtime
        self.hashing = Hashing(runtime.loaded.policy.accounts, runtime.failed)
        self._rehashing: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """With Basic authentication, the first login must not be slower than the next."""
        identity = self._runtime.loaded.policy.identity
        if identity is not None and identity.basic is not None:
            with contextlib.suppress(Busy, MemoryError):  # said when a login fails for it
                await self.hashing.warm()

    async def stop(self) -> None:
        for task in list(self._rehashing.values()):
            task.cancel()
        await asyncio.gather(*self._rehashing.values(), return_exceptions=True)
        self.hashing.close()

    async def load(self, work: LoadAccount) -> AccountLoaded:
        runtime = self._runtime
        try:
            account = await runtime.in_store(lambda: runtime.store.account(work.name))
        except StoreError as error:
            runtime.failed("accounts", error)
            return AccountLoaded(work.name, None, failed=True)
        if account is not None:
            runtime.state.accounts.put(account)
        else:
            runtime.state.accounts.put_missing(work.name, runtime.now())
        return AccountLoaded(work.name, account)

    async def verify(self, work: VerifyPassword) -> PasswordVerified:
        outcome = await self.hashing.verify(work.password, work.stored, work.tag, first=work.known_place)
        if outcome == "right":
            self._remember(work)
        elif outcome in ("wrong", "unusable"):
            every_s = self._runtime.loaded.policy.accounts.logins.answer_every
            since_s = max(self._runtime.now() - work.asked_at, 0.0)
            await asyncio.sleep(every_s - since_s % every_s)
        return PasswordVerified(work.tag, outcome)

    def _remember(self, work: VerifyPassword) -> None:
        runtime = self._runtime
        identity = runtime.loaded.policy.identity
        if identity is not None and identity.basic is not None and identity.basic.remember:
            runtime.state.verified.put(work.tag, runtime.now() + identity.basic.remember)
        if work.account not in self._rehashing and passwords.needs_rehash(work.stored, self.hashing.profile):
            task = asyncio.create_task(self._rehash(work))
            self._rehashing[work.account] = task
            task.add_done_callback(lambda _: self._rehashing.pop(work.account, None))

    async def _rehash(self, work: VerifyPassword) -> None:
        """The same password under the present profile. Whatever fails, the old hash goes on being verified."""
        runtime = self._runtime
        try:
            made = await self.hashing.hash(work.password)
            if (account := await runtime.in_store(lambda: self._put(work, made))) is not None:
                runtime.state.accounts.put(account)
        except Busy:
            pass  # at one of the next logins
        except passwords.UnusablePassword:
            pass  # an imported one with a control character: verified as it is
        except Exception as error:
            runtime.failed("rehash", error)

    def _put(self, work: VerifyPassword, made: str) -> Account | None:
        """In the store's thread. A record changed meanwhile (another password, a lock) is left as it is."""
        store = self._runtime.store
        account = store.account(work.account)
        if account is None or account.password != work.stored:
            return None
        act = act_of("account.rehash", account.name, ACTOR, "", self._runtime.now())
        return store.put_account(replace(account, password=made), act, account.revision)
