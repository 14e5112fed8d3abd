"""What a policy does not look for at a place: exclusions of families, and kinds of fields.

A kind says what a field is for. Each kind leaves out the families whose language such a field holds on purpose, and no
others: what breaks out of the request itself is judged in every kind (lines of headers and mail, XML entities, lookups,
serialised objects, prototypes, operators in names).

Refuses to know what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from sallygate.policy.injection import InjectionExclusion, KindOfField

ALL = "*"
"""Stands for every family."""
VALUES = "nosql:values"
"""Stands for the family `nosql` in values alone, not for operators in names."""
OPERATORS = "nosql:operators"
"""Stands for operators of the family `nosql` in names, below the place too; not for those that run a script."""
runs_script = re.compile(
    r"\$(?:where|function|func|accumulator|expr|out|merge|lookup|graphlookup|unionwith)\b", re.IGNORECASE
).search
_PROSE = frozenset(("sql", "command", "traversal", "template", VALUES, "ldap", "xpath", "ssrf", "code", "graphql",
                    "scanner", "probe"))  # fmt: skip
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "text": _PROSE | {"xss"},
    "code": _PROSE | {"xss"},
    "markdown": _PROSE | {"xss"},
    "html": _PROSE | {"xss"},
    "sql": frozenset(("sql", "nosql", "command", "template", "code", "traversal", "ldap", "xpath", "probe")),
    "query": frozenset(
        ("sql", "nosql", "command", "template", "code", "traversal", "ldap", "xpath", "graphql", "probe")
    ),
    "shell": frozenset(("command", "traversal", "template", "code", "sql", "ssrf", "probe")),
    "filter": frozenset((OPERATORS,)),
    "path": frozenset(("traversal",)),
    "url": frozenset(("ssrf", "traversal")),
}
"""Families that a field of a kind holds on purpose."""


class Exclusions:
    """Exclusions and kinds of one policy, with the kinds that its contract declares."""

    def __init__(
        self,
        exclusions: Iterable[InjectionExclusion],
        kinds: Iterable[KindOfField] = (),
        declared: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`declared` is by operation and place."""
        self._exclusions, self._kinds = tuple(exclusions), tuple(kinds)
        self._declared = {
            operation: tuple((place, kind) for place, kind in places.items() if kind in LEFT_OUT)
            for operation, places in (declared or {}).items()
        }

    def __bool__(self) -> bool:
        return bool(self._exclusions or self._kinds or self._declared)

    def families(self, operation: str, path: str, where: str) -> frozenset[str]:
        """Families that are not looked for at a place; `ALL` for each of them, `VALUES` for a part of one."""
        if not self:
            return frozenset()
        found = {
            one.family or ALL
            for one in self._exclusions
            if _applies(one, operation, path) and (one.field is None or pattern(one.field)(where))
        }
        for kind in self._kinds:
            if _applies(kind, operation, path) and _is_of(kind.kind, kind.field, where):
                found |= LEFT_OUT[kind.kind]
        for place, declared in self._declared.get(operation, ()):
            if _is_of(declared, place, where):
                found |= LEFT_OUT[declared]
        return frozenset(found)

    def excludes(
        self, operation: str, path: str, family: str, where: str, *, in_name: bool = False, span: str = ""
    ) -> bool:
        """Whether a family is not looked for there; `in_name`: in the name of a member, or in a document's structure;
        `span`: what was found there, if it is known."""
        return covers(self.families(operation, path, where), family, in_name=in_name, span=span)


def covers(families: frozenset[str], family: str, *, in_name: bool, span: str = "") -> bool:
    """Whether what was found is of one of the families."""
    if family in families or ALL in families:
        return True
    if family != "nosql":
        return False
    return (OPERATORS in families and runs_script(span) is None) if in_name else VALUES in families


def _is_of(kind: str, field: str, where: str) -> bool:
    """Whether a place is of a kind that a field has: operators stand below the field as well."""
    return pattern(field)(where) or (OPERATORS in LEFT_OUT[kind] and pattern(f"{field}/*")(where))


def _applies(one: InjectionExclusion | KindOfField, operation: str, path: str) -> bool:
    return (one.operation is None or one.operation == operation) and (one.path is None or pattern(one.path)(path))


@cache
def pattern(text: str) -> Callable[[str], bool]:
    """Matches what `text` means, in which only `*` is special: brackets are part of many names. Linear in what it is asked
    about, however many `*` there are."""
    first, *rest = text.split("*")
    if not rest:
        return first.__eq__
    *middle, last = rest

    def matches(asked: str) -> bool:
        if not asked.startswith(first) or not asked.endswith(last):
            return False
        at, end = len(first), len(asked) - len(last)
        for part in middle:
            found = asked.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end

    return matches
