"""The files that tell of addresses: the policy's lists, and the geography. Read again when they change; one that has
become bad leaves the last good one in force, and is told of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

import maxminddb
from msgspec import Struct

from sallygate.geography import Geography, Source
from sallygate.model.stores import StoreError
from sallygate.parsing.addresslists import AddressListError
from sallygate.policy.lists import list_files, read_list
from sallygate.policy.load import Loaded
from sallygate.policy.network import Network, Reach
from sallygate.state import State
from sallygate.telemetry.status import GeographyState

OLD_S = 90 * 86400.0
"""Some percent of addresses have moved to another country since; told of at the start and in `sallygate status`."""
SETTLED_S = 60.0
"""Longer than reading a policy takes."""
PACKAGED = "the one that comes with the package"

Failed = Callable[[str, BaseException], None]
Stamp = tuple[int, int]


class Database(Struct, frozen=True):
    name: str
    made_at: float
    """Seconds since the epoch, as the file itself says."""
    source: Source


def open_database(file: Path, name: str) -> Database:
    """Raises `StoreError`. What is open stays as it was read when the file is exchanged."""
    try:
        reader = maxminddb.open_database(file)
        return Database(name, float(reader.metadata().build_epoch), reader.get)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise StoreError(
            f"{file}: is no MMDB file that can be read: {error}; get it anew, or take it out of `network.databases`"
        ) from None


def packaged_database() -> Database:
    with as_file(files("sallygate") / "data" / "places.mmdb") as file:
        return open_database(file, PACKAGED)


def databases_of(loaded: Loaded) -> list[Database]:
    """Raises `StoreError`."""
    network = loaded.policy.network
    named = [open_database(loaded.beside(name), name) for name in network.databases] if network else []
    return [*named, packaged_database()]


def geography_of(databases: Sequence[Database]) -> Geography:
    return Geography([database.source for database in databases])


def asks_geography(network: Network | None) -> bool:
    sections: list[Reach] = [network, *network.rules] if network is not None else []
    return any(section.countries is not None or section.asns for section in sections)


class NetworkFiles:
    """Lives as long as the runtime; its files are those of the policy in force."""

    def __init__(self, state: State, now: Callable[[], float], failed: Failed, say: Callable[[str], None]) -> None:
        self._state, self._now, self._failed, self._say = state, now, failed, say
        self._loaded: Loaded | None = None
        self._databases: list[Database] = []
        self._stamps: dict[Path, Stamp | None] = {}

    def configure(self, loaded: Loaded, databases: list[Database]) -> None:
        """Take over a policy's files, its lists being read already."""
        self._loaded, self._databases = loaded, databases
        self._state.geography = geography_of(databases)
        self._stamps = {file: self._settled(file) for file in self._files(loaded)}

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

    def _files(self, loaded: Loaded) -> dict[Path, str]:
        network = loaded.policy.network
        named = [*(network.databases if network else ()), *(name for _, name in list_files(network))]
        return {loaded.beside(name): name for name in named}

    async def beat(self) -> None:
        """Every second: what has changed is read."""
        loaded = self._loaded
        if loaded is None:
            return
        for file, name in self._files(loaded).items():
            if (stamp := _stamp(file)) == self._stamps.get(file) or stamp is None:
                continue
            self._stamps[file] = stamp
            await (self._renew_list(loaded, file, name) if name in loaded.lists else self._renew_database(loaded, name))

    async def _renew_list(self, loaded: Loaded, file: Path, name: str) -> None:
        try:
            prefixes = await asyncio.to_thread(read_list, file)
        except (AddressListError, OSError) as error:
            self._failed("list", StoreError(f"{file}: {error}; the list as it was stays in force"))
            return
        loaded.lists[name] = prefixes
        self._say(f"list {name} read anew")

    async def _renew_database(self, loaded: Loaded, name: str) -> None:
        try:
            fresh = await asyncio.to_thread(open_database, loaded.beside(name), name)
        except StoreError as error:
            self._failed("geography", error)
            return
        self._databases = [fresh if one.name == name else one for one in self._databases]
        self._state.geography = geography_of(self._databases)
        self._say(f"geography {name} read anew")

    def states(self) -> tuple[GeographyState, ...]:
        return tuple(
            GeographyState(one.name, one.made_at, self._now() - one.made_at > OLD_S) for one in self._databases
        )


def _stamp(file: Path) -> Stamp | None:
    with contextlib.suppress(OSError):
        stat = file.stat()
        return stat.st_mtime_ns, stat.st_ino
    return None
