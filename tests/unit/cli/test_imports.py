"""Frequent commands load what they need and no more: none waits for controls, the policy's types or a web server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import make_key, write_policy

HEAVY = (
    "sallygate.controls",
    "sallygate.engine",
    "sallygate.policy.schema",
    "sallygate.state.state",
    "aiohttp",
    "granian",
)
SCRIPT = """
import atexit, sys
from sallygate.cli import main
sys.argv = ["sallygate", *sys.argv[2:]]
heavy = {heavy!r}
atexit.register(lambda: print("LOADED", *[name for name in heavy if name in sys.modules], file=sys.stderr))
main()
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("keys", "list"), ("events",), ("status",), ("restrict", "list"), ("accounts", "list")]
)
def test_a_frequent_command_loads_no_more_than_it_needs(tmp_path: Path, words: tuple[str, ...]) -> None:
    policy = write_policy(tmp_path)
    make_key(policy)
    named = [] if words == ("--help",) else ["--policy", str(policy)]
    command = [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), "-", *words, *named]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == (3 if words == ("status",) else 0), done.stderr
    assert done.stderr.splitlines()[-1] == "LOADED", done.stderr
