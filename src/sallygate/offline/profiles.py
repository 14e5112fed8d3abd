"""Learning of a profile from events: which structures many honest callers send to one field.

What one caller sends, or a few of many, is not normal, however often it is sent. Callers are accounts; where an
operation has none, networks. Events hold no values, so neither does a profile.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from msgspec import Struct

from sallygate.model.event import Event
from sallygate.offline.tuning.places import PATH_CHARS, generalised, path_patterns
from sallygate.policy.profile import Normal

DAY_S = 86_400
IPV4_BITS, IPV6_BITS = 24, 48
"""Network of an unknown caller: what one customer of a provider has at most."""
_NOT_LEARNT = frozenset(("size", "charset", "effort"))
"""What says nothing of a structure."""
Key = tuple[str, str, str, str, str]
"""Operation, or empty with the path; field, family, rule."""


class Learnt(Struct, frozen=True):
    """What the events show, most callers first."""

    normal: list[Normal]
    few: list[Normal]
    """What too few callers sent to be normal."""


def learn(events: Iterable[Event], callers_min: int, share_min: float, days_min: int) -> Learnt:
    """Structures by field. `share_min`: of the callers of the operation or path."""
    counted = [event for event in events if _counts(event)]
    paths = path_patterns({event.path for event in counted if not event.operation and len(event.path) < PATH_CHARS})
    everyone: dict[tuple[str, str], set[str]] = defaultdict(set)
    known: dict[tuple[str, str], bool] = defaultdict(bool)
    for event in counted:
        known[_place(event, paths)] |= bool(event.account)
    seen: dict[Key, list[Event]] = defaultdict(list)
    fields = _fields(counted, paths)
    for event in counted:
        place = _place(event, paths)
        if not event.account and known[place]:
            continue
        everyone[place].add(_caller(event))
        for family, where, rule in _structures(event):
            seen[(*place, fields[place][where], family, rule)].append(event)
    normal: list[Normal] = []
    few: list[Normal] = []
    for key, found in seen.items():
        one = _line(key, found, len(everyone[key[0], key[1]]))
        enough = one.callers >= max(callers_min, share_min * one.of) and one.days >= days_min
        (normal if enough else few).append(one)
    for those in (normal, few):
        those.sort(key=lambda one: (-one.callers, _name(one)))
    return Learnt(normal, few)


def _counts(event: Event) -> bool:
    """Whether an event is of a request that nothing but injection refused."""
    refused = (one for one in event.findings if one.verdict != "allow" and one.mode == "enforce")
    # A sender who calls a path `*` would have it stand for others, and one that cannot be printed is no path of an API.
    is_plain = bool(event.operation) or ("*" not in event.path and event.path.isprintable())
    return event.kind == "exchange" and is_plain and all(one.code.startswith("injection.") for one in refused)


def _place(event: Event, paths: dict[str, str]) -> tuple[str, str]:
    return (event.operation, "") if event.operation else ("", paths.get(event.path, event.path))


def _fields(events: Iterable[Event], paths: dict[str, str]) -> dict[tuple[str, str], dict[str, str]]:
    """The pattern of each field, by operation or path."""
    wheres: dict[tuple[str, str], set[str]] = defaultdict(set)
    for event in events:
        wheres[_place(event, paths)].update(where for _, where, _ in _structures(event))
    return {place: generalised(those) for place, those in wheres.items()}


def _structures(event: Event) -> Iterable[tuple[str, str, str]]:
    """Family, field and rule of each finding. A sender who names a field `*` would have it stand for others."""
    for one in event.findings:
        family = one.code.removeprefix("injection.")
        if family != one.code and family not in _NOT_LEARNT and one.rule and one.where and "*" not in one.where:
            yield family, one.where, one.rule


def _caller(event: Event) -> str:
    """Account, or network of an unknown caller: of addresses one may have many."""
    return event.account or _network(event)


def _network(event: Event) -> str:
    try:
        address = ip_address(event.client_address)
    except ValueError:
        return event.client_address
    return str(ip_network((address, IPV4_BITS if address.version == 4 else IPV6_BITS), strict=False))


def _line(key: Key, events: list[Event], of: int) -> Normal:
    operation, path, field, family, rule = key
    return Normal.model_validate(
        {
            **({"operation": operation} if operation else {"path": path}),
            "field": field,
            "family": family,
            "rule": rule,
            "requests": len({event.request_id or id(event) for event in events}),
            "callers": len({_caller(event) for event in events}),
            "of": of,
            "addresses": len({_network(event) for event in events}),
            "days": len({int(event.at // DAY_S) for event in events}),
        }
    )


def _name(one: Normal) -> tuple[str, str, str, str]:
    return one.operation or one.path or "", one.field, one.family, one.rule


def as_text(normal: Iterable[Normal]) -> str:
    """The file of a profile, a line for each structure, in an order that makes differences small."""
    lines = ["# Structures that are normal for fields, learnt by `sallygate profile`. Take out a line that is not.",
             'version: 1', "normal:"]  # fmt: skip
    for one in sorted(normal, key=_name):
        values = one.model_dump(exclude_none=True)
        lines.append("  - {" + ", ".join(f"{name}: {json.dumps(value)}" for name, value in values.items()) + "}")
    return "\n".join(lines if len(lines) > 3 else [*lines[:2], "normal: []"]) + "\n"


def difference(old: Iterable[Normal], new: Iterable[Normal]) -> tuple[list[Normal], list[Normal]]:
    """Structures that the new profile has besides, and those that it lacks."""
    before, after = {_name(one): one for one in old}, {_name(one): one for one in new}
    return [after[name] for name in sorted(after.keys() - before.keys())], [
        before[name] for name in sorted(before.keys() - after.keys())
    ]
