"""Checks of `sallygate doctor`: every part that a gate depends on, and a correction for each fault.

Reads only. Every check is by itself: one that fails, or cannot be made, does not hide the others.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msgspec import Struct

from sallygate.controls.injection import patterns_signature
from sallygate.policy.accounts import HASH_MIB
from sallygate.policy.errors import PolicyError
from sallygate.policy.issuers import is_url, read_key_file
from sallygate.policy.load import Loaded, load_policy
from sallygate.policy.reading import state_directory_of
from sallygate.policy.units import read_endpoint
from sallygate.ports import DatabaseFiles, StoreError
from sallygate.security.state_directory import Installation
from sallygate.security.state_locks import RESTORING
from sallygate.services.auth_endpoints import channel_of
from sallygate.services.feeds.cache import Kept
from sallygate.services.feeds.schedule import sections_of, state_of
from sallygate.services.issuer_keys import source_of
from sallygate.stores.events import read_events
from sallygate.telemetry.control import ask_status
from sallygate.telemetry.exporter import can_export
from sallygate.version import __version__

Verdict = Literal["ok", "note", "wrong"]
FREE_BYTES_MIN = 1 << 30
"""Some 2 million events, or what one backup may take."""
DESCRIPTORS_MIN = 4096
"""Two a request: the client's and the API's."""
CERTIFICATE_S_MIN = 14 * 86400.0
FUTURE_S_MAX = 5.0
"""Events younger than now by more were written under another clock."""
CONNECT_S = 2.0
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


def examine(policy: Path, state_dir: Path | None, databases: DatabaseFiles) -> Iterator[Found]:
    """Everything that can be looked at, in the order a person would."""
    yield from _program()
    loaded: Loaded | None = None
    try:
        loaded = load_policy(policy, "replay")
        yield ok("policy", f"{policy} applies: {loaded.hash}, {len(loaded.operations)} operations")
    except PolicyError as error:
        for problem in error.problems:
            yield Found("policy", "wrong", str(problem), f"sallygate check {policy}")
    try:
        directory = state_dir or state_directory_of(policy)
    except PolicyError:
        yield Found(
            "state", "wrong", "the policy names the state directory and is not valid", "correct the policy first"
        )
        return
    if not directory.is_dir():
        yield Found("state", "note", f"{directory} is not there yet", "`sallygate up` makes it")
    else:
        installation = Installation(directory, create=False)
        for look in (_directory, _secrets):
            yield from _guarded(look.__name__, look(installation))
        for files in (_database, _events):
            yield from _guarded(files.__name__, files(installation, databases))
        for look in (_clock, _patterns, _running):
            yield from _guarded(look.__name__, look(installation))
    if loaded is not None:
        for part in (_certificate, _listeners, _upstreams, _issuers, _feeds, _telemetry, _hashing, _delivery):
            yield from _guarded(part.__name__, part(loaded, directory))


def _guarded(name: str, look: Iterator[Found]) -> Iterator[Found]:
    try:
        yield from look
    except (OSError, StoreError, ValueError) as error:
        yield Found(name.removeprefix("_"), "wrong", f"cannot be looked at: {error}", "check its owner and mode")


def _program() -> Iterator[Found]:
    yield ok(
        "program", f"sallygate {__version__}, Python {platform.python_version()}, {platform.machine()}, {sys.prefix}"
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < DESCRIPTORS_MIN:
        yield Found("descriptors", "note", f"a process may open {soft} files: about {soft // 2} requests at once",
                    f"raise it: `ulimit -n {DESCRIPTORS_MIN * 16}`, or LimitNOFILE= in the unit")  # fmt: skip
    if os.geteuid() == 0:
        yield Found(
            "user",
            "note",
            "this is root, which a gate does not need to be",
            "run it as a user of its own, as deploy/sallygate.service does",
        )


def _directory(installation: Installation) -> Iterator[Found]:
    directory = installation.directory
    status = directory.stat()
    who = os.geteuid()
    if who not in (0, status.st_uid):
        yield Found("state", "wrong", f"{directory} belongs to user {status.st_uid}, not to you ({who})",
                    "run this as the gate's user, or give it the directory: `chown -R`")  # fmt: skip
        return
    if stat.S_IMODE(status.st_mode) & 0o077:
        yield Found(
            "state",
            "wrong",
            f"{directory} can be read by others (mode {stat.S_IMODE(status.st_mode):o})",
            f"chmod 700 {directory}",
        )
    if not os.access(directory, os.W_OK):
        yield Found(
            "state", "wrong", f"{directory} cannot be written", "mount it writable, or give it to the gate's user"
        )
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_MIN:
        yield Found(
            "disk",
            "wrong",
            f"{free >> 20} MiB are free below {directory}",
            "free some space, or shorten `events.retention`",
        )
    else:
        yield ok("state", f"{directory}, {free >> 30} GiB free")
    if (directory / RESTORING).exists():
        yield Found("restore", "wrong", f"a restore was cut short: {directory / RESTORING} is there",
                    "restore again from the backup; what was there before is in before-restore-…")  # fmt: skip


def _secrets(installation: Installation) -> Iterator[Found]:
    files = [file for file in sorted((installation.directory / "secrets").glob("*")) if file.is_file()]
    for file in files:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield Found("secrets", "wrong", f"{file} can be read by others (mode {mode:o})",
                        f"chmod 600 {file}; if others had access, make new keys")  # fmt: skip
    for leftover in (installation.directory / "secrets").glob(".*"):
        yield Found("secrets", "note", f"{leftover}: was left by a process that was killed", f"rm {leftover}")
    try:
        if not files:
            yield Found("secrets", "note", "none yet", "`sallygate up` makes them")
            return
        installation.pepper(make=False)
        installation.signing_keys("assertion", make=False)
        installation.signing_keys("signing", make=False)
        yield ok("secrets", f"{len(files)} files, the pepper is whole")
    except StoreError as error:
        yield Found("secrets", "wrong", str(error), "bring back secrets/ from a backup")


def _database(installation: Installation, databases: DatabaseFiles) -> Iterator[Found]:
    file = installation.database
    if not file.is_file() or not file.stat().st_size:
        if traces := installation.traces():
            what = "is empty" if file.is_file() else "is missing"
            yield Found("database", "wrong", f"{file} {what}, and {traces[0]} says that there was an installation",
                        "`sallygate restore` from the last backup")  # fmt: skip
        else:
            yield Found("database", "note", f"{file} is not there yet", "`sallygate up` makes it")
        return
    found = databases.examine(file)
    if found.damage:
        cure = "`sallygate restore` from the last backup"
        yield Found("database", "wrong", f"{file} is damaged: {found.damage}", cure)
    elif found.schema > databases.schema:
        said = f"{file} was written by a newer version (schema {found.schema})"
        yield Found("database", "wrong", said, "use that version or later")
    else:
        later = "; the next start brings it to this version's, and keeps a copy"
        said = f"whole, schema {found.schema}, {found.credentials} keys, {found.accounts} accounts"
        yield ok("database", said + (later if found.schema < databases.schema else ""))


def _events(installation: Installation, databases: DatabaseFiles) -> Iterator[Found]:
    files = sorted(installation.events.glob("*.db"))
    if not files:
        yield ok("events", "none yet")
        return
    for file in files[-3:]:
        if damage := databases.damage_of_events(file):
            cure = "move it away; the gate goes on in a new file"
            yield Found("events", "wrong", f"{file} is damaged: {damage}", cure)
            return
    yield ok(
        "events", f"{len(files)} hours, {sum(file.stat().st_size for file in files) >> 20} MiB, since {files[0].stem}"
    )


def _clock(installation: Installation) -> Iterator[Found]:
    now = time.time()
    newest = max((event.at for event in read_events(installation.events, now - 7200)), default=0.0)
    if newest > now + FUTURE_S_MAX:
        yield Found("clock", "wrong", f"the newest event is {newest - now:.0f} s ahead: the clock is, or was, wrong",
                    "set it by NTP (systemd-timesyncd, chrony); limits and quotas go by it")  # fmt: skip
    elif now < Path(__file__).stat().st_mtime - 86400:
        yield Found("clock", "wrong", "the clock is before this program was installed", "set it by NTP")
    else:
        yield ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))


def _patterns(installation: Installation) -> Iterator[Found]:
    if installation.patterns(patterns_signature()) is None:
        yield Found("patterns", "note", "the patterns of injection are not compiled for this version",
                    "the next start takes some seconds for it; or `sallygate patterns FILE`")  # fmt: skip
    else:
        yield ok("patterns", "compiled for this version")


def _running(installation: Installation) -> Iterator[Found]:
    found = ask_status(installation.control)
    if found is None:
        yield Found("gate", "note", "none is running on this state directory", "`sallygate up`")
        return
    if found.version != __version__:
        yield Found("gate", "wrong", f"the running one is version {found.version}, this is {__version__}", "restart it")
    for check in found.checks:
        if check.said:
            yield Found(
                "gate",
                "note" if check.ok else "wrong",
                f"{check.name}: {check.said}",
                "`sallygate status` and the log say more",
            )
    if found.failures:
        said = ", ".join(f"{what} {times} times" for what, times in sorted(found.failures.items()))
        yield Found("gate", "note", f"failed since its start: {said}", "the log says why")
    if found.events.dropped:
        yield Found(
            "gate", "wrong", f"{found.events.dropped} events were lost", "a faster disk, or a larger `events.queue`"
        )
    if found.ready:
        yield ok("gate", f"process {found.pid} is ready, policy {found.policy}")


def _certificate(loaded: Loaded, directory: Path) -> Iterator[Found]:
    listen = loaded.policy.listen
    named = listen.certificate if listen is not None else None
    if named is None:
        cert = directory / "certificates" / "server.pem"
        if listen is not None:
            yield Found(
                "certificate",
                "note",
                "a development one, for this machine alone",
                "name real ones in `listen.certificate`",
            )
    else:
        cert, key = loaded.beside(named.cert), loaded.beside(named.key)
        loaded_cert = x509.load_pem_x509_certificate(cert.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if private.public_key().public_bytes(*form) != loaded_cert.public_key().public_bytes(*form):
            yield Found("certificate", "wrong", f"{key} does not belong to {cert}", "name a pair that belongs together")
        if key.stat().st_mode & 0o007:
            yield Found("certificate", "wrong", f"{key} can be read by everybody", f"chmod 640 {key}")
    if cert.is_file():
        left = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc.timestamp() - time.time()
        if left < CERTIFICATE_S_MIN and named is not None:
            said = "has expired" if left < 0 else f"expires in {left / 86400:.0f} days"
            yield Found(
                "certificate", "wrong" if left < 0 else "note", f"{cert} {said}", "renew it, and restart the gate"
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
                cure = "end what listens there, or choose another in `listen`"
                if port < 1024 and isinstance(error, PermissionError):
                    cure = "ports below 1024 take AmbientCapabilities=CAP_NET_BIND_SERVICE, or systemd's socket"
                yield Found("listen", "wrong", f"{address}: {error.strerror}", cure)
            else:
                yield ok("listen", f"{address} is free")


def _upstreams(loaded: Loaded, _: Path) -> Iterator[Found]:
    for url in loaded.policy.upstream.urls if loaded.policy.upstream is not None else ():
        why = _unreachable(url)
        if why:
            yield Found("upstream", "wrong", f"{url}: {why}", "start the API, or correct `upstream`")
        else:
            yield ok("upstream", f"{url} takes connections")


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
            cure = "until it answers, tokens count by the keys that are kept, for as long as `keep` says"
            yield Found("issuer", "note" if kept is not None else "wrong", f"{name}: {why}; {said}", cure)
        elif kept is not None and age_s > section.keep:
            cure = "a running gate renews them; if one runs, its log says why it could not"
            yield Found("issuer", "note", f"{name}: {said}, which count no more", cure)
        else:
            yield ok("issuer", f"{name} takes connections; {said}")


def _feeds(loaded: Loaded, directory: Path) -> Iterator[Found]:
    for section in sections_of(loaded):
        kept = Kept(directory / "feeds" / section.name, ())
        about = kept.about()
        if about is None or about.source != section.source:
            said, cure = (
                "was not fetched yet: it names nobody",
                "a running gate fetches it; its log says why it could not",
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
                "feed", "note", f"{said}, though asked every {section.every / 3600:.1f} h", "sallygate feeds list"
            )
        elif section.kind != "file" and (why := _unreachable(section.locator)):
            yield Found("feed", "note", f"{said}; {why}", "until it answers, what is kept counts until it expires")
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
        cure = "start the collector; until then nothing is exported"
        yield Found("telemetry", "note", f"{section.otlp}: {why}", cure)
    else:
        yield ok("telemetry", f"{section.otlp} takes connections")


def _hashing(loaded: Loaded, _: Path) -> Iterator[Found]:
    section, identity = loaded.policy.accounts, loaded.policy.identity
    if identity is None or identity.basic is None:
        return
    takes = section.at_once * HASH_MIB[section.hashing]
    has = (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) >> 20
    said = f"hashing passwords takes up to {takes} MiB: {section.at_once} at once, {section.hashing}"
    if takes > has * HASHING_SHARE_MAX:
        yield Found("hashing", "wrong", f"{said}, of {has} MiB there are", "lower `accounts.at_once`, or the profile")
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
        yield Found("delivery", "wrong", f"access codes: {why}", "until it answers, no code reaches its owner")
    else:
        yield ok("delivery", f"{urlsplit(url).netloc} takes connections")


def _unreachable(url: str) -> str:
    """Why no connection can be made to a URL's server; empty when one can."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
