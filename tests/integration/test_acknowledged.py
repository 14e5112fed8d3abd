"""A command says that something holds only where the running gate has taken it over, or that no gate runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from sallygate.telemetry.control import ask_status
from support import Running, cli, make_account, make_key, running_gateway, write_policy

PLANS = 'plans: {large: {rate: 1000/s burst 1000, scopes: ["*"]}}\noperations: {}\n'
CREATE = ("keys", "create", "--account", "a", "--plan", "large")
RESTRICT = ("restrict", "add", "--address", "127.0.0.1", "--reason", "test")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path, PLANS)


def replace_database(running: Running) -> None:
    """Another file of the same content, as `cp copy sallygate.db` leaves it."""
    file = running.policy.parent / "state" / "sallygate.db"
    shutil.copy(file, file.with_name("copy"))
    os.replace(file.with_name("copy"), file)


def test_what_a_command_says_is_in_force_is(policy: Path) -> None:
    with running_gateway(policy) as running:
        made = cli(policy, *CREATE)
        assert made.returncode == 0 and "no gate runs" not in made.stderr
        assert running.code("/things", made.stdout.strip()) == "upstream.unreachable", (
            "the first request after the command"
        )
        done = cli(policy, *RESTRICT)
        assert done.returncode == 0 and "is in force until" in done.stdout
        assert running.get("/things", made.stdout.strip())[0] == 403


def test_without_a_gate_a_command_says_that_none_runs(policy: Path) -> None:
    for words in (CREATE, RESTRICT, ("secrets", "rotate", "pepper")):
        done = cli(policy, *words)
        assert done.returncode == 0 and "no gate runs" in done.stderr and "in force" not in done.stdout, done.stderr
    assert json.loads(cli(policy, *RESTRICT, "--json").stdout)["gate_runs"] is False


@pytest.mark.parametrize(
    "words",
    [CREATE, RESTRICT, ("secrets", "rotate", "pepper"), ("secrets", "rotate", "assertion"), ("keys", "revoke", "KEY"),
     ("keys", "rotate", "KEY"), ("accounts", "lock", "someone"), ("locations", "admit", "key:KEY", "192.0.2.1")],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_in_a_replaced_database_no_command_says_that_it_is_done(policy: Path, words: tuple[str, ...]) -> None:
    make_account(policy, "someone")
    key = make_key(policy).split("_")[1]
    with running_gateway(policy) as running:
        replace_database(running)
        done = cli(policy, *(word.replace("KEY", key) for word in words))
        assert done.returncode == 3, done.stdout
        assert "does not hold" in done.stderr and "sallygate.db" in done.stderr and not done.stdout.strip()


def test_with_the_database_removed_no_command_makes_another(policy: Path) -> None:
    with running_gateway(policy) as running:
        for file in (policy.parent / "state").glob("sallygate.db*"):
            file.unlink()
        for words in (CREATE, RESTRICT):
            done = cli(policy, *words)
            assert done.returncode == 3 and "is missing" in done.stderr and not done.stdout.strip()
        assert not (policy.parent / "state" / "sallygate.db").exists()
        assert running.process.poll() is None


def test_a_gate_that_hangs_is_waited_for_so_long_and_not_longer(policy: Path) -> None:
    with running_gateway(policy) as running:
        running.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            done = cli(policy, *RESTRICT)
        finally:
            running.process.send_signal(signal.SIGCONT)
        assert done.returncode == 3 and "does not hold" in done.stderr, done.stderr
        assert time.monotonic() - began < 15


def test_every_act_of_the_gate_is_taken_over(policy: Path) -> None:
    with running_gateway(policy):
        for _ in range(3):
            assert cli(policy, *CREATE).returncode == 0
        status = ask_status(policy.parent / "state" / "control.sock")
        assert status is not None and status.act_taken_over == 3
