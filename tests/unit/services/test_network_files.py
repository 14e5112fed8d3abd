"""The files that tell of addresses, and what becomes of them while they are in use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from patience import patient
from sallygate.parsing.addresses import parse_address
from sallygate.policy.load import load_policy
from sallygate.services.network_files import NetworkFiles, databases_of, geography_of, open_database
from sallygate.state.state import State
from support import write_policy

PACKAGED = Path(str(files("sallygate"))) / "data" / "places.mmdb"
KNOWN = "193.0.6.139"

OVERWRITTEN = """
import sys
from pathlib import Path
from sallygate.services.network_files import open_database
file = Path(sys.argv[1])
database = open_database(file, "mine")
file.write_bytes(b"")
print(database.source("193.0.6.139")["country"]["iso_code"], database.source("8.8.8.8")["country"]["iso_code"])
"""


def test_a_database_written_over_in_place_does_not_end_the_process(tmp_path: Path) -> None:
    file = tmp_path / "mine.mmdb"
    file.write_bytes(PACKAGED.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", OVERWRITTEN, str(file)], capture_output=True, text=True, timeout=patient(60)
    )
    assert (done.returncode, done.stdout) == (0, "NL US\n"), done.stderr


def test_what_a_damaged_database_cannot_say_is_unknown_and_no_failure(tmp_path: Path) -> None:
    whole = PACKAGED.read_bytes()
    end = whole.rindex(b"\xab\xcd\xefMaxMind.com")
    file = tmp_path / "mine.mmdb"
    file.write_bytes(b"\xff" * end + whole[end:])
    damaged = open_database(file, "mine")
    assert damaged.source(KNOWN) is None
    assert geography_of([damaged, open_database(PACKAGED, "packaged")]).of(KNOWN).country == "NL"


@pytest.fixture
def told() -> list[str]:
    return []


def followed(policy: Path, told: list[str]) -> tuple[NetworkFiles, dict[str, object]]:
    loaded = load_policy(policy)
    watched = NetworkFiles(State(), lambda: 1e9, lambda what, error: told.append(str(error)), told.append)
    watched.configure(loaded, databases_of(loaded))
    return watched, loaded.lists  # type: ignore[return-value]  # of prefixes, by name


def test_a_list_named_in_two_ways_is_read_anew_for_both(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "list.txt").write_text("192.0.2.1\n")
    os.utime(tmp_path / "list.txt", (1, 1))
    policy = write_policy(tmp_path, "network: {deny: [{file: list.txt}, {file: ./list.txt}]}\n")
    watched, lists = followed(policy, told)
    (tmp_path / "list.txt").write_text("192.0.2.2\n")
    asyncio.run(watched.step())
    address = parse_address("192.0.2.2")
    assert len(lists) == 2 and all(address in prefixes for prefixes in lists.values())  # type: ignore[operator]


def test_a_list_that_is_gone_stays_in_force_and_is_reported_once(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "list.txt").write_text("192.0.2.1\n")
    os.utime(tmp_path / "list.txt", (1, 1))
    watched, lists = followed(write_policy(tmp_path, "network: {deny: [{file: list.txt}]}\n"), told)
    (tmp_path / "list.txt").unlink()
    asyncio.run(watched.step())
    asyncio.run(watched.step())
    assert [one for one in told if "list.txt: is gone" in one] == told and len(told) == 1
    assert parse_address("192.0.2.1") in lists["list.txt"]  # type: ignore[operator]
