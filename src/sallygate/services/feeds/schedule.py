"""Schedule of the policy's feeds: fetched when due, activated when whole, kept over a restart.

None of it is on the request path, and nothing but putting a compiled feed in force is done in this process. Two fetches
run at a time, so that a slow server does not hold the other feeds up. What fails is said, and leaves the last good
state in force, which goes on growing older.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sallygate.policy.intelligence import ENFORCING, FeedSection
from sallygate.policy.load import Loaded
from sallygate.ports import StoreError
from sallygate.security.regular_files import open_regular
from sallygate.services.feeds.cache import Kept, forget
from sallygate.services.feeds.task import Task
from sallygate.services.feeds.worker import Done, reading_of
from sallygate.state.feeds import Feed
from sallygate.state.feeds.tables import About, Compiled
from sallygate.telemetry.status import FeedState

if TYPE_CHECKING:
    from sallygate.security.state_directory import Installation
    from sallygate.state.state import State

RETRY_S, RETRY_S_MAX = 30.0, 1800.0
"""After a failure, doubling; never more often than the policy asks a feed that answers."""
WORK_S_MAX = 1800.0
"""For one fetch, a first poll of a large collection. Then it is ended."""
AT_ONCE = 2
"""Each may take a processor for half a minute, and memory: more would be felt."""
DONE_BYTES_MAX = 1 << 20
INDICATORS_IN_ALL = 5_000_000
"""Of all feeds together: 160 MB at most."""
PASSWORD_BYTES_MAX = 4096

Failed = Callable[[str, BaseException], None]


class FeedError(Exception):
    """A feed could not be fetched or put in force. The message says why."""


def sections_of(loaded: Loaded) -> Sequence[FeedSection]:
    """Feed sections of a policy; none if `network` is off."""
    network = loaded.policy.network
    return network.intelligence if network is not None and network.mode != "off" else ()


def task_of(section: FeedSection, loaded: Loaded, kept: Kept, keys: Sequence[bytes], now: float) -> Task:
    """Raises `FeedError` when the password cannot be read."""
    about = kept.about()
    return Task(
        name=section.name,
        kind=section.kind,
        locator=str(loaded.beside(section.locator)) if section.kind == "file" else section.locator,
        source=section.source,
        directory=str(kept.directory),
        keys=[key.hex() for key in keys],
        now=now,
        settings=section.settings,
        format=section.format,
        share_max=section.share_max if section.act in ENFORCING else 1.0,
        bad_max=section.bad_max,
        username=section.username,
        password=_password(section, loaded),
        ca=str(loaded.beside(section.ca)) if section.ca is not None else "",
        whole=about is not None and about.reading != reading_of(section.settings),
    )


def _password(section: FeedSection, loaded: Loaded) -> str:
    if section.password is None:
        return ""
    file = loaded.beside(section.password)
    try:
        with open_regular(file) as stream:
            return stream.read(PASSWORD_BYTES_MAX).decode().strip("\r\n")
    except OSError as error:
        raise FeedError(f"its password cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FeedError("its password is not UTF-8") from None


def run(task: Task, started: Callable[[subprocess.Popen[bytes]], None] = lambda _: None) -> Done:
    """The work in a process of its own. Raises `FeedError`."""
    command = [sys.executable, "-P", "-m", "sallygate.services.feeds.worker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
    started(process)
    assert process.stdin is not None and process.stdout is not None
    ends = time.monotonic() + WORK_S_MAX
    try:
        # Its input stays open: when this process ends, however it does, so does that one.
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        process.stdin.flush()
        line = _line(process, ends)
    except OSError:
        line = b""
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
    try:
        return msgspec.json.decode(line, type=Done)
    except msgspec.MsgspecError:
        late = time.monotonic() >= ends
        ended = "the process that reads it was ended: by its limits of memory or time, or from outside"
        raise FeedError(f"took longer than {WORK_S_MAX / 60:.0f} min" if late else ended) from None


def _line(process: subprocess.Popen[bytes], ends: float) -> bytes:
    import selectors

    assert process.stdout is not None
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not data.endswith(b"\n") and len(data) < DONE_BYTES_MAX and (left := ends - time.monotonic()) > 0:
            if selector.select(min(left, 1.0)):
                if not (part := process.stdout.read1(65536)):  # type: ignore[attr-defined]  # a buffered reader
                    break
                data += part
    return bytes(data)


def put(state: State, section: FeedSection, compiled: Compiled, confirmed_at: float) -> None:
    """Put a compiled feed in force."""
    state.feeds.put(Feed(section.name, compiled, confirmed_at, section.expiry, section.confidence_min))


def recall(section: FeedSection, directory: Path, keys: Sequence[bytes]) -> tuple[Compiled, float]:
    """What is kept of a feed, and when its source last had it. Raises `FileNotFoundError` or `StoreError`."""
    kept = Kept(directory / section.name, keys)
    compiled = kept.load()
    if compiled.about.source != section.source:
        raise StoreError(f"{kept.compiled}: is from elsewhere")
    return compiled, kept.confirmed_at()


def load_kept(state: State, loaded: Loaded, installation: Installation | None) -> dict[str, str]:
    """What is known of the policy's feeds without asking anybody. By name, why there is nothing. Blocks for a few
    files of up to 30 MB."""
    missing: dict[str, str] = {}
    sections = sections_of(loaded)
    keys = installation.feed_keys() if installation is not None and sections else []
    for section in sections:
        if installation is None:
            missing[section.name] = "nothing is kept of it"
            continue
        try:
            put(state, section, *recall(section, installation.feeds, keys))
        except FileNotFoundError:
            missing[section.name] = "nothing is kept of it"
        except StoreError as error:
            missing[section.name] = str(error)
    return missing


class _Source:
    """One feed, and how fetching it went."""

    def __init__(self, section: FeedSection, loaded: Loaded) -> None:
        self.section = section
        self.file = loaded.beside(section.locator) if section.kind == "file" else None
        self.due_at = 0.0
        self.tries = 0
        self.failing = False
        self.failures = 0
        self.said = ""
        self.tried_at = 0.0
        self.stamp: tuple[int, int] | None = None

    def look(self) -> tuple[int, int] | None:
        """The file as it is now, to see that it changed."""
        with contextlib.suppress(OSError):
            if self.file is not None:
                stat = self.file.stat()
                return stat.st_mtime_ns, stat.st_ino
        return None


class FeedSources:
    """Lives as long as the runtime; its feeds are those of the policy in force."""

    def __init__(
        self,
        installation: Installation,
        state: State,
        now: Callable[[], float],
        failed: Failed,
        warn: Callable[[str], None],
    ) -> None:
        self._installation, self._state = installation, state
        self._now, self._failed, self._warn = now, failed, warn
        self._sources: dict[str, _Source] = {}
        self._loaded: Loaded | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopping = False
        self._threads = ThreadPoolExecutor(AT_ONCE, "sallygate-feeds")

    # life ----------------------------------------------------------------------------------------------------------

    def configure(self, loaded: Loaded) -> None:
        """Take over the policy's feeds. One from elsewhere than before counts no more; one that is only read otherwise
        counts until it has been."""
        self._loaded = loaded
        fresh = {section.name: _Source(section, loaded) for section in sections_of(loaded)}
        for name, old in self._sources.items():
            new = fresh.get(name)
            if new is None or new.section.source != old.section.source:
                self._state.feeds.drop(name)
            elif new.section == old.section:
                fresh[name] = old
            elif (feed := self._state.feeds.get(name)) is not None:
                put(self._state, new.section, feed.compiled, feed.confirmed_at)
        self._sources = fresh

    def load(self, loaded: Loaded) -> None:
        """At the start: what is kept. Blocks for a few files."""
        self.configure(loaded)
        for name, why in load_kept(self._state, loaded, self._installation).items():
            if "not as it was written" in why:
                self._warn(f"feed {name}: {why}")
        for name, source in self._sources.items():
            if (feed := self._state.feeds.get(name)) is not None and source.file is None:
                source.due_at = feed.confirmed_at + source.section.every
                if feed.compiled.about.reading != reading_of(source.section.settings):
                    source.due_at = 0.0
        forget(self._installation.feeds, set(self._sources))

    async def step(self) -> None:
        """Every second: begin what is due; first, what was tried the longest ago."""
        if self._stopping:
            return
        for source in sorted(self._sources.values(), key=lambda one: one.tried_at):
            if len(self._tasks) >= AT_ONCE:
                return
            name = source.section.name
            if name not in self._tasks and self._is_due(source):
                self._tasks[name] = asyncio.get_running_loop().create_task(self._renew(source))

    def _is_due(self, source: _Source) -> bool:
        now = self._now()
        wanted = self._installation.feeds / source.section.name / "refresh"
        with contextlib.suppress(OSError):
            wanted.unlink()
            return True
        if source.file is not None and not source.failing:
            return source.look() != source.stamp or self._begins(source, now)
        if source.file is not None and source.look() != source.stamp:
            return True
        # A clock set back must not put it off for as long.
        return not now < source.due_at <= now + max(source.section.every, RETRY_S_MAX)

    def _begins(self, source: _Source, now: float) -> bool:
        """Whether something counts now that did not when the file was read."""
        feed = self._state.feeds.get(source.section.name)
        return feed is not None and 0 < feed.compiled.about.recheck_at <= now

    async def stop(self) -> None:
        """End child processes and tasks."""
        self._stopping = True
        for process in tuple(self._processes):
            process.kill()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._threads.shutdown(cancel_futures=True)

    # one fetch -----------------------------------------------------------------------------------------------------

    async def _renew(self, source: _Source) -> None:
        loop, section = asyncio.get_running_loop(), source.section
        stamp = source.look()
        try:
            if self._state.feeds.get(section.name) is None:
                # Named again by a reload: its last good state counts whether its server answers now or not.
                recalled = await loop.run_in_executor(self._threads, self._recall, section)
                if recalled is not None and self._wants(section):
                    put(self._state, section, *recalled)
            done, compiled, confirmed_at = await loop.run_in_executor(self._threads, self._fetch, source)
        except Exception as error:  # whatever it is, the feed is asked again
            if not self._stopping:
                self._ended(section, str(error), failed=True, stamp=stamp)
                self._failed(f"feed {section.name}", FeedError(f"{error}; {self._still(section.name)}"))
            return
        finally:
            self._tasks.pop(section.name, None)
        if not self._wants(section):
            return  # since a reload
        if compiled is not None:
            put(self._state, self._sources[section.name].section, compiled, confirmed_at)
            self._tell(section.name, compiled.about)
        elif (feed := self._state.feeds.get(section.name)) is not None:
            feed.confirmed_at = confirmed_at
        self._ended(section, "", failed=False, stamp=stamp, more=done.more)

    def _ended(
        self, section: FeedSection, said: str, *, failed: bool, stamp: tuple[int, int] | None, more: bool = False
    ) -> None:
        """A reload may have put another object in the place of the one that asked."""
        if not self._wants(section):
            return
        source = self._sources[section.name]
        wait_s = min(RETRY_S * 2.0**source.tries, RETRY_S_MAX) if failed else source.section.every
        changed = source.section.settings != section.settings
        source.due_at = 0.0 if more or changed else self._now() + wait_s
        source.stamp = None if changed else stamp
        source.tries = min(source.tries + 1, 10) if failed else 0
        source.failures += failed
        source.said, source.failing, source.tried_at = said, failed, self._now()

    def _wants(self, section: FeedSection) -> bool:
        """Whether the policy in force still has the feed from there."""
        source = self._sources.get(section.name)
        return source is not None and source.section.source == section.source

    def _recall(self, section: FeedSection) -> tuple[Compiled, float] | None:
        """In the thread: what is kept of it."""
        with contextlib.suppress(FileNotFoundError, StoreError):
            return recall(section, self._installation.feeds, self._installation.feed_keys())
        return None

    def _fetch(self, source: _Source) -> tuple[Done, Compiled | None, float]:
        """In the thread. Raises `FeedError`, `StoreError` or `OSError`."""
        loaded, section = self._loaded, source.section
        assert loaded is not None
        keys = self._installation.feed_keys()
        kept = Kept(self._installation.feeds / section.name, keys)
        kept.clear_parts(time.time() - WORK_S_MAX)  # younger ones may be another gate's, which takes over from this one
        now = self._now()
        done = self._run(task_of(section, loaded, kept, keys, now))
        if done.outcome == "failed":
            raise FeedError(done.said)
        confirmed_at = now if source.file is None else source.file.stat().st_mtime
        if done.outcome == "unchanged":
            kept.confirm(confirmed_at)
            return done, None, confirmed_at
        assert done.about is not None
        try:
            self._check_room(section.name, done.about)
            kept.take_over(Path(done.compiled), Path(done.objects) if done.objects else None, confirmed_at)
        finally:
            for part in (done.compiled, done.objects):
                if part:
                    Path(part).unlink(missing_ok=True)
        return done, kept.load(), confirmed_at

    def _run(self, task: Task) -> Done:
        process: subprocess.Popen[bytes] | None = None

        def started(one: subprocess.Popen[bytes]) -> None:
            nonlocal process
            process = one
            self._processes.add(one)
            if self._stopping:
                one.kill()

        try:
            return run(task, started)
        finally:
            if process is not None:
                self._processes.discard(process)

    def _check_room(self, name: str, about: About) -> None:
        others = sum(feed.compiled.about.indicators for feed in self._state.feeds if feed.name != name)
        if others + about.indicators > INDICATORS_IN_ALL:
            raise FeedError(f"with its {about.indicators:,} indicators all feeds had more than {INDICATORS_IN_ALL:,}; "
                            "take one out, or raise `confidence_min`")  # fmt: skip

    # telling -------------------------------------------------------------------------------------------------------

    def _still(self, name: str) -> str:
        feed = self._state.feeds.get(name)
        if feed is None:
            return "nothing of it is in force"
        hours = (self._now() - feed.confirmed_at) / 3600
        return f"its state of {hours:.1f} h ago stays in force"

    def _tell(self, name: str, about: About) -> None:
        if about.bad:
            where = "; ".join(about.said)
            self._warn(f"feed {name}: {about.bad:,} of {about.read:,} lines or objects cannot be read: {where}")

    def states(self) -> tuple[FeedState, ...]:
        """State of each feed, for `status` and metrics."""
        return tuple(self._states())

    def _states(self) -> Iterator[FeedState]:
        now = self._now()
        for name, source in self._sources.items():
            feed = self._state.feeds.get(name)
            about, confirmed_at = (feed.compiled.about, feed.confirmed_at) if feed is not None else (None, 0.0)
            state = state_of(source.section, about, confirmed_at, now, source.failing, source.failures, source.said)
            yield msgspec.structs.replace(state, tried_at=source.tried_at)


def state_of(
    section: FeedSection,
    about: About | None,
    confirmed_at: float,
    now: float,
    failing: bool = False,
    failures: int = 0,
    said: str = "",
) -> FeedState:
    """`about`: of what is in force, None when nothing is."""
    act: str = section.act
    if about is None:
        said = said or "it was not fetched yet"
        return FeedState(section.name, section.shown, act, 0, 0.0, failing, failures, said)
    if section.is_over_share(about.shares):
        act = "observe"
        said = said or f"covers {max(about.shares):.2%} of all public addresses, more than `share_max`: it is observed"
    if not said and about.indicators and now > confirmed_at + section.expiry:
        said = "is older than its `expiry`: of its indicators only those count that name an end of their own"
    return FeedState(section.name, section.shown, act, about.indicators, confirmed_at, failing, failures, said,
                     about.read, about.bad, about.said, about.unused, about.shares)  # fmt: skip
