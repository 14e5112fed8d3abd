"""What an installation keeps: secrets, certificates, assertions, a clock."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from sallygate.model.principal import Principal
from sallygate.parsing.http.credentials import parse_api_key, parse_authorization
from sallygate.policy.load import load_policy
from sallygate.ports import StoreError
from sallygate.security.assertion import LIFE_S, REUSE_S, Assertions
from sallygate.security.certificates import LIFE_DAYS, development_certificate
from sallygate.security.kept_patterns import keep_patterns_ahead, patterns_ahead
from sallygate.security.key_ring import KeyRing
from sallygate.security.private_files import write_private
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from sallygate.services.clock import Clock
from support import write_policy

NOW = 1_790_000_000.0
ACME = Principal("key:k", "acme", "pro", frozenset({"b", "a"}), "api_key")


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    made = Installation(tmp_path / "state")
    pepper = made.pepper()
    assert len(pepper) >= 32 and Installation(tmp_path / "state").pepper() == pepper
    for path in (tmp_path / "state", tmp_path / "state/secrets", tmp_path / "state/secrets/pepper"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    made.signing_keys("assertion")
    assert stat.S_IMODE((tmp_path / "state/secrets/assertion.pem").stat().st_mode) == 0o600


def test_of_two_that_write_at_once_the_first_stays(tmp_path: Path) -> None:
    write_private(tmp_path / "x", b"first")
    write_private(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first" and len(list(tmp_path.iterdir())) == 1


def test_the_pepper_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pepper").write_text("p" * 64 + "\n")
    monkeypatch.setenv("SALLYGATE_PEPPER_FILE", str(tmp_path / "pepper"))
    assert Installation(tmp_path / "state").pepper() == b"p" * 64
    (tmp_path / "pepper").write_text("short")
    with pytest.raises(StoreError, match="shorter than 32"):
        Installation(tmp_path / "state").pepper()
    monkeypatch.setenv("SALLYGATE_PEPPER_FILE", str(tmp_path / "missing"))
    with pytest.raises(StoreError, match="cannot be read"):
        Installation(tmp_path / "state").pepper()


def test_keys_of_another_installation_have_other_check_digits() -> None:
    ours, theirs = KeyRing(b"a" * 32), KeyRing(b"b" * 32)
    text = ours.compose("A" * 12, os.urandom(32))
    parsed = parse_api_key(text)
    assert parsed is not None and ours.check_of(parsed.checked) == parsed.check != theirs.check_of(parsed.checked)
    assert ours.digest_of(text) != theirs.digest_of(text)


@pytest.mark.parametrize(
    "text", ["", "sg_", "sg_" + "a" * 64, "SG_" + "a" * 12 + "_" + "b" * 51, "sg_" + "é" * 12 + "_" + "b" * 51,
             "sg_" + "a" * 12 + "_" + "b" * 50 + "-", "sg_" + "a" * 12 + "_" + "b" * 52, "sg_" + "a" * 12 + "-" + "b" * 51],
)  # fmt: skip
def test_texts_that_are_no_keys(text: str) -> None:
    assert parse_api_key(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Bearer abc", ("bearer", "abc")), ("bearer  abc ", ("bearer", "abc")), ("Basic YTpi", ("basic", "b")),
     ("Basic a2V5Og==", ("basic", "key")), ("Basic !", None), ("Basic YQ==", None), ("Digest x", None), ("Bearer ", None),
     ("Basic /w==", None)],
)  # fmt: skip
def test_authorization(value: str, expected: tuple[str, str] | None) -> None:
    assert parse_authorization(value) == expected


def test_the_assertion_is_verified_with_the_published_key_and_no_other(tmp_path: Path) -> None:
    assertions = Assertions(SigningKeys(Installation(tmp_path).signing_keys("assertion")))
    token = dict(assertions.headers(ACME, NOW, signed=True))[b"x-sallygate-assertion"].decode()
    keys = KeySet.import_key_set(json.loads(assertions.jwks(0.0)))
    claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
    assert (claims["account"], claims["plan"], claims["scope"], claims["sub"]) == ("acme", "pro", "a b", "key:k")
    assert claims["exp"] == NOW + LIFE_S
    assert b'"d"' not in assertions.jwks(0.0), "the private part is not published"
    other = Assertions(SigningKeys(Installation(tmp_path / "other").signing_keys("assertion")))
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(other.sign(ACME, NOW).decode(), keys, algorithms=["ES256"])


def test_signing_keys_that_are_gone_are_replaced_and_sign_no_old_token(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    before = Assertions(SigningKeys(installation.signing_keys("assertion")))
    token = before.sign(ACME, NOW).decode()
    (tmp_path / "secrets" / "assertion.pem").unlink()
    after = Assertions(SigningKeys(Installation(tmp_path).signing_keys("assertion")))
    keys = KeySet.import_key_set(json.loads(after.jwks(0.0)))
    assert jwt.decode(after.sign(ACME, NOW).decode(), keys, algorithms=["ES256"]).claims["account"] == "acme"
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(token, keys, algorithms=["ES256"])


def test_an_assertion_serves_a_while_and_never_another_caller(tmp_path: Path) -> None:
    assertions = Assertions(SigningKeys(Installation(tmp_path).signing_keys("assertion")))
    first = assertions.headers(ACME, NOW, signed=True)
    assert assertions.headers(ACME, NOW + REUSE_S - 1, signed=True) == first
    assert assertions.headers(ACME, NOW + REUSE_S, signed=True) != first
    narrower = Principal("key:k", "acme", "pro", frozenset({"a"}), "api_key")
    told = dict(assertions.headers(narrower, NOW, signed=True))
    assert told[b"x-sallygate-scopes"] == b"a" and told != dict(first)


def test_certificates_are_kept_renewed_and_made_for_another_address(tmp_path: Path) -> None:
    cert, key, ca = development_certificate(tmp_path, "127.0.0.1", NOW)
    first = cert.read_bytes()
    assert development_certificate(tmp_path, "127.0.0.1", NOW + 86400)[0].read_bytes() == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert development_certificate(tmp_path, "127.0.0.1", NOW + (LIFE_DAYS - 3) * 86400)[0].read_bytes() != first
    renewed = cert.read_bytes()
    assert development_certificate(tmp_path, "10.1.2.3", NOW + (LIFE_DAYS - 3) * 86400)[0].read_bytes() != renewed
    assert not list(tmp_path.glob("*ca*key*")), "the authority's key is not kept"
    assert ca.read_bytes().startswith(b"-----BEGIN CERTIFICATE")


def test_the_clock_runs_on_and_tells_of_jumps() -> None:
    wall, steady = [1000.0], [50.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    steady[0] += 10
    wall[0] += 10.5
    assert clock.now() == 1010.0 and clock.check() is None
    assert clock.now() == 1010.5
    wall[0] -= 3600
    assert clock.now() == 1010.5, "nobody sees the jump before it is checked"
    assert clock.check() == -3600.0 and clock.jumps == 1
    assert clock.now() == wall[0]


def test_patterns_are_kept_under_a_key_and_only_those_come_back(
    tmp_path: Path,
) -> None:
    installation = Installation(tmp_path)
    assert installation.patterns("v1") is None
    installation.keep_patterns("v1", b"compiled")
    assert installation.patterns("v1") == b"compiled" and installation.patterns("v2") is None
    installation.keep_patterns("v2", b"newer")
    assert installation.patterns("v1") is None, "those of another version are gone"
    (file,) = tmp_path.glob("patterns-*.bin")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    whole = file.read_bytes()
    for changed in (whole[:-1] + b"x", whole[:-1], b"x" + whole[1:], b""):
        file.write_bytes(changed)
        assert installation.patterns("v2") is None
    file.write_bytes(whole)
    assert installation.patterns("v2") == b"newer"
    (tmp_path / "secrets" / "pepper").write_bytes(b"0" * 64)
    (tmp_path / "pepper.id").unlink()
    assert Installation(tmp_path).patterns("v2") is None, "another installation's are not loaded"


def test_patterns_made_ahead_are_loaded_only_from_a_file_nobody_else_can_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "patterns.bin"
    monkeypatch.setenv("SALLYGATE_PATTERNS_FILE", str(file))
    assert patterns_ahead("v1") is None
    keep_patterns_ahead(file, "v1", b"compiled")
    assert patterns_ahead("v1") == b"compiled" and patterns_ahead("v2") is None
    for mode in (0o622, 0o666, 0o602):
        file.chmod(mode)
        assert patterns_ahead("v1") is None, oct(mode)
    file.chmod(0o644)
    assert patterns_ahead("v1") == b"compiled"
    file.write_bytes(file.read_bytes() + b"x")
    assert patterns_ahead("v1") is None


def test_another_pepper_than_the_states_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALLYGATE_PEPPER", "ab" * 32)
    assert Installation(tmp_path / "state").pepper() == b"ab" * 32
    monkeypatch.delenv("SALLYGATE_PEPPER")
    with pytest.raises(StoreError, match="is gone"):
        Installation(tmp_path / "state").pepper()
    monkeypatch.setenv("SALLYGATE_PEPPER", "cd" * 32)
    with pytest.raises(StoreError, match="is not the pepper"):
        Installation(tmp_path / "state").pepper()
    monkeypatch.delenv("SALLYGATE_PEPPER")
    assert not (tmp_path / "state" / "secrets" / "pepper").exists(), "none is made in the place of the one that is gone"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "sallygate.pepper").write_text("ab" * 32 + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert Installation(tmp_path / "state").pepper() == b"ab" * 32
    (credentials / "sallygate.pepper").write_text("ab")
    with pytest.raises(StoreError, match="shorter than"):
        Installation(tmp_path / "state").pepper()


def test_a_private_key_may_be_a_credential_of_systemds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    loaded = load_policy(write_policy(tmp_path), "replay")
    assert loaded.beside("credential:server.key") == tmp_path / "given" / "server.key"
    assert loaded.beside("server.pem") == tmp_path / "server.pem"
