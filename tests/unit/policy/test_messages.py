"""Messages about values of the policy: each says the field, what is wrong and what to write, in words of the policy.

Every field of every section gets values of the wrong kind, so that a field added later is judged, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sallygate.policy.errors import Problem
from sallygate.policy.fields import Section
from sallygate.policy.messages import PATTERNS, say_problems
from sallygate.policy.reading import Reader
from sallygate.policy.schema import Policy

WRONG: tuple[Any, ...] = (
    "zzz", "", None, [], ["zzz"], ["a", "a"], [None], [[]], [{}], {}, {"zzz": "y"}, {"*": {}}, {"a": None}, "-1", "0", "0s",
    "0B", "1.5", "9" * 20, "9" * 400, "9" * 400 + "d", "9" * 5000 + "/day", "9" * 400 + "/s", "99999d", "9999TB", "true", "*",
    "/", "http://u:p@x y", "http://[", "x" * 5000, "a\nb", "é", "\u0661",
)  # fmt: skip
INTERNAL = re.compile(
    r"input should|valid (string|integer|list|number|boolean)|pattern|instance of|after validation|unable to|lambda|"
    r"function-|tuple|frozenset|dict|NoneType|pydantic|value error|validat|does not appear|parse|string should|float",
    re.IGNORECASE,
)
"""Words of the validator, of Python and of its library."""


def classes(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type):
        if issubclass(annotation, Section):
            yield annotation
        return
    for part in getattr(annotation, "__args__", ()):
        yield from classes(part)


def wrong_policies(
    section: type[Section] = Policy, build: Callable[[Any], dict[str, Any]] = dict, depth: int = 0
) -> Iterator[dict[str, Any]]:
    for name, field in section.model_fields.items():
        for value in WRONG:
            yield build({name: value})
        shape = str(field.annotation)
        for inner in classes(field.annotation):
            if depth > 5:
                continue

            def put(value: Any, name: str = name, shape: str = shape) -> dict[str, Any]:
                many = {"a": value} if "dict[" in shape else [value] if "list[" in shape or "tuple[" in shape else value
                return build({name: many})

            yield from wrong_policies(inner, put, depth + 1)


def problems_of(policy: dict[str, Any]) -> list[Problem]:
    reader = Reader(Path("sallygate.yaml"))
    try:
        Policy.model_validate({"version": "1", **policy})
    except ValidationError as error:
        say_problems(reader, policy, error.errors(include_url=False))
        assert reader.problems, "what the validator refuses is reported"
    return reader.problems


def test_every_message_says_what_to_write() -> None:
    messages: dict[str, dict[str, Any]] = {}
    for policy in wrong_policies():
        for problem in problems_of(policy):
            messages.setdefault(re.sub("`[^`]*`", "``", str(problem), count=1), policy)
            assert problem.hint or problem.code == "policy.missing", (problem, policy)
    assert len(messages) > 100
    for message, policy in messages.items():
        assert not INTERNAL.search(re.sub(r"write (its fields|one of:) .*", "", message)), (message, policy)


def patterns(found: object) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(pattern := found.get("pattern"), str):
            yield pattern
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from patterns(one)


def test_every_pattern_of_the_types_has_words() -> None:
    assert set(patterns(Policy.model_json_schema())) <= PATTERNS.keys()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"network": {"allow": ["zzz"]}},
         ["`network.allow.0`: 'zzz' is not an address or prefix; write for example 192.0.2.0/24"]),
        ({"network": {"allow": ["10.0.0.1/8"]}}, ["`network.allow.0`: '10.0.0.1/8' has host bits set; write 10.0.0.0/8"]),
        ({"network": {"allow": [{"file": "a", "x": "y"}]}}, ["`network.allow.0.x` is not a field; write one of: file"]),
        ({"network": {"deny": ["fe80::1%eth0"]}}, ["`network.deny.0`: 'fe80::1%eth0' names an interface of this machine; "
          "write the address without `%` and what follows"]),
        ({"transport": {"mode": "on"}}, ["`transport.mode` is unknown; write enforce, shadow or off"]),
        ({"reload": None}, ["`reload` has no value; write one, or remove the field"]),
        ({"flood": {"memory": "10KB"}}, ["`flood.memory` is too small; write at least 1MiB"]),
        ({"contract": {"body": "9" * 400 + "GB"}}, ["`contract.body`: not a size; write for example 512KiB, 10MB or 1GiB"]),
        ({"identity": {"api_keys": {"bearer": "maybe"}}},
         ["`identity.api_keys.bearer` is neither true nor false; write true or false"]),
    ],
)  # fmt: skip
def test_messages(policy: dict[str, Any], said: list[str]) -> None:
    found = [f"{problem.message}; {problem.hint}" for problem in problems_of(policy)]
    assert found == said
