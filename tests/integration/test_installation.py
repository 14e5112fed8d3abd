"""A database belongs to an installation: one that is missing, empty or another's is not replaced by an empty one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from old_state import old_database, schema_of
from processes import sallygate
from sallygate.ports import StoreError
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.opening import open_store
from sallygate.stores.sqlite.schema import SCHEMA_VERSION
from support import administration, cli, make_key, running_gateway, write_policy


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Of an installation that has run: with keys, a restriction, secrets and events."""
    policy = write_policy(tmp_path)
    make_key(policy)
    with administration(policy) as admin:
        admin.restrict({"address": "127.0.0.1"}, "deny", "test", 3600)
    with running_gateway(policy) as running:
        assert running.get("/things")[0] == 403
    policy.write_text(policy.read_text().partition("\nlisten:")[0] + "\n")
    return policy


def state(policy: Path) -> Path:
    return policy.parent / "state"


def remove(database: Path) -> None:
    for file in database.parent.glob("sallygate.db*"):
        file.unlink()


def truncate(database: Path) -> None:
    remove(database)
    database.touch()


def without_tables(database: Path) -> None:
    """As a process leaves it that is killed while it makes one."""
    remove(database)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def of_another(database: Path) -> None:
    remove(database)
    open_store(Installation(database.parent.with_name("another"))).close()
    shutil.copy(database.parent.with_name("another") / "sallygate.db", database)


def damage(database: Path) -> None:
    remove(database)
    database.write_bytes(b"not a database" * 1000)


@pytest.mark.parametrize("fault", [remove, truncate, without_tables, of_another, damage])
def test_a_lost_database_opens_no_gate_and_no_command(policy: Path, fault: Callable[[Path], None]) -> None:
    database = state(policy) / "sallygate.db"
    request = policy.with_name("request.http")
    request.write_text("GET /things HTTP/1.1\nHost: a\n\n")
    fault(database)
    before = database.read_bytes() if database.exists() else None
    for words in (
        ("up", policy),
        ("keys", "create", "--account", "a", "--plan", "large", "--policy", policy),
        ("restrict", "list", "--policy", policy),
        ("explain", request, "--policy", policy),
    ):
        done = sallygate(*words)
        assert done.returncode == 3 and str(database) in done.stderr and "sallygate restore" in done.stderr, done.stderr
    assert (database.read_bytes() if database.exists() else None) == before, "nothing is made in its place"
    found = cli(policy, "doctor")
    assert found.returncode == 1


@pytest.mark.parametrize("fault", [remove, truncate, of_another])
def test_a_backup_brings_the_lost_database_back(policy: Path, tmp_path: Path, fault: Callable[[Path], None]) -> None:
    assert cli(policy, "backup", str(tmp_path / "copy")).returncode == 0
    fault(state(policy) / "sallygate.db")
    done = cli(policy, "restore", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    with administration(policy) as admin:
        assert len(admin.all_keys()) == 1 and len(admin.restrictions()) == 1


@pytest.mark.parametrize("name", ["installation.id", "pepper.id", "secrets/pepper"])
@pytest.mark.parametrize("content", [b"", b"0" * 64])
def test_another_file_of_the_installation_that_is_not_right_opens_no_gate(
    policy: Path, name: str, content: bytes
) -> None:
    file = state(policy) / name
    file.chmod(0o600)
    file.write_bytes(content)
    done = sallygate("up", policy)
    assert done.returncode == 3 and str(state(policy)) in done.stderr, done.stderr


@pytest.mark.parametrize("names", [("secrets/pepper",), ("secrets/pepper", "pepper.id")])
def test_a_lost_pepper_is_not_replaced_by_another(policy: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (state(policy) / name).unlink()
    for words in (("up", policy), ("keys", "create", "--account", "a", "--plan", "large", "--policy", policy)):
        done = sallygate(*words)
        assert done.returncode == 3 and "pepper" in done.stderr and "backup" in done.stderr, done.stderr
    assert not (state(policy) / "secrets" / "pepper").exists()


def test_an_installation_of_before_has_an_id_from_its_first_opening(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "state")
    old_database(installation.database, 5)
    (installation.directory / "pepper.id").write_text("0123456789abcdef")
    open_store(installation).close()
    identity = installation.identity()
    assert len(identity) == 32 and schema_of(installation.database) == SCHEMA_VERSION
    shutil.copy(installation.directory / "sallygate.db.schema-5", installation.database)  # going back, and forward
    for file in installation.directory.glob("sallygate.db-*"):
        file.unlink()
    with closing(open_store(installation)) as store:
        assert store.identity() == identity


def test_two_that_make_an_installation_at_once_agree(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def start(_: int) -> str:
        installation = Installation(tmp_path / "state")
        with closing(open_store(installation)) as store:
            installation.pepper()
            return store.identity()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1


def test_databases_and_events_are_their_owners_alone(policy: Path) -> None:
    database = state(policy) / "sallygate.db"
    with closing(open_store(Installation(state(policy)))):  # as a process leaves it that is killed
        for file in state(policy).glob("sallygate.db*"):
            file.chmod(0o644)
        copies = {file: file.read_bytes() for file in state(policy).glob("sallygate.db*")}
    for file, data in copies.items():
        file.write_bytes(data)
        file.chmod(0o644)
    assert len(copies) == 3 and database in copies
    with running_gateway(policy) as running:
        assert running.get("/things")[0] == 403
        files = [*state(policy).glob("sallygate.db*"), *state(policy).glob("events/*")]
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in files}
        assert len(modes) >= 3 and set(modes.values()) == {"0o600"}, modes


def test_a_state_directory_that_everybody_may_write_to_is_refused(policy: Path) -> None:
    state(policy).chmod(0o777)
    for words in (("up", policy), ("keys", "list", "--policy", policy), ("status", "--policy", policy)):
        done = sallygate(*words)
        assert done.returncode == 3 and "every user" in done.stderr and "chmod 700" in done.stderr, done.stderr
    with pytest.raises(StoreError, match="every user"):
        Installation(state(policy))


def test_a_shared_directory_that_keeps_each_users_files_is_warned_of(policy: Path) -> None:
    state(policy).chmod(0o1777)
    done = cli(policy, "keys", "list")
    assert done.returncode == 0 and "chmod 700" in done.stderr
    with running_gateway(policy) as running:
        assert "chmod 700" in running.log.read_text()


def test_an_unchanged_key_set_is_not_written_once_more(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "state")
    installation.publish("assertion.jwks.json", b"{}")
    inode = (tmp_path / "state" / "assertion.jwks.json").stat().st_ino
    installation.publish("assertion.jwks.json", b"{}")
    assert (tmp_path / "state" / "assertion.jwks.json").stat().st_ino == inode
