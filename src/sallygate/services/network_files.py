"""Service of address lists and geography: read again when they change. A file that has become invalid leaves the last
valid one in force, and is reported."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import IO

import maxminddb
from msgspec import Struct

from sallygate.parsing.address_lists import AddressListError
from sallygate.policy.list_files import list_files, read_list
from sallygate.policy.load import Loaded
from sallygate.policy.network import Network, Reach
from sallygate.ports import StoreError
from sallygate.security.regular_files import open_regular
from sallygate.state.geography import Geography, Source
from sallygate.state.state import State
from sallygate.telemetry.status import GeographyState

OLD_S = 90 * 86400.0
"""Age after which some percent of addresses have moved to another country; reported at start and in `sallygate
status`."""
SETTLED_S = 60.0
"""Longer than reading a policy takes."""
DATABASE_BYTES_MAX = 1 << 30
"""Several times the largest database of cities."""
COPY_BYTES = 1 << 20
PACKAGED = "the one that comes with the package"

Failed = Callable[[str, BaseException], None]
Stamp = tuple[int, int]


class Database(Struct, frozen=True):
    """Opened geography file with its time (seconds since the epoch)."""

    name: str
    made_at: float
    """Seconds since the epoch, as the file itself says."""
    source: Source


def open_database(file: Path, name: str, *, copied: bool = True) -> Database:
    """Raises `StoreError`. What is open stays as it was read, whatever becomes of the file: `copied`, for one that
    somebody may write to."""
    try:
        reader = _opened(file) if copied else maxminddb.open_database(file)
        return Database(name, float(reader.metadata().build_epoch), _reading(reader))
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise StoreError(
            f"{file}: is not a readable MMDB file: {error}; download it again, or remove it from `network.databases`"
        ) from None


def _opened(file: Path) -> maxminddb.Reader:
    """A copy without a name is mapped: of the file itself, one written over in place, as `cp` does it, would end the
    whole process (SIGBUS). In memory where that can be, since a container may have nowhere to write."""
    with _nameless() as kept, open_regular(file) as source:
        while piece := source.read(COPY_BYTES):
            kept.write(piece)
            if kept.tell() > DATABASE_BYTES_MAX:
                raise ValueError(f"larger than {DATABASE_BYTES_MAX >> 20} MiB")
        kept.flush()
        return maxminddb.open_database(f"/proc/self/fd/{kept.fileno()}" if sys.platform == "linux" else kept.name)


def _nameless() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("geography"), "wb")
    return tempfile.NamedTemporaryFile(suffix=".mmdb")


def _reading(reader: maxminddb.Reader) -> Source:
    """A file may open and be damaged further in: what cannot be read of it is not known of by it, and others are asked.
    An exception would refuse every request from there."""

    def look(address: str) -> object:
        try:
            return reader.get(address)
        except maxminddb.InvalidDatabaseError:
            return None

    return look


def packaged_database() -> Database:
    """Geography of the package, mapped into memory."""
    with as_file(files("sallygate") / "data" / "places.mmdb") as file:
        return open_database(file, PACKAGED, copied=False)


def databases_of(loaded: Loaded) -> list[Database]:
    """Raises `StoreError`."""
    network = loaded.policy.network
    named = [open_database(loaded.beside(name), name) for name in network.databases] if network else []
    return [*named, packaged_database()]


def geography_of(databases: Sequence[Database]) -> Geography:
    """Geography over several files; the first with an address counts."""
    return Geography([database.source for database in databases])


def asks_geography(network: Network | None) -> bool:
    """Whether a policy's section uses countries or network numbers."""
    sections: list[Reach] = [network, *network.rules] if network is not None else []
    return any(section.countries is not None or section.asns for section in sections)


class NetworkFiles:
    """Lives as long as the runtime; its files are those of the policy in force."""

    def __init__(self, state: State, now: Callable[[], float], failed: Failed, say: Callable[[str], None]) -> None:
        self._state, self._now, self._failed, self._say = state, now, failed, say
        self._loaded: Loaded | None = None
        self._databases: list[Database] = []
        self._stamps: dict[str, Stamp | None] = {}
        self._gone: set[str] = set()

    def configure(self, loaded: Loaded, databases: list[Database]) -> None:
        """Take over a policy's files, its lists being read already."""
        self._loaded, self._databases = loaded, databases
        self._state.geography = geography_of(databases)
        self._stamps = {name: self._settled(file) for name, file in self._files(loaded).items()}
        self._gone = set()

    def _settled(self, file: Path) -> Stamp | None:
        """None for a file that may have been written after it was read: it is read once more."""
        stamp = _stamp(file)
        return stamp if stamp is not None and stamp[0] / 1e9 < self._now() - SETTLED_S else None

    def tell_age(self) -> None:
        """Where the policy asks for countries or networks: to others it does not matter."""
        if self._loaded is None or not asks_geography(self._loaded.policy.network):
            return
        for database in self._databases:
            if (age_s := self._now() - database.made_at) > OLD_S:
                days = f"{age_s / 86400:.0f} days old"
                self._say(f"geography: {database.name} is {days}; name a newer one in `network.databases`")

    def _files(self, loaded: Loaded) -> dict[str, Path]:
        """By the names the policy gives them, of which one file may have two."""
        network = loaded.policy.network
        named = [*(network.databases if network else ()), *(name for _, name in list_files(network))]
        return {name: loaded.beside(name) for name in named}

    async def step(self) -> None:
        """Every second: what has changed is read."""
        loaded = self._loaded
        if loaded is None:
            return
        for name, file in self._files(loaded).items():
            stamp = _stamp(file)
            if stamp is None:
                self._tell_gone(file, name)
                continue
            self._gone.discard(name)
            if stamp == self._stamps.get(name):
                continue
            self._stamps[name] = stamp
            await (self._renew_list(loaded, file, name) if name in loaded.lists else self._renew_database(loaded, name))

    def _tell_gone(self, file: Path, name: str) -> None:
        """Once: the next reload or start will not do without it."""
        if name not in self._gone:
            self._gone.add(name)
            self._failed("network", StoreError(f"{file}: is gone; what was read of it stays in force, put it back"))

    async def _renew_list(self, loaded: Loaded, file: Path, name: str) -> None:
        try:
            prefixes = await asyncio.to_thread(read_list, file)
        except (AddressListError, OSError) as error:
            self._failed("list", StoreError(f"{file}: {error}; the list as it was stays in force"))
            return
        loaded.lists[name] = prefixes
        self._say(f"list {name} read again")

    async def _renew_database(self, loaded: Loaded, name: str) -> None:
        try:
            fresh = await asyncio.to_thread(open_database, loaded.beside(name), name)
        except StoreError as error:
            self._failed("geography", error)
            return
        self._databases = [fresh if one.name == name else one for one in self._databases]
        self._state.geography = geography_of(self._databases)
        self._say(f"geography {name} read again")

    def states(self) -> tuple[GeographyState, ...]:
        """State of each geography file, for `status` and metrics."""
        return tuple(
            GeographyState(one.name, one.made_at, self._now() - one.made_at > OLD_S) for one in self._databases
        )


def _stamp(file: Path) -> Stamp | None:
    with contextlib.suppress(OSError):
        stat = file.stat()
        return stat.st_mtime_ns, stat.st_ino
    return None
