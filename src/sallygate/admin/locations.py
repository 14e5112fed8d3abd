"""Operators' acts on locations and sign-ins: admit a location, remove one, end an account's sign-ins."""

from __future__ import annotations

import time
from collections.abc import Callable

from sallygate.admin.audit import act_of
from sallygate.model.access import Grant, KnownNetwork, Revocation
from sallygate.parsing.addresses import location_network, parse_address, parse_prefix
from sallygate.ports import StateStore, StoreError
from sallygate.security.signing import LASTS_S


class Locations:
    """Raises `StoreError` for what the store refuses, `ValueError` for what makes no sense."""

    def __init__(self, store: StateStore, actor: str, now: Callable[[], float] = time.time) -> None:
        self._store, self._access = store, store.access
        self._actor, self._now = actor, now

    def principal(self, name: str) -> str:
        """`key:<id>`, `account:<name>` or `jwt:<issuer>:<subject>`, as events write it; or a key's id or an account's
        name alone."""
        kind, colon, rest = name.partition(":")
        if colon and kind in ("key", "account", "jwt") and rest:
            return name
        if self._store.credential(name) is not None:
            return f"key:{name}"
        if self._store.account(name) is not None:
            return f"account:{name}"
        raise ValueError(f"{name!r} is no key and no account; write it as events do, for example key:4KcVbW0R2ZqT")

    def all(self, principal: str | None = None) -> list[KnownNetwork]:
        """Known networks, of one principal or of all. Raises `StoreError`."""
        access = self._access
        found = access.known_networks() if principal is None else access.known_networks_of(principal)
        return sorted(found, key=lambda one: (one.principal, one.first_at))

    def admit(self, principal: str, where: str) -> KnownNetwork:
        """Admit a network for a principal. Raises `ValueError` for a bad network, or `StoreError`."""
        return self._put(principal, network_named(where), "verified", "place.admit")

    def forget(self, principal: str, where: str) -> KnownNetwork:
        """Remove a known network of a principal. Raises `ValueError` if it is not known, or `StoreError`."""
        network = network_named(where)
        if all(one.network != network for one in self._access.known_networks_of(principal)):
            raise ValueError(
                f"{principal} is not known from {network}; `sallygate locations list` shows from where it is"
            )
        return self._put(principal, network, "forgotten", "place.forget")

    def _put(self, principal: str, network: str, state: str, act: str) -> KnownNetwork:
        now = self._now()
        before = next((one for one in self._access.known_networks_of(principal) if one.network == network), None)
        first_at = before.first_at if before is not None else now
        verified_at = now if state == "verified" else 0.0
        one = KnownNetwork(principal, network, state, first_at, self._actor, verified_at)  # type: ignore[arg-type]  # one of its words
        (made,) = self._access.put_known_networks([one], act_of(act, principal, self._actor, network, now))
        return made

    def sign_out(self, account: str) -> list[Grant]:
        """Ends every sign-in of the account; tokens made from them count no more."""
        now = self._now()
        live = [one for one in self._access.grants_of(account) if one.revoked_at is None and now < one.expires_at]
        if not live:
            if self._store.account(account) is None:
                raise StoreError(f"there is no account {account!r}; `sallygate accounts list` shows those there are")
            return []
        act = act_of("grant.revoke", account, self._actor, f"all sign-ins: {len(live)}", now)
        self._access.revoke_grants(live, [Revocation(one.id, now + LASTS_S) for one in live], act)
        return live


def network_named(where: str) -> str:
    """A /24 or /48, named by itself or by an address in it."""
    if (address := parse_address(where.strip())) is not None:
        return location_network(address.text)
    bits, length, _ = parse_prefix(where)
    if length != (24 if bits == 32 else 48):
        raise ValueError("a location is a /24 or a /48; write an address in it, or for example 203.0.113.0/24")
    return location_network(where.partition("/")[0].strip())
