"""Starts of an in-process gate that are cut short or fail: the next one succeeds, and closes nothing of others."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from patience import patient
from sallygate.runtime.runtime import Runtime
from sallygate.security.state_locks import SERVING, Serving, served
from support import write_policy


async def until_served(directory: Path) -> None:
    async with asyncio.timeout(patient(10)):
        while True:
            try:
                with served(directory, 0):
                    await asyncio.sleep(0)
            except Exception:
                return


def test_a_client_that_leaves_while_the_gate_starts_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    """Without a lifespan the first request starts the gate; its lock is waited for while the predecessor ends."""

    async def run() -> None:
        runtime = Runtime(write_policy(tmp_path), "in_process")
        directory = runtime.installation.directory
        with served(directory):
            first = asyncio.create_task(runtime.start())
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        await until_served(directory)  # by the thread of the start that nobody waits for
        await runtime.start()
        await runtime.stop()
        with served(directory, 0):
            pass

    asyncio.run(run())


def test_a_start_that_failed_at_its_listener_is_tried_once_more(tmp_path: Path) -> None:
    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            management = f"127.0.0.1:{taken.getsockname()[1]}"
            policy = write_policy(tmp_path)
            policy.write_text(f"{policy.read_text()}listen: {{management: {management}}}\n")
            runtime = Runtime(policy, "in_process")
            with pytest.raises(Exception, match=r"management|in use"):
                await runtime.start()
        await runtime.start()
        await runtime.stop()

    asyncio.run(run())


def test_a_forked_child_that_gives_the_lock_up_closes_no_file_of_its_own(tmp_path: Path) -> None:
    serving = Serving(tmp_path, 0.0)
    serving.take()
    child = os.fork()
    if not child:
        made = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]  # one has the number of the lock that fork closed
        serving.release()
        try:
            for descriptor in made:
                os.fstat(descriptor)
        except OSError:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    serving.release()
    assert (tmp_path / SERVING).exists()
