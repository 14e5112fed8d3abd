"""Patterns of places and paths: one pattern for what many honest requests have in common, no wider than that.

`body:/where/page/$gt` and `body:/where/$and` are one cause, `body:/where/*`; `body:/title` and `body:/text` are two.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

PATH_CHARS = 256
"""Characters of a path that an event keeps."""
SIBLINGS_MIN = 3
"""Members of one object that are taken for a map with names of the sender's own."""
VALUES_MIN = 3
"""Different segments at the same place of paths that are taken for a parameter."""
_INDEX = re.compile(r"/\d+(?=/|$)")
_NAME = re.compile(r"[A-Za-z][\w.-]{0,63}").fullmatch
"""A member's name as APIs give them; an operator, or a name in another form, is the sender's own."""
_ID = re.compile(r"\d+|[0-9A-Fa-f-]{16,}|(?=[^/]*\d)[0-9A-Za-z_~-]{12,}").fullmatch
"""A segment that identifies an object: a number, a UUID, letters and digits by chance."""


def generalised(places: Iterable[str]) -> dict[str, str]:
    """The pattern of each place."""
    patterns = {place: _stem(_numbered(place)) for place in places}
    while (parent := _map_among(set(patterns.values()))) is not None:
        patterns = {place: f"{parent}/*" if one.startswith(parent + "/") else one for place, one in patterns.items()}
    wide = sorted({one for one in patterns.values() if one.endswith("/*")}, key=len)
    return {
        place: next((one for one in wide if pattern.startswith(one[:-1])), pattern)
        for place, pattern in patterns.items()
    }


def _numbered(place: str) -> str:
    """With `*` for the numbers of elements, but for one that would stand for the whole document."""
    numbered = _INDEX.sub("/*", place)
    return place if numbered.endswith(":/*") else numbered


def _stem(place: str) -> str:
    """The place up to the member that the sender's own names stand in: `body:/where/*` of `body:/where/a/$gt/*`. The
    field that an operator asks for is the sender's choice as well, unless it stands at the top of the document."""
    steps = place.split("/")
    for at, step in enumerate(steps[1:], 1):
        if step != "*" and not _NAME(step):
            of_field = step.startswith("$") and at > 2 and steps[at - 1] != "*"
            return place if at == 1 else "/".join(steps[: at - 1 if of_field else at]) + "/*"
    return place


def _map_among(patterns: set[str]) -> str | None:
    """A member below which too many names, or names with operators, were seen to be fields of an API; None for none."""
    names: dict[str, set[str]] = defaultdict(set)
    own: dict[str, int] = defaultdict(int)
    for pattern in patterns:
        steps = pattern.split("/")
        for at in range(2, len(steps)):
            parent = "/".join(steps[:at])
            if steps[at] != "*":
                names[parent].add(steps[at])
                own[parent] += pattern.endswith("/*") and at == len(steps) - 2
    found = [one for one, below in names.items() if len(below) >= SIBLINGS_MIN or (len(below) >= 2 and own[one] >= 2)]
    return min(found, key=len, default=None)


def path_patterns(paths: Iterable[str]) -> dict[str, str]:
    """The pattern of each path: identifiers are `*`, and so is what differs in many paths that are alike otherwise."""
    patterns = {path: _path_pattern(path) for path in paths}
    changed = True
    while changed:
        changed = False
        alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for pattern in set(patterns.values()):
            steps = pattern.split("/")
            for at in range(1, len(steps)):
                alike[(*steps[:at], "\0", *steps[at + 1 :])].add(steps[at])
        for key, values in alike.items():
            if len(values - {"*"}) >= VALUES_MIN and any(step not in ("", "*", "\0") for step in key):
                wanted = "/".join(key).replace("\0", "*")
                those = {"/".join(key).replace("\0", value) for value in values}
                patterns = {path: wanted if one in those else one for path, one in patterns.items()}
                changed = True
                break
    return patterns


def _path_pattern(path: str) -> str:
    steps = path.split("/")
    return "/".join("*" if _ID(step) and len(steps) > 2 else step for step in steps)
