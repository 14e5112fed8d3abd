"""Router: method and path to an operation.

Paths without expressions are found in one dictionary by their raw bytes; the rest in a trie of segments,
where a written-out segment is tried before a template, and a template with more fixed characters before one
with fewer (OpenAPI 3.1.1, section 4.8.8.2: concrete before templated). It does not decode, and judges nothing
but the shape.

The work of one look-up is bounded by the document, not by the request: a trie node is visited at most once,
because each has one parent. Matching a template inside one segment searches each literal once, from the
right, without backtracking."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from urllib.parse import unquote

from sallygate.model.operation import Match, Operation

_EXPRESSION = re.compile(r"\{([^{}]+)\}")


class SegmentTemplate:
    """One segment with expressions, such as `{name}.{extension}`: its literals and its names.

    Where a literal occurs more than once, the last place that leaves every expression a character wins, so
    that `{name}.{extension}` reads `a.tar.gz` as `a.tar` and `gz`."""

    __slots__ = ("first", "inner", "last", "names", "weight", "whole")

    def __init__(self, text: str) -> None:
        pieces = _EXPRESSION.split(text)
        self.names: tuple[str, ...] = tuple(pieces[1::2])
        literals = pieces[0::2]
        if "" in literals[1:-1] or any("{" in part or "}" in part for part in literals):
            raise ValueError("two expressions with nothing between them, or a brace that stands alone")
        self.first, self.last = literals[0], literals[-1]
        self.inner: tuple[str, ...] = tuple(reversed(literals[1:-1]))
        self.whole = len(self.names) == 1 and not self.first and not self.last
        self.weight = sum(map(len, literals))

    def match(self, segment: str) -> tuple[str, ...] | None:
        """The value of each expression in order, none empty; None when the segment does not fit."""
        if self.whole:
            return (segment,) if segment else None
        start, end = len(self.first), len(segment) - len(self.last)
        if end <= start or not segment.startswith(self.first) or not segment.endswith(self.last):
            return None
        values: list[str] = []
        for literal in self.inner:
            at = segment.rfind(literal, start + 1, end - 1)
            if at < 0:
                return None
            values.append(segment[at + len(literal) : end])
            end = at
        values.append(segment[start:end])
        values.reverse()
        return tuple(values)


class _Leaf:
    """A complete path: its operations by method, and the names of its expressions for each."""

    __slots__ = ("allow", "operations")

    def __init__(self) -> None:
        self.operations: dict[str, tuple[Operation, tuple[str, ...]]] = {}
        self.allow: tuple[str, ...] = ()
        """The methods of those that are not hidden."""

    def add(self, operation: Operation, names: tuple[str, ...]) -> None:
        """Add an operation that ends at this node; `names` are its path parameters in order. HEAD is a GET without its
        body unless the contract declares HEAD (RFC 9110, section 9.3.2)."""
        operations, method = self.operations, operation.method
        if method == "HEAD" and operations.get("HEAD") is operations.get("GET"):
            operations.pop("HEAD", None)
        operations.setdefault(method, (operation, names))
        if "GET" in operations:
            operations.setdefault("HEAD", operations["GET"])

    def hide(self, hidden: Collection[str]) -> None:
        """Once all are added: list the methods, without operations of these ids."""
        self.allow = tuple(sorted(method for method, (one, _) in self.operations.items() if one.id not in hidden))

    def other_method(self) -> Match | None:
        """Where a method leads that no operation has."""
        return Match(None, (), self.allow) if self.allow else None


class _Node:
    """One level of the trie."""

    __slots__ = ("fixed", "leaf", "templates", "whole")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.whole: _Node | None = None
        self.templates: list[tuple[SegmentTemplate, str, _Node]] = []
        self.leaf: _Leaf | None = None


class RouteTable:
    """All paths of an API. Built once; `match` reads only."""

    def __init__(
        self, operations: Iterable[Operation], base_path: str | None = None, hidden: Collection[str] = ()
    ) -> None:
        """`base_path` stands in front of every path; None: what each operation's servers say. Operations whose ids are
        `hidden` are found by their own method, so that a template does not take them; no other method tells of them."""
        self._root = _Node()
        static: dict[bytes, _Leaf] = {}
        leaves: list[_Leaf] = []
        for operation in operations:
            for base in operation.base_paths if base_path is None else (base_path.rstrip("/"),):
                path = base + operation.path
                leaf, names = self._plant(path)
                leaf.add(operation, names)
                leaves.append(leaf)
                if not names:
                    static[path.encode()] = leaf
        for leaf in leaves:
            leaf.hide(hidden)
        self._static = {raw: _static_matches(leaf) for raw, leaf in static.items()}

    def match(self, method: str, raw_path: bytes, segments: tuple[str, ...]) -> Match | None:
        """Where the path leads, or None when no path of the contract fits. A trailing slash is part of the
        path."""
        known = self._static.get(raw_path)
        if known is not None:
            return known.get(method) or known[""]
        values: list[str] = []
        leaf = _find(self._root, segments, 0, values)
        if leaf is None:
            return None
        found = leaf.operations.get(method)
        if found is None:
            return leaf.other_method()
        operation, names = found
        return Match(operation, tuple(zip(names, values, strict=True)), leaf.allow)

    def _plant(self, path: str) -> tuple[_Leaf, tuple[str, ...]]:
        node = self._root
        names: tuple[str, ...] = ()
        for segment in path.split("/")[1:]:
            if "{" not in segment:
                node = node.fixed.setdefault(unquote(segment), _Node())
                continue
            template = SegmentTemplate(segment)
            names += template.names
            node = _planted_template(node, template)
        if node.leaf is None:
            node.leaf = _Leaf()
        return node.leaf, names


def _planted_template(node: _Node, template: SegmentTemplate) -> _Node:
    """The child for a template; two that differ only in their names (`/a/{x}`, `/a/{y}`) share one."""
    if template.whole:
        node.whole = node.whole or _Node()
        return node.whole
    shape = "{}".join([template.first, *reversed(template.inner), template.last])
    for _, known, child in node.templates:
        if known == shape:
            return child
    child = _Node()
    node.templates.append((template, shape, child))
    node.templates.sort(key=lambda entry: (-entry[0].weight, entry[1]))
    return child


def _static_matches(leaf: _Leaf) -> dict[str, Match | None]:
    known: dict[str, Match | None] = {"": leaf.other_method()}
    for method, (operation, _) in leaf.operations.items():
        known[method] = Match(operation, (), leaf.allow)
    return known


def _find(node: _Node, segments: tuple[str, ...], at: int, values: list[str]) -> _Leaf | None:
    """Walks down while there is one way to go; branches only where a segment fits two children."""
    end = len(segments)
    while at < end:
        segment = segments[at]
        at += 1
        fixed = node.fixed.get(segment)
        if fixed is not None:
            if node.whole is None and not node.templates:
                node = fixed
                continue
            found = _attempt(fixed, segments, at, values, ())
            if found is not None:
                return found
        for template, _, child in node.templates:
            inside = template.match(segment)
            if inside is not None:
                found = _attempt(child, segments, at, values, inside)
                if found is not None:
                    return found
        if node.whole is None or not segment:
            return None
        values.append(segment)
        node = node.whole
    return node.leaf


def _attempt(
    node: _Node, segments: tuple[str, ...], at: int, values: list[str], inside: tuple[str, ...]
) -> _Leaf | None:
    """Tries one child and forgets its values when it leads nowhere."""
    kept = len(values)
    values.extend(inside)
    leaf = _find(node, segments, at, values)
    if leaf is None:
        del values[kept:]
    return leaf
