"""Checks of `sallygate doctor`: every part that a gate depends on, and a correction for each fault.

Reads only. Every check is by itself: one that fails, or cannot be made, does not hide the others.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sallygate.offline.policy_checks import PARTS, Found, ok
from sallygate.policy.errors import PolicyError
from sallygate.policy.load import Loaded, load_policy
from sallygate.policy.reading import state_directory_of
from sallygate.ports import DatabaseFiles, StoreError
from sallygate.security.state_directory import Installation
from sallygate.security.state_locks import RESTORING
from sallygate.services.injection_patterns import kept_prefilter, problem_ahead
from sallygate.telemetry.control import ask_status
from sallygate.version import __version__

FREE_BYTES_MIN = 1 << 30
"""Some 2 million events, or what one backup may take."""
DESCRIPTORS_MIN = 4096
"""Two a request: the client's and the API's."""
FUTURE_S_MAX = 5.0
"""Events younger than now by more were written under another clock."""


def examine(policy: Path, state_dir: Path | None, databases: DatabaseFiles) -> Iterator[Found]:
    """Everything that can be looked at, in the order a person would."""
    yield from _program()
    loaded: Loaded | None = None
    try:
        loaded = load_policy(policy, "replay")
        yield ok("policy", f"{policy} applies: {loaded.hash}, {len(loaded.operations)} operations")
    except PolicyError as error:
        for problem in error.problems:
            yield Found("policy", "wrong", str(problem), f"sallygate check {policy}")
    try:
        directory = state_dir or state_directory_of(policy)
    except PolicyError:
        yield Found(
            "state", "wrong", "the policy names the state directory and is not valid", "correct the policy first"
        )
        return
    if not directory.is_dir():
        yield Found("state", "note", f"{directory} does not exist yet", "run `sallygate up` to create it")
    else:
        installation = Installation(directory, create=False)
        for look in (_directory, _secrets):
            yield from _guarded(look.__name__, look(installation))
        for files in (_database, _events, _clock):
            yield from _guarded(files.__name__, files(installation, databases))
        for look in (_patterns, _running):
            yield from _guarded(look.__name__, look(installation))
    if loaded is not None:
        for part in PARTS:
            yield from _guarded(part.__name__, part(loaded, directory))


def _guarded(name: str, look: Iterator[Found]) -> Iterator[Found]:
    try:
        yield from look
    except (OSError, StoreError, ValueError) as error:
        yield Found(name.removeprefix("_"), "wrong", f"cannot be checked: {error}", "correct its owner and mode")


def _program() -> Iterator[Found]:
    yield ok(
        "program", f"sallygate {__version__}, Python {platform.python_version()}, {platform.machine()}, {sys.prefix}"
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < DESCRIPTORS_MIN:
        yield Found("descriptors", "note", f"a process may open {soft} files: about {soft // 2} requests at once",
                    f"raise it: `ulimit -n {DESCRIPTORS_MIN * 16}`, or LimitNOFILE= in the unit")  # fmt: skip
    if os.geteuid() == 0:
        yield Found(
            "user",
            "note",
            "this user is root, which a gate does not need",
            "run the gate as a separate user, as in deploy/sallygate.service",
        )


def _directory(installation: Installation) -> Iterator[Found]:
    directory = installation.directory
    status = directory.stat()
    who = os.geteuid()
    if who not in (0, status.st_uid):
        yield Found("state", "wrong", f"{directory} belongs to user {status.st_uid}, not to this user ({who})",
                    "run the command as the gate's user, or change the owner: `chown -R`")  # fmt: skip
        return
    if stat.S_IMODE(status.st_mode) & 0o077:
        yield Found(
            "state",
            "wrong",
            f"{directory} can be read by others (mode {stat.S_IMODE(status.st_mode):o})",
            f"chmod 700 {directory}",
        )
    if not os.access(directory, os.W_OK):
        yield Found(
            "state",
            "wrong",
            f"{directory} cannot be written",
            "mount it writable, or change its owner to the gate's user",
        )
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_MIN:
        yield Found(
            "disk",
            "wrong",
            f"{directory} has only {free >> 20} MiB of free space",
            "free some space, or shorten `events.retention`",
        )
    else:
        yield ok("state", f"{directory}, {free >> 30} GiB free")
    if (directory / RESTORING).exists():
        yield Found("restore", "wrong", f"a restore was interrupted: {directory / RESTORING} exists",
                    "restore the backup again; the replaced state is in before-restore-…")  # fmt: skip


def _secrets(installation: Installation) -> Iterator[Found]:
    files = [file for file in sorted((installation.directory / "secrets").glob("*")) if file.is_file()]
    for file in files:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield Found("secrets", "wrong", f"{file} can be read by others (mode {mode:o})",
                        f"chmod 600 {file}; if other users had access, create new keys")  # fmt: skip
    for leftover in (installation.directory / "secrets").glob(".*"):
        yield Found("secrets", "note", f"{leftover}: was left by a killed process", f"rm {leftover}")
    try:
        if not files:
            yield Found("secrets", "note", "none yet", "run `sallygate up` to create them")
            return
        installation.pepper(make=False)
        installation.signing_keys("assertion", make=False)
        installation.signing_keys("signing", make=False)
        yield ok("secrets", f"{len(files)} files, the pepper is valid")
    except StoreError as error:
        yield Found("secrets", "wrong", str(error), "restore secrets/ from a backup")


def _database(installation: Installation, databases: DatabaseFiles) -> Iterator[Found]:
    file = installation.database
    if not file.is_file() or not file.stat().st_size:
        if traces := installation.traces():
            what = "is empty" if file.is_file() else "is missing"
            yield Found("database", "wrong", f"{file} {what}, and {traces[0]} says that there was an installation",
                        "`sallygate restore` from the last backup")  # fmt: skip
        else:
            yield Found("database", "note", f"{file} does not exist yet", "run `sallygate up` to create it")
        return
    found = databases.examine(file)
    if found.damage:
        cure = "`sallygate restore` from the last backup"
        yield Found("database", "wrong", f"{file} is damaged: {found.damage}", cure)
    elif found.schema > databases.schema:
        said = f"{file} was written by a newer version (schema {found.schema})"
        yield Found("database", "wrong", said, "use that version or a later one")
    else:
        later = "; the next start migrates it to this version, and keeps a copy"
        said = f"valid, schema {found.schema}, {found.credentials} keys, {found.accounts} accounts"
        yield ok("database", said + (later if found.schema < databases.schema else ""))


def _events(installation: Installation, databases: DatabaseFiles) -> Iterator[Found]:
    files = sorted(installation.events.glob("*.db"))
    if not files:
        yield ok("events", "none yet")
        return
    for file in files[-3:]:
        if damage := databases.damage_of_events(file):
            cure = "move the file; the gate continues in a new one"
            yield Found("events", "wrong", f"{file} is damaged: {damage}", cure)
            return
    yield ok(
        "events", f"{len(files)} hours, {sum(file.stat().st_size for file in files) >> 20} MiB, since {files[0].stem}"
    )


def _clock(installation: Installation, databases: DatabaseFiles) -> Iterator[Found]:
    now = time.time()
    newest = max((event.at for event in databases.events(installation.events).read(now - 7200)), default=0.0)
    if newest > now + FUTURE_S_MAX:
        yield Found("clock", "wrong", f"the newest event is {newest - now:.0f} s ahead: the clock is or was wrong",
                    "set the clock by NTP (systemd-timesyncd, chrony), which limits and quotas use")  # fmt: skip
    elif now < Path(__file__).stat().st_mtime - 86400:
        yield Found("clock", "wrong", "the clock is before the installation of this program", "set the clock by NTP")
    else:
        yield ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))


def _patterns(installation: Installation) -> Iterator[Found]:
    if problem := problem_ahead():
        yield Found("patterns", "wrong", problem, "run `sallygate patterns FILE` as this user, on this machine")
    if kept_prefilter(installation) is None:
        yield Found("patterns", "note", "the patterns of injection are not compiled for this version",
                    "the next start compiles them in some ten seconds; or run `sallygate patterns`")  # fmt: skip
    else:
        yield ok("patterns", "compiled for this version")


def _running(installation: Installation) -> Iterator[Found]:
    found = ask_status(installation.control)
    if found is None and installation.is_starting():
        yield Found("gate", "note", "the gate is starting", "wait; `sallygate status` shows when it is ready")
        return
    if found is None:
        yield Found("gate", "note", "no gate runs on this state directory", "run `sallygate up`")
        return
    if found.version != __version__:
        yield Found(
            "gate",
            "wrong",
            f"the running gate has version {found.version}, this program {__version__}",
            "restart the gate",
        )
    for check in found.checks:
        if check.said:
            yield Found(
                "gate",
                "note" if check.ok else "wrong",
                f"{check.name}: {check.said}",
                "see `sallygate status` and the log",
            )
    if found.failures:
        said = ", ".join(f"{what} {times} times" for what, times in sorted(found.failures.items()))
        yield Found("gate", "note", f"failures since the start: {said}", "see the log for the reasons")
    if found.events.dropped:
        yield Found(
            "gate", "wrong", f"{found.events.dropped} events were lost", "use a faster disk, or a larger `events.queue`"
        )
    if found.ready:
        yield ok("gate", f"process {found.pid} is ready, policy {found.policy}")
