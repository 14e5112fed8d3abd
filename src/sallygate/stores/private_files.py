"""Files of stores, readable by their owner alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def make_private(file: Path, *, create: bool = True) -> None:
    """Give the file of a database mode 0600, and make it where `create` is true. SQLite gives the files beside it
    (`-wal`, `-shm`) the same mode."""
    with suppress(OSError):  # what is wrong is said at the opening
        descriptor = os.open(file, os.O_RDWR | (os.O_CREAT if create else 0) | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
