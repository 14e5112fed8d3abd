"""Runtime: one policy's gate with its stores, its clock and its background work.

Each background step has its own interval, and none is on the request path: the gate takes over changes of other
processes (100 ms), writes counters (500 ms), and watches the clock and, if the policy says so, the policy file (1 s).
When a store fails, the gate continues with what memory holds, logs and counts the failure, and never lets more through.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from sallygate.auth.routes import auth_operations
from sallygate.engine.compose import compose
from sallygate.engine.gate import Gate
from sallygate.guard import App
from sallygate.guard.services import Interruptible
from sallygate.model.decision import HeaderList
from sallygate.model.event import Shell
from sallygate.model.exchange import Exchange
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import (
    CredentialLoaded,
    FetchKeys,
    LoadAccount,
    LoadCredential,
    LoadLocations,
    OwnWork,
    WorkDone,
)
from sallygate.net.sockets import inherited, notify, notify_reloading, watchdog_s
from sallygate.policy.load import Loaded, load_policy
from sallygate.ports import StoreError
from sallygate.runtime.restarts import restarts_needed
from sallygate.runtime.status import Life, Parts, gather_status
from sallygate.security.state_directory import Installation
from sallygate.security.state_locks import Serving
from sallygate.services.auth_endpoints import AuthEndpoints, channel_of
from sallygate.services.clock import Clock
from sallygate.services.clock_watch import ClockWatch
from sallygate.services.counter_writer import CounterWriter
from sallygate.services.early_rejections import EarlyRejections
from sallygate.services.event_sinks import EventSinks
from sallygate.services.failures import Failures
from sallygate.services.feeds.schedule import FeedSources
from sallygate.services.gate_secrets import GateSecrets
from sallygate.services.injection_patterns import compiled_prefilter
from sallygate.services.issuer_keys import Issuers
from sallygate.services.load_watch import LoadWatch
from sallygate.services.logins import Logins
from sallygate.services.network_files import NetworkFiles, databases_of
from sallygate.services.reporting import Reporting
from sallygate.services.store_sync import StoreSync
from sallygate.services.store_thread import StoreThread
from sallygate.state.account_cache import TAG_KEY_BYTES, VerifiedPasswords
from sallygate.state.state import State
from sallygate.stores.events import EventLog
from sallygate.stores.sqlite.opening import open_store
from sallygate.telemetry.exporter import check_telemetry
from sallygate.telemetry.log import Log, RequestLog, open_log
from sallygate.telemetry.status import Status

SYNC_S = 0.1
"""A restriction is in force within 300 ms: a third of it is spent here at most."""
FLUSH_S = 0.5
"""Counters lose at most a second after a kill."""
CLOCK_S = 1.0
WATCH_S = 1.0
INTERRUPTED_AT_ONCE = 200
"""Exchanges asked whether they may go on before others get a turn: about a millisecond."""
ISSUERS_S = 1.0

T = TypeVar("T")


async def _still_alive() -> None:
    notify("WATCHDOG=1")


class Runtime:
    """Everything behind Guard. `start` before the first request, `stop` after the last."""

    def __init__(self, policy: str | Path, shell: Shell, log: Log | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.loaded = load_policy(Path(policy), shell)
        check_telemetry(self.loaded)
        self.log = log or open_log(self.loaded.policy.log)
        self.failures = Failures(self.log)
        self.installation = Installation(self.loaded.state_dir)
        self._held = contextlib.ExitStack()
        self._held.enter_context(self.installation.held(alone=False))  # from here on nobody may exchange it
        self.store, self.in_store = open_store(self.installation), StoreThread()
        if self.installation.shared:
            self.log.warning("every user of this machine may write to the state directory: chmod 700")
        self._serving = Serving(self.installation.directory)
        self.secrets = GateSecrets(self.installation, self.now)
        self.state = State(self.secrets.bucket_key)
        self.state.verified = VerifiedPasswords(secrets.token_bytes(TAG_KEY_BYTES))
        with self.installation.starting():
            self._prefilter = compiled_prefilter(self.loaded, self.installation, self.log.info)
        self.network = NetworkFiles(self.state, self.now, self.failures, self.log.warning)
        self.network.configure(self.loaded, databases_of(self.loaded))
        self.gate = self._compose(self.loaded)
        self.events = self._event_log()
        self._make_services()
        self.under_way = 0
        self.live: set[Interruptible] = set()
        self.on_reload: list[Callable[[Loaded], Coroutine[Any, Any, None]]] = []
        self._aside = ThreadPoolExecutor(1, "sallygate-examine")  # more would only share the interpreter
        self._tasks: list[asyncio.Task[Any]] = []
        self.instance = secrets.token_hex(8)
        """Of this process, the first half of every request id."""
        self._counter = count(int.from_bytes(secrets.token_bytes(4), "big"))
        self._started = self._behind = False
        self.handed_over = inherited() if shell == "gateway" else {}
        """Listening sockets of systemd's, until somebody takes them."""
        self._reloading = asyncio.Lock()

    def _compose(self, loaded: Loaded) -> Gate:
        ring, id_key = self.secrets.ring, self.secrets.id_key
        return compose(loaded, self.state, ring, id_key, self.now(), auth_operations, self._prefilter)

    def _event_log(self) -> EventLog:
        section = self.loaded.policy.events
        return EventLog(
            self.installation.events,
            section.queue,
            section.retention,
            lambda line: self.log.error("events", what=line),
            RequestLog(self.log, lambda: self.loaded.policy.log.requests),
        )

    def _make_services(self) -> None:
        state, store, in_store, now, failures = self.state, self.store, self.in_store, self.now, self.failures
        self.life = Life(now())
        self.reporting = Reporting(self.installation, self._status, now, failures, self.log)
        self.sync = StoreSync(state, store, self.installation.database, in_store, now)
        self.counters = CounterWriter(state, store, in_store, now)
        self.early = EarlyRejections(
            state, self.events.queue.put, self.reporting.metrics, self.counters.met, lambda: self.gate.source
        )
        self.rejections = self.early.counts
        self.logins = Logins(self.loaded.policy, state, store, in_store, now, failures)
        self.access = AuthEndpoints(
            state, store, in_store, self.installation, self.logins, lambda: self.gate, self.work, now, failures
        )
        self.load = LoadWatch(state, now, self.log)
        self.clock_watch = ClockWatch(self.clock, state, store, in_store, self.log)
        self.issuers = Issuers(self.installation, state, now, failures, self.log.warning)
        self.feeds = FeedSources(self.installation, state, now, failures, self.log.warning)
        self.sinks = self._event_sinks()
        self._parts = Parts(
            self.installation, self.clock, state, self.events, self.life, self.sync,
            self.issuers, self.feeds, self.network, self.load, self.reporting, failures, self.sinks,
        )  # fmt: skip

    def _event_sinks(self) -> EventSinks:
        metrics, sinks = self.reporting.metrics, EventSinks(self.failures)
        sinks.add_slow("events", self.events.queue)
        sinks.add("metrics", lambda exchange, _: metrics.observe(exchange))
        sinks.add("locations", lambda exchange, _: self.access.observe(exchange))
        sinks.add("counters", lambda exchange, _: self.counters.observe(exchange))
        return sinks

    async def _status(self) -> Status:
        return await gather_status(self._parts, self.loaded, self.under_way)

    # life --------------------------------------------------------------------------------------------------------

    def load_state(self) -> None:
        """What the stores keep, into memory. Raises `StoreError`: without its keys and blocks no gate opens."""
        now = self.now()
        self.sync.load()
        for name, subject, a, b in self.store.counters():
            if (table := self.state.tables.get(name)) is not None:
                table.load(subject, a, b, now)
        self.issuers.load(self.loaded)
        self.feeds.load(self.loaded)

    async def start(self) -> None:
        """Load, begin the background work, and follow SIGHUP. Raises `StoreError`."""
        if self._started:
            return
        self._started = True
        with self.installation.starting():
            await self._start_services()
        self.life.act_taken_over = self.sync.act
        self._begin()
        self._stamps = self._file_stamps()
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload_soon)

    async def _start_services(self) -> None:
        try:
            await self.in_store(self._serving.take)
            await self.in_store(self.load_state)
            await self.logins.start()
            await self.access.start(self.loaded, self.secrets.ring)
            # Begins to fetch, and waits for none: an issuer that is down opens and shuts nothing.
            await self.issuers.step()
            self.events.start()
            await self.reporting.start(self.loaded, self.instance, self.handed_over)
            if (traces := self.reporting.traces) is not None:
                self.sinks.add_slow("traces", traces.spans, traces.sampled)
            self.network.tell_age()
        except BaseException:
            self._started = False  # a later start must not find a gate that knows no restriction
            self._serving.release()
            raise

    def _begin(self) -> None:
        steps: list[tuple[float, str, Callable[[], Coroutine[Any, Any, None]]]] = [
            (SYNC_S, "sync", self._sync),
            (SYNC_S, "early", self.early.step),
            (FLUSH_S, "counters", self.counters.flush),
            (CLOCK_S, "clock", self.clock_watch.step),
            (WATCH_S, "watch", self._watch),
            (FLUSH_S, "locations", self.access.step),
            (ISSUERS_S, "issuers", self.issuers.step),
            (ISSUERS_S, "feeds", self.feeds.step),
            (FLUSH_S, "flood", self.load.step),
        ]
        if (interval_s := watchdog_s()) is not None:
            steps.append((interval_s, "watchdog", _still_alive))
        self._tasks = [asyncio.create_task(self._every(*step)) for step in steps]
        self._tasks.append(asyncio.create_task(self.load.watch_lateness()))

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
        await self.early.step()
        try:
            await self.counters.flush()
        except StoreError as error:
            self.failed("counters", error)
        await asyncio.to_thread(self.events.stop)
        await self.in_store(self.store.close)
        self.in_store.close()
        self._aside.shutdown(cancel_futures=True)
        self._serving.release()
        self._held.close()

    async def lifespan(self, event: str) -> None:
        """Start or stop with the application: `event` is `startup` or `shutdown`."""
        await (self.start() if event == "startup" else self.stop())

    async def _every(self, seconds: float, what: str, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await step()
            except Exception as error:  # background work goes on whatever happens, and says what did
                self.failed(what, error)

    # in the background -------------------------------------------------------------------------------------------

    async def _sync(self) -> None:
        """Take over what other processes wrote: accounts, keys, restrictions."""
        restrictions = self.state.restrictions
        if await self.sync.take_over():
            self._behind = True
        if self.state.restrictions is not restrictions:
            await self._interrupt()
        self.life.store_read_at = self.now()
        if self._behind:
            await self._catch_up()
        self.life.act_taken_over = self.sync.act

    async def _interrupt(self) -> None:
        """Restrictions have changed: what is under way is asked again, also what waits for the API or its client."""
        for number, one in enumerate(tuple(self.live)):
            if number % INTERRUPTED_AT_ONCE == INTERRUPTED_AT_ONCE - 1:
                await asyncio.sleep(0)
            one.interrupt()

    async def _catch_up(self) -> None:
        """Tried again until all of it is done: what ends a token first, what needs files after."""
        await self.access.take_over()
        if await self.secrets.follow(self.in_store):
            self.gate = self._compose(self.loaded)
        await self.access.follow(self.loaded, self.secrets.ring)
        self._behind = False

    def _file_stamps(self) -> tuple[tuple[int, int], ...]:
        with contextlib.suppress(OSError):
            return tuple((stat.st_mtime_ns, stat.st_ino) for stat in map(os.stat, self.loaded.watched_files))
        return ()

    async def _watch(self) -> None:
        await self.reporting.take_control()
        try:
            self.sync.check_in_place()
        except StoreError as error:
            self.failed("database", error)
        await self.network.step()
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
            loaded = await asyncio.to_thread(load_policy, self.loaded.file, self.loaded.shell)
            if loaded.state_dir != self.loaded.state_dir:
                raise StoreError("`state` cannot change while running; restart instead")
            channel_of(loaded, self.installation.directory)
            databases = databases_of(loaded)
            if self._prefilter is None:  # the control was off
                self._prefilter = await asyncio.to_thread(compiled_prefilter, loaded, self.installation, self.log.info)
            gate = self._compose(loaded)
        except Exception as error:  # whatever is wrong with it
            self.life.refused(str(error))
            said = "the new policy is refused, the old one stays in force"
            self.log.error(said, policy=self.loaded.hash, why=str(error))
            return False
        old, self.loaded, self.gate = self.loaded, loaded, gate
        self.network.configure(loaded, databases)
        self.feeds.configure(loaded)
        self.logins.configure(loaded.policy)
        self._behind = True
        try:
            await self._catch_up()
        except Exception as error:  # until it is, `/auth` is as it was
            self.failed("auth", error)
        self.issuers.configure(loaded)
        await self.issuers.step()
        self.life.reloaded(self.now())
        for name in restarts_needed(old, loaded):
            self.log.warning(f"`{name}` has changed: that takes a restart")
        # As they were before reading: later changes are read next. A contract with a new name is read once more.
        self._stamps = stamps if loaded.contract_file == old.contract_file else ()
        for reloaded in self.on_reload:
            await reloaded(old)
        self.log.info("policy in force", policy=loaded.hash, before=old.hash)
        return True

    # Guard's services --------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Current time, in seconds since the epoch, from the clock of this gate."""
        return self.clock.now()

    def tick_us(self) -> int:
        """Monotonic time in microseconds, for durations."""
        return time.perf_counter_ns() // 1000

    def new_request_id(self) -> str:
        """New request id: 32 hexadecimal digits, unique to this process and counted up."""
        return f"{self.instance}{next(self._counter) & 0xFFFFFFFFFFFFFFFF:016x}"

    @property
    def watched(self) -> bool:
        """Whether a sink needs every exchange separately."""
        return self.sinks.watched

    @property
    def own(self) -> App:
        """ASGI application of `/auth`."""
        return self.access.app

    async def work(self, work: OwnWork) -> WorkDone:
        """What a control asked for, done off the request path's own thread where it may block."""
        if isinstance(work, LoadCredential):
            return await self._load_credential(work)
        if isinstance(work, FetchKeys):
            return await self.issuers.work(work)
        if isinstance(work, LoadLocations):
            return await self.access.load_locations(work)
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
            self.state.credentials.put_missing(work.id, self.now())
        return CredentialLoaded(work.id, credential)

    async def aside(self, call: Callable[[], T]) -> T:
        """Run a blocking call in the runtime's threads and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, call)

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        """Header fields that tell the API who is calling."""
        # In process nobody stands between Guard and its application: `scope["sallygate"]` cannot be forged.
        upstream = self.loaded.policy.upstream if self.loaded.shell == "gateway" else None
        return self.secrets.assertions.headers(principal, now, signed=upstream is not None and upstream.assertion)

    def traceparent(self, head: RequestHead) -> bytes | None:
        """`traceparent` for the API; None if traces are off."""
        traces = self.reporting.traces
        return traces.traceparent(head) if traces is not None else None

    def record(self, exchange: Exchange, gate: Gate) -> None:
        """Give a finished exchange to every event sink."""
        self.sinks(exchange, gate)

    def failed(self, what: str, error: BaseException) -> None:
        """Count and log a failure of background work; `what` names its subject."""
        self.failures(what, error)
