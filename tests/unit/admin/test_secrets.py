"""Secrets as an operator rotates them: twice in a second, with a clock that was wrong, while the store is held."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sallygate.admin.secrets import Secrets
from sallygate.ports import StoreError
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.store import SqliteStore

NOW = 1_700_000_000.0


def secrets_of(directory: Path, now: float = NOW) -> tuple[Installation, Secrets]:
    installation = Installation(directory)
    return installation, Secrets(installation, SqliteStore(installation.database), "test", lambda: now)


def test_two_rotations_in_one_second_are_two_keys(tmp_path: Path) -> None:
    installation, secrets = secrets_of(tmp_path)
    secrets.rotate("signing")
    secrets.rotate("signing")
    assert len(installation.signing_keys("signing")) == 3


def test_at_once_leaves_one_key_also_where_a_clock_was_ahead(tmp_path: Path) -> None:
    """The key of a day that has not come would sign when it comes: it is a former one like any other."""
    installation, ahead = secrets_of(tmp_path, NOW + 86400)
    ahead.rotate("signing")
    former = {key.private_numbers().private_value for _, key in installation.signing_keys("signing")}
    secrets_of(tmp_path)[1].rotate("signing", at_once=True)
    ((_, left),) = installation.signing_keys("signing")
    assert left.private_numbers().private_value not in former


def test_a_pepper_is_not_rotated_where_that_cannot_be_put_on_record(tmp_path: Path) -> None:
    """Nor by two at once: the second waits for the first, and finds its pepper."""
    installation, secrets = secrets_of(tmp_path)
    before = installation.peppers()
    other = sqlite3.connect(installation.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        secrets.rotate("pepper")
    other.execute("ROLLBACK")
    assert installation.peppers() == before
    secrets.rotate("pepper")
    assert installation.peppers()[1:] == before
