"""Passwords: what is made, what is taken, what is refused before it costs anything."""

from __future__ import annotations

import hashlib

import argon2
import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sallygate.security import passwords
from sallygate.security.passwords import UnusableHash, UnusablePassword, WrongPassword

PASSWORD = "Pässwörd 1"
IMPORTED = {
    "django pbkdf2_sha256": "pbkdf2_sha256$1000$7YkStkfoXHLxr7nCUDxFMU$PoBa3znJe59cJz6q446KTcCVQmGfdleaj8PxXWMdcx0=",
    "django pbkdf2_sha1": "pbkdf2_sha1$1000$ROwh1ti6MzCmvP1Z3YNRxL$U9BCPT24b+Ab2rJYEtV+njo4Kno=",
    "django bcrypt_sha256": "bcrypt_sha256$$2b$04$7QjOGHXD8fTmPm8sveYsVeybML7cosarTWINa3kv3p47Z5vCvWSqK",
    "django bcrypt": "bcrypt$$2b$04$zMLNSGvoCQY32UClLivhdOy8/h7AtruFpeeh9aejhyNBTUHkBcMpi",
    "django scrypt": "scrypt$256$AywErDniSMviwM6yS3xke8$8$5$vrv8DYsijZkRfV9ghtFE+SH8SErd7ozJTMwJtz4GLEErRTefL0dx9y0FPqtEpMdMA140EMRr2bRWc/JUThJMDw==",
    "passlib pbkdf2_sha256": "$pbkdf2-sha256$1000$hFBKSYnxfs9Zq9VaS4kxBg$E47z52mBPx8l2m.yB4rpWXEErwkrPG3XA67dNru8DO8",
    "passlib pbkdf2_sha512": "$pbkdf2-sha512$1000$kzLGeK/1/t.bk9L6vzdm7A$fBJeLuDjvpHesJHnipBr0Pb0tOo6hVn4CqRfgUvlSxQxw7SXLvvPncwNX9QofgnydkiKiwDYdn7hKY5MopzOUQ",
    "passlib pbkdf2_sha1": "$pbkdf2$1000$T2ktJeQcIyTE.B8DgNA6Zw$9vaK2sgctivmPPWYu3oy/HqxDGA",
    "passlib scrypt": "$scrypt$ln=8,r=8,p=1$TImRUipFKKWU0lprrfUeww$uqofw4QrJR4/lS/+HVyHnCmEtoC21QvOjPnV8f7V2yg",
    "passlib bcrypt": "$2b$04$NpdPdXUiV21w2C41ALK3huUNnaCWOQVabtOGf01R1ul4S.x5v/5im",
    "passlib bcrypt 2a": "$2a$04$P4IfbhP1SxPG8B0FAC.3vuYdHZSOJoqBzNjCmTo72Fb6LRn/WX7Ii",
    "passlib bcrypt_sha256": "$bcrypt-sha256$v=2,t=2b,r=4$k01lVrmJxp60ycl/qUYF3O$3AZoU48Qk9RvbvlNDn2ikJsPct2Bc7q",
    "werkzeug scrypt": "scrypt:256:8:1$EeV3WHVb5xyOl42b$00b79ee629c143ddd1e5c866f268b6cdd21dd76b161502a416ac462c62979479d9691e3650b3b72fe5991fd40906590375e27fc4545408a381d96c3259e82a3f",
    "werkzeug pbkdf2": "pbkdf2:sha256:1000$MXBSnwNQyzXLOiVP$cc458cb77c0b34bdd95a634ff9d126f3824a3d8ad3109a3cee7e60f22bc45cfc",
}
"""Of one password, made by passlib 1.7.4, Django 5 and Werkzeug 3 with cheap parameters."""


def test_a_hash_is_argon2id_of_its_profile_with_a_salt_of_its_own() -> None:
    one, other = passwords.hash(PASSWORD), passwords.hash(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$") and one != other
    assert PASSWORD not in one
    assert passwords.verify(PASSWORD, one) is True
    with pytest.raises(WrongPassword):
        passwords.verify(PASSWORD + " ", one)


def test_the_profiles_are_those_of_rfc_9106() -> None:
    low, high = passwords.PROFILES["rfc9106-low-memory"], passwords.PROFILES["rfc9106-high-memory"]
    assert (low.passes, low.memory_kib, low.lanes) == (3, 64 * 1024, 4)
    assert (high.passes, high.memory_kib, high.lanes) == (1, 2 * 1024 * 1024, 4)


@pytest.mark.parametrize("maker", IMPORTED)
def test_hashes_of_others_are_verified_and_made_anew(maker: str) -> None:
    stored = IMPORTED[maker]
    assert passwords.verify(PASSWORD, stored)
    for wrong in ("Pässwörd 2", "", PASSWORD + "\0", PASSWORD.lower(), "x" * 5000):
        with pytest.raises(WrongPassword):
            passwords.verify(wrong, stored)
    assert passwords.needs_rehash(stored, "for-tests")
    assert passwords.kind_of(stored) in ("bcrypt", "scrypt", "pbkdf2")


def test_all_hashes_of_others_were_tried() -> None:
    assert len(IMPORTED) == 14


@pytest.mark.parametrize("kind", [argon2.Type.ID, argon2.Type.I, argon2.Type.D])
def test_argon2_of_others(kind: argon2.Type) -> None:
    stored = argon2.PasswordHasher(2, 64, 1, type=kind).hash("secret one")
    assert passwords.verify("secret one", stored)
    assert passwords.verify("secret one", "argon2" + stored)  # as Django writes it
    assert passwords.needs_rehash(stored, "for-tests")


def test_a_hash_of_another_profile_needs_another() -> None:
    stored = passwords.hash(PASSWORD, "for-tests")
    assert not passwords.needs_rehash(stored, "for-tests")
    assert passwords.needs_rehash(stored)
    assert passwords.needs_rehash("rubbish") and passwords.needs_rehash("$argon2id$rubbish")


def test_one_password_typed_in_two_ways_is_one() -> None:
    stored = passwords.hash("caf\u00e9 au lait", "for-tests")
    assert passwords.verify("cafe\u0301 au lait", stored)
    for other in ("cafe au lait", "CAF\u00c9 au lait", "caf\u00e9 au lait ", "\uff43af\u00e9 au lait"):
        with pytest.raises(WrongPassword):
            passwords.verify(other, stored)


@pytest.mark.parametrize("password", ["", "a" * 1025, "\u00e9" * 513, "a\0b", "a\nb", "\x7f", "\ud800"])
def test_what_cannot_be_a_password(password: str) -> None:
    with pytest.raises(UnusablePassword) as told:
        passwords.hash(password, "for-tests")
    assert not password or password not in str(told.value)
    with pytest.raises(WrongPassword):
        passwords.verify(password, passwords.hash("other one", "for-tests"))


def test_the_longest_password_counts_to_its_last_byte() -> None:
    stored = passwords.hash("a" * 1024, "for-tests")
    assert passwords.verify("a" * 1024, stored)
    with pytest.raises(WrongPassword):
        passwords.verify("a" * 1023 + "b", stored)


def test_bcrypt_reads_72_bytes_so_longer_ones_are_refused() -> None:
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()
    assert passwords.verify("a" * 72, stored)
    for wrong in ("a" * 73, "a" * 80, "a" * 72 + "\0"):
        with pytest.raises(WrongPassword):
            passwords.verify(wrong, stored)


def test_bcrypt_ends_no_password_at_a_nul() -> None:
    stored = bcrypt.hashpw(b"abc", bcrypt.gensalt(4)).decode()
    with pytest.raises(WrongPassword):
        passwords.verify("abc\0def", stored)


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=65536,t=100000,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=2097152,t=32,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=65536,t=1,p=255$c2FsdHNhbHQ$" + "A" * 43,
        "$2b$31$" + "A" * 53,
        "$2b$16$" + "A" * 53,
        "$2x$04$" + "A" * 53,
        "$scrypt$ln=24,r=8,p=1$c2FsdA$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=9999$c2FsdA$" + "A" * 43,
        "$scrypt$ln=63,r=8,p=1$c2FsdA$" + "A" * 43,
        "scrypt$15$salt$8$1$" + "A" * 43 + "=",
        "scrypt:4194304:8:1$salt$" + "aa" * 32,
        "$pbkdf2-sha256$99999999$c2FsdA$" + "A" * 43,
        "$pbkdf2-sha256$1000$c2FsdA$AAAA",
        "$pbkdf2-sha256$0$c2FsdA$" + "A" * 43,
        "pbkdf2_sha256$1000$salt$" + "A" * 900,
        "pbkdf2:md5:1000$salt$" + "aa" * 16,
        "$1$abc$def", "5f4dcc3b5aa765d61d8327deb882cf99", "password", "", "$", "$2b$04$short", "a" * 5000, "$argon2id$",
    ],
)  # fmt: skip
def test_what_is_no_hash_or_too_dear_a_one_costs_nothing(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (
        (hashlib, "scrypt"),
        (hashlib, "pbkdf2_hmac"),
        (bcrypt, "hashpw"),
        (argon2.PasswordHasher, "verify"),
    ):
        monkeypatch.setattr(place, name, lambda *_, name=name, **__: pytest.fail(f"{name} is called"))
    with pytest.raises(UnusableHash):
        passwords.verify("password", stored)


@given(st.text(max_size=200))
def test_any_text_is_told_to_be_no_hash(stored: str) -> None:
    try:
        passwords.verify("password", stored)
    except (UnusableHash, WrongPassword):
        return
    raise AssertionError(stored)
