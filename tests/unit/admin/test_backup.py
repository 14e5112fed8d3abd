"""State copied, brought back, and taken out: whole, for its owner alone, and never under a running gate."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from sallygate.admin.backup import MANIFEST, RESTORING, back_up, read_manifest, restore
from sallygate.admin.keys import Administration
from sallygate.model.event import Event, Location
from sallygate.ports import StoreError
from sallygate.security.key_ring import KeyRing
from sallygate.security.state_directory import Installation
from sallygate.stores.events import EventLog, read_events
from sallygate.stores.sqlite.files import SqliteFiles
from sallygate.stores.sqlite.schema import SCHEMA_VERSION
from sallygate.stores.sqlite.store import SqliteStore
from support import erased


def quiet(*_: object) -> None: ...


def event(at: float, principal: str = "", account: str = "", address: str = "192.0.2.1", **more: str) -> Event:
    return Event(at=at, request_id="r", trace_id="t", decision="allow", status=200, method="GET", path="/",
                 client_address=address, location=Location(address), principal=principal, account=account, **more)  # type: ignore[arg-type]  # fmt: skip


class Place_:
    """An installation with two keys of two accounts, events in two hours, and the acts of all that."""

    def __init__(self, directory: Path) -> None:
        self.installation = Installation(directory)
        self.store = SqliteStore(self.installation.database)
        self.installation.signing_keys("assertion")
        self.admin = Administration(self.store, KeyRing(self.installation.pepper()), "tester")
        self.alice, _ = self.admin.create_key("alice", "free")
        self.bob, _ = self.admin.create_key("bob", "free")
        log = EventLog(self.installation.events, 1000, 1e9, quiet)
        log.start()
        now = time.time()
        for at in (now - 7200, now):
            for who in (self.alice, self.bob):
                log.put(event(at, f"key:{who.id}", who.account, "192.0.2.7" if who is self.alice else "192.0.2.8"))
            log.put(event(at, address="198.51.100.3"))
            deadline = time.monotonic() + 5
            while log.waiting and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.06)  # the batch of one hour is written before the next begins
        log.stop()

    def events(self) -> list[Event]:
        return list(read_events(self.installation.events))


@pytest.fixture
def place(tmp_path: Path) -> Place_:
    return Place_(tmp_path / "state")


def test_what_was_backed_up_comes_back(place: Place_, tmp_path: Path) -> None:
    manifest = back_up(place.installation, SqliteFiles(), tmp_path / "b", quiet)
    assert (
        manifest.pepper and "sallygate.db" in manifest.files and len([n for n in manifest.files if "events/" in n]) == 2
    )
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "b").rglob("*.db"))
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0
    place.admin.revoke_key(place.alice.id)
    place.store.close()
    done = restore(place.installation, SqliteFiles(), tmp_path / "b")
    assert [act.act for act in done.undone] == ["key.revoke"]
    store = SqliteStore(place.installation.database)
    again = store.credential(place.alice.id)
    store.close()
    assert again is not None and again.revoked_at is None
    assert len(place.events()) == 6
    assert (Path(done.kept) / "sallygate.db").is_file() and not (place.installation.directory / RESTORING).exists()


def test_a_backup_restores_where_nothing_is(place: Place_, tmp_path: Path) -> None:
    back_up(place.installation, SqliteFiles(), tmp_path / "b", quiet)
    fresh = Installation(tmp_path / "fresh")
    done = restore(fresh, SqliteFiles(), tmp_path / "b")
    assert done.undone == () and fresh.pepper() == place.installation.pepper()
    assert oct((fresh.directory / "secrets" / "pepper").stat().st_mode)[-3:] == "600"


def test_a_restore_over_a_running_gate_is_refused(place: Place_, tmp_path: Path) -> None:
    back_up(place.installation, SqliteFiles(), tmp_path / "b", quiet)
    before = place.installation.database.read_bytes()
    with place.installation.held(alone=False), pytest.raises(StoreError, match="a gate is running"):
        restore(place.installation, SqliteFiles(), tmp_path / "b")
    assert place.installation.database.read_bytes() == before


@pytest.mark.parametrize("fault", ["changed", "missing", "added", "newer", "no manifest", "torn manifest"])
def test_a_backup_that_is_not_as_it_was_written_is_refused(place: Place_, tmp_path: Path, fault: str) -> None:
    backup = tmp_path / "b"
    back_up(place.installation, SqliteFiles(), backup, quiet)
    manifest = json.loads((backup / MANIFEST).read_text())
    if fault == "changed":
        with (backup / "sallygate.db").open("ab") as stream:
            stream.write(b"x")
    elif fault == "missing":
        (backup / "secrets" / "pepper").unlink()
    elif fault == "added":
        (backup / "extra").write_text("x")
    elif fault == "newer":
        (backup / MANIFEST).write_text(json.dumps({**manifest, "schema": 999}))
    elif fault == "no manifest":
        (backup / MANIFEST).unlink()
    else:
        (backup / MANIFEST).write_text("{")
    with pytest.raises(StoreError):
        read_manifest(backup, SCHEMA_VERSION)
    place.store.close()
    with pytest.raises(StoreError):
        restore(place.installation, SqliteFiles(), backup)
    assert len(place.events()) == 6


def test_a_backup_is_whole_or_not_there(place: Place_, tmp_path: Path) -> None:
    target = tmp_path / "b"
    target.mkdir()
    with pytest.raises(StoreError, match="is there already"):
        back_up(place.installation, SqliteFiles(), target, quiet)
    target.rmdir()

    def stop(name: str, *_: int) -> None:
        if name == "sallygate.db":
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="nothing is left of it"):
        back_up(place.installation, SqliteFiles(), target, stop)
    assert not target.exists() and not list(tmp_path.glob(".b*"))
    with pytest.raises(StoreError, match="nothing to back up"):
        back_up(Installation(tmp_path / "empty"), SqliteFiles(), target, quiet)


def test_the_files_of_a_backup_cannot_lead_out_of_it(place: Place_, tmp_path: Path) -> None:
    """A backup somebody else packed must not write elsewhere, nor bring links to what is elsewhere."""
    backup = tmp_path / "b"
    back_up(place.installation, SqliteFiles(), backup, quiet)
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (backup / "secrets" / "pepper").unlink()
    (backup / "secrets" / "pepper").symlink_to(outside)
    with pytest.raises(StoreError, match="is a link"):
        restore(Installation(tmp_path / "fresh"), SqliteFiles(), backup)


# erasing ---------------------------------------------------------------------------------------------------------------


def anywhere(place: Place_, word: str) -> list[str]:
    return [
        file.name
        for file in place.installation.directory.rglob("*")
        if file.is_file() and word.encode() in file.read_bytes()
    ]


def test_a_person_leaves_and_the_act_stays(place: Place_) -> None:
    with pytest.raises(ValueError, match="--keep-keys"):
        erased(place.installation, "alice", "dpo", keep_keys=False, advance=quiet)
    place.admin.restrict({"account": "alice"}, "deny", "once", 0.001)
    place.admin.revoke_key(place.alice.id)
    time.sleep(0.01)
    done = erased(place.installation, "alice", "dpo", keep_keys=False, advance=quiet)
    assert (done.events, done.erased.credentials, done.erased.restrictions) == (2, 1, 1)
    assert {one.account for one in place.events()} == {"bob", ""} and len(place.events()) == 4
    acts = place.store.acts()
    assert acts[-1].act == "erase" and acts[-1].actor == "dpo" and acts[-1].subject == done.record
    assert sum(act.note == "erased" for act in acts) == done.erased.acts >= 2
    assert any(act.note == "account bob, plan free" for act in acts)
    place.store.close()
    assert not anywhere(place, "alice") and not anywhere(place, place.alice.id) and anywhere(place, "bob")
    assert erased(place.installation, "alice", "dpo", keep_keys=False, advance=quiet).record == done.record


def test_erasing_the_history_of_an_account_that_goes_on(place: Place_) -> None:
    done = erased(place.installation, "alice", "dpo", keep_keys=True, advance=quiet)
    assert done.events == 2 and done.erased.credentials == 0
    assert place.store.credential(place.alice.id) is not None


@pytest.mark.parametrize("name", ["key", "key:", "address"])
def test_a_key_or_an_address_can_be_erased(place: Place_, name: str) -> None:
    who = {"key": place.alice.id, "key:": f"key:{place.alice.id}", "address": "198.51.100.3"}[name]
    assert erased(place.installation, who, "dpo", keep_keys=True, advance=quiet).events == 2
    assert len(place.events()) == 4


def test_a_name_that_begins_like_another_stays(place: Place_) -> None:
    erased(place.installation, "ali", "dpo", keep_keys=True, advance=quiet)
    assert len(place.events()) == 6
    assert next(act.note for act in place.store.acts()) == "account alice, plan free"
    with pytest.raises(ValueError, match="no key"):
        erased(place.installation, "key:nothing", "dpo", keep_keys=True, advance=quiet)


def test_copies_from_before_are_named(place: Place_) -> None:
    copy = place.installation.directory / "sallygate.db.schema-1"
    shutil.copy(place.installation.database, copy)
    assert erased(place.installation, "alice", "dpo", keep_keys=True, advance=quiet).copies == (str(copy),)
