"""The pool that hashes: so many at once, so many waiting, known places first, the same password once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from patience import patient
from sallygate.policy.accounts import AccountsSection
from sallygate.security import passwords
from sallygate.services.password_hashing import Busy, Hashing

CHEAP = passwords.hash("right one", "for-tests")


class Blocked(Hashing):
    """Computes when told to."""

    def __init__(self, **section: int) -> None:
        self.failures: list[str] = []
        super().__init__(AccountsSection(**section), lambda what, _: self.failures.append(what))
        self.go = threading.Event()
        self.order: list[str] = []
        self.at_once = self.most = 0
        self.lock = threading.Lock()

    def _compare(self, password: str, stored: str):  # type: ignore[no-untyped-def]
        with self.lock:
            self.order.append(password)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.go.wait(patient(10))
        with self.lock:
            self.at_once -= 1
        return super()._compare(password, stored)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passwords.PROFILES, "rfc9106-low-memory", passwords.PROFILES["for-tests"])


async def _begun(pool: Blocked, count: int) -> None:
    while len(pool.order) < count:
        await asyncio.sleep(0.001)


def test_right_wrong_and_nobody() -> None:
    async def story() -> None:
        pool = Blocked()
        pool.go.set()
        assert await pool.verify("right one", CHEAP, b"1") == "right"
        assert await pool.verify("wrong one", CHEAP, b"2") == "wrong"
        assert await pool.verify("right one", "", b"3") == "wrong"
        assert await pool.verify("right one", "rubbish", b"4") == "unusable"
        assert pool.failures == ["password hash"]
        assert passwords.verify("new one", await pool.hash("new one"))
        pool.close()

    asyncio.run(story())


def test_no_more_at_once_and_no_more_waiting_than_the_policy_says() -> None:
    async def story() -> None:
        pool = Blocked(at_once=2, waiting=3)
        tasks = [asyncio.create_task(pool.verify(f"p{n}", CHEAP, b"%d" % n)) for n in range(20)]
        await _begun(pool, 2)
        for _ in range(20):
            await asyncio.sleep(0)
        done = [task.result() for task in tasks if task.done()]
        assert done == ["busy"] * 15  # at once, not after a wait
        with pytest.raises(Busy):
            await pool.hash("other one")
        pool.go.set()
        assert sorted(await asyncio.gather(*tasks)) == ["busy"] * 15 + ["wrong"] * 5
        assert pool.most == 2 and pool._busy == 0 and not pool._others
        assert await pool.verify("right one", CHEAP, b"after") == "right"
        pool.close()

    asyncio.run(story())


def test_known_places_are_served_first_and_have_room_of_their_own() -> None:
    async def story() -> None:
        pool = Blocked(at_once=1, waiting=2)
        tasks = [asyncio.create_task(pool.verify(f"p{n}", CHEAP, b"%d" % n)) for n in range(6)]
        await _begun(pool, 1)
        await asyncio.sleep(0)
        owner = asyncio.create_task(pool.verify("right one", CHEAP, b"owner", first=True))
        await asyncio.sleep(0)
        pool.go.set()
        assert await owner == "right"
        assert pool.order[1] == "right one"
        await asyncio.gather(*tasks)
        pool.close()

    asyncio.run(story())


def test_the_same_password_asked_for_by_many_is_computed_once() -> None:
    async def story() -> None:
        pool = Blocked(at_once=1, waiting=1)
        tasks = [asyncio.create_task(pool.verify("right one", CHEAP, b"same")) for _ in range(50)]
        await _begun(pool, 1)
        tasks[0].cancel()  # who asked first leaves
        pool.go.set()
        assert set(await asyncio.gather(*tasks[1:])) == {"right"}
        assert pool.order == ["right one"] and not pool._same
        pool.close()

    asyncio.run(story())


def test_who_leaves_while_waiting_takes_no_place_along() -> None:
    async def story() -> None:
        pool = Blocked(at_once=1, waiting=5)
        tasks = [asyncio.create_task(pool._run(lambda: None, first=False)) for _ in range(4)]
        blocked = asyncio.create_task(pool.verify("p", CHEAP, b"p"))
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        pool.go.set()
        await asyncio.gather(*tasks, blocked, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert pool._busy == 0
        assert await pool.verify("right one", CHEAP, b"after") == "right"
        pool.close()

    asyncio.run(story())


def test_no_memory_is_a_failure_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise MemoryError("none left")

    async def story() -> None:
        pool = Blocked()
        pool.go.set()
        monkeypatch.setattr(passwords, "verify", none)
        assert await pool.verify("right one", CHEAP, b"1") == "failed"
        assert pool.failures == ["hashing"] and pool._busy == 0
        pool.close()

    asyncio.run(story())


def test_a_new_policy_takes_effect_and_what_is_under_way_ends() -> None:
    async def story() -> None:
        pool = Blocked(at_once=1)
        under_way = asyncio.create_task(pool.verify("right one", CHEAP, b"1"))
        await _begun(pool, 1)
        pool.follow(AccountsSection(at_once=3))
        more = [asyncio.create_task(pool.verify(f"p{n}", CHEAP, b"p%d" % n)) for n in range(6)]
        pool.go.set()
        assert await under_way == "right"
        assert set(await asyncio.gather(*more)) == {"wrong"}
        assert pool._busy == 0
        pool.close()

    asyncio.run(story())
