"""Sections of a policy that are not enforced, as people have to see them: a shadow that is forgotten protects nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sallygate.policy.fields import ControlSection, Section
from sallygate.policy.schema import SECTION_DEFAULTS, Policy


def not_enforced(policy: Policy) -> dict[str, tuple[str, ...]]:
    """`shadow` and `off` → names of sections, `flood.shedding`, and of operations with a mode of their own,
    `operations.addOrder.contract`. Without sections that the policy left out."""
    found: dict[str, list[str]] = {"shadow": [], "off": []}
    for name, section in _sections(policy):
        if section.mode in found and (name != "contract" or policy.openapi is not None):
            found[section.mode].append(name)
    for operation, part in policy.operations.items():
        mode = part.contract.mode if part.contract is not None else None
        if mode in found:
            found[str(mode)].append(f"operations.{operation}.contract")
    for name in ("openapi", "identity"):
        if getattr(policy, name) is None:
            found["off"].append(f"{name}: none")
    return {mode: tuple(names) for mode, names in found.items() if names}


def _sections(owner: Section, prefix: str = "") -> Iterator[tuple[str, ControlSection]]:
    for field in type(owner).model_fields:
        value = getattr(owner, field)
        if value is None and field in SECTION_DEFAULTS and not prefix:
            value = SECTION_DEFAULTS[field]()
        if isinstance(value, ControlSection):
            yield prefix + field, value
        if isinstance(value, Section):
            yield from _sections(value, f"{prefix}{field}.")
