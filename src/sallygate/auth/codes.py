"""Endpoint of one-time codes: request, delivery, and redemption once.

Threat: finding out who has an account, guessing a code, using one that was seen on its way, flooding an account's owner
(OWASP API2, API6). The answer says that a code is on its way before the account is looked up in the background, so that
neither the answer nor its time shows whether the account exists. An account that does not exist gets a stored code
too, which is never delivered: redeeming takes the same work.

Requests and guesses in an owner's name must not lock the owner out: a location that the account has signed in from, or
that is admitted for it, has counts of its own. A caller at such a location, and at no other, can notice this.

Evidence: `auth.code` (`rule` says which check failed), `auth.codes_limit`, `identity.guesses`.
Known bypasses: an attacker who reads the owner's mail and uses the network the code was requested from has the code.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping

from msgspec import Struct

from sallygate.auth.app import Answer, later, malformed, refused
from sallygate.auth.delivery import Channel, DeliveryError, Letter, letter_id
from sallygate.auth.host import Host
from sallygate.controls.identity import ACCOUNT
from sallygate.model.access import AuthCall, Code, CodePurpose
from sallygate.model.account import is_account_name
from sallygate.model.finding import Finding
from sallygate.parsing.addresses import location_network
from sallygate.policy.auth import Auth
from sallygate.ports import StoreError
from sallygate.state.counters import RateTable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that looks like a digit."""
CODE_CHARS = 8
"""40 bits."""
WAITING_MAX = 1000
"""Codes on their way. A mail server that takes one a second is behind by a code's life then."""
SENDERS = 4
AGAIN_AFTER_S = 3.0
"""A channel that fails is tried once more."""
READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


class Wanted(Struct, frozen=True):
    """Request for a code, until its sender has taken it from the queue."""

    account: str
    purpose: CodePurpose
    subject: str
    network: str


class Codes:
    """`start` before the first request, `stop` after the last."""

    def __init__(self, section: Auth, channel: Channel, host: Host) -> None:
        self._section, self._channel, self._host = section, channel, host
        self._waiting: asyncio.Queue[Wanted] = asyncio.Queue(WAITING_MAX)
        self._senders: list[asyncio.Task[None]] = []
        self._tag_key = secrets.token_bytes(32)
        codes, now = section.codes, host.now()
        self._limits = [
            host.state.table(RateTable(f"auth:codes:{name}", rate.per_s, rate.burst), now)
            for name, rate in (("account", codes.account), ("address", codes.address), ("overall", codes.overall))
        ]

    def start(self) -> None:
        """Start the tasks that deliver codes. Call it once, inside the event loop."""
        self._senders = [asyncio.create_task(self._send_on()) for _ in range(SENDERS)]

    async def stop(self) -> None:
        """Codes still waiting were never made; those on their way never count."""
        for task in self._senders:
            task.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    # asking ----------------------------------------------------------------------------------------------------------

    async def ask(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """`POST /auth/codes` with `account`."""
        name = parameters.get("account", "")
        if not is_account_name(name):
            return malformed("Say whose code: `account`.")
        return self.want(call, Wanted(name, "access", "", location_network(call.head.client_address)))

    def want(self, call: AuthCall, wanted: Wanted) -> Answer:
        """The same answer whatever is known of the account."""
        now = self._host.now()
        # The digest last: by it erasing finds them.
        one = f"{wanted.network} " if self._is_known_network(wanted.account, wanted.network, now) else ""
        owner = f"{wanted.purpose} {one}{self._host.name_digest(wanted.account)}"
        subjects = (owner, call.head.client_network, "all")
        waits = [
            room.reset_s
            for table, subject in zip(self._limits, subjects, strict=True)
            if not (room := table.look(subject, now)).allowed
        ]
        if waits:
            return later("Too many codes were asked for; try again later.", "auth.codes_limit", 429, max(waits))
        for table, subject in zip(self._limits, subjects, strict=True):
            table.take(subject, now, 1)
        try:
            self._waiting.put_nowait(wanted)
        except asyncio.QueueFull:
            return later("Codes cannot be sent at present; try again later.", "auth.codes_queue", 503, 30)
        said = {"detail": "If there is such an account, a code is on its way to its owner.",
                "expires_in": int(self._section.codes.life)}  # fmt: skip
        return Answer(202, said)

    def _is_known_network(self, account: str, network: str, now: float) -> bool:
        host = self._host
        if host.state.known_networks.is_verified(f"{ACCOUNT}{account}", network):
            return True
        return host.guesses.is_known_network(account, network, now)

    async def _send_on(self) -> None:
        while True:
            wanted = await self._waiting.get()
            try:
                await self._make(wanted)
            except Exception as error:  # a code that was not made opens nothing; the next may be
                self._host.failed("access code", error)

    async def _make(self, wanted: Wanted) -> None:
        host, now = self._host, self._host.now()
        account = await host.account(wanted.account)
        open_to = account if account is not None and account.contact and account.locked_at is None else None
        text = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
        code = Code(
            letter_id(), host.name_digest(wanted.account), wanted.purpose, wanted.network, await host.hash(text), now,
            now + self._section.codes.life, wanted.account if open_to is not None else "", wanted.subject,
        )  # fmt: skip
        note = f"{wanted.purpose} code {code.id}, asked for from {wanted.network}"
        act = host.act("code.create", wanted.account, "auth", note) if open_to is not None else None
        await host.kept(lambda store: store.put_code(code, act))
        if open_to is None:
            await host.kept(lambda store: store.code_delivered(code))  # to nobody, and as much work
        else:
            await self._deliver(code, open_to.contact, f"{text[:4]}-{text[4:]}")

    async def _deliver(self, code: Code, contact: str, text: str) -> None:
        host = self._host
        letter = Letter(code.id, contact, code.account, code.purpose, code.network, text, code.expires_at)
        try:
            try:
                await self._channel.send(letter)
            except DeliveryError:
                await asyncio.sleep(AGAIN_AFTER_S)
                await self._channel.send(letter)
        except Exception as error:
            host.failed("delivery of codes", error)
            said = str(error) if isinstance(error, DeliveryError) else type(error).__name__
            act = host.act("code.undelivered", code.account, "auth", f"code {code.id}: {said}")
            await host.kept(lambda store: store.end_code(code, act))
            return
        await host.kept(lambda store: store.code_delivered(code))

    # redeeming -------------------------------------------------------------------------------------------------------

    async def redeem(
        self, call: AuthCall, purpose: CodePurpose, account: str, subject: str, text: str
    ) -> Answer | None:
        """None: it was the code, and is used up."""
        host, now = self._host, self._host.now()
        network = location_network(call.head.client_address)
        guess = host.guesses.look(
            account, call.head.client_network, network, self._is_known_network(account, network, now), now
        )
        if guess.wait_s:
            return later("Too many wrong codes; try again later.", "identity.guesses", 429, guess.wait_s, guess.rule)
        held, costs = host.state.slots, guess.charges  # who leaves before the answer has guessed all the same
        for charge in guess.charges:
            held.take(charge.table, charge.subject)
        try:
            failure = await self._compare(purpose, account, subject, network, text)
            if failure is None:
                costs = host.guesses.succeeded(account, network) if purpose == "access" else ()
            elif failure.status == 503:  # nobody looked: it was no guess
                costs = ()
            return failure
        finally:
            for charge in guess.charges:
                held.give_back(charge.table, charge.subject)
            for charge in costs:
                host.state.tables[charge.table].take(charge.subject, host.now(), charge.amount)

    async def _compare(
        self, purpose: CodePurpose, account: str, subject: str, network: str, text: str
    ) -> Answer | None:
        host, now = self._host, self._host.now()
        owner = host.name_digest(account)
        typed = text.upper().translate(READ_AS)
        try:
            code = await host.kept(lambda store: store.try_code(owner, purpose, subject, network, now))
            # By the code itself: what was right of the one before is not right of this one.
            of = code.id if code is not None else f"{owner} {purpose} {subject} {network}"
            tag = hmac.digest(self._tag_key, f"{of}\0{typed}".encode(), "sha256")
            outcome = await host.compare(typed[: 2 * CODE_CHARS] or "-", code.hash if code is not None else "", tag)
            if outcome == "later":
                return later("Codes cannot be checked at present; try again later.", "auth.busy", 503, 5)
            if code is None or outcome == "wrong":
                return wrong_code(
                    "none that counts" if code is None else "wrong", code.account if code is not None else ""
                )
            used = host.act("code.use", account, "auth", f"{purpose} code {code.id}, from {network}")
            if not await host.kept(lambda store: store.end_code(code, used)):
                return wrong_code("used meanwhile", account)
        except StoreError as error:
            host.failed("access codes", error)
            return later("Codes cannot be checked at present; try again later.", "auth.unavailable", 503, 5)
        return None


def wrong_code(why: str, account: str) -> Answer:
    """One answer, whatever was wrong. `account` is one there is, or empty."""
    finding = Finding("auth.code", "The account or the code is not valid.", 400, rule=why,
                      evidence=f"account {account}" if account else "",
                      owasp="API2", attack="T1110")  # fmt: skip
    return refused("invalid_grant", finding.detail, finding)
