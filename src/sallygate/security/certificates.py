"""Certificate authority for development, created locally, for this machine's names and addresses only.

The CA's key is thrown away once it has signed the server's certificate, so that nobody can use it to make others.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sallygate.security.private_files import write_private

LIFE_DAYS = 30
RENEW_DAYS = 7
"""The certificate is renewed at start if less time is left, in seconds."""


def development_certificate(directory: Path, host: str, now: float) -> tuple[Path, Path, Path]:
    """(certificate, key, CA) files for `host`, localhost and loopback; existing ones while they last."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    cert, key, ca = (directory / name for name in ("server.pem", "server.key", "ca.pem"))
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    if not all(file.exists() for file in (cert, key, ca)) or not _lasts(cert, host, moment):
        for file in (cert, key, ca):
            file.unlink(missing_ok=True)
        _make(cert, key, ca, host, moment)
    return cert, key, ca


def _lasts(cert: Path, host: str, moment: dt.datetime) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(cert.read_bytes())
    except ValueError:
        return False  # a new one is made
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return host in covered and loaded.not_valid_after_utc - moment > dt.timedelta(days=RENEW_DAYS)


def _make(cert: Path, key: Path, ca: Path, host: str, moment: dt.datetime) -> None:
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sallygate development CA")])
    start, end = moment - dt.timedelta(minutes=5), moment + dt.timedelta(days=LIFE_DAYS)
    ca_cert = (
        _builder(ca_name, ca_name, ca_key.public_key(), start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    addresses = dict.fromkeys(ipaddress.ip_address(text) for text in (host, "127.0.0.1", "::1"))
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(address) for address in addresses),
    ]
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    server_cert = (
        _builder(server_name, ca_name, server_key.public_key(), start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    write_private(cert, server_cert.public_bytes(pem))
    write_private(ca, ca_cert.public_bytes(pem))
    write_private(
        key,
        server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
