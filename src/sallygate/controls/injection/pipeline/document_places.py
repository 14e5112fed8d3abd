"""Places within a document of JSON: the member that evidence stands in, and the document without excluded members.

Some judges read a document as a whole. An exclusion names a member, and so must evidence, or the one never meets the
other. Refuses to know judges and exclusions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sallygate.controls.injection.pipeline.values import below

Test = Callable[[object], bool]
"""Whether a document shows the evidence."""


def deepest_place(tree: object, where: str, shows: Test) -> str:
    """The deepest place at which a member, alone in its object or array, `shows` the evidence of the `tree` at `where`."""
    node, found = tree, True
    while found:
        found = False
        for place, alone, child in _children(where, node):
            if shows(alone):
                where, node, found = place, child, True
                break
    return where


def without(tree: object, where: str, is_excluded: Callable[[str], bool]) -> tuple[object, bool]:
    """The document without the members at excluded places, elements of arrays as null; and whether there were any."""
    if type(tree) is dict:
        left: dict[str, object] = {}
        changed = False
        for name, child in tree.items():
            place = below(where, name)
            if is_excluded(place):
                changed = True
                continue
            left[name], inner = without(child, place, is_excluded)
            changed |= inner
        return left, changed
    if type(tree) is list:
        pairs = [
            (None, True) if is_excluded(place := f"{where}/{at}") else without(child, place, is_excluded)
            for at, child in enumerate(tree)
        ]
        return [child for child, _ in pairs], any(changed for _, changed in pairs)
    return tree, False


def _children(where: str, node: object) -> Iterator[tuple[str, object, Any]]:
    """Place, the member alone in a container of its kind, and the member."""
    if type(node) is dict:
        for name, child in node.items():
            yield below(where, name), {name: child}, child
    elif type(node) is list:
        for at, child in enumerate(node):
            yield f"{where}/{at}", [child], child
