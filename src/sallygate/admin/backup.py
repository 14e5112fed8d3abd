"""Backup and restore of the state directory: copied while a gate runs, restored while none runs.

A backup is a directory: databases, secrets and certificates as they lie in the state directory, and a manifest with the
SHA-256 of each. It is whole or not there. What can be made again (compiled patterns, the control socket) is left out,
and so is a pepper that the environment names: it is not ours to copy.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import MsgspecError, Struct
from msgspec.json import decode, format
from msgspec.json import encode as to_json

from sallygate.model.event import Event
from sallygate.ports import DatabaseFiles, StoreError
from sallygate.security.state_directory import Installation, pepper_lines, pepper_mark
from sallygate.security.state_locks import COMPILING, RESTORING, SERVING, SHARED, STARTING
from sallygate.version import __version__

MANIFEST = "manifest.json"
COPYING = ".restore-copy"
"""Where a backup is copied to first: one cut short there has changed nothing, and the next takes its place."""
NICE = 19
_FILE = re.compile(
    r"sallygate\.db|(?:pepper|installation)\.id|[\w-]+\.jwks\.json|events/[\w-]+\.db|(?:secrets|certificates)/[\w-][\w.-]*"
)
"""What a state consists of; anything else in a backup is a file of the user's."""


class Manifest(Struct, frozen=True):
    """Content of a backup: versions, time (seconds since the epoch), SHA-256 of each file."""

    version: str
    schema: int
    at: float
    """When it was begun, in seconds since the epoch."""
    files: dict[str, str]
    """SHA-256 by path."""
    pepper: bool
    """Whether the pepper is in it."""


class Restored(Struct, frozen=True):
    """Result of a restore: the manifest, the directory of the replaced state, and the acts that it undid."""

    manifest: Manifest
    kept: str
    """Where the state that was there is now; empty when there was none."""
    undone: tuple[Event, ...]
    """Acts after the backup, which are undone: a key revoked since then works again."""


def back_up(
    installation: Installation, databases: DatabaseFiles, target: Path, advance: Callable[[str, int, int], None]
) -> Manifest:
    """Writes the backup to `target`, a new directory. `advance` gets (file, done, in all). Raises `StoreError`."""
    if target.exists():
        raise StoreError(f"{target}: is there already; name a new directory")
    at, part = time.time(), target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True, mode=0o700)
        files = _files(installation.directory)
        for number, file in enumerate(files):
            name = file.relative_to(installation.directory).as_posix()
            advance(name, number, len(files))
            copy = part / name
            copy.parent.mkdir(exist_ok=True, mode=0o700)
            if file.suffix == ".db":
                databases.copy(file, copy)
            else:
                shutil.copy2(file, copy)
        manifest = Manifest(
            __version__, databases.schema_of(part / "sallygate.db"), at, _digests(part), _has_pepper(part)
        )
        (part / MANIFEST).write_bytes(format(to_json(manifest)) + b"\n")
        part.rename(target)
    except FileNotFoundError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreError(f"{error.filename}: was removed meanwhile; try again") from error
    except (StoreError, OSError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreError(f"{target}: cannot be written: {error}; nothing is left of it") from error
    return manifest


def give_way() -> None:
    """Run when nothing else wants the processor: requests come first."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):  # not Linux
        os.nice(NICE)


def _files(directory: Path) -> list[Path]:
    """What a backup holds. The database comes last: an act in it is then not younger than the events."""
    events = sorted(directory.glob("events/*.db"))
    private = [file for name in ("secrets", "certificates") for file in sorted((directory / name).glob("*"))]
    database = directory / "sallygate.db"
    if not database.is_file():
        raise StoreError(f"{database}: there is nothing to back up; `sallygate up` makes it")
    return [
        *events,
        *(file for file in private if file.is_file() and file.name[0] != "."),
        *directory.glob("*.jwks.json"),
        *directory.glob("pepper.id"),
        *directory.glob("installation.id"),
        database,
    ]


def _has_pepper(directory: Path) -> bool:
    """Whether it is the one the keys were made under."""
    try:
        mark = pepper_mark(pepper_lines((directory / "secrets" / "pepper").read_bytes().strip())[0])
        return (directory / "pepper.id").read_bytes().strip() == mark
    except (OSError, IndexError):
        return False


def _digests(directory: Path) -> dict[str, str]:
    found = {}
    for file in sorted(directory.rglob("*")):
        if file.is_symlink():
            raise OSError(f"{file} is a link, which a backup has none of")
        if file.is_file() and file.name != MANIFEST:
            found[file.relative_to(directory).as_posix()] = _digest(file)
    return found


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(source: Path, schema: int) -> Manifest:
    """`schema` is this program's. Raises `StoreError` for what is no backup, is one of a newer version, or is not as it
    was written."""
    try:
        manifest = decode((source / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, MsgspecError) as error:
        raise StoreError(f"{source}: is not a backup: {error}; name the directory `sallygate backup` wrote") from error
    if manifest.schema > schema:
        raise StoreError(
            f"{source}: made by version {manifest.version} (schema {manifest.schema}); restore with that or later"
        )
    try:
        found = _digests(source)
    except OSError as error:
        raise StoreError(f"{source}: cannot be read: {error}") from error
    for name in manifest.files:
        if _FILE.fullmatch(name) is None:
            raise StoreError(f"{source}: names {name!r}, which is no part of a state; this backup cannot be trusted")
    for name in manifest.files.keys() | found.keys():
        if found.get(name) != manifest.files.get(name):
            what = (
                "is missing"
                if name not in found
                else "does not belong to it"
                if name not in manifest.files
                else "was changed"
            )
            raise StoreError(f"{source / name}: {what}; this backup cannot be trusted, use another")
    return manifest


def restore(installation: Installation, databases: DatabaseFiles, source: Path) -> Restored:
    """Puts a backup in the place of the state. What was there stays below it. Raises `StoreError`, and then the state
    is what it was, or `doctor` says how to finish."""
    manifest = read_manifest(source, databases.schema)
    with installation.held(alone=True):
        undone = databases.acts_since(installation.database, manifest.at)
        directory, fresh = installation.directory, installation.directory / COPYING
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            for name in manifest.files:
                copy = fresh / name
                copy.parent.mkdir(exist_ok=True, mode=0o700)
                shutil.copyfile(source / name, copy)
                copy.chmod(0o600)
            databases.bring_forward(fresh / "sallygate.db")  # readable, and of this version from now on
        except (OSError, StoreError) as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise StoreError(f"{fresh}: could not be made: {error}; the state is what it was") from error
        shutil.rmtree(directory / RESTORING, ignore_errors=True)  # of a restore that was cut short
        fresh.rename(directory / RESTORING)  # from here on no gate opens until all is exchanged
        kept = _swap(directory, directory / RESTORING)
    return Restored(manifest, kept, undone)


def _swap(directory: Path, fresh: Path) -> str:
    """File by file: the directory, or one in it, may be a mount point, which no rename moves. Undone when it fails."""
    stamp = time.strftime("%Y-%m-%dT%H%M%S", time.gmtime())
    kept = directory / f"before-restore-{stamp}-{secrets.token_hex(2)}"
    stays = {SHARED, SERVING, STARTING, COMPILING, fresh.name, COPYING}
    old = [
        file
        for file in directory.rglob("*")
        if not file.is_dir() and (parts := file.relative_to(directory).parts)[0] not in stays
        and not parts[0].startswith("before-restore-")
    ]  # fmt: skip
    moves = [(file, kept / file.relative_to(directory)) for file in old]
    moves += [(file, directory / file.relative_to(fresh)) for file in fresh.rglob("*") if file.is_file()]
    done: list[tuple[Path, Path]] = []
    try:
        for here, there in moves:
            there.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(here, there)
            done.append((here, there))
    except OSError as error:
        try:
            for here, there in reversed(done):
                shutil.move(there, here)
        except OSError as second:  # what is in `kept` may be the only copy: nothing is removed, and no gate opens
            raise StoreError(
                f"{directory}: could not be exchanged: {error}; nor taken back: {second}; what was there is in {kept} "
                "and below it: restore once more when the disk works"
            ) from second
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        raise StoreError(f"{directory}: could not be exchanged: {error}; the state is what it was") from error
    shutil.rmtree(fresh, ignore_errors=True)
    return str(kept) if old else ""
