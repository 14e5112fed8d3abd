"""Outcomes of verifying one kind of credential, besides a principal, a finding or work."""

from __future__ import annotations

from math import ceil

from msgspec import Struct

from sallygate.model.decision import HeaderList
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.work import Charge, OwnWork


class Refused(Struct, frozen=True, gc=False):
    """A finding that costs, or says when to come again."""

    finding: Finding
    charges: tuple[Charge, ...] = ()
    headers: HeaderList = ()


class Asking(Struct, frozen=True, gc=False):
    """A question whose answer may cost: `reserved` is held meanwhile."""

    work: OwnWork
    reserved: tuple[Charge, ...]


class Proven(Struct, frozen=True, gc=False):
    """A principal, and what is to be kept of how it proved itself."""

    principal: Principal
    charges: tuple[Charge, ...]


def come_back(finding: Finding, wait_s: float) -> Refused:
    """Refused for now."""
    return Refused(finding, headers=((b"retry-after", str(max(1, ceil(wait_s))).encode()),))
