"""Deciding without serving: what `replay` and `explain` ask.

Builds the gate of a policy over the state its directory has, if there is one, and decides recorded requests in memory.
Nothing is sent, nothing is written. Time stands still unless the records move it, so that the same file under the same
policy and state gives the same decisions. The connection a request came on is not recorded, so `transport` is not
judged, and sections the policy does not have are not made up.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from msgspec import Struct

from sallygate.auth.routes import auth_operations
from sallygate.engine.compose import compose
from sallygate.engine.evaluation import Step
from sallygate.engine.exchange import ExchangeDriver
from sallygate.engine.gate import Gate
from sallygate.model import driver as d
from sallygate.model.decision import Decision, HeaderList
from sallygate.model.operation import Operation
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import PasswordVerified, VerifyPassword, Work, WorkDone, nothing_known
from sallygate.offline.recordings import Recorded
from sallygate.policy.load import load_policy
from sallygate.security import passwords
from sallygate.security.key_ring import KeyRing
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from sallygate.services.auth_endpoints import own_key_set
from sallygate.services.feeds.schedule import load_kept
from sallygate.services.injection_patterns import prefilter_of
from sallygate.services.issuer_keys import load_known
from sallygate.services.network_files import databases_of, geography_of
from sallygate.services.restriction_tables import add_restrictions
from sallygate.state.state import State
from sallygate.stores.sqlite.access import AccessStore
from sallygate.stores.sqlite.store import SqliteStore

VERIFIED_KEPT = 100_000
"""Passwords of a recording that were verified: each costs a hash once."""


class Verdict(Struct, frozen=True):
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
        installed = (directory / "sallygate.db").is_file()
        installation = Installation(directory, create=False) if installed else None
        peppers = installation.peppers() if installation else (secrets.token_bytes(32),)
        pepper, ring = peppers[-1], KeyRing(peppers[0], peppers[1:])
        self.now = time.time()
        self.state = State()
        self._verified: dict[bytes, PasswordVerified] = {}
        prefilter = prefilter_of(directory)
        self.state.geography = geography_of(databases_of(self.loaded))
        self.gate: Gate = compose(self.loaded, self.state, ring, pepper, self.now, auth_operations, prefilter)
        load_known(self.state, self.loaded, installation)
        load_kept(self.state, self.loaded, installation)
        if installation is not None:
            self._load(SqliteStore(installation.database, read_only=True))
            self._load_own_keys(installation)

    def _load_own_keys(self, installation: Installation) -> None:
        auth = self.loaded.policy.auth
        if auth is not None and (keys := installation.signing_keys("signing", make=False)):
            self.state.issuers.put(auth.issuer, own_key_set(SigningKeys(keys), self.now))

    def _load(self, store: SqliteStore) -> None:
        access, auth = AccessStore(store), self.loaded.policy.auth
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
        driver = ExchangeDriver(self.gate, head, _SILENT, 0.0, trace)
        commands, answered, exchange = driver.start(), 0, None
        while commands:
            event: d.Event | None = None
            for command in commands:
                if isinstance(command, d.Record):
                    exchange = command.exchange
                elif isinstance(command, d.Reply):
                    answered, event = command.status, d.Sent(now, 0.0)
                else:
                    event = self._answer(command, recorded.body, now) or event
            commands = driver.feed(event) if event is not None else ()
        assert exchange is not None
        decision = exchange.decision
        by_gate = bool(answered) and decision.verdict == "allow"
        status = answered if by_gate else decision.status
        return Verdict(decision, status, exchange.operation, exchange.principal, by_gate)

    def _answer(self, command: d.Command, body: bytes, now: float) -> d.Event | None:
        """What would have come of a command, as far as a recording tells: nothing is sent."""
        if isinstance(command, d.Work):
            return d.WorkDone(now, 0.0, tuple([self._work(item) for item in command.items]))
        if isinstance(command, d.ReadBody):
            large = len(body) > command.bytes_max
            return d.BodyRead(now, 0.0, b"" if large else body, "large" if large else "whole")
        if isinstance(command, d.Offload):
            return d.Offloaded(now, 0.0, command.call())
        if isinstance(command, d.TakeSlot):
            return d.SlotTaken(now, 0.0)
        return d.End(now, 0.0) if isinstance(command, d.CallApi) else None

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


class _Silent:
    """Ports of a driver whose requests go nowhere."""

    def identity_headers(self, principal: Principal, now: float) -> HeaderList:
        return ()

    def traceparent(self, head: RequestHead) -> bytes | None:
        return None

    def tick_us(self) -> int:
        return 0

    def failed(self, what: str, error: BaseException) -> None:
        raise error


_SILENT = _Silent()
