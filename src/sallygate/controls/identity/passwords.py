"""Verifier of name and password of an account, sent with each call (Basic authentication, RFC 7617).

Cost: one HMAC while the password is remembered. Otherwise a hash, computed off the event loop; none once over a limit.

Whatever is wrong (no such account, no password, another password, locked) is one answer that leaves at one of a few
fixed times, since the same is computed for all of them; which it was is in the event's `rule`. The name of an account
that is none is not kept: people type passwords into the wrong field.
"""

from __future__ import annotations

from collections.abc import Callable

from sallygate.controls.identity.account_lookup import AccountHolders
from sallygate.controls.identity.failure import invalid, unavailable
from sallygate.controls.identity.guesses import Guesses
from sallygate.controls.identity.outcomes import Asking, Proven, Refused
from sallygate.model.account import Account, is_account_name
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.request import RequestHead
from sallygate.model.work import AccountLoaded, Charge, LoadAccount, PasswordVerified, VerifyPassword, WorkDone
from sallygate.parsing.addresses import location_network
from sallygate.security.key_ring import KeptHmac
from sallygate.state.state import State

PASSWORD_CHARS_MAX = 1024
"""As `sallygate.security.passwords.BYTES_MAX`: a longer password is never valid, and is not hashed."""
VERIFYING = "verifying"
"""No counter: marks a password as being verified, so that the same one sent by many connections at once is one
guess."""
BUSY_RETRY_S = 2
KnownNetwork = Callable[[str, RequestHead, float], bool]
"""(account, head, now): whether the caller is at a place of the account's."""


class Passwords:
    """Verifier of names and passwords (Basic authentication), with limits on failed logins."""

    def __init__(
        self,
        holders: AccountHolders,
        guesses: Guesses,
        state: State,
        remember_s: float,
        is_known_network: KnownNetwork | None = None,
    ) -> None:
        self._holders, self._guesses, self._state = holders, guesses, state
        self._remember_s = remember_s
        self._tag = KeptHmac(state.verified.key)
        self._is_known_network = is_known_network

    def admit(
        self, name: str, password: str, head: RequestHead, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Proven | Finding | Refused | LoadAccount | Asking:
        """Verify name and password at time `now` (seconds since the epoch), or return the work that is needed first."""
        if not is_account_name(name):
            return invalid("no account name")
        if not 0 < len(password) <= PASSWORD_CHARS_MAX:
            return invalid("no password")
        location = location_network(head.client_address)
        account = self._holders.known(name, done)
        if account is not None:
            tag = self._tag_of(account, password)
            if (answer := _answer(done, tag)) is not None:  # before what is remembered of it: its place is news
                return self._answered(answer, account, head, location, now)
            remembered = self._remember_s and self._state.verified.holds(tag, now, self._remember_s)
            if remembered and account.locked_at is None:
                return self._holders.principal_of(account)
        known_network = self._knows(name, location, head, now)
        guess = self._guesses.look(name, head.client_network, location, known_network, now)
        if account is None:
            loaded = next((one for one in done if isinstance(one, AccountLoaded) and one.name == name), None)
            if loaded is not None and loaded.failed:
                return unavailable("Accounts")
            if loaded is None and not self._state.accounts.is_missing(name, now):
                return guess.refused() if guess.wait_s else LoadAccount(name)
            account = Account(name, "")
            tag = self._tag_of(account, password)
            if (answer := _answer(done, tag)) is not None:
                return self._failed(answer, "unknown account", "", guess.charges)
        if guess.wait_s and not self._state.slots.count(VERIFYING, tag.hex()):
            return guess.refused()
        return self._ask(account, password, tag, head, location, known_network, guess.charges)

    def _tag_of(self, account: Account, password: str) -> bytes:
        """Names have no colon and revisions are digits, so that no two triples are one text."""
        return self._tag(f"{account.revision}:{account.name}:{password}".encode("utf-8", "surrogatepass"))

    def _knows(self, name: str, location: str, head: RequestHead, now: float) -> bool:
        if self._is_known_network is not None:
            return self._is_known_network(name, head, now)
        if self._state.known_networks.is_verified(f"account:{name}", location):
            return True
        return self._guesses.is_known_network(name, location, now)

    def _ask(
        self,
        account: Account,
        password: str,
        tag: bytes,
        head: RequestHead,
        location: str,
        known_network: bool,
        charges: tuple[Charge, ...],
    ) -> Asking:
        stored = account.password if account.locked_at is None else ""
        work = VerifyPassword(account.name, password, stored, tag, head.received_at, location, known_network)
        mark = Charge(VERIFYING, tag.hex(), 1)
        same = self._state.slots.count(VERIFYING, mark.subject) > 0
        return Asking(work, (mark,) if same else (mark, *charges))

    def _answered(
        self, answer: PasswordVerified, account: Account, head: RequestHead, location: str, now: float
    ) -> Principal | Proven | Finding | Refused:
        if answer.outcome == "right" and account.password and account.locked_at is None:
            principal = self._holders.principal_of(account)
            if isinstance(principal, Finding):
                return principal
            return Proven(principal, self._guesses.succeeded(account.name, location))
        why = "locked" if account.locked_at is not None else "wrong password" if account.password else "no password set"
        if answer.outcome == "unusable":
            why = "stored hash unusable"
        known = self._knows(account.name, location, head, now)
        guess = self._guesses.look(account.name, head.client_network, location, known, now)
        return self._failed(answer, why, f"account {account.name}", guess.charges)

    def _failed(
        self, answer: PasswordVerified, why: str, evidence: str, charges: tuple[Charge, ...]
    ) -> Finding | Refused:
        if answer.outcome == "failed":
            return unavailable("Passwords")
        if answer.outcome == "busy":
            finding = Finding("identity.busy", "Too many logins at present; try again.", 503, owasp="API4")
            return Refused(finding, headers=((b"retry-after", str(BUSY_RETRY_S).encode()),))
        return Refused(invalid(why, evidence), charges)


def _answer(done: tuple[WorkDone, ...], tag: bytes) -> PasswordVerified | None:
    return next((one for one in done if isinstance(one, PasswordVerified) and one.tag == tag), None)
