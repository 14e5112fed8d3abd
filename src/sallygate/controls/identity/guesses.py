"""Limits on wrong guesses of an account's secret, by account, location and address.

Threat: guessing one account's password, one password over many accounts (spraying), from one address or a thousand, and
locking an owner out by failing in its name (OWASP API2; MITRE T1110.001, T1110.003).
Evidence: `identity.guesses` (429, `Retry-After`); `rule` names the counter.
Known bypasses: a botnet of many addresses has the overall rate to itself, and while it uses it up, logins from new
networks wait; owners in known networks do not. An attacker in the owner's own network has that network's
count. Cost: five look-ups, 3 µs; nothing is computed for a guess over the limit.

Failures are counted, not successes. An attempt under way counts as failed until it is known, so that a thousand at once
are no more than a thousand one after another: `charges` are reserved when the work is asked for.

Names that are no account's are counted like any other: the limits do not tell which exist. They are counted by a keyed
hash, since what people type for a name is now and then their password.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sallygate.controls.identity.outcomes import Refused, come_back
from sallygate.model.finding import Finding
from sallygate.model.work import Charge
from sallygate.policy.accounts import Backoff as BackoffSection
from sallygate.policy.accounts import Logins
from sallygate.state.bounded_table import Table
from sallygate.state.counters import RateTable
from sallygate.state.login_backoff import Backoff, SeenNetworks
from sallygate.state.state import State

NETWORKS_TABLE = "logins:places"
ALL = "all"
PAIR_PER_S = 1 / 3600.0
"""An account that fails from an address within an hour of the last time is no further account."""


def location_subject(account: str, location: str) -> str:
    """Names have no colon, so no two pairs are one."""
    return f"{account}:{location}"


class Guess(Struct, frozen=True, gc=False):
    """What the counters say to one attempt."""

    wait_s: float
    """0: it may be tried."""
    rule: str
    charges: tuple[Charge, ...]
    """What its failure costs, and what to reserve while it is tried."""

    def refused(self) -> Refused:
        """Outcome 429 `identity.guesses`, with `Retry-After` of the counter that refuses."""
        finding = Finding("identity.guesses", "Too many failed logins; try again later.", 429, "throttle",
                          rule=self.rule, owasp="API2", attack="T1110")  # fmt: skip
        return come_back(finding, self.wait_s)


class Guesses:
    """`name` sets counters apart: passwords are counted as `guesses`, other secrets may be counted by themselves."""

    def __init__(
        self, section: Logins, state: State, name_digest: Callable[[str], str], now: float, name: str = "guesses"
    ) -> None:
        self._name_digest = name_digest
        self._held = state.slots
        self._account = state.table(_backoff(f"{name}:account", section.account), now)
        self._location = state.table(_backoff(f"{name}:place", section.place), now)
        self._address = state.table(_backoff(f"{name}:address", section.address), now)
        spraying, overall = section.accounts_per_address, section.overall
        self._pair = state.table(RateTable(f"{name}:pair", PAIR_PER_S, 1), now)
        self._spraying = state.table(RateTable(f"{name}:spraying", spraying.per_s, spraying.burst), now)
        self._overall = state.table(RateTable(f"{name}:overall", overall.per_s, overall.burst, entries_max=1), now)
        self._bursts = {self._spraying.name: spraying.burst, self._overall.name: overall.burst}
        self.known_networks = state.table(SeenNetworks(NETWORKS_TABLE, section.places_for), now)

    def is_known_network(self, account: str, location: str, now: float) -> bool:
        """Whether the account has logged in from there within `places_for`."""
        return self.known_networks.look(location_subject(account, location), now).allowed

    def succeeded(self, account: str, location: str) -> tuple[Charge, ...]:
        """What a success is remembered by."""
        return (Charge(NETWORKS_TABLE, location_subject(account, location), 1),)

    def look(self, account: str, network: str, location: str, known_network: bool, now: float) -> Guess:
        """`network` is what the client's address is counted by. For a known network only failures from that network
        count: nobody elsewhere can shut the owner out."""
        if known_network:
            return self._guess(((self._location, location_subject(account, location)),), now)
        named = self._name_digest(account)
        asked = [(self._overall, ALL), (self._account, named), (self._address, network)]
        pair = f"{network} {named}"
        if self._pair.look(pair, now).allowed:
            asked.append((self._spraying, network))
            guess = self._guess(asked, now)
            return Guess(guess.wait_s, guess.rule, (*guess.charges, Charge(self._pair.name, pair, 1)))
        return self._guess(asked, now)

    def _guess(self, asked: list[tuple[Table, str]] | tuple[tuple[Table, str], ...], now: float) -> Guess:
        wait_s, rule = 0.0, ""
        for table, subject in asked:
            under_way = self._held.count(table.name, subject)
            room = table.look(subject, now, 1 + under_way)
            # A rate lets an amount above its burst pass when it is whole; attempts under way must not.
            full = under_way >= self._bursts.get(table.name, under_way + 1)
            if (not room.allowed or full) and max(room.reset_s, 1.0) > wait_s:
                wait_s, rule = max(room.reset_s, 1.0), table.name
        return Guess(wait_s, rule, tuple([Charge(table.name, subject, 1) for table, subject in asked]))


def _backoff(name: str, section: BackoffSection) -> Backoff:
    return Backoff(name, section.free, section.delay, section.delay_max, section.forgive)
