"""Checks of what a policy refers to in its contract: operations and their fields. A name with a typing error would be a
protection that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from sallygate.model.operation import Operation
from sallygate.parsing.openapi.composition import body_names
from sallygate.parsing.openapi.members import query_keys
from sallygate.parsing.pointers import unescape_pointer
from sallygate.policy.contract import OperationContract
from sallygate.policy.fields import ControlSection
from sallygate.policy.issuers import Say
from sallygate.policy.reading import Path_
from sallygate.policy.schema import OperationSection, Policy

NAMES_SHOWN = 8
_PLAIN = ("string", "integer", "number", "boolean", "array")


def check_references(
    say: Say, policy: Policy, operations: tuple[Operation, ...], document: Mapping[str, object] | None
) -> None:
    """Says what the policy names and the contract lacks, and what has no effect beside the rest of the policy."""
    known = {one.id: one for one in operations}
    for path, name in _operations_named(policy):
        if known and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            say(path, "reference", f"the contract has no operation `{name}`",
                f"did you mean `{close[0]}`?" if close else "use an operationId of the contract")  # fmt: skip
        elif not known and policy.openapi is None and "openapi" in policy.model_fields_set:
            say(path, "reference", f"`{name}` needs a contract", "write the contract's file in `openapi`")
    for name, section in policy.operations.items():
        _check_operation(say, policy, name, section)
        if (operation := known.get(name)) is not None:
            for number, rate in enumerate(section.rates):
                if fault := _not_of(operation, rate.by, policy, document or {}):
                    say(("operations", name, "rates", number, "by"), "reference", *fault)
    cors = policy.clients.cors if policy.clients else None
    if cors and cors.credentials and "*" in cors.origins:
        say(("clients", "cors", "origins"), "unsafe", "`*` with credentials lets any site act as your users",
            "list the origins")  # fmt: skip


def _operations_named(policy: Policy) -> Iterator[tuple[Path_, str]]:
    """Where the policy names an operation, and the name."""
    yield from ((("operations", name), name) for name in policy.operations)
    if policy.identity:
        yield from ((("identity", "public", number), name) for number, name in enumerate(policy.identity.public))
    for field in Policy.model_fields:
        if isinstance(section := getattr(policy, field), ControlSection):
            yield from (((field, "operations", name), name) for name in getattr(section, "operations", ()))
    for field in ("exclude", "kinds"):
        for number, one in enumerate(getattr(policy.injection, field, ())):
            if one.operation is not None:
                yield ("injection", field, number, "operation"), one.operation


def _check_operation(say: Say, policy: Policy, name: str, operation: OperationSection) -> None:
    if operation.records and not operation.records.startswith("/"):
        say(("operations", name, "records"), "value", "a JSON pointer begins with a slash", "write for example /items")
    if operation.deny and policy.clients is not None and policy.clients.mode == "off":
        say(("operations", name, "deny"), "unsafe", f"`{name}` would be callable: `clients` is off",
            "enforce `clients`, or remove `deny`")  # fmt: skip
    own = operation.contract.mode if operation.contract is not None else None
    if own in ("enforce", "shadow") and policy.contract.mode == "off":
        say(("operations", name, "contract", "mode"), "unsafe", f"`{own}` has no effect: `contract` is off",
            "write `contract: {mode: shadow}` instead of off")  # fmt: skip


def _not_of(operation: Operation, place: str, policy: Policy, document: Mapping[str, object]) -> tuple[str, str] | None:
    """(fault, correction) for a field that no request of the operation can have; None for one that may be there."""
    kind, _, name = place.partition(":")
    names = _names(operation, kind, policy, document)
    if names is None or name in names:
        return None
    name = unescape_pointer(name.split("/")[1]) if kind == "body" else name.partition("[")[0]
    if name in names:
        return None
    close = difflib.get_close_matches(name, names, 1)
    known = ", ".join(f"`{one}`" for one in sorted(names)[:NAMES_SHOWN]) or "none"
    fault = f"`{operation.id}` has no field `{name}` in its {kind}"
    return fault, f"did you mean `{close[0]}`?" if close else f"it has {known}"


def _names(operation: Operation, kind: str, policy: Policy, document: Mapping[str, object]) -> set[str] | None:
    """Names that a field at a place may have; None where it may have any, or where what is undeclared passes."""
    part = policy.operations[operation.id].contract or OperationContract()
    setting = {"query": "unknown_query", "body": "unknown_fields", "path": ""}.get(kind)
    if setting is None:
        return None
    strict = (part.mode or policy.contract.mode) == "enforce"
    if setting and not (strict and (getattr(part, setting) or getattr(policy.contract, setting)) == "refuse"):
        return None
    if kind == "body":
        return body_names(operation, document)
    declared = [one for one in operation.parameters if one.place == kind]
    # The members of an object are names of their own in a query.
    if kind == "query" and not all(
        isinstance(one.schema, Mapping) and one.schema.get("type") in _PLAIN for one in declared
    ):
        return None
    return {one.name for one in declared} | (query_keys(document) if kind == "query" else frozenset())
