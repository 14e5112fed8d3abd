"""Files of a state directory that their owner alone may read, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from sallygate.ports import StoreError


def read_private(file: Path) -> bytes:
    """All of a file. Raises `StoreError`."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror}; check its owner and mode") from error


def replace_private(file: Path, data: bytes) -> None:
    """Whole, in the place of what was there. Raises `StoreError`."""
    part = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    write_private(part, data)
    try:
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{file}: cannot be written: {error.strerror}; check the state directory's owner") from error


def write_private(file: Path, data: bytes) -> None:
    """Whole or not at all, for its owner alone. When two processes write at once, the first one's file stays."""
    part = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, file)
    except OSError as error:
        raise StoreError(
            f"{file}: cannot be written: {error.strerror}; check the state directory's owner and space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def make_private(file: Path, *, create: bool = True) -> None:
    """Give a database mode 0600, with the files that a killed process left beside it, and make it where `create`
    is true. SQLite gives the files beside it (`-wal`, `-shm`) the same mode when it makes them.

    A file that is there is not opened: closing it would drop the locks of this process's other connections (POSIX)."""
    with contextlib.suppress(OSError):  # what is wrong is said at the opening
        if create and not file.exists():
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for part in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        with contextlib.suppress(OSError):
            if stat.S_IMODE(part.stat().st_mode) & 0o077:
                part.chmod(0o600)
