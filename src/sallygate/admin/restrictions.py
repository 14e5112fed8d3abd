"""Operators' acts on restrictions: add, lift, list, show history. Each is durable, with its audit event, before it
returns."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sallygate.admin.audit import act_of
from sallygate.model.event import Event
from sallygate.model.restriction import ACTS, Act, Restriction, ScopeKind
from sallygate.parsing.addresses import parse_address, parse_prefix
from sallygate.parsing.countries import CONTINENTS, COUNTRIES
from sallygate.policy.units import read_rate
from sallygate.ports import StateStore

if TYPE_CHECKING:
    from sallygate.admin.restriction_preview import Impact

RESTRICTION_S_MAX = 366 * 86400.0
"""A year: every restriction ends, and one that should not is a rule for the policy."""
RESTRICTIONS_MAX = 10_000
"""In force at once: the index is built again on every change, 3 µs each. More are a list for the policy, or a feed."""
WIDE_PREFIX = {32: 8, 128: 16}
"""Prefixes shorter than this cover so much that they are asked about twice."""
WIDE_SHARE = 0.25
"""Of the callers served in the last hour: more are asked about twice."""
MOST_SHARE = 0.9
"""More than this, with all that is in force, is no restriction but an outage: it is not made."""
CALLERS_MIN = 10
"""With fewer callers in an hour, shares say nothing."""
ASN_MAX = 2**32 - 1

ImpactOf = Callable[[list[Restriction]], "Impact"]


class Restricting:
    """Raises `StoreError` for what the store refuses, `ValueError` for what makes no sense."""

    def __init__(self, store: StateStore, actor: str, now: Callable[[], float] = time.time) -> None:
        self._store, self._actor, self._now = store, actor, now

    def _act(self, act: str, subject: str, note: str, now: float) -> Event:
        return act_of(act, subject, self._actor, note, now)

    def restrict(
        self,
        scope: Mapping[ScopeKind, str],
        act: Act,
        reason: str,
        for_s: float,
        rate: str = "",
        methods: tuple[str, ...] = (),
        *,
        wide: bool = False,
        impact: ImpactOf | None = None,
    ) -> Restriction:
        """In force with every gate of the installation within 300 ms. `impact` tells what the last hour's traffic would
        have met; `wide` confirms that it is much."""
        made = self.draft(scope, act, reason, for_s, rate, methods)
        in_force = [one for one in self._store.restrictions() if one.active(made.created_at)]
        if len(in_force) >= RESTRICTIONS_MAX:
            raise ValueError(
                f"{RESTRICTIONS_MAX} restrictions are in force; lift some, or write the list in the policy"
            )
        if not wide:
            _refuse_wide(made)
        if impact is not None:
            _refuse_most(made, in_force, impact, wide=wide)
        note = f"{act} {described(made)} for {for_s:.0f} s: {reason}"
        return self._store.put_restriction(made, self._act("restriction.add", made.id, note, made.created_at))

    def draft(
        self,
        scope: Mapping[ScopeKind, str],
        act: Act,
        reason: str,
        for_s: float,
        rate: str = "",
        methods: tuple[str, ...] = (),
    ) -> Restriction:
        """The restriction as it would be, checked, and not made."""
        if not scope:
            raise ValueError(
                "say what to restrict: an address, a prefix, a network, a country, a continent, a key, an account or "
                "an operation"
            )
        if act not in ACTS:
            raise ValueError(f"an act is one of {', '.join(ACTS)}, not {act!r}")
        if not reason.strip():
            raise ValueError("say why: a restriction without a reason cannot be judged by the next person")
        if not 0 < for_s <= RESTRICTION_S_MAX:
            raise ValueError("a restriction lasts up to 366d")
        if act == "throttle" and not rate:
            raise ValueError("a throttle leaves something; say how much as its rate, for example 10/s burst 20")
        if act == "throttle":
            read_rate(rate)
        elif rate:
            raise ValueError("a rate belongs to a throttle")
        for method in methods:
            if method != method.upper() or not method.isalpha():
                raise ValueError(f"{method!r} is no method; write it in capitals, for example POST")
        clean = tuple((kind, self._clean(kind, value)) for kind, value in scope.items())
        now = self._now()
        return Restriction(secrets.token_hex(4), clean, act, reason.strip(), self._actor, now, now + for_s, rate,
                           methods=methods)  # fmt: skip

    def _clean(self, kind: ScopeKind, value: str) -> str:
        value = value.strip()
        if not value:
            raise ValueError(f"the {kind} is empty; write which one")
        if kind == "address":
            address = parse_address(value)
            if address is None:
                raise ValueError(f"{value!r} is not an address; write for example 203.0.113.7 or 2001:db8::1")
            return address.text
        if kind == "prefix":
            parse_prefix(value)
            return value
        if kind == "asn":
            digits = value.upper().removeprefix("AS")
            if not digits.isdecimal() or not 0 < int(digits) <= ASN_MAX:
                raise ValueError(f"{value!r} is no network number; write for example AS64496")
            return str(int(digits))
        if kind in ("country", "continent"):
            known = COUNTRIES if kind == "country" else CONTINENTS
            if value.upper() not in known:
                hint = "a code of ISO 3166-1, for example DE" if kind == "country" else ", ".join(CONTINENTS)
                raise ValueError(f"{value!r} is no {kind}; write {hint}")
            return value.upper()
        return self._key_id(value) if kind == "key" else value

    def _key_id(self, name: str) -> str:
        raise NotImplementedError

    def restrictions(self, *, ended: bool = False) -> list[Restriction]:
        """Active restrictions; with `ended` also the others. Raises `StoreError`."""
        now = self._now()
        return [found for found in self._store.restrictions() if ended or found.active(now)]

    def restriction(self, restriction_id: str) -> Restriction:
        """Restriction by its id. Raises `ValueError` if there is none, or `StoreError`."""
        for found in self._store.restrictions():
            if found.id == restriction_id:
                return found
        raise ValueError(f"there is no restriction {restriction_id!r}; `sallygate restrict list` shows those there are")

    def hits(self) -> dict[str, int]:
        """How many requests each restriction has met, by its id; a running gate writes twice a second."""
        return self._store.hits()

    def lift(self, restriction_id: str) -> Restriction:
        """End a restriction now; no change if it has ended. Raises `ValueError` if there is none, or `StoreError`."""
        found, now = self.restriction(restriction_id), self._now()
        if not found.active(now):
            return found
        lifted = replace(found, lifted_at=now, lifted_by=self._actor)
        return self._store.put_restriction(lifted, self._act("restriction.lift", found.id, "", now))

    def history(self, since: float) -> list[Event]:
        """What was done about restrictions, oldest first."""
        return [act for act in self._store.acts(since) if act.act.startswith("restriction.")]


def described(restriction: Restriction) -> str:
    """Its scope for people: `country NO, POST`."""
    parts = [f"{kind} {'AS' if kind == 'asn' else ''}{value}" for kind, value in restriction.scope]
    return ", ".join((*parts, *restriction.methods))


def _refuse_wide(made: Restriction) -> None:
    names = dict(made.scope)
    narrow: set[ScopeKind] = {"address", "key", "account", "asn", "country", "operation"}
    if narrow & names.keys():
        return
    if "continent" in names:
        raise ValueError(f"{names['continent']} is a whole continent; confirm with --wide")
    bits, length, _ = parse_prefix(names["prefix"])
    if length < WIDE_PREFIX[bits]:
        raise ValueError(f"{names['prefix']} covers a very large part of the internet; confirm with --wide")


def _refuse_most(made: Restriction, in_force: list[Restriction], impact: ImpactOf, *, wide: bool) -> None:
    if made.act == "throttle":
        return  # leaves something to everybody
    alone = impact([made])
    if alone.callers < CALLERS_MIN or not alone.callers_met:
        return
    closing = [one for one in in_force if one.act != "throttle"]
    together = impact([made, *closing]) if closing else alone
    if together.share > MOST_SHARE:
        raise ValueError(
            f"this would shut out {together.callers_met} of the {together.callers} callers of the last hour, with what "
            "is in force already; make it narrower, lift others, or stop the gate if nobody is to come in"
        )
    if alone.share > WIDE_SHARE and not wide:
        raise ValueError(
            f"this would shut out {alone.callers_met} of the {alone.callers} callers of the last hour; look with "
            "--dry-run, and confirm with --wide"
        )
