"""Password hashing: hash, verify, and say when a hash is no longer of the wanted profile.

    from sallygate import passwords

    stored = passwords.hash("correct horse battery staple")
    passwords.verify("correct horse battery staple", stored)      # or raises WrongPassword
    if passwords.needs_rehash(stored):
        stored = passwords.hash("correct horse battery staple")

New hashes are Argon2id (RFC 9106) in PHC string format. Hashes that other systems made are verified: Argon2 in its
three kinds, bcrypt, scrypt and PBKDF2, as passlib, Django, Werkzeug and PHC strings spell them.

Text is normalised to NFC, as OpaqueString of RFC 8265 asks, so that one password typed on two systems is one; nothing
else of it is changed, neither case nor spaces. Control characters are in no new password, since a C string ends at
one of them.

A hash names the cost of its verification. A hash above the bounds below is refused before anything is computed: an
imported hash must not be able to stop the machine.

Knows nothing of accounts, limits or stores. Every call computes for a tenth of a second or more and gives the
interpreter free meanwhile: run it off an event loop, with a bound on how many run at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

import argon2
import bcrypt
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from msgspec import Struct

BYTES_MAX = 1024
"""Of a password in UTF-8. The longest passphrases are a tenth of it; hashing more is work that the sender chooses."""
ARGON2_KIB_MAX, ARGON2_PASSES_MAX, ARGON2_LANES_MAX = 1 << 21, 32, 16
"""RFC 9106's first choice takes 2 GiB once."""
ARGON2_WORK_MAX = 1 << 22
"""KiB times passes: twice RFC 9106's first choice, about 10 s."""
BCRYPT_COST_MAX = 15
"""About 2 s; each one more doubles it. 10 to 12 are usual."""
BCRYPT_BYTES_MAX = 72
"""bcrypt reads no further: whatever came after would not count."""
SCRYPT_BYTES_MAX = 256 << 20
SCRYPT_WORK_MAX = 1 << 25
"""N times r times p; about 10 s. OWASP's most expensive are 2^20."""
PBKDF2_ROUNDS_MAX = 5_000_000
"""About 1 s. Django 5 asks for a million."""
STORED_CHARS_MAX = 1024

Profile = Literal["rfc9106-low-memory", "rfc9106-high-memory", "for-tests"]
LOW_MEMORY: Profile = "rfc9106-low-memory"


class Parameters(Struct, frozen=True):
    """What one Argon2id hash takes."""

    passes: int
    memory_kib: int
    lanes: int


PROFILES: dict[Profile, Parameters] = {
    "rfc9106-low-memory": Parameters(3, 1 << 16, 4),
    "rfc9106-high-memory": Parameters(1, 1 << 21, 4),
    "for-tests": Parameters(1, 8, 1),
}
"""RFC 9106, section 4: the second recommended option (64 MiB), the first (2 GiB), and one that protects nothing."""


class WrongPassword(Exception):
    """The password is not the one that was hashed."""


class UnusableHash(ValueError):
    """What is stored is no hash that can be verified: of an unknown kind, damaged, or more expensive than the
    bounds."""


class UnusablePassword(ValueError):
    """Cannot be a password: empty, too long, with control characters, or no text. The message does not contain it."""


def hash(password: str, profile: Profile = LOW_MEMORY) -> str:
    """A new hash with a salt of its own. Raises `UnusablePassword`, and `MemoryError` where the memory cannot be
    had."""
    secret = _secret(password)
    if any(unicodedata.category(char) == "Cc" for char in password):
        raise UnusablePassword("a password has no control characters (RFC 8264, section 9.11)")
    try:
        return _hasher(PROFILES[profile]).hash(secret, salt=os.urandom(16))
    except HashingError as error:
        raise MemoryError(f"the hash cannot be computed: {error}") from None


def verify(password: str, stored: str) -> Literal[True]:
    """True, or `WrongPassword`: an answer that cannot be forgotten. Raises `UnusableHash` for what is no hash, and
    `MemoryError` where the memory cannot be had. A password that cannot be one is a wrong one."""
    check = _check_of(stored)
    try:
        secret = _secret(password)
    except UnusablePassword:
        raise WrongPassword from None
    if not check(secret):
        raise WrongPassword
    return True


def needs_rehash(stored: str, profile: Profile = LOW_MEMORY) -> bool:
    """Whether `stored` is not what `hash` with this profile makes: imported, of another profile, or damaged."""
    try:
        return stored.split("$")[1] != "argon2id" or _hasher(PROFILES[profile]).check_needs_rehash(stored)
    except (InvalidHashError, IndexError):
        return True


def check_hash(stored: str) -> None:
    """Raises `UnusableHash` for what `verify` would not take. Computes nothing."""
    _check_of(stored)


def memory_bytes(stored: str) -> int:
    """What verifying `stored` takes. Raises `UnusableHash`."""
    _check_of(stored)
    if (stored := _plain_argon2(stored)).startswith("$argon2"):
        return argon2.extract_parameters(stored).memory_cost << 10
    if (scrypt := _scrypt_parameters(stored)) is not None:
        return 128 * scrypt.n * scrypt.r
    return 1 << 16


def kind_of(stored: str) -> str:
    """`argon2id`, `bcrypt`, `scrypt`, `pbkdf2`, or `unknown`, for people."""
    found = re.match(r"\$?(?:argon2\$)?(argon2(?:id|i|d)|bcrypt|2[aby]|scrypt|pbkdf2)", stored)
    if found is None:
        return "unknown"
    return "bcrypt" if found[1].startswith("2") else found[1]


def _secret(password: str) -> bytes:
    if len(password) > BYTES_MAX:  # before anything is done with it
        raise UnusablePassword(f"a password has at most {BYTES_MAX} bytes")
    if "\0" in password:  # HMAC, and PBKDF2 and scrypt with it, take `pw` and `pw\0` for one; bcrypt in C ends there
        raise UnusablePassword("a password has no NUL")
    try:
        secret = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        raise UnusablePassword("a password is text that can be written as UTF-8") from None
    if not 0 < len(secret) <= BYTES_MAX:
        raise UnusablePassword(f"a password has 1 to {BYTES_MAX} bytes")
    return secret


def _hasher(parameters: Parameters) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(parameters.passes, parameters.memory_kib, parameters.lanes, hash_len=32, salt_len=16)


# kinds of hashes -----------------------------------------------------------------------------------------------------

_Check = Callable[[bytes], bool]


def _check_of(stored: str) -> _Check:
    """How a password is compared with `stored`. Raises `UnusableHash`."""
    if len(stored) > STORED_CHARS_MAX or not stored.isascii() or not stored.isprintable():
        raise UnusableHash("not a password hash")
    for kind in (_argon2, _bcrypt, _scrypt, _pbkdf2):
        try:
            check = kind(stored)
        except (ValueError, binascii.Error, OverflowError) as error:
            raise error if isinstance(error, UnusableHash) else UnusableHash("the hash is damaged") from None
        if check is not None:
            return check
    raise UnusableHash("a hash of a kind that is not known: Argon2, bcrypt, scrypt and PBKDF2 are")


def _within(is_within: bool, what: str) -> None:
    if not is_within:
        raise UnusableHash(f"{what} that would take too long, or too much memory, to verify")


def _plain_argon2(stored: str) -> str:
    """Django writes `argon2$argon2id$…`."""
    return stored.removeprefix("argon2") if stored.startswith("argon2$argon2") else stored


def _argon2(stored: str) -> _Check | None:
    stored = _plain_argon2(stored)
    if not stored.startswith("$argon2"):
        return None
    try:
        found = argon2.extract_parameters(stored)
    except InvalidHashError:
        raise UnusableHash("the Argon2 hash is damaged") from None
    _within(
        0 < found.memory_cost <= ARGON2_KIB_MAX
        and 0 < found.time_cost <= ARGON2_PASSES_MAX
        and 0 < found.parallelism <= ARGON2_LANES_MAX
        and found.memory_cost * found.time_cost <= ARGON2_WORK_MAX,
        "an Argon2 hash",
    )

    def check(secret: bytes) -> bool:
        try:
            return argon2.PasswordHasher().verify(stored, secret)
        except VerifyMismatchError:
            return False
        except InvalidHashError:
            raise UnusableHash("the Argon2 hash is damaged") from None
        except VerificationError as error:
            if "emory" in str(error):
                raise MemoryError(f"the hash cannot be computed: {error}") from None
            raise UnusableHash("the Argon2 hash is damaged") from None

    return check


_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_BCRYPT_SHA256 = re.compile(r"\$bcrypt-sha256\$v=2,t=2b,r=(\d{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})")


def _bcrypt(stored: str) -> _Check | None:
    """`$2b$12$…`; Django's `bcrypt$$2b$…`, and `bcrypt_sha256$$2b$…`, which hashes a hexadecimal SHA-256; passlib's
    `$bcrypt-sha256$v=2,…`, which hashes a keyed one."""
    if (keyed := _BCRYPT_SHA256.fullmatch(stored)) is not None:
        cost, salt, digest = keyed.groups()
        plain = f"$2b${int(cost):02d}${salt}{digest}"
        return _bcrypt_of(plain, lambda secret: base64.b64encode(hmac.digest(salt.encode(), secret, "sha256")))
    for start, prepare in (
        ("bcrypt_sha256$", lambda secret: hashlib.sha256(secret).hexdigest().encode()),
        ("bcrypt$", None),
    ):
        if stored.startswith(start):
            return _bcrypt_of(stored.removeprefix(start), prepare)
    return _bcrypt_of(stored, None) if stored.startswith("$2") else None


def _bcrypt_of(plain: str, prepare: Callable[[bytes], bytes] | None) -> _Check:
    match = _BCRYPT.fullmatch(plain)
    if match is None:
        raise UnusableHash("the bcrypt hash is damaged, or of the broken kind $2x$")
    _within(4 <= int(match[1]) <= BCRYPT_COST_MAX, "a bcrypt hash")
    # The same for all three letters; $2y$ is PHP's name for $2b$.
    salt = f"$2b${plain[4:29]}".encode()

    def check(secret: bytes) -> bool:
        read = secret if prepare is None else prepare(secret)
        # bcrypt reads no further, and would take any other end for it. The owner sets a new password.
        too_long = len(read) > BCRYPT_BYTES_MAX
        made = bcrypt.hashpw(read[:BCRYPT_BYTES_MAX], salt)
        return hmac.compare_digest(made[29:], plain[29:].encode()) and not too_long

    return check


class _Scrypt(Struct, frozen=True):
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


def _scrypt_parameters(stored: str) -> _Scrypt | None:
    """`$scrypt$ln=16,r=8,p=1$salt$hash` (PHC, passlib); `scrypt$N$salt$r$p$hash` (Django);
    `scrypt:N:r:p$salt$hex` (Werkzeug)."""
    if (phc := re.fullmatch(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,4}),p=(\d{1,4})\$([^$]+)\$([^$]+)", stored)) is not None:
        log_n, r, p = (int(part) for part in phc.groups()[:3])
        _within(0 < log_n <= 24, "a scrypt hash")
        return _Scrypt(1 << log_n, r, p, _unpadded(phc[4]), _unpadded(phc[5]))
    if (django := re.fullmatch(r"scrypt\$(\d{1,9})\$([^$]+)\$(\d{1,4})\$(\d{1,4})\$([^$]+)", stored)) is not None:
        digest = base64.b64decode(django[5], validate=True)
        return _Scrypt(int(django[1]), int(django[3]), int(django[4]), django[2].encode(), digest)
    if (werkzeug := re.fullmatch(r"scrypt:(\d{1,9}):(\d{1,4}):(\d{1,4})\$([^$]+)\$([0-9a-f]+)", stored)) is not None:
        n, r, p = (int(part) for part in werkzeug.groups()[:3])
        return _Scrypt(n, r, p, werkzeug[4].encode(), bytes.fromhex(werkzeug[5]))
    return None


def _scrypt(stored: str) -> _Check | None:
    found = _scrypt_parameters(stored)
    if found is None:
        return None
    n, r, p = found.n, found.r, found.p
    _within(
        n > 1
        and n & (n - 1) == 0
        and r > 0
        and p > 0
        and 128 * n * r <= SCRYPT_BYTES_MAX
        and n * r * p <= SCRYPT_WORK_MAX,
        "a scrypt hash",
    )
    _long_enough(found.digest)

    def check(secret: bytes) -> bool:
        most = 128 * r * (n + p + 2) + (1 << 20)
        made = hashlib.scrypt(secret, salt=found.salt, n=n, r=r, p=p, maxmem=most, dklen=len(found.digest))
        return hmac.compare_digest(made, found.digest)

    return check


_PBKDF2 = re.compile(r"\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d{1,9})(?:,l=\d+)?\$([^$]+)\$([^$]+)")
_PBKDF2_DJANGO = re.compile(r"pbkdf2_(sha1|sha256|sha512)\$(\d{1,9})\$([^$]+)\$([^$]+)")
_PBKDF2_WERKZEUG = re.compile(r"pbkdf2:(sha1|sha256|sha512):(\d{1,9})\$([^$]+)\$([0-9a-f]+)")


def _pbkdf2(stored: str) -> _Check | None:
    """`$pbkdf2-sha256$29000$salt$hash` (passlib; PHC with `i=`), `pbkdf2_sha256$…` (Django), `pbkdf2:sha256:…`
    (Werkzeug)."""
    if (match := _PBKDF2.fullmatch(stored)) is not None:
        salt, digest = _unpadded(match[3]), _unpadded(match[4])
    elif (match := _PBKDF2_DJANGO.fullmatch(stored)) is not None:
        salt, digest = match[3].encode(), base64.b64decode(match[4], validate=True)
    elif (match := _PBKDF2_WERKZEUG.fullmatch(stored)) is not None:
        salt, digest = match[3].encode(), bytes.fromhex(match[4])
    else:
        return None
    name, rounds = match[1] or "sha1", int(match[2])
    _within(0 < rounds <= PBKDF2_ROUNDS_MAX, "a PBKDF2 hash")
    _long_enough(digest)

    def check(secret: bytes) -> bool:
        return hmac.compare_digest(hashlib.pbkdf2_hmac(name, secret, salt, rounds, len(digest)), digest)

    return check


def _long_enough(digest: bytes) -> None:
    """A hash cut to a few bytes is one that many passwords have; one of kilobytes is work for the verifier."""
    if not 16 <= len(digest) <= 64:
        raise UnusableHash("the hash is damaged: its value is cut short, or too long")


def _unpadded(text: str) -> bytes:
    """PHC's base64 without padding; passlib writes `.` for `+`."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)
