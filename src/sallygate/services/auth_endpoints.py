"""Service of `/auth`: its application, keys, channel and stores, for the policy in force.

A reload that changes nothing about it leaves it running; codes on their way are not lost to one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from msgspec.json import encode

from sallygate.admin.audit import act_of
from sallygate.auth import AuthApp
from sallygate.auth.codes import Codes
from sallygate.auth.delivery import SECRET_BYTES_MIN, Channel, OutboxChannel, SmtpChannel, WebhookChannel
from sallygate.auth.locations import Locations
from sallygate.auth.oauth import OAuth
from sallygate.auth.routes import CODES, INTROSPECT, LOCATIONS, REVOKE, TOKEN
from sallygate.auth.tokens import TokenText
from sallygate.controls.identity import Guesses, IdentityControl, Refused
from sallygate.controls.identity.failure import unavailable
from sallygate.controls.location import LocationControl
from sallygate.engine.gate import Gate
from sallygate.guard import App
from sallygate.model.access import KnownNetwork, Revocation
from sallygate.model.account import Account
from sallygate.model.event import Event
from sallygate.model.exchange import Exchange
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.work import ROUNDS_MAX, LoadAccount, LoadLocations, LocationsLoaded, OwnWork, WorkDone
from sallygate.parsing.addresses import location_network
from sallygate.parsing.jose.jwk import read_key_set
from sallygate.policy.auth import Auth
from sallygate.policy.load import Loaded
from sallygate.ports import AccessStore, StateStore, StoreError
from sallygate.security.key_ring import KeyRing
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from sallygate.services.logins import Logins
from sallygate.services.store_thread import StoreThread
from sallygate.state.impossible_travel import Seen, circle_of
from sallygate.state.key_sets import KeySet
from sallygate.state.known_networks import KNOWN_NETWORKS_MAX
from sallygate.state.state import State

SEEN_MAX = 10_000
"""Most new networks that wait half a second to be written; a further one is new again at its next call."""

T = TypeVar("T")


class AuthEndpoints:
    """`start` before the first request, `follow` after each reload, `stop` after the last."""

    def __init__(
        self,
        state: State,
        store: StateStore,
        in_store: StoreThread,
        installation: Installation,
        logins: Logins,
        gate: Callable[[], Gate],
        work: Callable[[OwnWork], Awaitable[WorkDone]],
        now: Callable[[], float],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        """`gate` gives the gate of the policy in force; `work` does what its controls ask for."""
        self.state = state
        self._store, self._in_store = store.access, in_store
        self._installation, self._logins = installation, logins
        self._gate, self._work, self.now, self.failed = gate, work, now, failed
        self._ring: KeyRing | None = None
        self._section: Auth | None = None
        self._peppers: tuple[bytes, ...] = ()
        self._codes: Codes | None = None
        self._guesses: Guesses | None = None
        self._signing: SigningKeys | None = None
        self._signing_files: tuple[float, ...] = ()
        self._revocations_revision = self._networks_revision = 0
        self._seen: dict[tuple[str, str], KnownNetwork] = {}
        self._closed = AuthApp({}, frozenset(), self.failed)
        self.app: App = self._closed

    async def start(self, loaded: Loaded, ring: KeyRing) -> None:
        """As `follow`, once, before the first request."""
        self._networks_revision = await self.kept(lambda store: store.revision())
        await self.follow(loaded, ring)
        await self.take_over()

    async def stop(self) -> None:
        """Stop the delivery of codes."""
        if self._codes is not None:
            await self._codes.stop()
            self._codes = None

    async def follow(self, loaded: Loaded, ring: KeyRing) -> None:
        """The policy in force, and the pepper; whole, or as it was before. Raises `StoreError`."""
        self._ring, section = ring, loaded.policy.auth
        if section is None:
            if self._section is not None:
                self.state.issuers.drop(self._section.issuer)
            await self.stop()
            self._section, self._signing, self.app = None, None, self._closed
            return
        # The same counters as the gate's own, under names of their own.
        logins, digest = loaded.policy.accounts.logins, ring.name_digest
        self._guesses = Guesses(logins, self.state, digest, self.now(), "codes")
        peppers = await self._in_store(self._installation.peppers)
        if (section, peppers) == (self._section, self._peppers):
            return
        channel = channel_of(loaded, self._installation.directory)
        # All there are: while there was no `auth`, or another's, they were not taken over for this one.
        revocations = await self.kept(lambda store: store.revocations())
        signing = await self._signing_keys()
        await self.stop()
        if self._section is not None and self._section.issuer != section.issuer:
            self.state.issuers.drop(self._section.issuer)
        self._section, self._peppers, self._signing, self._signing_files = section, peppers, signing, ()
        self._publish()
        self.revoked(revocations)
        text = TokenText(peppers, section.issuer, section.audience or section.issuer)
        if channel is not None:
            self._codes = Codes(section, channel, self)
            self._codes.start()
        endpoints = OAuth(section, text, self._codes, self).endpoints()
        if self._codes is not None:
            endpoints[CODES] = self._codes.ask
            endpoints[LOCATIONS] = Locations(self._codes, self).admit
        self.app = AuthApp(endpoints, frozenset((TOKEN, REVOKE, INTROSPECT)), self.failed)

    # kept up to date -------------------------------------------------------------------------------------------------

    async def take_over(self) -> None:
        """What other processes changed, or this one before it stopped."""
        known = self._networks_revision
        for one in await self.kept(lambda store: store.known_networks(known)):
            self._networks_revision = max(self._networks_revision, one.revision)
            self.state.known_networks.put(one)
        if self._section is None:
            return
        known_revocations = self._revocations_revision
        self.revoked(await self.kept(lambda store: store.revocations(known_revocations)))
        self._signing = await self._signing_keys()
        self._publish()

    async def _signing_keys(self) -> SigningKeys:
        return SigningKeys(await self._in_store(lambda: self._installation.signing_keys("signing")))

    def _publish(self) -> None:
        """The public halves of our keys, for the identity control. Another set only where the files or the time make
        one: a cache of verified tokens then verifies again."""
        section, signing, now = self._section, self._signing, self.now()
        if section is None or signing is None:
            return
        published = tuple(key.made_at for key in signing.published(now))
        if published != self._signing_files or self.state.issuers.get(section.issuer) is None:
            self._signing_files = published
            self.state.issuers.put(section.issuer, own_key_set(signing, now))

    # Host, for the application ---------------------------------------------------------------------------------------

    @property
    def guesses(self) -> Guesses:
        """Counters of wrong codes."""
        assert self._guesses is not None
        return self._guesses

    @property
    def signing(self) -> SigningKeys:
        """Signing keys of the own access tokens."""
        assert self._signing is not None
        return self._signing

    def name_digest(self, name: str) -> str:
        """Keyed hash of a name, which may belong to no account."""
        assert self._ring is not None
        return self._ring.name_digest(name)

    async def kept(self, call: Callable[[AccessStore], T]) -> T:
        """Result of `call` on the store, off the event loop. Raises `StoreError`."""
        return await self._in_store(lambda: call(self._store))

    async def account(self, name: str) -> Account | None:
        """Account from memory or the store; None if there is none. Raises `StoreError`."""
        known = self.state.accounts.get(name)
        if known is not None:
            return known
        loaded = await self._logins.load(LoadAccount(name))
        if loaded.failed:
            raise StoreError("accounts cannot be read at present")
        return loaded.account

    def _identity(self) -> IdentityControl | None:
        return self._gate().engine.controls.get(IdentityControl)

    def principal_of(self, account: Account) -> Principal | Finding:
        """Principal of an account under the policy in force, or the finding that refuses it."""
        identity = self._identity()
        return identity.prove_account(account) if identity is not None else unavailable("Accounts")

    async def prove_key(self, text: str) -> Principal | Finding:
        """Principal of an API key, or the finding that refuses it."""
        return await self._proven(lambda identity, now, done: identity.prove_key(text, now, done))

    async def prove_token(self, text: str) -> Principal | Finding:
        """Principal of an access token, or the finding that refuses it."""
        return await self._proven(lambda identity, now, done: identity.prove_token(text, now, done))

    async def _proven(
        self,
        judge: Callable[[IdentityControl, float, tuple[WorkDone, ...]], Principal | Finding | Refused | OwnWork],
    ) -> Principal | Finding:
        done: tuple[WorkDone, ...] = ()
        for _ in range(ROUNDS_MAX + 1):
            identity = self._identity()
            if identity is None:
                break
            answer = judge(identity, self.now(), done)
            if isinstance(answer, Refused):
                return answer.finding
            if isinstance(answer, Principal | Finding):
                return answer
            done = (*done, await self._work(answer))
        return unavailable("Credentials")

    async def hash(self, text: str) -> str:
        """Argon2id hash of a code, computed in the pool."""
        return await self._logins.hashing.hash(text, first=True)

    async def compare(self, text: str, stored: str, tag: bytes) -> Literal["right", "wrong", "later"]:
        """Compare a code with its hash in the pool; `later` if the pool is full."""
        outcome = await self._logins.hashing.verify(text, stored, tag, first=True)
        return outcome if outcome in ("right", "wrong") else "later"

    def act(self, act: str, subject: str, actor: str, note: str) -> Event:
        """Audit event at the current time."""
        return act_of(act, subject, actor, note, self.now())

    def revoked(self, revocations: Sequence[Revocation]) -> None:
        """Take revocations into memory."""
        section, now = self._section, self.now()
        for one in revocations:
            self._revocations_revision = max(self._revocations_revision, one.revision)
            if section is not None:
                self.state.revocations.put(section.issuer, one.id, one.until, now)

    def admitted(self, known_networks: list[KnownNetwork]) -> None:
        """Take admitted networks into memory."""
        for one in known_networks:
            self.state.known_networks.put(one)

    # known networks --------------------------------------------------------------------------------------------------

    async def load_locations(self, work: LoadLocations) -> LocationsLoaded:
        """Load the known networks of a principal; `failed` is set if the store does not answer."""
        try:
            found = tuple(await self.kept(lambda store: store.known_networks_of(work.principal)))
        except StoreError as error:
            self.failed("places", error)
            return LocationsLoaded(work.principal, (), failed=True)
        self.state.known_networks.load(work.principal, found)
        return LocationsLoaded(work.principal, found)

    def observe(self, exchange: Exchange) -> None:
        """Record a network seen for the first time: known at once, and written a little later."""
        if exchange.principal is None:
            return
        if exchange.decision.verdict == "allow" and self._gate().engine.controls.get(LocationControl) is not None:
            self._travelled(exchange.principal.id, exchange)
        if not exchange.decision.findings:
            return
        for finding in exchange.decision.findings:
            known = self.state.known_networks.of(exchange.principal.id) or {}
            if finding.code == "location.new" and len(self._seen) < SEEN_MAX and len(known) < KNOWN_NETWORKS_MAX:
                one = KnownNetwork(exchange.principal.id, finding.evidence, "seen", exchange.head.received_at)
                self._seen[one.principal, one.network] = one
                self.state.known_networks.put(one)

    def _travelled(self, principal: str, exchange: Exchange) -> None:
        head, origin = exchange.head, self.state.geography.of(exchange.head.client_address)
        if (circle := circle_of(origin)) is not None:
            network = location_network(head.client_address)
            self.state.travels.put(principal, Seen(network, origin.country, circle, head.received_at))

    async def step(self) -> None:
        """New networks written; keys that have had their time no longer published."""
        self._publish()
        if self._seen:
            written, self._seen = list(self._seen.values()), {}
            self.admitted(await self.kept(lambda store: store.put_known_networks(written, None)))


def channel_of(loaded: Loaded, state_dir: Path) -> Channel | None:
    """How the policy's codes are delivered, if they are. Raises `StoreError` for a secret that cannot be read."""
    section = loaded.policy.auth
    delivery = section.delivery if section is not None else None
    if delivery is None:
        return None
    if (smtp := delivery.smtp) is not None:
        password = _secret(loaded.beside(smtp.password)).decode() if smtp.password else ""
        return SmtpChannel(smtp, password, str(loaded.beside(smtp.ca)) if smtp.ca else None)
    if (webhook := delivery.webhook) is not None:
        file = loaded.beside(webhook.secret)
        if len(secret := _secret(file)) < SECRET_BYTES_MIN:
            raise StoreError(f"{file}: the webhook's secret is shorter than {SECRET_BYTES_MIN} bytes; make it longer")
        return WebhookChannel(webhook.url, secret)
    return OutboxChannel(state_dir / (delivery.outbox or "outbox.jsonl"))


def own_key_set(signing: SigningKeys, now: float) -> KeySet:
    """Our keys, as those of any issuer."""
    return KeySet(read_key_set(encode(signing.jwks(now))).keys)


def _secret(file: Path) -> bytes:
    try:
        return file.read_bytes().strip()
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror}; `auth.delivery` names it") from None
