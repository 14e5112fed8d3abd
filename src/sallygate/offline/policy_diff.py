"""Comparison of two policies for `sallygate diff`: changed fields, with defaults filled in, and the direction of each
change."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Literal

from msgspec import Struct
from pydantic import BaseModel

from sallygate.model.operation import Operation
from sallygate.policy.load import Loaded
from sallygate.policy.schema import SECTION_DEFAULTS
from sallygate.policy.units import Budget, Rate

Way = Literal["tighter", "weaker", ""]
"""Whether fewer or more requests pass; empty where that cannot be said from the policy alone."""

_STEPS: dict[str, tuple[str, ...]] = {
    "mode": ("off", "shadow", "enforce"), "on_error": ("allow", "deny"), "unknown_query": ("ignore", "refuse"),
    "unknown_fields": ("ignore", "refuse"), "undeclared_content": ("ignore", "refuse"),
    "read_only": ("ignore", "refuse"),
    "uninspected": ("pass", "refuse"), "sensitivity": ("relaxed", "balanced", "strict"),
    "ambiguous_paths": ("allow", "refuse"), "plain": ("loopback", "refuse"), "plain_http": ("allow", "refuse"),
    "on_exceed": ("finish", "cut"),
}  # fmt: skip
"""From weak to tight."""
_LIMITS = frozenset(
    "rate address hour day month bytes records concurrent address_concurrent body upload json_depth".split()
)
"""More of them is weaker; so is none, of those that may be left out."""
_OPEN = frozenset("public scopes trusted_hops exclude origins headers expose".split())
"""Lists whose every entry lets more pass."""


class Difference(Struct, frozen=True):
    """One field that differs, with its values and the direction of the change."""

    field: str
    old: str
    """Empty: it was not there."""
    new: str
    way: Way


def differences(old: Loaded, new: Loaded) -> list[Difference]:
    """Of the policies by field, then of the contracts by operation."""
    before, after = dict(_flat("", old.policy)), dict(_flat("", new.policy))
    found = []
    for field in sorted(before.keys() | after.keys()):
        was, now = before.get(field), after.get(field)
        if was != now:
            found.append(Difference(field, _text(was), _text(now), _way(field, was, now)))
    return [*found, *_contracts(old.operations, new.operations)]


def _flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if not path and inner is None:
                default = SECTION_DEFAULTS.get(name)
                inner = default() if default is not None else "none" if name in ("identity", "openapi") else None
            yield from _flat(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}", inner)
    elif isinstance(value, list):
        yield path, [_entry(one) for one in value]
    else:
        yield path, value


def _entry(one: object) -> str:
    if isinstance(one, BaseModel):
        return ", ".join(f"{name} {value}" for name, value in one.model_dump(exclude_defaults=True).items())
    return str(one)


def _text(value: object) -> str:
    if isinstance(value, Rate | Budget):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "[]"
    return "" if value is None else str(value)


def _way(field: str, old: object, new: object) -> Way:
    name = field.rpartition(".")[2]
    if field in ("identity", "openapi"):
        return "weaker" if new == "none" else "tighter" if old == "none" else ""
    if (steps := _STEPS.get(name)) is not None and old in steps and new in steps:
        return "tighter" if steps.index(str(new)) > steps.index(str(old)) else "weaker"
    if name in _OPEN and isinstance(old, list | None) and isinstance(new, list | None):
        return _way_of_lists(name, old or [], new or [])
    if name in _LIMITS:
        if (old is None) != (new is None) and not field.startswith("plans."):
            return "weaker" if new is None else "tighter"
        before, after = _amount(old), _amount(new)
        if before is not None and after is not None and before != after:
            pairs = list(zip(before, after, strict=True))
            return "weaker" if all(b <= a for b, a in pairs) else "tighter" if all(b >= a for b, a in pairs) else ""
    return ""


def _way_of_lists(name: str, old: list[str], new: list[str]) -> Way:
    """By what they cover: all of the old and more is weaker."""
    if _covers(name, new, old):
        return "weaker"
    return "tighter" if _covers(name, old, new) else ""


def _covers(name: str, outer: list[str], inner: list[str]) -> bool:
    if "*" in outer:
        return True
    if name != "trusted_hops":
        return set(inner) <= set(outer)
    networks = [ip_network(one, strict=False) for one in outer]
    return all(
        any(found.version == one.version and found.subnet_of(one) for one in networks)  # type: ignore[arg-type]
        for found in (ip_network(text, strict=False) for text in inner)
    )


_DAYS = {"hour": 1 / 24, "day": 1.0, "month": 30.0}


def _amount(value: object) -> tuple[float, float] | None:
    """Numbers that grow with what passes; None where there is nothing to compare."""
    if isinstance(value, Rate):
        return value.per_s, float(value.burst)
    if isinstance(value, Budget):
        return value.most / _DAYS[value.window], 0.0
    return (float(value), 0.0) if isinstance(value, int | float) else None


def _contracts(old: tuple[Operation, ...], new: tuple[Operation, ...]) -> Iterator[Difference]:
    before, after = {one.id: one for one in old}, {one.id: one for one in new}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        field = f"contract {name}"
        if was is None or now is None:
            gone, made = (f"{one.method} {one.path}" if one else "" for one in (was, now))
            yield Difference(field, gone, made, "weaker" if now else "tighter")
        elif was != now:
            parts = [part for part in ("method", "path", "security", "parameters", "body", "body_required", "internal")
                     if getattr(was, part) != getattr(now, part)]  # fmt: skip
            opened = "security" in parts and not now.security and bool(was.security)
            if parts:
                yield Difference(
                    field, f"{was.method} {was.path}", f"changed: {', '.join(parts)}", "weaker" if opened else ""
                )
