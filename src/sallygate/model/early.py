"""A request before its head is read, as controls see it that may refuse it early."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from sallygate.model.request import Headers


class EarlyRequest:
    """What is plain to see. Read-only; what costs something to know is found out when it is asked for."""

    def __init__(
        self,
        method: str,
        path: bytes,
        headers: Headers,
        now: float,
        *,
        limited: bool,
        client: Callable[[], tuple[str, str] | None],
        new_request_id: Callable[[], str],
    ) -> None:
        """`now`: seconds since the epoch. `limited`: whether a limit by client address has just refused somebody."""
        self.method = method
        self.path = path
        self.headers = headers
        self.now = now
        self.limited = limited
        self.location_allowed = False
        """Whether the client address is on the list that beats every denial by location."""
        self._client = client
        self._new_request_id = new_request_id

    @cached_property
    def client(self) -> tuple[str, str] | None:
        """The client address and what it is counted by; None where only the whole head tells."""
        return self._client()

    @cached_property
    def request_id(self) -> str:
        """What a refusal is told with."""
        return self._new_request_id()
