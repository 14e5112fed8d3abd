"""Exclusions of a policy: which families are not looked for at a place, for an operation or path.

Refuses to know what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache

from sallygate.policy.schema import InjectionExclusion

ALL = "*"
"""Stands for every family."""


class Exclusions:
    """The exclusions of one policy."""

    def __init__(self, exclusions: Iterable[InjectionExclusion]) -> None:
        self._all = tuple(exclusions)

    def __bool__(self) -> bool:
        return bool(self._all)

    def families(self, operation: str, path: str, where: str) -> frozenset[str]:
        """Families that the policy excludes at a place; `ALL` for each of them."""
        if not self._all:
            return frozenset()
        return frozenset(
            one.family or ALL
            for one in self._all
            if (one.operation is None or one.operation == operation)
            and (one.path is None or pattern(one.path)(path))
            and (one.field is None or pattern(one.field)(where))
        )

    def excludes(self, operation: str, path: str, family: str, where: str) -> bool:
        """Whether the policy excludes a family there."""
        return bool(self.families(operation, path, where) & {ALL, family})


@cache
def pattern(text: str) -> Callable[[str], re.Match[str] | None]:
    """Matches what `text` means, in which only `*` is special: brackets are part of many names."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL).fullmatch
