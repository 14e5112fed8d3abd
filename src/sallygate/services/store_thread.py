"""Thread of the store: runs calls of the database one after another, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class StoreThread:
    """One thread: SQLite connections belong to the thread that opened them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "sallygate-store")

    async def __call__(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the call under way, and take no more."""
        self._executor.shutdown()
