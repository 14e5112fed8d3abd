"""Request before its head is read, as controls see it in the phase `early`."""

from __future__ import annotations

from collections.abc import Callable

from sallygate.model.request import Headers

Client = tuple[str, str]
"""Client address, and what it is counted by."""


class EarlyRequest:
    """What is plain to see. Read-only; what costs something to know is found out when it is asked for."""

    __slots__ = (
        "_client", "_new_request_id", "_request_id", "asked", "headers", "limited", "location_allowed", "method", "now",
        "path",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        path: bytes,
        headers: Headers,
        now: float,
        limited: bool,
        client: Client | Callable[[], Client | None],
        new_request_id: Callable[[], str],
    ) -> None:
        """`now`: seconds since the epoch. `limited`: whether a limit by client address has just refused somebody.
        `client`: known, or how to know it."""
        self.method = method
        self.path = path
        self.headers = headers
        self.now = now
        self.limited = limited
        self.location_allowed = False
        """Whether the client address is on the list that takes precedence over every denial by location."""
        self.asked = not callable(client)
        """Whether the client is known by now."""
        self._client = client
        self._request_id = ""
        self._new_request_id = new_request_id

    @property
    def client(self) -> Client | None:
        """The client address and what it is counted by; None where only the whole head tells."""
        if callable(self._client):
            self._client, self.asked = self._client() or ("", ""), True
        return self._client if self._client[0] else None

    @property
    def request_id(self) -> str:
        """Header fields of the refusal, besides those of every problem document."""
        if not self._request_id:
            self._request_id = self._new_request_id()
        return self._request_id
