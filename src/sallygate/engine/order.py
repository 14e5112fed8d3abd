"""Order of the controls: one row for each phase a control takes part in, cheapest and most certain first.

A new control is its section of the policy, its module, and its rows here. Composition, `explain`, `replay`,
`check --against`, the property tests and the fault injection go by this table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sallygate.controls.clients import ClientsControl
from sallygate.controls.contract import ContractControl
from sallygate.controls.field_rates import FieldRatesControl
from sallygate.controls.flood import FloodControl, SheddingControl
from sallygate.controls.headers import HeadersControl
from sallygate.controls.identity import IdentityControl, ScopesControl
from sallygate.controls.injection import InjectionControl
from sallygate.controls.limits import LimitsControl
from sallygate.controls.location import LocationControl
from sallygate.controls.network import IntelligenceControl, NetworkControl
from sallygate.controls.restrictions import RestrictionsControl
from sallygate.controls.transport import TransportControl
from sallygate.model.control import Phase


class Row(NamedTuple):
    """One control's part in one phase."""

    phase: Phase
    control: type[Any]  # Any: a class of `model.control`, whose methods are its phases
    own: bool = False
    """Whether it also judges requests to `/auth`, which the gate answers itself."""
    by_location: bool = False
    """Early: whether client address and method alone decide, so that an answer is believed for a moment."""
    may_offload: bool = False
    """Whether it may run off the event loop: it reads nothing that changes."""
    unrouted: bool = False
    """Whether it also judges what `/auth` has no operation for: a preflight, another method."""
    ends: bool = False
    """Whether it may end what is under way, when restrictions have changed."""


ORDER: tuple[Row, ...] = (
    Row("early", NetworkControl, own=True, by_location=True),
    Row("early", IntelligenceControl, own=True, by_location=True),
    Row("early", RestrictionsControl, own=True, by_location=True),
    Row("early", FloodControl, own=True),
    Row("early", LimitsControl, own=True),
    Row("early", SheddingControl),
    Row("address", TransportControl, own=True),
    Row("address", NetworkControl, own=True, ends=True),
    Row("address", IntelligenceControl, own=True),
    Row("address", RestrictionsControl, own=True, ends=True),
    Row("address", FloodControl, own=True),
    Row("address", LimitsControl, own=True),
    Row("admit", ClientsControl, own=True, unrouted=True),
    Row("admit", NetworkControl),
    Row("admit", IdentityControl, own=True),
    Row("admit", LocationControl, own=True),
    Row("caller", NetworkControl, own=True, ends=True),
    Row("caller", RestrictionsControl, own=True, ends=True),
    Row("caller", SheddingControl),
    Row("caller", LimitsControl, own=True),
    Row("caller", ScopesControl, own=True),
    Row("plan", ContractControl),
    Row("plan", InjectionControl),
    Row("plan", FloodControl, own=True),
    Row("examine", ContractControl, may_offload=True),
    Row("examine", InjectionControl, may_offload=True),
    Row("examine", FieldRatesControl),
    Row("release", ClientsControl, own=True),
    Row("release", FloodControl, own=True),
    Row("release", LimitsControl),
    Row("release", HeadersControl),
    Row("inspect", LimitsControl),
)
CONTROLS: tuple[type[Any], ...] = tuple(dict.fromkeys(row.control for row in ORDER))
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(control.section for control in CONTROLS))
