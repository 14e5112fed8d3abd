"""Runtime: one policy's gate with its stores, its clock and its background work.

In the background, each on its own beat, and none on the request path: changes made by other processes are taken over
(100 ms), counters are written (500 ms), the clock is watched (1 s), the policy file too where it says so. When a store
fails, the gate goes on with what it has in memory, says so, and counts; it never opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from sallygate.auth.routes import auth_operations
from sallygate.controls.identity import KeyRing
from sallygate.engine.compose import compose
from sallygate.engine.gate import Gate
from sallygate.events.record import Pending
from sallygate.guard import App
from sallygate.model.decision import HeaderList
from sallygate.model.exchange import Exchange
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import CredentialLoaded, FetchKeys, LoadAccount, LoadCredential, LoadPlaces, Work, WorkDone
from sallygate.net.sockets import inherited, notify, notify_reloading, watchdog_s
from sallygate.policy.load import Door, Loaded, load_policy
from sallygate.ports import StoreError
from sallygate.runtime.reporting import Reporting
from sallygate.runtime.status import Life
from sallygate.security.assertion import Assertions
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from sallygate.services.auth_endpoints import Access, channel_of
from sallygate.services.clock import Clock
from sallygate.services.clock_watch import Jumps
from sallygate.services.counters import Counters
from sallygate.services.early_rejections import AtTheDoor
from sallygate.services.feeds.schedule import FeedSources
from sallygate.services.injection_patterns import compiled_patterns
from sallygate.services.issuer_keys import Issuers
from sallygate.services.load import Flooding
from sallygate.services.logins import Logins
from sallygate.services.network_files import NetworkFiles, databases_of
from sallygate.services.store_sync import Following
from sallygate.state.account_cache import TAG_KEY_BYTES, VerifiedPasswords
from sallygate.state.state import State
from sallygate.stores.events import EventLog
from sallygate.stores.sqlite.store import SqliteStore
from sallygate.telemetry.exporting import check_telemetry
from sallygate.telemetry.log import Log, RequestLog, open_log

SYNC_S = 0.1
"""A restriction is in force within 300 ms: a third of it is spent here at most."""
FLUSH_S = 0.5
"""Counters lose at most a second after a kill."""
CLOCK_S = 1.0
WATCH_S = 1.0
ISSUERS_S = 1.0
TOLD_EVERY_S = 10.0
"""The same failure is logged once in so long, with its count."""

T = TypeVar("T")


async def _still_alive() -> None:
    notify("WATCHDOG=1")


class Runtime:
    """Everything behind Guard. `start` before the first request, `stop` after the last."""

    def __init__(self, policy: str | Path, door: Door, log: Log | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.loaded = load_policy(Path(policy), door)
        check_telemetry(self.loaded)
        self.log = log or open_log(self.loaded.policy.log)
        self.installation = Installation(self.loaded.state_dir)
        self._held = contextlib.ExitStack()
        self._held.enter_context(self.installation.held(alone=False))  # from here on nobody may exchange it
        self.state = State()
        self.state.verified = VerifiedPasswords(secrets.token_bytes(TAG_KEY_BYTES))
        self._peppers = self.installation.peppers()
        self.ring = KeyRing(self._peppers[0], self._peppers[1:])
        self._id_key = self.installation.id_key()
        self._assertions = Assertions(self._assertion_keys())
        self._published = b""
        self._publish_assertion_keys()
        self._patterns = compiled_patterns(self.installation, self.log)
        self.network = NetworkFiles(self.state, self.clock.now, self.failed, self.log.warning)
        self.network.configure(self.loaded, databases_of(self.loaded))
        self.gate = self._compose(self.loaded)
        self.store = SqliteStore(self.installation.database)
        self.events = EventLog(
            self.installation.events,
            self.loaded.policy.events.queue,
            self.loaded.policy.events.retention,
            lambda line: self.log.error("events", what=line),
            RequestLog(self.log, lambda: self.loaded.policy.log.requests),
        )
        self.under_way = 0
        self.draining = False
        self.life = Life(self.clock.now())
        self.door = AtTheDoor(self)
        self.turned = self.door.tally
        self.failures: Counter[str] = Counter()
        """Failures by what failed, since the start."""
        self.reporting = Reporting(self)
        self.logins = Logins(self)
        self.access = Access(self)
        self.flooding = Flooding(self)
        self.issuers = Issuers(self.installation, self.state, self.clock.now, self.failed, self.log.warning)
        self.feeds = FeedSources(self.installation, self.state, self.clock.now, self.failed, self.log.warning)
        self.on_exchange: list[Callable[[Exchange], None]] = []
        """Watchers of every exchange, for a live view."""
        self.on_reload: list[Callable[[Loaded], Coroutine[Any, Any, None]]] = []
        self._threads = ThreadPoolExecutor(1, "sallygate-store")  # SQLite connections like one thread
        self._aside = ThreadPoolExecutor(1, "sallygate-examine")  # more would only share the interpreter
        self._tasks: list[asyncio.Task[Any]] = []
        self._following = Following(self)
        self._behind = False
        self.counters = Counters(self)
        self.instance = secrets.token_hex(8)
        """Of this process, the first half of every request id."""
        self._counter = count(int.from_bytes(secrets.token_bytes(4), "big"))
        self._told: dict[str, tuple[float, int]] = {}
        self._started = False
        self.handed_over = inherited() if door == "gateway" else {}
        """Listening sockets of systemd's, until somebody takes them."""
        self._reloading = asyncio.Lock()
        self._database_inode = self.installation.database.stat().st_ino

    def _assertion_keys(self) -> SigningKeys:
        return SigningKeys(self.installation.signing_keys("assertion"))

    def _publish_assertion_keys(self) -> None:
        published = self._assertions.jwks(self.clock.now())
        if published != self._published:  # a full disk is asked for no more than is new
            self.installation.publish("assertion.jwks.json", published)
            self._published = published

    def _compose(self, loaded: Loaded) -> Gate:
        return compose(loaded, self.state, self.ring, self._id_key, self.clock.now(), auth_operations, self._patterns)

    # life --------------------------------------------------------------------------------------------------------

    def load_state(self) -> None:
        """What the stores keep, into memory. Raises `StoreError`: without its keys and blocks no gate opens."""
        now = self.clock.now()
        self._following.load()
        for name, subject, a, b in self.store.counters():
            if (table := self.state.tables.get(name)) is not None:
                table.load(subject, a, b, now)
        self.issuers.load(self.loaded)
        self.feeds.load(self.loaded)

    async def start(self) -> None:
        if self._started:
            return
        self._started = True
        try:
            await self.in_store(self.load_state)
            await self.logins.start()
            await self.access.start()
            # Begins to fetch, and waits for none: an issuer that is down opens and shuts nothing.
            await self.issuers.beat()
            self.events.start()
            await self.reporting.start()
            self.network.tell_age()
        except BaseException:
            self._started = False  # whoever asks again must not find a gate that knows no restriction
            raise
        self._tasks = [
            asyncio.create_task(self._every(SYNC_S, "sync", self._sync)),
            asyncio.create_task(self._every(SYNC_S, "door", self.door.beat)),
            asyncio.create_task(self._every(FLUSH_S, "counters", self.flush)),
            asyncio.create_task(self._every(CLOCK_S, "clock", Jumps(self).beat)),
            asyncio.create_task(self._every(WATCH_S, "watch", self._watch)),
            asyncio.create_task(self._every(FLUSH_S, "places", self.access.beat)),
            asyncio.create_task(self._every(ISSUERS_S, "issuers", self.issuers.beat)),
            asyncio.create_task(self._every(ISSUERS_S, "feeds", self.feeds.beat)),
            asyncio.create_task(self._every(FLUSH_S, "flood", self.flooding.beat)),
            asyncio.create_task(self.flooding.watch_lateness()),
        ]
        if (beat := watchdog_s()) is not None:
            self._tasks.append(asyncio.create_task(self._every(beat, "watchdog", _still_alive)))
        self._stamps = self._file_stamps()
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)

    def _reload_soon(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.get_running_loop().create_task(self.reload()))

    async def stop(self) -> None:
        """Everything on disk, then closed."""
        if not self._started:
            return
        self._started = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.issuers.stop()
        await self.feeds.stop()
        await self.reporting.stop()
        await self.access.stop()
        await self.logins.stop()
        await self.door.beat()
        try:
            await self.flush()
        except StoreError as error:
            self.failed("counters", error)
        await asyncio.to_thread(self.events.stop)
        await self.in_store(self.store.close)
        self._threads.shutdown()
        self._aside.shutdown(cancel_futures=True)
        self._held.close()

    async def lifespan(self, event: str) -> None:
        await (self.start() if event == "startup" else self.stop())

    async def _every(self, seconds: float, what: str, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await step()
            except Exception as error:  # background work goes on whatever happens, and says what did
                self.failed(what, error)

    async def in_store(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    # in the background -------------------------------------------------------------------------------------------

    async def _sync(self) -> None:
        """Take over what other processes wrote: accounts, keys, restrictions."""
        if await self._following.take_over():
            self._behind = True
        self.life.store_read_at = self.clock.now()
        if self._behind:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Tried again until all of it is done: what ends a token first, what needs files after."""
        await self.access.take_over()
        await self._take_secrets()
        await self.access.follow()
        self._behind = False

    async def _take_secrets(self) -> None:
        """Other keys of assertions; another pepper, or one less."""
        keys, peppers = await self.in_store(lambda: (self._assertion_keys(), self.installation.peppers()))
        self._assertions.follow(keys)
        self._publish_assertion_keys()
        if peppers == self._peppers:
            return
        self._peppers, self.ring = peppers, KeyRing(peppers[0], peppers[1:])
        self._id_key = self.installation.id_key()
        self.gate = self._compose(self.loaded)

    async def flush(self) -> None:
        """Write what was counted. Raises `StoreError`."""
        await self.counters.flush()

    def _file_stamps(self) -> tuple[tuple[int, int], ...]:
        files = [self.loaded.file, *([self.loaded.contract_file] if self.loaded.contract_file else [])]
        with contextlib.suppress(OSError):
            return tuple((stat.st_mtime_ns, stat.st_ino) for stat in map(os.stat, files))
        return ()

    @property
    def database_in_place(self) -> bool:
        """Whether the file at the database's name is the open one."""
        try:
            return self.installation.database.stat().st_ino == self._database_inode
        except OSError:
            return False

    def _check_database(self) -> None:
        """A file put in the open one's place (a copy brought back) would be written by others and read by nobody."""
        if not self.database_in_place:
            file = self.installation.database
            said = StoreError(f"{file}: was removed or replaced; changes are not seen until a restart")
            self.failed("database", said)

    async def _watch(self) -> None:
        await self.reporting.take_control()
        self._check_database()
        await self.network.beat()
        if self.loaded.policy.reload == "file" and (stamps := self._file_stamps()) != self._stamps:
            self._stamps = stamps
            await self.reload()

    async def reload(self) -> bool:
        """Put the policy file's present content in force, whole; or keep the old one, and say why."""
        async with self._reloading:  # of two at once, the one that read first could end last
            notify_reloading()
            try:
                return await self._reload()
            finally:
                notify("READY=1")

    async def _reload(self) -> bool:
        stamps = self._file_stamps()
        try:
            loaded = await asyncio.to_thread(load_policy, self.loaded.file, self.loaded.door)
            if loaded.state_dir != self.loaded.state_dir:
                raise StoreError("`state` cannot change while running; restart instead")
            channel_of(loaded, self.installation.directory)
            databases = databases_of(loaded)
            gate = self._compose(loaded)
        except Exception as error:  # whatever is wrong with it
            self.life.refused(str(error))
            self.log.error(
                "the new policy is refused, the old one stays in force",
                policy=self.loaded.hash,
                why=str(error),
            )
            return False
        old, self.loaded, self.gate = self.loaded, loaded, gate
        self.network.configure(loaded, databases)
        self.feeds.configure(loaded)
        self.logins.hashing.follow(loaded.policy.accounts)
        self._behind = True
        try:
            await self._catch_up()
        except Exception as error:  # until it is, `/auth` is as it was
            self.failed("auth", error)
        self.issuers.configure(loaded)
        await self.issuers.beat()
        self.life.reloaded(self.clock.now())
        self._tell_of_restarts(old, loaded)
        # As they were before reading: what was written meanwhile is read next. A contract named anew is read once more.
        self._stamps = stamps if loaded.contract_file == old.contract_file else ()
        for told in self.on_reload:
            await told(old)
        self.log.info("policy in force", policy=loaded.hash, before=old.hash)
        return True

    def _tell_of_restarts(self, old: Loaded, new: Loaded) -> None:
        """What is in the new policy and stays as it was until a restart."""
        before, after = old.policy, new.policy
        fixed = {
            "telemetry": (before.telemetry, after.telemetry),
            "events": (before.events, after.events),
            "log.format": (before.log.format, after.log.format),
            "log.level": (before.log.level, after.log.level),
        }
        for name, (was, now) in fixed.items():
            if was != now:
                self.log.warning(f"`{name}` has changed: that takes a restart")

    # Guard's services --------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.clock.now()

    def tick_us(self) -> int:
        return time.perf_counter_ns() // 1000

    def new_request_id(self) -> str:
        return f"{self.instance}{next(self._counter) & 0xFFFFFFFFFFFFFFFF:016x}"

    @property
    def watched(self) -> bool:
        return bool(self.on_exchange)

    @property
    def own(self) -> App:
        return self.access.app

    async def work(self, work: Work) -> WorkDone:
        if isinstance(work, LoadCredential):
            return await self._load_credential(work)
        if isinstance(work, FetchKeys):
            return await self.issuers.work(work)
        if isinstance(work, LoadPlaces):
            return await self.access.load_places(work)
        return await (self.logins.load(work) if isinstance(work, LoadAccount) else self.logins.verify(work))

    async def _load_credential(self, work: LoadCredential) -> CredentialLoaded:
        try:
            credential = await self.in_store(lambda: self.store.credential(work.id))
        except StoreError as error:
            self.failed("credentials", error)
            return CredentialLoaded(work.id, None, failed=True)
        if credential is not None:
            self.state.credentials.put(credential)
        else:
            self.state.credentials.put_missing(work.id, self.clock.now())
        return CredentialLoaded(work.id, credential)

    async def aside(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._aside, call)

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        # In process nobody stands between Guard and its application: `scope["sallygate"]` cannot be forged.
        upstream = self.loaded.policy.upstream if self.loaded.door == "gateway" else None
        return self._assertions.headers(principal, now, signed=upstream is not None and upstream.assertion)

    def traceparent(self, head: RequestHead) -> bytes | None:
        traces = self.reporting.traces
        return traces.traceparent(head) if traces is not None else None

    def record(self, exchange: Exchange, gate: Gate) -> None:
        self.events.put(Pending(exchange, gate.policy_hash, gate.engine.hash_id))
        try:
            self.reporting.metrics.observe(exchange)
            self.access.observe(exchange)
            self.counters.observe(exchange)
            for watch in self.on_exchange:
                watch(exchange)
        except Exception as error:  # who counts or watches must not end a request
            self.failed("metrics", error)

    def failed(self, what: str, error: BaseException) -> None:
        self.failures[what] += 1
        last, times = self._told.get(what, (-TOLD_EVERY_S, 0))
        now = time.monotonic()
        if now - last < TOLD_EVERY_S:
            self._told[what] = (last, times + 1)
            return
        self._told[what] = (now, 0)
        self.log.error("failed", what=what, error=f"{type(error).__name__}: {error}", times_before=times)
