"""Service of logins, off the request path: loads accounts, has passwords verified, remembers valid ones, and hashes a
password again if its profile is not the current one.

A failure's answer leaves at a multiple of `answer_every` after the request came, so that how long it took, by the
kind of hash, by a look into the store, by a queue, stays hidden.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.model.account import Account
from sallygate.model.work import AccountLoaded, LoadAccount, PasswordVerified, VerifyPassword
from sallygate.policy.schema import Policy
from sallygate.ports import StateStore, StoreError
from sallygate.security import passwords
from sallygate.services.password_hashing import Busy, Hashing
from sallygate.services.store_thread import StoreThread
from sallygate.state.state import State

ACTOR = "sallygate"
"""Actor of a repeated hash, for the audit event."""


class Logins:
    """Work of logins under the policy that `configure` was given last."""

    def __init__(
        self,
        policy: Policy,
        state: State,
        store: StateStore,
        in_store: StoreThread,
        now: Callable[[], float],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._policy, self._state, self._store, self._in_store = policy, state, store, in_store
        self._now, self._failed = now, failed
        self.hashing = Hashing(policy.accounts, failed)
        self._rehashing: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """With Basic authentication, the first login must not be slower than the next."""
        identity = self._policy.identity
        if identity is not None and identity.basic is not None:
            with contextlib.suppress(Busy, MemoryError):  # said when a login fails for it
                await self.hashing.warm()

    def configure(self, policy: Policy) -> None:
        """Take over a reloaded policy."""
        self._policy = policy
        self.hashing.follow(policy.accounts)

    async def stop(self) -> None:
        """Cancel rehashing and close the pool."""
        for task in list(self._rehashing.values()):
            task.cancel()
        await asyncio.gather(*self._rehashing.values(), return_exceptions=True)
        self.hashing.close()

    async def load(self, work: LoadAccount) -> AccountLoaded:
        """Load an account from the store; `failed` is set if the store does not answer."""
        try:
            account = await self._in_store(lambda: self._store.account(work.name))
        except StoreError as error:
            self._failed("accounts", error)
            return AccountLoaded(work.name, None, failed=True)
        if account is not None:
            self._state.accounts.put(account)
        else:
            self._state.accounts.put_missing(work.name, self._now())
        return AccountLoaded(work.name, account)

    async def verify(self, work: VerifyPassword) -> PasswordVerified:
        """Verify a password in the pool, and remember a valid one."""
        outcome = await self.hashing.verify(work.password, work.stored, work.tag, first=work.known_network)
        if outcome == "right":
            self._remember(work)
        elif outcome in ("wrong", "unusable"):
            every_s = self._policy.accounts.logins.answer_every
            since_s = max(self._now() - work.asked_at, 0.0)
            await asyncio.sleep(every_s - since_s % every_s)
        return PasswordVerified(work.tag, outcome)

    def _remember(self, work: VerifyPassword) -> None:
        identity = self._policy.identity
        if identity is not None and identity.basic is not None and identity.basic.remember:
            self._state.verified.put(work.tag, self._now() + identity.basic.remember)
        if work.account not in self._rehashing and passwords.needs_rehash(work.stored, self.hashing.profile):
            task = asyncio.create_task(self._rehash(work))
            self._rehashing[work.account] = task
            task.add_done_callback(lambda _: self._rehashing.pop(work.account, None))

    async def _rehash(self, work: VerifyPassword) -> None:
        """The same password under the present profile. Whatever fails, the old hash goes on being verified."""
        try:
            made = await self.hashing.hash(work.password)
            if (account := await self._in_store(lambda: self._put(work, made))) is not None:
                self._state.accounts.put(account)
        except Busy:
            pass  # at one of the next logins
        except passwords.UnusablePassword:
            pass  # an imported one with a control character: verified as it is
        except Exception as error:
            self._failed("rehash", error)

    def _put(self, work: VerifyPassword, made: str) -> Account | None:
        """In the store's thread. A record changed meanwhile (another password, a lock) is left as it is."""
        store = self._store
        account = store.account(work.account)
        if account is None or account.password != work.stored:
            return None
        act = act_of("account.rehash", account.name, ACTOR, "", self._now())
        return store.put_account(replace(account, password=made), act, account.revision)
