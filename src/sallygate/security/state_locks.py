"""Locks of a state directory: shared by all who work on it, exclusive for a restore and for the one gate that serves.

Each is a lock of the kernel on an open file (`flock`): it ends with its process, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sallygate.ports import StoreError
from sallygate.security.kept_patterns import wait_for_lock

SHARED, SERVING, STARTING, COMPILING = "lock", "gate.lock", "starting.lock", "patterns.lock"
"""Names of the locks' files in a state directory."""
RESTORING = ".restoring"
"""There while a restore is under way, or when one was cut short."""
TAKE_OVER_S = 5.0
"""A gate waits so long for its predecessor on the state directory, which may be writing what is left."""
POLL_S = 0.05

_serving: set[int] = set()
"""Descriptors of the locks of gates that this process holds."""


def _leave_to_parent() -> None:
    """Close them in a forked child: an API's worker that outlives a killed gate must not keep the next one out."""
    while _serving:
        with contextlib.suppress(OSError):
            os.close(_serving.pop())


os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def held(directory: Path, *, alone: bool) -> Iterator[None]:
    """Lock of all who work on `directory`; with `alone`, of one who must not find any. Raises `StoreError`, also for a
    directory whose restore was cut short: half of a state must not open a gate."""
    if not alone and (directory / RESTORING).exists():
        raise StoreError(
            f"{directory}: a restore was cut short; restore once more (`sallygate restore`), what was there "
            "before is in before-restore-…"
        )
    descriptor = _opened(directory / SHARED)
    try:
        if not _locked(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
            raise StoreError(
                f"{directory}: a gate is running on it, or a command; stop it first"
                if alone
                else f"{directory}: is being restored; try again when that is done"
            )
        yield
    finally:
        os.close(descriptor)


@contextmanager
def served(directory: Path, within_s: float = TAKE_OVER_S) -> Iterator[None]:
    """Lock of the one gate that serves from `directory`. Blocks up to `within_s` seconds for a predecessor. Raises
    `StoreError` while another gate has it, of this process or another."""
    descriptor, ends = _opened(directory / SERVING), time.monotonic() + within_s
    try:
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= ends:
                raise StoreError(
                    f"{directory}: another gate serves from this state directory; stop that gate, or name another "
                    "directory in the policy's `state`. An application runs one server process with one Guard: two "
                    "would each allow the whole rate"
                )
            time.sleep(min(POLL_S, within_s))
    except BaseException:
        os.close(descriptor)
        raise
    _serving.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _serving:  # in a forked child the number may be another file's by now
            _serving.discard(descriptor)
            os.close(descriptor)


class Serving:
    """Lock of a gate that serves from `directory`, taken at its start. `within_s` is for the first attempt: requests
    that ask a gate to start once more do not wait."""

    def __init__(self, directory: Path, within_s: float = TAKE_OVER_S) -> None:
        self.within_s = within_s
        self._directory, self._taken = directory, contextlib.ExitStack()
        self._held = False

    def take(self) -> None:
        """See `served`. Keeps a lock that is held: the first caller may have left while it waited.
        Raises `StoreError`."""
        if self._held:
            return
        within_s, self.within_s = self.within_s, 0.0
        self._taken.enter_context(served(self._directory, within_s))
        self._held = True

    def release(self) -> None:
        """Let the next gate serve."""
        self._held = False
        self._taken.close()


def is_served(directory: Path) -> bool:
    """Whether a gate serves from `directory`. Raises `StoreError`."""
    if not (directory / SERVING).exists():
        return False
    descriptor = _opened(directory / SERVING)
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def starting(directory: Path) -> Iterator[None]:
    """Mark of a gate that starts, for commands that ask for one that runs. Two gates may start at once; a directory
    that cannot be written has no mark."""
    try:
        descriptor = _opened(directory / STARTING)
    except StoreError:
        yield
        return
    try:
        _locked(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also where a child has the file, too
        os.close(descriptor)


def is_starting(directory: Path) -> bool:
    """Whether a gate starts on `directory`. Raises `StoreError`."""
    if not (directory / STARTING).exists():
        return False
    descriptor = _opened(directory / STARTING)
    try:
        return not _locked(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


@contextmanager
def compiling(directory: Path, waiting: Callable[[], None]) -> Iterator[bool]:
    """Lock of the one process that compiles patterns for `directory`; false if it is not to be had, see
    `kept_patterns.wait_for_lock`."""
    try:
        descriptor = _opened(directory / COMPILING)
    except StoreError:
        yield False
        return
    try:
        yield wait_for_lock(descriptor, waiting)
    finally:
        os.close(descriptor)


def _opened(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{file}: cannot be opened: {error.strerror}; make the state directory writable") from error


def _locked(descriptor: int, how: int) -> bool:
    """Whether the lock was to be had at once."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
