"""Bodies that are waited for too long: what ends the wait ends nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest

from sallygate.guard import body
from sallygate.model.finding import Finding


def awaited(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


PACE = SimpleNamespace(time=0.2, after=0.05, rate=100)
ADMISSION: Any = SimpleNamespace(body=SimpleNamespace(bytes_max=1000, over="x"))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "pace_of", lambda call: PACE)


async def read(receive: Any) -> bytes | Finding:
    return await body.read_body(SimpleNamespace(receive=receive, head=SimpleNamespace(fields={})), ADMISSION)  # type: ignore[arg-type]


async def never() -> Any:
    await asyncio.Event().wait()


def code_of(answer: bytes | Finding) -> str:
    assert isinstance(answer, Finding)
    return answer.code


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@awaited
async def test_two_slow_bodies_in_one_task() -> None:
    assert [code_of(await read(never)), code_of(await read(never))] == ["flood.slow_body"] * 2
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
    assert await task == "flood.slow_body"


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

    assert code_of(await read(gone)) == "request.body_cut" and cancelling() == 0
    with pytest.raises(ConnectionResetError):
        await read(broken)
    assert cancelling() == 0 and code_of(await read(never)) == "flood.slow_body"


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
