"""Service of issuers' keys: fetched, renewed, kept while an issuer is down, read again when their file changes.

None of it is on the request path but one wait: a token with a key that is not known here makes its issuer be asked,
once for all who wait, at a bounded rate, for `FETCH_S` at most. What fails is said, and leaves the last good keys in
force.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from sallygate.model.work import FetchKeys, KeysFetched
from sallygate.parsing.jose.jwk import JwkError, PublishedKeys, read_key_set
from sallygate.policy.identity import Issuer
from sallygate.policy.issuers import is_url, read_key_file
from sallygate.policy.load import Loaded
from sallygate.ports import StoreError
from sallygate.security.state_directory import Installation
from sallygate.services.issuer_http import discover, fetch
from sallygate.state.key_sets import KeySet
from sallygate.state.state import State
from sallygate.telemetry.status import IssuerState

RENEW_S = 600.0
"""Where the issuer does not say. Providers announce keys hours before they sign with them."""
RENEW_S_MIN, RENEW_S_MAX = 60.0, 3600.0
"""The bounds of what it may say: a key taken back is gone here within the hour."""
RETRY_S, RETRY_S_MAX = 10.0, 300.0
"""After a failure, doubling."""

Failed = Callable[[str, BaseException], None]


def source_of(section: Issuer) -> str:
    """Where the keys of an issuer come from, as one name."""
    return section.jwks if section.jwks is not None else f"discovery {section.issuer}"


def load_known(state: State, loaded: Loaded, installation: Installation | None) -> dict[str, str]:
    """What is known of the issuers' keys without asking anybody: files, and what was kept of former answers. By issuer,
    why there is nothing."""
    missing: dict[str, str] = {}
    for section in loaded.policy.identity.jwt if loaded.policy.identity else ():
        source = source_of(section)
        try:
            if section.jwks is not None and not is_url(section.jwks):
                state.issuers.put(section.issuer, KeySet(read_key_file(loaded.beside(section.jwks)).keys))
            elif installation is not None and (kept := installation.issuer_keys(section.issuer, source)) is not None:
                fetched_at, data = kept
                keys = KeySet(read_key_set(data).keys, fetched_at, fetched_at + section.keep)
                state.issuers.put(section.issuer, keys)
            else:
                missing[section.issuer] = "nothing is kept of it"
        except (JwkError, StoreError) as error:
            missing[section.issuer] = str(error)
    return missing


class _Source:
    """One issuer, and how asking it went."""

    def __init__(self, section: Issuer, loaded: Loaded) -> None:
        self.section = section
        self.source = source_of(section)
        is_file = section.jwks is not None and not is_url(section.jwks)
        self.file: Path | None = loaded.beside(section.jwks) if is_file and section.jwks is not None else None
        self.ca: Path | None = loaded.beside(section.ca) if section.ca is not None else None
        self.due_at = 0.0
        self.tries = 0
        self.failures = 0
        self.said = ""
        self.stamp: tuple[int, int] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def same(self) -> tuple[object, ...]:
        """What makes former answers worth keeping."""
        return self.section.issuer, self.source, self.file

    def look(self) -> tuple[int, int] | None:
        """The file as it is now, to see that it changed."""
        with contextlib.suppress(OSError):
            if self.file is not None:
                stat = self.file.stat()
                return stat.st_mtime_ns, stat.st_ino
        return None


class Issuers:
    """Lives as long as the runtime; its issuers are those of the policy in force."""

    def __init__(
        self,
        installation: Installation,
        state: State,
        now: Callable[[], float],
        failed: Failed,
        warn: Callable[[str], None],
    ) -> None:
        self._installation = installation
        self._state = state
        self._now = now
        self._failed = failed
        self._warn = warn
        self._sources: dict[str, _Source] = {}

    # life ----------------------------------------------------------------------------------------------------------

    def configure(self, loaded: Loaded) -> None:
        """Take over the policy's issuers. Keys that come from elsewhere than before count no more."""
        identity = loaded.policy.identity
        fresh = {section.issuer: _Source(section, loaded) for section in (identity.jwt if identity else ())}
        for issuer, old in self._sources.items():
            new = fresh.get(issuer)
            if new is None or new.same != old.same:
                if old.task is not None:
                    old.task.cancel()
                self._state.issuers.drop(issuer)
            else:
                new.due_at, new.tries, new.failures = old.due_at, old.tries, old.failures
                new.said, new.stamp, new.task = old.said, old.stamp, old.task
        self._sources = fresh

    def load(self, loaded: Loaded) -> None:
        """At the start: what is known without asking. Blocks for a few small files."""
        self.configure(loaded)
        for source in self._sources.values():
            source.stamp = source.look()
        load_known(self._state, loaded, self._installation)
        self._installation.forget_issuers(set(self._sources))

    async def step(self) -> None:
        """Every second: begin what is due."""
        now = self._now()
        for source in self._sources.values():
            if source.task is not None:
                continue
            if source.file is not None:
                if (stamp := source.look()) != source.stamp:
                    source.stamp = stamp
                    self._begin(source)
            elif not now < source.due_at <= now + RENEW_S_MAX:
                self._begin(source)

    async def stop(self) -> None:
        """Cancel fetches under way."""
        tasks = [source.task for source in self._sources.values() if source.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # asking --------------------------------------------------------------------------------------------------------

    async def work(self, asked: FetchKeys) -> KeysFetched:
        """For a token whose key is not known. Waits for an answer under way, or asks, where that is allowed now."""
        issuers, source = self._state.issuers, self._sources.get(asked.issuer)
        if source is None:
            return KeysFetched(asked.issuer, asked.kid, failed=True)
        task = source.task
        if task is None and issuers.is_worth_asking(asked.issuer, asked.kid, self._now()):
            task = self._begin(source)
        if task is not None:
            await asyncio.wait([task])  # a caller that leaves does not end what others wait for
        keys = issuers.get(asked.issuer)
        failing = issuers.is_failing(asked.issuer)
        if keys is not None and not failing and all(key.kid != asked.kid for key in keys.keys):
            issuers.put_missing(asked.issuer, asked.kid or "", self._now())
        return KeysFetched(asked.issuer, asked.kid, failed=failing)

    def _begin(self, source: _Source) -> asyncio.Task[None]:
        source.task = asyncio.get_running_loop().create_task(self._renew(source))
        return source.task

    async def _renew(self, source: _Source) -> None:
        issuer = source.section.issuer
        try:
            published, data, good_s = await self._published(source)
        except Exception as error:  # whatever it is, the issuer is asked again
            self._state.issuers.asked(issuer, self._now(), failed=True)
            self._ended(issuer, str(error), min(RETRY_S * 2.0**source.tries, RETRY_S_MAX), failed=True)
            self._failed(f"keys of {source.section.called}", error)
            return
        now = self._now()
        until = float("inf") if source.file is not None else now + source.section.keep
        self._state.issuers.put(issuer, KeySet(published.keys, now if source.file is None else 0.0, until))
        self._state.issuers.asked(issuer, now, failed=False)
        weak = "; ".join(published.weak)
        if weak and weak != source.said:
            self._warn(f"keys of {source.section.called} that are not used: {weak}")
        self._ended(issuer, weak, good_s, failed=False)
        if source.file is None:
            await asyncio.to_thread(self._keep, source, now, data)

    def _ended(self, issuer: str, said: str, again_s: float, *, failed: bool) -> None:
        """A reload may have put another object in the place of the one that asked, with the same keys."""
        source = self._sources[issuer]
        source.said, source.due_at = said, self._now() + again_s
        source.tries = min(source.tries + 1, 10) if failed else 0
        source.failures += failed
        source.task = None

    async def _published(self, source: _Source) -> tuple[PublishedKeys, bytes, float]:
        """Keys, their bytes, and for how long they need not be asked for again."""
        if source.file is not None:
            return await asyncio.to_thread(read_key_file, source.file), b"", RENEW_S_MAX
        trusted = await asyncio.to_thread(_trusting, source.ca)
        url = source.section.jwks or await discover(source.section.issuer, trusted)
        answer = await fetch(url, trusted)
        good_s = RENEW_S if answer.max_age_s is None else answer.max_age_s
        try:
            published = read_key_set(answer.data)
        except JwkError as error:
            raise JwkError(f"{url}: {error}") from None
        return published, answer.data, min(max(good_s, RENEW_S_MIN), RENEW_S_MAX)

    def _keep(self, source: _Source, now: float, data: bytes) -> None:
        try:
            self._installation.keep_issuer_keys(source.section.issuer, source.source, now, data)
        except StoreError as error:  # they count; only a restart without the issuer would miss them
            self._failed(f"keys of {source.section.called}", error)

    # telling -------------------------------------------------------------------------------------------------------

    def states(self) -> Sequence[IssuerState]:
        """State of each issuer's keys, for `status` and metrics."""
        found = []
        for issuer, source in self._sources.items():
            keys = self._state.issuers.get(issuer)
            counts = keys is not None and self._now() < keys.good_until
            found.append(
                IssuerState(
                    source.section.called,
                    issuer,
                    str(source.file or source.source),
                    len(keys.keys) if keys is not None and counts else 0,
                    keys.fetched_at if keys is not None else 0.0,
                    self._state.issuers.is_failing(issuer),
                    source.failures,
                    source.said,
                )
            )
        return found


def _trusting(ca: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca) if ca is not None else None)
