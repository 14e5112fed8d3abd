"""Files of compiled patterns outside of state directories: one made ahead, and the cache of a user on a machine.

Threat: patterns are loaded as they are, so that a file from someone else could run code in the gate. A file is loaded
only if its owner and the owner of its directory are root or this process's user, and nobody else may write to either,
nor to a directory above. Symbolic links are not followed. A cache that fails a check is not used; a file that fails one
is compiled again. Evidence: the checksum before the patterns, which finds damage, not attacks.

Known bypasses: root, and this process's user, own everything here. Refuses to know what patterns are.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sallygate.security.private_files import write_private

PATTERNS_VARIABLE = "SALLYGATE_PATTERNS_FILE"
CHECKSUM_BYTES = 32
"""Of the SHA-256 before patterns."""
FILE_BYTES_MAX = 256 << 20
"""The patterns take 12 MB."""
KEPT_MAX = 4
"""Files in a cache: versions of Sallygate, and processors of machines that share a home directory."""
LOCK, PREFIX, SUFFIX = "lock", "patterns-", ".bin"
POLL_S = 0.1
WAIT_S = 300.0
"""For another process that compiles, five times as long as compiling takes on a slow machine."""


def cache_directory(environment: Mapping[str, str]) -> Path | None:
    """Directory of this user's cache: systemd's `CACHE_DIRECTORY`, or `sallygate` in `XDG_CACHE_HOME` or `~/.cache`.
    None without a home directory."""
    if given := environment.get("CACHE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    for base, below in (("XDG_CACHE_HOME", "sallygate"), ("HOME", ".cache/sallygate")):
        if (directory := Path(environment.get(base, ""))).is_absolute():  # others are to be ignored, as XDG says
            return directory / below
    return None


class PatternCache:
    """Cache in `directory`, which is made if it is missing. Usable if all checks hold, see `problem`."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.problem = ""
        """Reason why this cache is not used; empty if it is."""
        self._descriptor = -1
        try:
            self._descriptor = self._opened()
        except OSError as error:
            self.problem = f"{directory}: {error.strerror or error}"

    def __enter__(self) -> PatternCache:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _opened(self) -> int:
        if self.directory is None:
            raise OSError("there is no home directory and no XDG_CACHE_HOME")
        _make(self.directory)
        parent = Path(os.path.realpath(self.directory.parent))
        for above in (parent, *parent.parents):
            status = above.lstat()
            if not _is_owned(status) or (_is_open_to_others(status) and not status.st_mode & stat.S_ISVTX):
                raise OSError(f"others may replace it, since they may write to {above}")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(parent / self.directory.name, flags)
        status = os.fstat(descriptor)
        if not _is_owned(status) or _is_open_to_others(status):
            os.close(descriptor)
            raise OSError("others own it or may write to it; remove it, or `chmod go-w` it if it is yours")
        return descriptor

    def file(self, name: str) -> str:
        """Path of the file of `name`, for messages."""
        return f"{self.directory}/{PREFIX}{name}{SUFFIX}"

    def load(self, name: str, signature: str) -> bytes | None:
        """The patterns kept as `name` if they are whole and nobody else could write them; otherwise None."""
        if self._descriptor < 0:
            return None
        try:
            descriptor = os.open(
                f"{PREFIX}{name}{SUFFIX}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                dir_fd=self._descriptor,
            )  # fmt: skip
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as stream:
            patterns = _whole(_trusted(stream.fileno(), stream.read), signature)
            if patterns is not None:
                with contextlib.suppress(OSError):
                    os.utime(stream.fileno())  # the files used last are kept
        return patterns

    def keep(self, name: str, signature: str, patterns: bytes) -> None:
        """Keeps `patterns` as `name`, whole, in place of what was there; removes what was not used for longest. The
        caller holds the lock. Raises `OSError`."""
        if self._descriptor < 0:
            raise OSError(self.problem)
        part = f".{PREFIX}{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(part, flags, 0o600, dir_fd=self._descriptor), "wb") as stream:
                stream.write(_headed(signature, patterns))
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, f"{PREFIX}{name}{SUFFIX}", src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError:
            self._remove(part)
            raise
        self._tidy()

    def _tidy(self) -> None:
        """Removes parts that a killed process left, and all files but the `KEPT_MAX` used last."""
        ages = []
        for name in os.listdir(self._descriptor):  # noqa: PTH208 (of the directory that was checked, by its descriptor)
            if name.startswith(f".{PREFIX}") and name.endswith(".part"):
                self._remove(name)
            elif name.startswith(PREFIX) and name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    ages.append((os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mtime_ns, name))
        for _, name in sorted(ages)[:-KEPT_MAX]:
            self._remove(name)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._descriptor)

    @contextmanager
    def locked(self, waiting: Callable[[], None]) -> Iterator[bool]:
        """Lock of the one process that compiles; false without a usable cache, or if another process holds the lock for
        longer than `WAIT_S`. Calls `waiting` while it waits."""
        descriptor = self._lock_file()
        if descriptor < 0:
            yield False
            return
        try:
            yield wait_for_lock(descriptor, waiting)
        finally:
            os.close(descriptor)

    def _lock_file(self) -> int:
        if self._descriptor < 0:
            return -1
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(LOCK, flags, 0o600, dir_fd=self._descriptor)
        except OSError as error:  # a cache that root made is read, not written
            self.problem = f"{self.directory}: {error.strerror}"
            return -1


def wait_for_lock(descriptor: int, waiting: Callable[[], None]) -> bool:
    """Takes the lock on an open file; false if another process holds it for longer than `WAIT_S`."""
    ends = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                return False
            waiting()
            time.sleep(POLL_S)
        else:
            return True


def _make(directory: Path) -> None:
    """Makes the directory and the one above it for this user alone, where they are missing; never a home directory."""
    for missing in (directory.parent, directory):
        with contextlib.suppress(FileExistsError):
            missing.mkdir(mode=0o700)


def _is_owned(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())


def _is_open_to_others(status: os.stat_result) -> bool:
    return bool(status.st_mode & 0o022)


def _trusted(descriptor: int, read: Callable[[int], bytes]) -> bytes:
    """All of an open file; nothing if it is no plain file, too large, or somebody else could have written it."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not _is_owned(status) or _is_open_to_others(status):
        return b""
    return read(FILE_BYTES_MAX) if status.st_size <= FILE_BYTES_MAX else b""


def _headed(signature: str, patterns: bytes) -> bytes:
    return hashlib.sha256(patterns).digest() + signature.encode() + patterns


def _whole(data: bytes, signature: str) -> bytes | None:
    """The patterns behind their checksum and signature; None if these are others."""
    head, patterns = data[: CHECKSUM_BYTES + len(signature)], data[CHECKSUM_BYTES + len(signature) :]
    right = hashlib.sha256(patterns).digest() + signature.encode()
    return patterns if hmac.compare_digest(head, right) else None


def patterns_ahead(signature: str) -> bytes | None:
    """Patterns that `sallygate patterns FILE` compiled ahead, where the environment names their file. None for another
    version's, and for a file that others than its owner could have changed, or whose owner is neither the user of this
    process nor root."""
    named = os.environ.get(PATTERNS_VARIABLE)
    if not named:
        return None
    try:
        with os.fdopen(os.open(named, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            return _whole(_trusted(stream.fileno(), stream.read), signature)
    except OSError:
        return None


def is_patterns_file(file: Path, signature_chars: int) -> bool:
    """Whether `keep_patterns_ahead` wrote it, for whatever version."""
    data = file.read_bytes()
    return data[:CHECKSUM_BYTES] == hashlib.sha256(data[CHECKSUM_BYTES + signature_chars :]).digest()


def keep_patterns_ahead(file: Path, signature: str, patterns: bytes) -> None:
    """Writes what `patterns_ahead` reads. Raises `StoreError`."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    write_private(file, _headed(signature, patterns))
