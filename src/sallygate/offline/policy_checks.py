"""Checks of what a policy names, for `sallygate doctor`: certificate, listeners, upstreams, issuers, feeds, exports.

Reads and connects only; sends no request.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msgspec import Struct

from sallygate.policy.accounts import HASH_MIB
from sallygate.policy.issuers import is_url, read_key_file
from sallygate.policy.load import Loaded
from sallygate.policy.modes import not_enforced
from sallygate.policy.units import read_endpoint
from sallygate.security.state_directory import Installation
from sallygate.services.auth_endpoints import channel_of
from sallygate.services.feeds.cache import Kept
from sallygate.services.feeds.schedule import sections_of, state_of
from sallygate.services.issuer_keys import source_of
from sallygate.telemetry.control import ask_status
from sallygate.telemetry.exporter import can_export

Verdict = Literal["ok", "note", "wrong"]
CERTIFICATE_S_MIN = 14 * 86400.0
"""A certificate that ends sooner is reported, in seconds."""
CONNECT_S = 2.0
"""Longest wait for a connection, in seconds."""
LATE_FEEDS = 3
"""A feed older than so many of its periods is not being fetched."""
HASHING_SHARE_MAX = 0.5
"""Of the machine's memory, for hashing passwords."""


class Found(Struct, frozen=True):
    """One thing looked at. `cure` says what to do, and is empty where nothing is wrong."""

    what: str
    verdict: Verdict
    said: str
    cure: str = ""


def ok(what: str, said: str) -> Found:
    """Result of a check without a fault."""
    return Found(what, "ok", said)


def _modes(loaded: Loaded, directory: Path) -> Iterator[Found]:
    for mode, names in not_enforced(loaded.policy).items():
        how = "recorded, not refused" if mode == "shadow" else "not looked at"
        yield Found("policy", "note", f"{mode} ({how}): {', '.join(names)}", "write `mode: enforce` once it is tried")


def _certificate(loaded: Loaded, directory: Path) -> Iterator[Found]:
    listen = loaded.policy.listen
    named = listen.certificate if listen is not None else None
    if named is None:
        cert = directory / "certificates" / "server.pem"
        if listen is not None:
            yield Found(
                "certificate",
                "note",
                "a development certificate, for this machine only",
                "write a real certificate in `listen.certificate`",
            )
    else:
        cert, key = loaded.beside(named.cert), loaded.beside(named.key)
        loaded_cert = x509.load_pem_x509_certificate(cert.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if private.public_key().public_bytes(*form) != loaded_cert.public_key().public_bytes(*form):
            yield Found(
                "certificate",
                "wrong",
                f"{key} does not belong to {cert}",
                "write a matching pair in `listen.certificate`",
            )
        if key.stat().st_mode & 0o007:
            yield Found("certificate", "wrong", f"every user can read {key}", f"chmod 640 {key}")
    if cert.is_file():
        left = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc.timestamp() - time.time()
        if left < CERTIFICATE_S_MIN and named is not None:
            said = "has expired" if left < 0 else f"expires in {left / 86400:.0f} days"
            yield Found(
                "certificate",
                "wrong" if left < 0 else "note",
                f"{cert} {said}",
                "renew the certificate, and restart the gate",
            )
        else:
            yield ok("certificate", f"{cert}, {left / 86400:.0f} days left")


def _listeners(loaded: Loaded, directory: Path) -> Iterator[Found]:
    listen = loaded.policy.listen
    if listen is None:
        return
    running = ask_status(directory / "control.sock") if directory.is_dir() else None
    taken = {listener.address for listener in running.listeners} if running is not None else set()
    for address in (listen.https, listen.http, listen.management):
        if address is None or address in taken:
            continue
        host, port = read_endpoint(address)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                cure = "end the program that listens there, or write another port in `listen`"
                if port < 1024 and isinstance(error, PermissionError):
                    cure = "ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE, or systemd's socket"
                yield Found("listen", "wrong", f"{address}: {error.strerror}", cure)
            else:
                yield ok("listen", f"{address} is free")


def _upstreams(loaded: Loaded, _: Path) -> Iterator[Found]:
    for url in loaded.policy.upstream.urls if loaded.policy.upstream is not None else ():
        why = _unreachable(url)
        if why:
            yield Found("upstream", "wrong", f"{url}: {why}", "start the API, or correct `upstream`")
        else:
            yield ok("upstream", f"{url} accepts connections")


def _issuers(loaded: Loaded, directory: Path) -> Iterator[Found]:
    installation = Installation(directory, create=False) if directory.is_dir() else None
    for section in loaded.policy.identity.jwt if loaded.policy.identity is not None else ():
        name, source = section.called, source_of(section)
        if section.jwks is not None and not is_url(section.jwks):
            published = read_key_file(loaded.beside(section.jwks))
            yield ok("issuer", f"{name}: {len(published.keys)} keys in {section.jwks}")
            continue
        kept = installation.issuer_keys(section.issuer, source) if installation is not None else None
        age_s = time.time() - kept[0] if kept is not None else 0.0
        said = f"keys of {age_s / 3600:.1f} h ago" if kept is not None else "no keys yet"
        if why := _unreachable(section.jwks or section.issuer):
            cure = "check the issuer; until then its stored keys count for `keep`"
            yield Found("issuer", "note" if kept is not None else "wrong", f"{name}: {why}; {said}", cure)
        elif kept is not None and age_s > section.keep:
            cure = "start the gate, which renews them; the log of a running gate has the reason"
            yield Found("issuer", "note", f"{name}: {said}, which have expired", cure)
        else:
            yield ok("issuer", f"{name} accepts connections; {said}")


def _feeds(loaded: Loaded, directory: Path) -> Iterator[Found]:
    for section in sections_of(loaded):
        kept = Kept(directory / "feeds" / section.name, ())
        about = kept.about()
        if about is None or about.source != section.source:
            said, cure = (
                "not fetched yet; no indicators are active",
                "start the gate, which fetches it; the log of a running gate has the reason",
            )
            yield Found("feed", "note", f"{section.name}: {said}", cure)
            continue
        state = state_of(section, about, kept.confirmed_at(), time.time())
        age_s = time.time() - state.confirmed_at
        said = f"{section.name}: {state.indicators:,} indicators, {age_s / 3600:.1f} h old"
        if state.said:
            yield Found("feed", "note", f"{said}; {state.said}", "sallygate feeds list")
        elif section.kind != "file" and age_s > LATE_FEEDS * section.every:
            yield Found(
                "feed", "note", f"{said}, although due every {section.every / 3600:.1f} h", "sallygate feeds list"
            )
        elif section.kind != "file" and (why := _unreachable(section.locator)):
            yield Found(
                "feed", "note", f"{said}; {why}", "check the server; the stored indicators count until they expire"
            )
        else:
            yield ok("feed", said)


def _telemetry(loaded: Loaded, _: Path) -> Iterator[Found]:
    section = loaded.policy.telemetry
    if section is None:
        return
    if not can_export():
        said = "`telemetry` needs packages that are not installed"
        yield Found("telemetry", "wrong", said, "pip install 'sallygate[otel]'")
    elif why := _unreachable(section.otlp):
        cure = "start the collector; until then no data is exported"
        yield Found("telemetry", "note", f"{section.otlp}: {why}", cure)
    else:
        yield ok("telemetry", f"{section.otlp} accepts connections")


def _hashing(loaded: Loaded, _: Path) -> Iterator[Found]:
    section, identity = loaded.policy.accounts, loaded.policy.identity
    if identity is None or identity.basic is None:
        return
    takes = section.at_once * HASH_MIB[section.hashing]
    has = (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) >> 20
    said = f"hashing passwords takes up to {takes} MiB: {section.at_once} at once, {section.hashing}"
    if takes > has * HASHING_SHARE_MAX:
        yield Found(
            "hashing",
            "wrong",
            f"{said}; the machine has {has} MiB",
            "write a smaller `accounts.at_once`, or another profile",
        )
    else:
        yield ok("hashing", said)


def _delivery(loaded: Loaded, directory: Path) -> Iterator[Found]:
    section = loaded.policy.auth
    if section is None or section.delivery is None:
        return
    channel_of(loaded, directory)  # what is wrong with its secrets is said by what it raises
    smtp, webhook = section.delivery.smtp, section.delivery.webhook
    if smtp is None and webhook is None:
        cure = "every reader of the file has the codes; write `smtp` or `webhook` before real use"
        yield Found("delivery", "note", f"access codes go into a file, {section.delivery.outbox}", cure)
        return
    url = webhook.url if webhook is not None else f"smtp://{smtp.server}" if smtp is not None else ""
    if why := _unreachable(url):
        yield Found(
            "delivery", "wrong", f"access codes: {why}", "check the server; until then no code reaches its owner"
        )
    else:
        yield ok("delivery", f"{urlsplit(url).netloc} accepts connections")


def _unreachable(url: str) -> str:
    """Why no connection can be made to a URL's server; empty when one can."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


PARTS = (_modes, _certificate, _listeners, _upstreams, _issuers, _feeds, _telemetry, _hashing, _delivery)
"""Every check, in the order of the report; each gets the policy and the state directory."""
