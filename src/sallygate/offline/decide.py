"""Shell for recorded requests: runs the exchange driver from a recording and sends nothing.

Builds the gate of a policy over the state its directory has, if there is one, and decides recorded requests in memory.
Nothing is sent, and nothing is written but compiled patterns into the user's cache. Time stands still unless the
records move it, so that the same file under the same policy and state gives the same decisions. The connection a
request came on is not recorded, so `transport` is not judged, and sections the policy does not have are not made up.
"""

from __future__ import annotations

import io
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from sallygate.auth.routes import auth_operations
from sallygate.engine.compose import compose
from sallygate.engine.evaluation import Step
from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.gate import Gate
from sallygate.model import driver as d
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.exchange import Exchange
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import PasswordVerified, VerifyPassword, Work, WorkDone, nothing_known
from sallygate.offline.recordings import Recorded, RecordedResponse
from sallygate.parsing.http.records import RecordSplitter
from sallygate.policy.load import load_policy
from sallygate.ports import StateStore
from sallygate.security import passwords
from sallygate.security.key_ring import KeyRing
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from sallygate.services.auth_endpoints import own_key_set
from sallygate.services.feeds.schedule import load_kept
from sallygate.services.injection_patterns import offline_prefilter
from sallygate.services.issuer_keys import load_known
from sallygate.services.network_files import databases_of, geography_of
from sallygate.services.restriction_tables import add_restrictions
from sallygate.state.state import State
from sallygate.stores.sqlite.opening import open_store

Events = tuple[d.Event, ...]
VERIFIED_KEPT = 100_000
"""Passwords of a recording that were verified: each costs a hash once."""


class Verdict(Struct, frozen=True):
    """Result of one recorded request: its decision, status, operation and principal."""

    decision: Decision
    status: int
    operation: Operation | None
    principal: Principal | None
    answered: bool = False
    """The gate would answer by itself: the specification, a preflight."""


class Offline:
    """Raises `PolicyError` or `StoreError` when the policy or its state cannot be read."""

    def __init__(self, policy: Path, state_dir: Path | None = None) -> None:
        self.loaded = load_policy(policy, "replay")
        directory = state_dir or self.loaded.state_dir
        installation = Installation(directory, create=False) if directory.is_dir() else None
        if installation is not None and not (installation.database.is_file() or installation.traces()):
            installation = None  # nothing was installed yet
        peppers = installation.peppers() if installation else (secrets.token_bytes(32),)
        pepper, ring = peppers[-1], KeyRing(peppers[0], peppers[1:])
        self.now = time.time()
        self.state = State()
        self._verified: dict[bytes, PasswordVerified] = {}
        prefilter = offline_prefilter(self.loaded, directory)
        self.state.geography = geography_of(databases_of(self.loaded))
        self.gate: Gate = compose(self.loaded, self.state, ring, pepper, self.now, auth_operations, prefilter)
        load_known(self.state, self.loaded, installation)
        load_kept(self.state, self.loaded, installation)
        if installation is not None:
            self._load(open_store(installation, read_only=True))
            self._load_own_keys(installation)

    def _load_own_keys(self, installation: Installation) -> None:
        auth = self.loaded.policy.auth
        if auth is not None and (keys := installation.signing_keys("signing", make=False)):
            self.state.issuers.put(auth.issuer, own_key_set(SigningKeys(keys), self.now))

    def _load(self, store: StateStore) -> None:
        access, auth = store.access, self.loaded.policy.auth
        try:
            if auth is not None:
                for one in access.revocations():
                    self.state.revocations.put(auth.issuer, one.id, one.until, self.now)
            for account in store.accounts():
                self.state.accounts.put(account)
            for credential in store.credentials():
                self.state.credentials.put(credential)
            for known in access.known_networks():
                if self.state.known_networks.of(known.principal) is None:
                    self.state.known_networks.load(known.principal, ())
                self.state.known_networks.put(known)
            add_restrictions(self.state, list(store.restrictions()), self.now)
        finally:
            store.close()

    def decide(self, recorded: Recorded, number: int = 0, trace: list[Step] | None = None) -> Verdict:
        """One request, charged like a real one."""
        if recorded.at is not None:
            self.now = recorded.at
        now = self.now
        head = self.gate.reader.read(
            method=recorded.method,
            scheme=recorded.scheme,
            raw_path=recorded.raw_path,
            raw_query=recorded.raw_query,
            headers=recorded.headers,
            http_version="1.1",
            peer=recorded.client,
            request_id=f"{number:032x}",
            now=now,
        )
        driver = ExchangeDriver(self.gate, head, SILENT, 0.0, trace)
        api = RecordedApi(recorded.response, now)
        exchange, answered = drive(driver, lambda command: self._answer(command, recorded, now) or api.answer(command))
        decision = exchange.decision
        by_gate = bool(answered) and decision.verdict == "allow"
        status = answered if by_gate else decision.status
        return Verdict(decision, status, exchange.operation, exchange.principal, by_gate)

    def _answer(self, command: d.Command, recorded: Recorded, now: float) -> Events:
        """What would have come of a command, as far as a recording tells: nothing is sent."""
        body = recorded.body
        if isinstance(command, d.Work):
            return (d.WorkDone(now, 0.0, tuple([self._work(item) for item in command.items])),)
        if isinstance(command, d.ReadBody):
            large = len(body) > command.bytes_max
            return (d.BodyRead(now, 0.0, b"" if large else body, "large" if large else "whole"),)
        if isinstance(command, d.Spool) and command.side == "client":
            return (d.Spooled(now, 0.0, io.BytesIO(body), len(body)),)
        return ()

    def _work(self, work: Work) -> WorkDone:
        if not isinstance(work, VerifyPassword):
            return nothing_known(work)
        if work.tag not in self._verified:
            if len(self._verified) >= VERIFIED_KEPT:
                self._verified.clear()
            self._verified[work.tag] = _verify(work)
        return self._verified[work.tag]


def _verify(work: VerifyPassword) -> PasswordVerified:
    try:
        passwords.verify(work.password, work.stored)
    except (passwords.WrongPassword, passwords.UnusableHash):
        return PasswordVerified(work.tag, "wrong")
    return PasswordVerified(work.tag, "right")


class RecordedApi:
    """What a recording says the API answered."""

    def __init__(self, response: RecordedResponse | None, now: float) -> None:
        self._response, self._now = response, now

    def answer(self, command: d.Command) -> Events:
        """What comes of a command: the head first, then the body in the way the driver wants it read."""
        response, now = self._response, self._now
        if response is None:
            return ()
        if isinstance(command, d.CallApi):
            return (d.ResponseHead(now, 0.0, response.status, response.headers),)
        body = response.body
        events: Events
        if isinstance(command, d.ReadRecord) and command.side == "api":
            splitter = RecordSplitter(command.framing, command.bytes_max)
            records = [*splitter.add(body), splitter.end()]
            events = tuple([d.RecordRead(now, 0.0, "api", record, splitter.large) for record in records if record])
            events += (d.RecordRead(now, 0.0, "api", None),)
        elif isinstance(command, d.Spool) and command.side == "api":
            events = (d.Spooled(now, 0.0, io.BytesIO(body), len(body)),)
        elif isinstance(command, d.SendHead | d.HoldHead):
            events = (d.Chunk(now, 0.0, "api", body, False),)
        else:
            return ()
        self._response = None  # the body comes once
        return events


def drive(driver: ExchangeDriver, answer: Callable[[d.Command], Events]) -> tuple[Exchange, int]:
    """Carry one exchange to its end: what is recorded of it, and the status of an answer by the gate itself, 0 without.
    `answer` says what comes of a command."""
    commands, answered, exchange = driver.start(), 0, None
    waiting: deque[d.Event] = deque()
    while True:
        events: Events = ()
        for command in commands:
            if isinstance(command, d.Record):
                exchange = command.exchange
            elif isinstance(command, d.Reply):
                answered, events = command.status, (d.Sent(driver.now, driver.tick),)
            elif isinstance(command, d.TakeSlot):
                events = (d.SlotTaken(driver.now, driver.tick),)
            elif isinstance(command, d.Offload):
                events = (d.Offloaded(driver.now, driver.tick, command.call()),)
            else:
                events = answer(command) or events
        waiting.extendleft(reversed(events))
        if exchange is not None:
            return exchange, answered
        commands = driver.feed(waiting.popleft() if waiting else d.End(driver.now, driver.tick))


class _Silent:
    """Ports of a driver whose requests go nowhere."""

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        """No header fields: nothing is sent."""
        return ()

    def traceparent(self, head: RequestHead) -> bytes | None:
        """No trace: nothing is sent."""
        return None

    def tick_us(self) -> int:
        """Zero: a recording has no durations."""
        return 0

    def failed(self, what: str, error: BaseException) -> None:
        """Raise the error."""
        raise error


SILENT = _Silent()
