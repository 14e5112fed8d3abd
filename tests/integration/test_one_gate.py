"""One gate serves from a state directory: a second one is refused at its start, and a dead one keeps nobody out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processes import sallygate
from sallygate.ports import StoreError
from sallygate.runtime.runtime import Runtime
from support import cli, held_port, make_key, running_gateway, write_policy

QUOTA = 'plans: {large: {rate: 1000/s burst 1000, quota: {hour: 3}, scopes: ["*"]}}\noperations: {}\n'


KILLED = """
import os, signal, sys
from pathlib import Path
from sallygate.security.state_directory import Installation

with Installation(Path(sys.argv[1])).served(0):
    if child := os.fork():
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(1)
    signal.pause()
"""
"""A gate that forks a child and is killed; the child lives on."""


def beside(policy: Path) -> Path:
    """Another policy file over the same state directory, with a port of its own."""
    other = policy.with_name("other.yaml")
    lines = [line for line in policy.read_text().splitlines() if not line.startswith("listen:")]
    other.write_text("\n".join([*lines, f"listen: {{https: 127.0.0.1:{held_port()}}}"]) + "\n")
    return other


def test_a_second_gateway_is_refused_in_words_and_commands_go_on(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, QUOTA)
    with running_gateway(policy) as running:
        done = sallygate("up", beside(policy))
        assert done.returncode == 3, done.stderr
        for word in (str(tmp_path / "state"), "another gate serves", "stop that gate", "`state`"):
            assert word in done.stderr
        key = cli(policy, "keys", "create", "--account", "a", "--plan", "large")
        assert key.returncode == 0, key.stderr
        for words in (("restrict", "list"), ("events",), ("secrets", "list"), ("status",), ("doctor", "--json")):
            assert cli(policy, *words).returncode in (0, 1), words
        assert running.process.poll() is None and running.get("/nothing")[0] in (401, 404)


def test_a_gate_that_was_killed_keeps_nobody_out_and_its_quota_counts(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, QUOTA)
    key = make_key(policy)
    with running_gateway(policy) as running:
        running.process.kill()
        assert running.process.wait(10) == -signal.SIGKILL
    with running_gateway(policy) as running:
        assert running.code("/things", key) != "limit.quota"


def test_a_gate_waits_for_one_that_is_about_to_end(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, QUOTA)
    with running_gateway(policy) as first:
        os.kill(first.process.pid, signal.SIGTERM)
        with running_gateway(beside(policy)) as second:
            assert second.get("/nothing")[0] in (401, 404)


def test_a_forked_child_of_a_killed_gate_keeps_nobody_out(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, QUOTA)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "state")], stdout=subprocess.PIPE, text=True, check=False
    )
    child = int(done.stdout)
    try:
        os.kill(child, 0)  # it lives
        with running_gateway(policy):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_two_guards_of_one_process_do_not_share_a_state_directory(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, QUOTA)

    async def story() -> None:
        first, second = Runtime(policy, "in_process"), Runtime(policy, "in_process")
        second._serving.within_s = 0.0
        await first.start()
        for _ in range(2):  # nor when it is asked once more
            with pytest.raises(StoreError, match="another gate serves"):
                await second.start()
        await first.stop()
        await second.start()
        await second.stop()

    asyncio.run(story())
