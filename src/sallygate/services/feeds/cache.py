"""Stored form of each feed in the state directory, in a directory of its own:

    feeds/NAME/compiled   32 bytes of HMAC-SHA-256 under a key from the pepper, and the compiled feed; the time of
                          change is that of the last complete fetch
    feeds/NAME/objects    for collections and MISP feeds: what the next fetch is merged into, one line of JSON an
                          object; the compiled feed has its SHA-256
    feeds/NAME/refresh    present while a fetch is requested (`sallygate feeds refresh`)

A forged feed here could block every caller, so a feed counts only if it was written under the pepper.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sallygate.parsing.indicators.blocks import block_text, blocks_of
from sallygate.parsing.indicators.reading import INDICATORS_MAX, Entry, Group
from sallygate.ports import StoreError
from sallygate.state.feeds.tables import About, Compiled, CompiledError, about_of, read_compiled

TAG_BYTES = 32
PART = ".part"


class Kept:
    """The directory of one feed."""

    def __init__(self, directory: Path, keys: Iterable[bytes]) -> None:
        self.directory = directory
        self._keys = tuple(keys)
        self.compiled = directory / "compiled"
        self.objects = directory / "objects"
        self.refresh = directory / "refresh"

    def confirmed_at(self) -> float:
        """When the source last had all of it, in seconds since the epoch. Raises `OSError`."""
        return self.compiled.stat().st_mtime

    def confirm(self, at: float) -> None:
        """Record that the feed was unchanged at time `at`, in seconds since the epoch."""
        os.utime(self.compiled, (at, at))

    def about(self) -> About | None:
        """The account of itself alone, unproved: for telling people. None where there is none."""
        try:
            with self.compiled.open("rb") as stream:
                stream.read(TAG_BYTES)
                return about_of(stream)
        except (OSError, CompiledError):
            return None

    def load(self) -> Compiled:
        """Raises `FileNotFoundError` when there is none, `StoreError` for one that is not as it was written."""
        macs = [hmac.new(key, digestmod="sha256") for key in self._keys]

        def hashed(part: bytes) -> None:
            for mac in macs:
                mac.update(part)

        try:
            with self.compiled.open("rb") as stream:
                tag = stream.read(TAG_BYTES)
                compiled = read_compiled(stream, hashed)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(f"{self.compiled}: cannot be read: {error.strerror}") from None
        except CompiledError as error:
            raise StoreError(f"{self.compiled}: is not as it was written ({error}); it is fetched again") from None
        if not any(hmac.compare_digest(tag, mac.digest()) for mac in macs):
            raise StoreError(f"{self.compiled}: is not as it was written; it is fetched again")
        return compiled

    def write_compiled(self, compiled: Compiled) -> Path:
        """Beside the one in force; who takes it over puts it in its place. Raises `OSError`."""
        data = compiled.to_bytes()
        return self._write("compiled", (hmac.digest(self._keys[0], data, "sha256"), data))

    def write_objects(self, groups: dict[str, Group]) -> tuple[Path, str]:
        """And its SHA-256. Raises `OSError`."""
        digest = hashlib.sha256()

        def lines() -> Iterator[bytes]:
            for key, group in groups.items():
                rows = [(block_text(bits, number, length), *rest) for bits, number, length, *rest in group.entries]
                line = msgspec.json.encode((key, group.version, rows)) + b"\n"
                digest.update(line)
                yield line

        part = self._write("objects", lines())
        return part, digest.hexdigest()

    def read_objects(self, digest: str) -> dict[str, Group] | None:
        """None where they are not those of `digest`: then everything is fetched again."""
        groups: dict[str, Group] = {}
        hashed = hashlib.sha256()
        decode = msgspec.json.Decoder(tuple[str, float, list[tuple[str, float, float, int]]]).decode
        try:
            with self.objects.open("rb") as stream:
                for line in stream:
                    hashed.update(line)
                    key, version, rows = decode(line)
                    groups[key] = Group(version, tuple(_entry(row) for row in rows))
                    if len(groups) > INDICATORS_MAX:
                        return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return None
        return groups if hashed.hexdigest() == digest else None

    def take_over(self, compiled: Path, objects: Path | None, confirmed_at: float) -> None:
        """What was written beside, in its place. The objects first: cut short between the two, they are not those of
        the compiled feed, and fetched again. Raises `OSError`."""
        if objects is not None:
            objects.replace(self.objects)
        os.utime(compiled, (confirmed_at, confirmed_at))
        compiled.replace(self.compiled)

    def clear_parts(self, before: float) -> None:
        """Those written before then, which work that was ended has left."""
        for part in self.directory.glob(f"*{PART}"):
            with contextlib.suppress(OSError):
                if part.stat().st_mtime < before:
                    part.unlink()

    def _write(self, name: str, parts: Iterable[bytes]) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.directory / f"{name}.{secrets.token_hex(4)}{PART}"
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                for part in parts:
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        return file


def _entry(row: tuple[str, float, float, int]) -> Entry:
    text, since, until, confidence = row
    ((bits, number, length),) = blocks_of(text)
    return bits, number, length, since, until, confidence


def forget(directory: Path, but: set[str]) -> None:
    """Removes what is kept of feeds that the policy names no more."""
    with contextlib.suppress(OSError):
        for one in directory.iterdir():
            if one.name not in but:
                shutil.rmtree(one, ignore_errors=True)
