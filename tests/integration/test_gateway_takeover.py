"""What a running gate takes over, from its stores and its policy file: nothing is passed by, nothing taken by halves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sallygate.controls.injection import InjectionControl
from sallygate.model.work import LoadCredential
from sallygate.policy.load import load_policy
from sallygate.ports import StoreError
from sallygate.runtime import runtime as core
from sallygate.runtime.runtime import Runtime
from support import OPENAPI, administration, write_policy


def test_a_leaked_key_is_dead_although_its_successor_was_used_first(tmp_path: Path) -> None:
    """Rotated for a leak and used within the 100 ms to the next look: the new key is loaded by itself, with a revision
    above the old one's, whose end must not be passed by."""
    policy = write_policy(tmp_path)

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        with administration(policy) as admin:
            old, _ = admin.create_key("acme", "large")
            runtime.load_state()
            _, new, _ = admin.rotate_key(old.id, 0.0)
            await runtime.work(LoadCredential(new.id))
            await runtime._sync()
        known = runtime.state.credentials.get(old.id)
        assert known is not None and not known.alive(runtime.now() + 1)

    asyncio.run(run())


def test_a_start_that_failed_is_not_taken_for_one_that_did_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In process the next request asks again: it must not find a gate that knows no restriction."""
    policy = write_policy(tmp_path)

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        with administration(policy) as admin:
            admin.restrict({"account": "acme"}, "deny", "test", 3600)

        def locked() -> None:
            raise StoreError("locked")

        with monkeypatch.context() as patch:
            patch.setattr(runtime, "load_state", locked)
            for _ in range(2):
                with pytest.raises(StoreError):
                    await runtime.start()
        await runtime.start()
        assert len(runtime.state.restrictions.all) == 1
        await runtime.stop()

    asyncio.run(run())


def broken_contract() -> dict[str, Any]:
    """Read without a fault; only compiling its pattern fails."""
    broken: dict[str, Any] = json.loads(json.dumps(OPENAPI))
    parameter = {"name": "q", "in": "query", "schema": {"type": "string", "pattern": "(("}}
    next(iter(broken["paths"].values()))["get"]["parameters"] = [parameter]
    return broken


def test_a_refused_policy_leaves_the_counters_to_the_one_in_force(tmp_path: Path) -> None:
    """A new limit and a contract that does not compile: the gate in force looked at counters nobody charged any more."""
    policy = write_policy(tmp_path)

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        before = dict(runtime.state.tables)
        write_policy(tmp_path, "limits: {address: 7/s burst 7}", openapi=broken_contract())
        assert not await runtime.reload()
        assert runtime.state.tables == before

    asyncio.run(run())


def test_of_two_reloads_at_once_the_later_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = write_policy(tmp_path)
    first, reading = asyncio.Event(), asyncio.Event()

    async def in_turn(load: Callable[..., Any], *args: Any) -> Any:
        loaded = load(*args)
        if not reading.is_set():
            reading.set()
            await first.wait()  # the first reader is slow
        return loaded

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        monkeypatch.setattr(core.asyncio, "to_thread", in_turn)
        slow = asyncio.create_task(runtime.reload())
        await reading.wait()
        write_policy(tmp_path, "limits: {address: 7/s burst 7}")
        quick = asyncio.create_task(runtime.reload())
        await asyncio.sleep(0)
        first.set()
        await asyncio.gather(slow, quick)
        assert runtime.loaded.hash == load_policy(policy, "in_process").hash

    asyncio.run(run())


def test_a_file_written_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = write_policy(tmp_path, "reload: file")

    async def written_meanwhile(load: Callable[..., Any], *args: Any) -> Any:
        loaded = load(*args)
        monkeypatch.undo()
        write_policy(tmp_path, "reload: file\nlimits: {address: 7/s burst 7}")
        return loaded

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        await runtime.start()
        monkeypatch.setattr(core.asyncio, "to_thread", written_meanwhile)
        assert await runtime.reload()
        await runtime._watch()
        assert runtime.loaded.hash == load_policy(policy, "in_process").hash
        await runtime.stop()

    asyncio.run(run())


def test_injection_that_a_reload_puts_in_force_gets_its_patterns_then(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, "injection: {mode: off}")

    async def run() -> None:
        runtime = Runtime(policy, "in_process")
        assert runtime._prefilter is None, "nothing is compiled or loaded before"
        await runtime.start()
        write_policy(tmp_path, "injection: {mode: enforce}")
        assert await runtime.reload()
        assert runtime._prefilter is not None
        assert runtime.gate.engine.controls.get(InjectionControl) is not None
        await runtime.stop()

    asyncio.run(run())
