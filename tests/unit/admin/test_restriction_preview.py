"""Whom a restriction would have met, told from events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sallygate.admin import restriction_preview as impact
from sallygate.admin.restrictions import Restricting
from sallygate.controls import restrictions as control
from sallygate.model.event import Event, Location
from sallygate.model.restriction import Restriction
from sallygate.state.geography import Geography

NOW = 1e9
EVENTS = 200


def restriction(number: int, methods: tuple[str, ...] = (), **scope: str) -> Restriction:
    return Restriction(f"r{number}", tuple(scope.items()), "deny", "because", "me", NOW, NOW + 60, methods=methods)  # type: ignore[arg-type]


def event(number: int) -> Event:
    return Event(
        at=NOW - number, request_id="", trace_id="", decision="allow", status=200, method="GET", path="/",
        client_address=f"192.0.2.{number}", location=Location("192.0.2.0/24", "NO" if number % 2 else "BR", 64496),
        account=f"account-{number}", operation="listThings",
    )  # fmt: skip


class Hour:
    """Events of an hour, in memory."""

    def read(self, since: float = 0.0, after_seq: int = -1) -> Iterator[Event]:
        raise NotImplementedError

    def latest(self, since: float, most: int) -> Iterator[Event]:
        return (event(number) for number in range(EVENTS))


def met(*restrictions: Restriction) -> int:
    return impact.impact_of(restrictions, Hour(), Geography(), NOW).callers_met


def test_every_kind_of_scope_is_met() -> None:
    assert met(restriction(1, prefix="192.0.2.0/25")) == 128
    assert met(restriction(1, country="NO"), restriction(2, address="192.0.2.0")) == EVENTS / 2 + 1
    assert met(restriction(1, continent="SA", account="account-2")) == 1
    assert met(restriction(1, asn="64496", methods=("POST",))) == 0
    assert met(restriction(1, operation="listThings", asn="64496")) == EVENTS


def test_ten_thousand_in_force_are_not_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, covers = 0, control._covers

    def counted(*arguments: object) -> bool:
        nonlocal asked
        asked += 1
        return covers(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(control, "_covers", counted)
    assert met(*(restriction(number, account=f"account-{number}") for number in range(10_000))) == EVENTS
    assert asked == EVENTS


@pytest.mark.parametrize("kind", ["account", "operation", "address", "prefix", "country"])
def test_an_empty_scope_is_no_scope(kind: str) -> None:
    with pytest.raises(ValueError, match=f"the {kind} is empty"):
        Restricting(None, "me", lambda: NOW).draft({kind: " "}, "deny", "because", 60)  # type: ignore[arg-type, dict-item]
