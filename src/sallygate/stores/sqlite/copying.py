"""Copies of SQLite databases that others may be writing."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

BUSY_MS = 2_000
"""How long a writer waits for another (a `keys create` beside a running gate) before it says so."""

COPY_PAGES, COPY_PAUSE_S = 512, 0.005
"""2 MiB at a time; 1 GB takes some seconds, in which a gate on the same disk goes on."""


def copy_database(file: Path, copy: Path, advance: Callable[[int, int], None] | None = None) -> None:
    """A consistent copy of a database that others may be writing, whole at `copy` or not at all; for its owner alone.

    All of it is one moment's: the reading transaction stays open, so that later writes neither show nor restart it.
    It pauses between pieces to leave the disk to others. `advance` gets (pages left, pages in all). Raises
    `sqlite3.Error` or `OSError`.
    """
    part = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}.part")
    written = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def pause(_: int, left: int, total: int) -> None:
        os.fdatasync(written)  # by and by: a gigabyte at the end would hold up everything that writes
        if advance is not None:
            advance(left, total)
        time.sleep(COPY_PAUSE_S)

    try:
        with closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
        ) as source:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(part)) as target:
                target.execute("PRAGMA synchronous=OFF")
                source.backup(target, pages=COPY_PAGES, progress=pause)
        os.fsync(written)
        part.replace(copy)
    finally:
        os.close(written)
        part.unlink(missing_ok=True)
