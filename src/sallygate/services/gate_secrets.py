"""Secrets of a running gate: peppers, the key ring, the key of object ids, assertions; reloaded when they rotate."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from sallygate.security.assertion import Assertions
from sallygate.security.key_ring import KeyRing
from sallygate.security.signing import SigningKeys
from sallygate.security.state_directory import Installation
from sallygate.services.store_thread import StoreThread


class GateSecrets:
    """Raises `StoreError` where the state directory's secrets cannot be read."""

    def __init__(self, installation: Installation, now: Callable[[], float]) -> None:
        self._installation, self._now = installation, now
        self._peppers = installation.peppers()
        self.ring = KeyRing(self._peppers[0], self._peppers[1:])
        self.id_key = installation.id_key()
        self.bucket_key = hmac.digest(self.id_key, b"sallygate overflow buckets", "sha256")
        """Of the overflow buckets of counters."""
        self.assertions = Assertions(self._assertion_keys())
        self._publish()

    def _assertion_keys(self) -> SigningKeys:
        return SigningKeys(self._installation.signing_keys("assertion"))

    def _publish(self) -> None:
        published = self.assertions.jwks(self._now())
        self._installation.publish("assertion.jwks.json", published)

    async def follow(self, in_store: StoreThread) -> bool:
        """Other keys of assertions; another pepper, or one less. Whether peppers changed, so that a gate must be
        composed from them."""
        keys, peppers = await in_store(lambda: (self._assertion_keys(), self._installation.peppers()))
        self.assertions.follow(keys)
        self._publish()
        if peppers == self._peppers:
            return False
        self._peppers, self.ring = peppers, KeyRing(peppers[0], peppers[1:])
        self.id_key = self._installation.id_key()
        return True
