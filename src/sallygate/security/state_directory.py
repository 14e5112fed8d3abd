"""State directory: an installation's secrets and files, with their permissions.

Secrets are made at first use from the system's random source, mode 0600, written whole or not at all. The pepper may
instead come from the file `SALLYGATE_PEPPER_FILE` names (a systemd credential, a mounted secret).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sallygate.ports import StoreError
from sallygate.security.private_files import read_private, replace_private, write_private
from sallygate.security.state_locks import TAKE_OVER_S, compiling, held, is_served, is_starting, served, starting

KeyName = Literal["signing", "assertion"]
PEPPER_BYTES = 32
PEPPERS_MAX = 4
"""The present one and those before it: each further one costs a look at an old key 2 µs."""
_IDENTITY = re.compile("[0-9a-f]{32}")
TAG_BYTES = 32
"""Of the HMAC-SHA-256, or SHA-256, before kept patterns."""


class Installation:
    """`directory` is made when `create` is true; otherwise it must be there."""

    def __init__(self, directory: Path, *, create: bool = True) -> None:
        self.directory = directory
        if create:
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                (directory / "secrets").mkdir(exist_ok=True, mode=0o700)
            except OSError as error:
                raise StoreError(
                    f"{directory}: the state directory cannot be made: {error.strerror}; "
                    "make its parent writable, or name another in the policy's `state`"
                ) from error
        elif not directory.is_dir():
            raise StoreError(f"{directory}: there is no state directory; `sallygate up` makes it")
        mode = directory.stat().st_mode
        self.shared = bool(mode & stat.S_IWOTH)
        """Whether every user of the machine may put files into it, as into the root of a tmpfs (mode 1777)."""
        if self.shared and not mode & stat.S_ISVTX:
            raise StoreError(
                f"{directory}: every user of this machine may write to it (mode {stat.S_IMODE(mode):o}), and could put "
                f"keys and secrets there; `chmod 700 {directory}`, or name a directory below it in the policy's `state`"
            )

    @property
    def database(self) -> Path:
        """Path of the SQLite database."""
        return self.directory / "sallygate.db"

    @property
    def events(self) -> Path:
        """Directory of the event files."""
        return self.directory / "events"

    @property
    def identity_file(self) -> Path:
        """The file of the installation's id, which its database carries, too."""
        return self.directory / "installation.id"

    def identity(self) -> str:
        """The installation's id; empty before there is one. Raises `StoreError` for a file without an id."""
        if not self.identity_file.exists():
            return ""
        known = read_private(self.identity_file).decode("ascii", "replace").strip()
        if not _IDENTITY.fullmatch(known):
            raise StoreError(
                f"{self.identity_file}: holds no installation's id; bring it back with `sallygate restore BACKUP`, or "
                "remove the file, and the database's own id is taken"
            )
        return known

    @property
    def _published(self) -> Path:
        """The public keys of assertions, written by every gate that starts."""
        return self.directory / "assertion.jwks.json"

    def keep_identity(self, identity: str) -> str:
        """Keeps the id where there is none yet; the id that is kept. Raises `StoreError`."""
        if not self.identity_file.exists():
            write_private(self.identity_file, identity.encode())
        return self.identity()

    def traces(self) -> list[Path]:
        """Files that only an installation with a database leaves."""
        named = [self.identity_file, self._published]
        return [file for file in (*named, *self.directory.glob("events/*.db")) if file.exists()]

    @property
    def feeds(self) -> Path:
        """What is kept of feeds of threat intelligence."""
        return self.directory / "feeds"

    def feed_keys(self) -> list[bytes]:
        """What is kept of feeds is tagged under the first, or one before it. Raises `StoreError`."""
        return [hmac.digest(pepper, b"sallygate feeds", "sha256") for pepper in self.peppers()]

    @property
    def control(self) -> Path:
        """The UNIX socket a running gate answers this machine's commands on."""
        return self.directory / "control.sock"

    @property
    def certificates(self) -> Path:
        """Directory of the development certificates."""
        return self.directory / "certificates"

    def held(self, *, alone: bool) -> AbstractContextManager[None]:
        """Lock of all who work on this directory, see `state_locks.held`. Raises `StoreError`."""
        return held(self.directory, alone=alone)

    def served(self, within_s: float = TAKE_OVER_S) -> AbstractContextManager[None]:
        """Lock of the one gate that serves from this directory, see `state_locks.served`. Raises `StoreError`."""
        return served(self.directory, within_s)

    def is_served(self) -> bool:
        """Whether a gate serves from this directory. Raises `StoreError`."""
        return is_served(self.directory)

    def starting(self) -> AbstractContextManager[None]:
        """Mark of a gate that starts, see `state_locks.starting`."""
        return starting(self.directory)

    def is_starting(self) -> bool:
        """Whether a gate is about to serve from this directory. Raises `StoreError`."""
        return is_starting(self.directory)

    def pepper(self, *, make: bool = True) -> bytes:
        """The secret all stored keys are hashed under. Losing it is losing every key.

        From the file that `SALLYGATE_PEPPER_FILE` names, the systemd credential `sallygate.pepper`, the variable
        `SALLYGATE_PEPPER` itself, or made here, unless `make` is false: then nothing is written.
        """
        return self.peppers(make=make)[0]

    def peppers(self, *, make: bool = True) -> tuple[bytes, ...]:
        """The pepper, and those before it that still count (`sallygate secrets rotate pepper`): a line each."""
        given = _given_pepper()
        if given is None:
            file = self.directory / "secrets" / "pepper"
            if not file.exists() and ((self.directory / "pepper.id").exists() or self._published.exists()):
                raise StoreError(
                    f"{file}: is gone, and no other gives the keys that were made under it back; bring it back from a "
                    "backup, or give it by SALLYGATE_PEPPER_FILE as the service has it"
                )
            made = self._secret("pepper", (lambda: secrets.token_hex(PEPPER_BYTES).encode()) if make else None)
            given = str(self.directory / "secrets" / "pepper"), made
        peppers = pepper_lines(given[1])
        for pepper in peppers or (b"",):
            _long_enough(given[0], pepper)
        if len(peppers) > PEPPERS_MAX:
            raise StoreError(
                f"{given[0]}: has more than {PEPPERS_MAX} peppers; retire some (`sallygate secrets retire`)"
            )
        self._know_pepper(given[0], peppers, make)
        return peppers

    def rotate_pepper(self) -> None:
        """Puts a new one before the others. Raises `StoreError`."""
        where = self._own_pepper()
        lines = [secrets.token_hex(PEPPER_BYTES).encode(), *self.peppers()]
        if len(lines) > PEPPERS_MAX:
            raise StoreError(f"{where}: has {PEPPERS_MAX} peppers already; retire the former ones first")
        replace_private(where, b"\n".join(lines) + b"\n")
        replace_private(self.directory / "pepper.id", pepper_mark(lines[0]))

    def retire_peppers(self) -> int:
        """Only the present one counts from now on; how many there were before it. Raises `StoreError`."""
        where, peppers = self._own_pepper(), self.peppers()
        replace_private(where, peppers[0] + b"\n")
        return len(peppers) - 1

    def _own_pepper(self) -> Path:
        if (given := _given_pepper()) is not None:
            raise StoreError(
                f"{given[0]}: the pepper is given from outside; change it there: a new one on a line of its own before "
                "the present one, whose line goes when it is retired"
            )
        return self.directory / "secrets" / "pepper"

    def _know_pepper(self, where: str, peppers: tuple[bytes, ...], make: bool) -> None:
        """One that is not the state's own (a command run without the service's environment) would make keys that no
        gate knows."""
        file, marks = self.directory / "pepper.id", [pepper_mark(pepper) for pepper in peppers]
        with contextlib.suppress(StoreError):  # a state that cannot be written is still read
            if make and not file.exists():
                write_private(file, marks[0])
        known = read_private(file).strip() if file.exists() else marks[0]
        if known in marks[1:] and make:
            with contextlib.suppress(StoreError):
                replace_private(file, marks[0])  # one that is given from outside was followed by another
        elif known not in marks:
            raise StoreError(f"{where}: is not the pepper that {self.directory} was made under; give that one, by "
                             "SALLYGATE_PEPPER_FILE or as the service has it")  # fmt: skip

    def id_key(self) -> bytes:
        """For the hashes of object ids in events."""
        # The oldest that counts, so that ids in events are the same while a rotation is under way.
        return hmac.digest(self.peppers()[-1], b"sallygate object ids", "sha256")

    def patterns(self, signature: str) -> bytes | None:
        """The compiled patterns kept under `signature`; None when there are none, or not as they were written: they are
        loaded as they are."""
        try:
            data = self._patterns_file(signature).read_bytes()
        except OSError:
            return None
        tag, patterns = data[:TAG_BYTES], data[TAG_BYTES:]
        return patterns if hmac.compare_digest(tag, self._patterns_tag(patterns)) else None

    def keep_patterns(self, signature: str, patterns: bytes) -> None:
        """Keeps them in place of any others. Raises `StoreError`."""
        for other in self.directory.glob("patterns-*.bin"):
            with contextlib.suppress(OSError):
                other.unlink()
        write_private(self._patterns_file(signature), self._patterns_tag(patterns) + patterns)

    def patterns_lock(self, waiting: Callable[[], None]) -> AbstractContextManager[bool]:
        """Lock of the one process that compiles patterns for this directory. Calls `waiting` while it waits."""
        return compiling(self.directory, waiting)

    def _patterns_file(self, signature: str) -> Path:
        return self.directory / f"patterns-{signature}.bin"

    def _patterns_tag(self, patterns: bytes) -> bytes:
        return hmac.digest(hmac.digest(self.pepper(), b"sallygate patterns", "sha256"), patterns, "sha256")

    def issuer_keys(self, issuer: str, source: str) -> tuple[float, bytes] | None:
        """When an issuer's keys were fetched from `source` the last time, and its answer; None when nothing is kept, or
        not as it was written: a forged key in here could sign tokens."""
        try:
            data = self._issuer_file(issuer).read_bytes()
        except OSError:
            return None
        tag, kept = data[:TAG_BYTES], data[TAG_BYTES:]
        if not hmac.compare_digest(tag, self._issuer_tag(kept)):
            return None
        at, said_source, said_issuer, answer = kept.split(b"\n", 3)
        if (said_source.decode(), said_issuer.decode()) != (source, issuer):
            return None
        return float(at), answer

    def keep_issuer_keys(self, issuer: str, source: str, at: float, answer: bytes) -> None:
        """Keeps an issuer's answer in place of the one before. Raises `StoreError`."""
        kept = b"\n".join((repr(at).encode(), source.encode(), issuer.encode(), answer))
        file = self._issuer_file(issuer)
        part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            file.parent.mkdir(exist_ok=True, mode=0o700)
            write_private(part, self._issuer_tag(kept) + kept)
            part.replace(file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"{file}: cannot be written: {error.strerror}; check its owner and space") from error

    def forget_issuers(self, but: set[str]) -> None:
        """Removes what is kept of issuers that are trusted no more."""
        wanted = {self._issuer_file(issuer).name for issuer in but}
        for file in (self.directory / "issuers").glob("*"):
            if file.name not in wanted:
                with contextlib.suppress(OSError):
                    file.unlink()

    def _issuer_file(self, issuer: str) -> Path:
        return self.directory / "issuers" / hashlib.sha256(issuer.encode()).hexdigest()[:32]

    def _issuer_tag(self, kept: bytes) -> bytes:
        return hmac.digest(hmac.digest(self.pepper(), b"sallygate issuer keys", "sha256"), kept, "sha256")

    def signing_keys(self, name: KeyName, *, make: bool = True) -> list[tuple[float, ec.EllipticCurvePrivateKey]]:
        """Those of `/auth`'s tokens (`signing`) or of assertions, with when each was made; the first is made here."""
        files = self._key_files(name)
        if not files and make:
            write_private(self.directory / "secrets" / f"{name}.pem", _new_p256())
            files = self._key_files(name)
        return [(_made_at(file), _ec_key(file)) for file in files]

    def add_signing_key(self, name: KeyName, now: float) -> None:
        """One to follow those there are. Raises `StoreError`."""
        write_private(self.directory / "secrets" / f"{name}-{int(now):012d}.pem", _new_p256())

    def drop_signing_keys(self, name: KeyName, before: float) -> int:
        """Removes those made before `before`; how many."""
        gone = [file for file in self._key_files(name) if _made_at(file) < before]
        for file in gone:
            file.unlink(missing_ok=True)
        return len(gone)

    def _key_files(self, name: KeyName) -> list[Path]:
        return sorted((self.directory / "secrets").glob(f"{name}*.pem"), key=_made_at)

    def publish(self, name: str, data: bytes) -> None:
        """A file that everybody may read, put in the place of another one. Nothing is written where it is the same."""
        with contextlib.suppress(OSError):
            if (self.directory / name).read_bytes() == data:
                return
        part = self.directory / f".{name}.{secrets.token_hex(4)}"
        try:
            part.write_bytes(data)
            part.chmod(0o644)
            part.replace(self.directory / name)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(
                f"{self.directory / name}: cannot be written: {error.strerror}; check its owner and space"
            ) from error

    def _secret(self, name: str, make: Callable[[], bytes] | None) -> bytes:
        file = self.directory / "secrets" / name
        if make is not None and not file.exists():
            write_private(file, make())
        return read_private(file)


def pepper_lines(data: bytes) -> tuple[bytes, ...]:
    """The peppers of a file: a line each, or all of it where it is no text."""
    if not data.isascii() or not data.decode("ascii").replace("\n", "").replace("\r", "").isprintable():
        return (data,)
    return tuple(line.strip() for line in data.splitlines() if line.strip())


def pepper_mark(pepper: bytes) -> bytes:
    """By which a state knows its pepper, and from which nobody gets it."""
    return hmac.digest(pepper, b"sallygate pepper id", "sha256").hex()[:16].encode()


def _given_pepper() -> tuple[str, bytes] | None:
    """(where it is from, the pepper), where the environment gives one."""
    if named := os.environ.get("SALLYGATE_PEPPER_FILE"):
        return named, read_private(Path(named)).strip()
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (file := Path(credentials) / "sallygate.pepper").is_file():
        return str(file), read_private(file).strip()
    if text := os.environ.get("SALLYGATE_PEPPER"):
        return "SALLYGATE_PEPPER", text.strip().encode()
    return None


def _long_enough(file: object, pepper: bytes) -> bytes:
    """A pepper that was cut short protects nothing, and knows none of the keys made under the whole one."""
    if len(pepper) < PEPPER_BYTES:
        raise StoreError(
            f"{file}: the pepper is shorter than {PEPPER_BYTES} bytes; bring back the one the keys were made under, "
            "or make one with 64 hexadecimal digits and new keys"
        )
    return pepper


def _ec_key(file: Path) -> ec.EllipticCurvePrivateKey:
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = serialization.load_pem_private_key(read_private(file), None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    raise StoreError(f"{file}: not an EC key; remove it to have one made")


def _made_at(file: Path) -> float:
    """From its name; the first has no time there."""
    number = file.stem.partition("-")[2]
    if number and not number.isdecimal():
        raise StoreError(f"{file}: not named as a signing key is; remove it from there")
    return float(number or 0)


def _new_p256() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
