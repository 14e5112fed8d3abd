"""Endpoint `POST /auth/locations`: sends a code to the owner of the caller's account, and admits the caller's location
for that code."""

from __future__ import annotations

from collections.abc import Mapping

from sallygate.auth.app import Answer, later
from sallygate.auth.codes import Codes, Wanted
from sallygate.auth.host import Host
from sallygate.model.access import AuthCall, KnownNetwork
from sallygate.parsing.addresses import location_network
from sallygate.ports import StoreError


class Locations:
    """Endpoint that admits the location of an authenticated caller by a code."""

    def __init__(self, codes: Codes, host: Host) -> None:
        self._codes, self._host = codes, host

    async def admit(self, call: AuthCall, parameters: Mapping[str, str]) -> Answer:
        """Send a code, or admit the caller's network for the code in `parameters`; 503 if the store
        fails."""
        principal = call.principal
        assert principal is not None  # the engine demands one
        network, host = location_network(call.head.client_address), self._host
        code = parameters.get("code")
        if code is None:
            return self._codes.want(call, Wanted(principal.account, "location", principal.id, network))
        failure = await self._codes.redeem(call, "location", principal.account, principal.id, code)
        if failure is not None:
            return failure
        now = host.now()
        one = KnownNetwork(principal.id, network, "verified", now, "code", now)
        act = host.act("place.admit", principal.id, "auth", f"{network}, by a code to account {principal.account}")
        try:
            host.admitted(await host.kept(lambda store: store.put_known_networks([one], act)))
        except StoreError as error:
            host.failed("places", error)
            return later("The location cannot be admitted at present; ask for another code later.", "auth.unavailable",
                         503, 5)  # fmt: skip
        return Answer(200, {"network": network, "detail": "This credential is admitted from this network."})
