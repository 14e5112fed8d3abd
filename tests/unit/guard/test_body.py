"""Bodies that are waited for too long: what ends the wait ends nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from sallygate.guard.body import read_body
from sallygate.model.finding import Finding
from sallygate.model.judgement import Pace


def awaited(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


SLOW = Finding("flood.slow_body", "", 408)
PACE = Pace(0.05, 100, SLOW, 0.2, Finding("request.body_time", "", 408))


async def read(receive: Any) -> tuple[bytes, str, float]:
    return await read_body(receive, "", 1000, PACE)


async def never() -> Any:
    await asyncio.Event().wait()


def code_of(answer: tuple[bytes, str, float]) -> str:
    return answer[1]


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@awaited
async def test_two_slow_bodies_in_one_task() -> None:
    assert [code_of(await read(never)), code_of(await read(never))] == ["slow"] * 2
    assert cancelling() == 0


@awaited
async def test_a_task_that_was_cancelled_before_and_went_on() -> None:
    async def connection() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return code_of(await read(never))

    task = asyncio.create_task(connection())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "slow"


@awaited
async def test_a_server_that_takes_the_end_of_the_wait_for_something_else() -> None:
    async def gone() -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return {"type": "http.disconnect"}

    async def broken() -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError from None

    assert code_of(await read(gone)) == "cut" and cancelling() == 0
    with pytest.raises(ConnectionResetError):
        await read(broken)
    assert cancelling() == 0 and code_of(await read(never)) == "slow"


@awaited
async def test_whoever_else_cancels_is_heard() -> None:
    task = asyncio.create_task(read(never))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await read(never)
