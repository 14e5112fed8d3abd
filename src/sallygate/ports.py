"""The protocols of the stores. A store keeps; it never decides, and no decision waits for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sallygate.model.event import Event
from sallygate.model.principal import Credential
from sallygate.model.restriction import Restriction


class StoreError(Exception):
    """The store did not do what was asked. The message says what, where and what to do."""


class CredentialStore(Protocol):
    def credential(self, key_id: str) -> Credential | None: ...
    def credentials(self, after_revision: int = 0) -> Sequence[Credential]: ...
    def put_credential(self, credential: Credential, act: Event) -> Credential:
        """Durable, with the event of the act in the same transaction, before it returns."""
        ...


class RestrictionStore(Protocol):
    def restrictions(self, after_revision: int = 0) -> Sequence[Restriction]: ...
    def put_restriction(self, restriction: Restriction, act: Event) -> Restriction: ...


class CounterStore(Protocol):
    def counters(self) -> Iterable[tuple[str, str, float, float]]: ...
    def put_counters(self, rows: Iterable[tuple[str, str, float, float]], forget_before: float | None) -> None: ...


class EventStore(Protocol):
    def append(self, events: Sequence[Event]) -> None: ...
