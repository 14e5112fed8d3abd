"""Name and password of an account, sent with each call (Basic authentication, RFC 7617).

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
from sallygate.parsing.addresses import place_of
from sallygate.security.key_ring import KeptHmac
from sallygate.state.state import State

PASSWORD_CHARS_MAX = 1024
"""As `sallygate.security.passwords.BYTES_MAX`: longer ones are nobody's, and are not worth a hash."""
VERIFYING = "verifying"
"""No counter: marks a password as being verified, so that the same one sent by many connections at once is one
guess."""
BUSY_RETRY_S = 2
KnownPlace = Callable[[str, RequestHead, float], bool]
"""(account, head, now): whether the caller is at a place of the account's."""


class Passwords:
    def __init__(
        self,
        holders: AccountHolders,
        guesses: Guesses,
        state: State,
        remember_s: float,
        is_known_place: KnownPlace | None = None,
    ) -> None:
        self._holders, self._guesses, self._state = holders, guesses, state
        self._remember_s = remember_s
        self._tag = KeptHmac(state.verified.key)
        self._is_known_place = is_known_place

    def admit(
        self, name: str, password: str, head: RequestHead, now: float, done: tuple[WorkDone, ...]
    ) -> Principal | Proven | Finding | Refused | LoadAccount | Asking:
        if not is_account_name(name):
            return invalid("no account name")
        if not 0 < len(password) <= PASSWORD_CHARS_MAX:
            return invalid("no password")
        place = place_of(head.client_address)
        account = self._holders.known(name, done)
        if account is not None:
            tag = self._tag_of(account, password)
            if (answer := _answer(done, tag)) is not None:  # before what is remembered of it: its place is news
                return self._answered(answer, account, head, place, now)
            remembered = self._remember_s and self._state.verified.holds(tag, now, self._remember_s)
            if remembered and account.locked_at is None:
                return self._holders.principal_of(account)
        known_place = self._knows(name, place, head, now)
        guess = self._guesses.look(name, head.client_network, place, known_place, now)
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
        if guess.wait_s and not self._state.held.count(VERIFYING, tag.hex()):
            return guess.refused()
        return self._ask(account, password, tag, head, place, known_place, guess.charges)

    def _tag_of(self, account: Account, password: str) -> bytes:
        """Names have no colon and revisions are digits, so that no two triples are one text."""
        return self._tag(f"{account.revision}:{account.name}:{password}".encode("utf-8", "surrogatepass"))

    def _knows(self, name: str, place: str, head: RequestHead, now: float) -> bool:
        if self._is_known_place is not None:
            return self._is_known_place(name, head, now)
        if self._state.places.is_verified(f"account:{name}", place):
            return True
        return self._guesses.is_known_place(name, place, now)

    def _ask(
        self,
        account: Account,
        password: str,
        tag: bytes,
        head: RequestHead,
        place: str,
        known_place: bool,
        charges: tuple[Charge, ...],
    ) -> Asking:
        stored = account.password if account.locked_at is None else ""
        work = VerifyPassword(account.name, password, stored, tag, head.received_at, place, known_place)
        mark = Charge(VERIFYING, tag.hex(), 1)
        same = self._state.held.count(VERIFYING, mark.subject) > 0
        return Asking(work, (mark,) if same else (mark, *charges))

    def _answered(
        self, answer: PasswordVerified, account: Account, head: RequestHead, place: str, now: float
    ) -> Principal | Proven | Finding | Refused:
        if answer.outcome == "right" and account.password and account.locked_at is None:
            principal = self._holders.principal_of(account)
            if isinstance(principal, Finding):
                return principal
            return Proven(principal, self._guesses.succeeded(account.name, place))
        why = "locked" if account.locked_at is not None else "wrong password" if account.password else "no password set"
        if answer.outcome == "unusable":
            why = "stored hash unusable"
        known = self._knows(account.name, place, head, now)
        guess = self._guesses.look(account.name, head.client_network, place, known, now)
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
