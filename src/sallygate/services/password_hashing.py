"""Pool of threads for password hashing: off the event loop, with bounded threads and a bounded queue.

Threads of the pool give way to the loop's (they are nicer by ten): a flood of logins takes the processor time that is
left over. Argon2, bcrypt, scrypt and PBKDF2 leave the interpreter free while they compute.

Knows nothing of accounts, limits or requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

from sallygate.policy.accounts import AccountsSection
from sallygate.security import passwords

NICER_BY = 10
"""Of 19: a tenth of the loop's share where both want the processor."""

T = TypeVar("T")
Outcome = Literal["right", "wrong", "busy", "failed", "unusable"]


class Busy(Exception):
    """As many wait as may."""


class Hashing:
    """`failed` tells the operator of what went wrong."""

    def __init__(self, section: AccountsSection, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._dummies: dict[str, str] = {}
        self._same: dict[bytes, asyncio.Task[Outcome]] = {}
        self._busy = 0
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._follow(section)

    def _follow(self, section: AccountsSection) -> None:
        self._section = section
        self._threads = ThreadPoolExecutor(section.at_once, "sallygate-hash", initializer=_be_nice)

    def follow(self, section: AccountsSection) -> None:
        """A new policy's. What is under way ends as it began."""
        if section.at_once != self._section.at_once:
            self._threads.shutdown(wait=False)
            self._follow(section)
        self._section = section

    @property
    def profile(self) -> passwords.Profile:
        """Argon2id profile of the policy."""
        return self._section.hashing

    def close(self) -> None:
        """Stop the pool; hashes under way are finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def verify(self, password: str, stored: str, tag: bytes, *, first: bool = False) -> Outcome:
        """Whether `password` is what `stored` is the hash of. An empty `stored` costs the same, and never matches. The
        same `tag` asked for many times at once is computed once. `first`: before those who are not."""
        task = self._same.get(tag)
        if task is None:
            task = asyncio.create_task(self._verify(password, stored, first))
            self._same[tag] = task
            task.add_done_callback(lambda _: self._same.pop(tag, None))
        return await asyncio.shield(task)  # who leaves does not stop it for the others

    async def hash(self, password: str, *, first: bool = False) -> str:
        """A new hash under the policy's profile. Raises `Busy`, and what `passwords.hash` does."""
        profile = self.profile
        return await self._run(lambda: passwords.hash(password, profile), first)

    async def _verify(self, password: str, stored: str, first: bool) -> Outcome:
        try:
            return await self._run(lambda: self._compare(password, stored), first)
        except Busy:
            return "busy"
        except passwords.UnusableHash as error:
            self._failed("password hash", error)
            return "unusable"
        except Exception as error:  # no memory for it, no thread for it: never a yes
            self._failed("hashing", error)
            return "failed"

    def _compare(self, password: str, stored: str) -> Outcome:
        try:
            if stored:
                passwords.verify(password, stored)
                return "right"
            with contextlib.suppress(passwords.WrongPassword):
                passwords.verify(password, self._dummy())
        except passwords.WrongPassword:
            pass
        except passwords.UnusableHash:
            with contextlib.suppress(passwords.WrongPassword):
                passwords.verify(password, self._dummy())
            raise
        return "wrong"

    def _dummy(self) -> str:
        """A hash of nothing anybody knows, under the present profile."""
        if (made := self._dummies.get(self.profile)) is None:
            made = self._dummies[self.profile] = passwords.hash(secrets.token_hex(32), self.profile)
        return made

    async def warm(self) -> None:
        """The dummy made before the first to need it, who would wait twice as long."""
        await self._run(self._dummy, first=True)

    # places among those that compute -------------------------------------------------------------------------------

    async def _run(self, call: Callable[[], T], first: bool) -> T:
        await self._enter(first)
        # Its slot is free when the thread is, also while a caller still waits for it.
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        running.add_done_callback(lambda _: self._leave())
        return await asyncio.shield(running)

    async def _enter(self, first: bool) -> None:
        if self._busy < self._section.at_once:
            self._busy += 1
            return
        queue = self._first if first else self._others
        if len(queue) >= self._section.waiting:
            raise Busy
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        for queue in (self._first, self._others):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)  # the slot goes to the next one
                    return
        self._busy -= 1


def _be_nice() -> None:
    with contextlib.suppress(OSError, AttributeError):  # a thread's own, on Linux; the threads it makes are as nice
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICER_BY)
