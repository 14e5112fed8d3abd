"""Proposals for limits of bodies: bytes, fields, parts, and the nesting of JSON. No proposal makes a limit smaller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sallygate.model.operation import Operation
from sallygate.offline.tuning.proposals import Change, Proposal, Seen, proposal
from sallygate.parsing.http.media_types import kind_of
from sallygate.policy.contract import ContractSection
from sallygate.policy.fields import Section
from sallygate.policy.injection import Injection
from sallygate.policy.schema import Limits, Policy

_SECTIONS: dict[str, type[Section]] = {"injection": Injection, "limits": Limits, "contract": ContractSection}
_OWN = "operations.body"
_SIZES = {"contract.body_size": _OWN, "limits.body_size": "limits.body", "injection.size": "injection.inspect"}
"""Codes of bodies that are too large → the policy's field."""
_COUNTS = {
    ("body.form", "limits.form_fields"): "limits.form_fields",
    ("body.multipart", "limits.parts"): "limits.parts",
    ("body.json", "depth"): "contract.json_depth",
}
"""(code, rule) of bodies with too many of something → the policy's field."""
SPARE = 1.5
"""Times the largest body seen that a proposed limit is at least."""
MORE = 2
"""Times the limit in force that a proposed count is: no event says how many there were."""
MEBIBYTES_MAX = 1024
"""Largest limit that is proposed where the policy has no bound of its own."""


def covers(one: Seen) -> bool:
    """Whether what was found is a limit of bodies."""
    return one.code in _SIZES or (one.code, one.rule) in _COUNTS


def changes(seen: Iterable[Seen], policy: Policy, operations: Iterable[Operation]) -> list[Proposal]:
    """Limits for what was found, one for each field and operation."""
    by_id = {operation.id: operation for operation in operations}
    by_field: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for one in seen:
        by_field[_SIZES.get(one.code) or _COUNTS[one.code, one.rule], one.event.operation].append(one)
    made = []
    for (field, name), found in by_field.items():
        change = _count(field, policy) if found[0].code not in _SIZES else _size(field, by_id.get(name), found, policy)
        if change is not None:
            cause = f"bodies of {_sent(found):,} bytes" if found[0].code in _SIZES else found[0].detail
            made.append(proposal(cause, name, "", change, found))
    return made


def _size(field: str, operation: Operation | None, seen: list[Seen], policy: Policy) -> Change | None:
    """None where no event knows the size of its body, or the operation is not the document's."""
    needed, most = _sent(seen) * SPARE, (_bound(field) or MEBIBYTES_MAX << 20) >> 20
    if not needed or (field == _OWN and operation is None):
        return None
    if field == "injection.inspect" and _sent(seen) > most << 20:
        return Change(("injection", "uninspected"), "spool")
    in_force = _own_limit(operation, policy) if field == _OWN and operation else _in_force(field, policy)
    mebibytes = 1
    while mebibytes << 20 < max(needed, in_force) and mebibytes < most:
        mebibytes *= 2
    path = ("operations", operation.id, "body") if field == _OWN and operation else tuple(field.split("."))
    return Change(path, f"{mebibytes}MiB")


def _count(field: str, policy: Policy) -> Change | None:
    """None where the limit in force is the largest there is."""
    in_force, most = _in_force(field, policy), _bound(field)
    value = min(in_force * MORE, most or in_force * MORE)
    return Change(tuple(field.split(".")), value) if value > in_force else None


def _own_limit(operation: Operation, policy: Policy) -> int:
    """Bytes of the largest body that the operation takes now: its own limit is for bodies of any kind."""
    part = policy.operations.get(operation.id)
    uploads = any(kind_of(media.name) in ("multipart", "binary") for media in operation.body)
    largest = max(policy.contract.body, policy.contract.upload if uploads else 0)
    return part.body if part is not None and part.body else largest


def _in_force(field: str, policy: Policy) -> int:
    section, _, name = field.partition(".")
    return int(getattr(getattr(policy, section) or _SECTIONS[section](), name))


def _bound(field: str) -> int | None:
    """The largest value that the policy accepts; None where it has no bound."""
    section, _, name = field.partition(".")
    known = _SECTIONS[section].model_fields[name].metadata if section in _SECTIONS else ()
    return next((int(one.le) for one in known if getattr(one, "le", None) is not None), None)


def _sent(seen: list[Seen]) -> int:
    """Bytes of the largest body; 0 where no event knows it."""
    return max((one.event.request_bytes or 0 for one in seen), default=0)
