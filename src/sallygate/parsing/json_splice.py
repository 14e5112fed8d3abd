"""Splicer of JSON text: values replaced or removed at JSON pointers (RFC 6901), every other byte kept.

The text is walked once, without recursion. The splicer does not know what the document is for.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Final

from msgspec.json import decode

from sallygate.parsing.pointers import unescape_pointer

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]++', re.DOTALL)


class NoSuchValue(LookupError):
    """A pointer names no value of the document."""


class _Node:
    """One step of the pointers: what is wanted below it, and what becomes of the value here."""

    __slots__ = ("below", "pointer", "replacement")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.pointer: str | None = None
        self.replacement: bytes | None = None


class _Container:
    """One array or object that has begun and not ended."""

    __slots__ = ("index", "items", "key", "key_start", "keyed", "node", "removes", "start")

    def __init__(self, start: int, keyed: bool, node: _Node | None) -> None:
        self.start, self.keyed, self.node = start, keyed, node
        self.key: str | None = None
        self.key_start = self.index = 0
        self.items: list[tuple[int, int, bool]] = []
        """Start and end of each item, and whether it is removed; of a container that pointers lead into."""
        self.removes = False

    def child(self) -> _Node | None:
        """The node of the value that begins now."""
        if self.node is None:
            return None
        return self.node.below.get(self.key or "" if self.keyed else str(self.index))

    def cuts(self) -> list[tuple[int, int, bytes]]:
        """What to cut so that exactly the kept items remain, with one comma between two of them."""
        made, kept = [], False
        for number, (start, end, removed) in enumerate(self.items):
            if not removed:
                kept = True
            elif kept:
                made.append((self.items[number - 1][1], end, b""))
            elif number + 1 < len(self.items):
                made.append((start, self.items[number + 1][0], b""))
            else:
                made.append((start, end, b""))
        return made


def splice(text: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """`text` with the value at each pointer replaced by JSON text, or removed where that is None.

    All pointers name places of `text` as it is given; a change of a value that holds another one wins. Of members with
    the same name all are changed. Raises `NoSuchValue`.
    """
    if "" in changes:
        return changes[""] or b""
    spans, found = _spans(text, _tree(changes))
    for pointer in changes:
        if pointer not in found:
            raise NoSuchValue(pointer)
    parts: list[bytes] = []
    at = 0
    for start, end, replacement in sorted(spans):
        parts += (text[at:start], replacement)
        at = end
    return b"".join((*parts, text[at:]))


def _tree(changes: Mapping[str, bytes | None]) -> _Node:
    root = _Node()
    for pointer, replacement in changes.items():
        node = root
        for step in map(unescape_pointer, pointer.split("/")[1:]):
            node = node.below.setdefault(step, _Node())
        node.pointer, node.replacement = pointer, replacement
    return root


def _spans(text: bytes, root: _Node) -> tuple[list[tuple[int, int, bytes]], set[str]]:
    """Spans with what stands in their place, none within another; and the pointers that were found."""
    spans: list[tuple[int, int, bytes]] = []
    found: set[str] = set()
    open_: list[_Container] = []

    def end(start: int, stop: int, node: _Node | None) -> None:
        """A value ended."""
        parent = open_[-1] if open_ else None
        removed = False
        if node is not None and node.pointer is not None:
            found.add(node.pointer)
            while spans and spans[-1][0] >= start:  # changes within it
                spans.pop()
            if node.replacement is None:
                removed = True
            else:
                spans.append((start, stop, node.replacement))
        if parent is not None and parent.node is not None:
            parent.items.append((parent.key_start if parent.keyed else start, stop, removed))
            parent.removes |= removed

    for token in _TOKEN.finditer(text):
        start, stop = token.span()
        first, top = text[start], open_[-1] if open_ else None
        if first in b"{[":
            node = top.child() if top is not None else root
            open_.append(_Container(start, first == 0x7B, node))
        elif first in b"}]":
            closed = open_.pop()
            if closed.removes:
                _merge(spans, closed.cuts(), closed.start)
            end(closed.start, stop, closed.node)
        elif first == 0x2C:  # a comma
            assert top is not None
            top.index += 1
            top.key = None
        elif first == 0x3A:  # a colon
            continue
        elif top is not None and top.keyed and top.key is None:
            top.key, top.key_start = (decode(text[start:stop], type=str) if top.node is not None else ""), start
        else:
            end(start, stop, top.child() if top is not None else root)
    return spans, found


def _merge(spans: list[tuple[int, int, bytes]], cuts: list[tuple[int, int, bytes]], start: int) -> None:
    """Add `cuts` of a container that begins at `start`, without the spans that lie within one of them. All are in
    order, and what stands before the container is not looked at: a document of many has work for each of them once."""
    first = bisect_left(spans, (start,))
    starts = [cut[0] for cut in cuts]
    kept = [one for one in spans[first:] if (at := bisect_right(starts, one[0])) == 0 or cuts[at - 1][1] < one[1]]
    spans[first:] = sorted(kept + cuts)
