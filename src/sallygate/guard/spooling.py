"""Spool of one body: an unlinked file on disk, written and read off the event loop."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO

PIECE_BYTES = 256 * 1024
"""Written and read at once: fewer threads woken, and at most so much of a body in memory."""


class SpoolFile:
    """Body on its way into a file that no name leads to: it goes with the exchange, whatever ends that."""

    def __init__(self, bytes_max: int) -> None:
        self._file: IO[bytes] | None = None
        self._bytes_max = bytes_max
        self._waiting = bytearray()
        self.size = 0

    async def add(self, data: bytes) -> bool:
        """A piece. Whether all that came fits; more than fits is not written. Raises `OSError`."""
        self.size += len(data)
        if self.size > self._bytes_max:
            self.close()
            return False
        self._waiting += data
        if len(self._waiting) >= PIECE_BYTES:
            await self._write()
        return True

    async def end(self) -> IO[bytes]:
        """The file, from its beginning. Raises `OSError`."""
        file = await self._write()
        file.seek(0)
        return file

    async def _write(self) -> IO[bytes]:
        if self._file is None:  # only now: where files have run out, that is a disk that refuses like any other
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the exchange
        waiting, self._waiting = bytes(self._waiting), bytearray()
        await asyncio.to_thread(self._file.write, waiting)
        return self._file

    def close(self) -> None:
        """Give it up."""
        if self._file is not None:
            self._file.close()


async def pieces(file: object) -> AsyncIterator[bytes]:
    """Content of `file` from its beginning, also after an earlier read."""
    read, seek = file.read, file.seek  # type: ignore[attr-defined]  # opaque to the driver
    seek(0)
    while piece := await asyncio.to_thread(read, PIECE_BYTES):
        yield piece
