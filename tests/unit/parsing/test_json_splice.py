"""Values replaced and removed at JSON pointers: every other byte stays as it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sallygate.parsing.json_splice import NoSuchValue, splice
from sallygate.parsing.pointers import escape_pointer


@pytest.mark.parametrize(
    ("text", "changes", "left"),
    [
        (b'{"a":1, "b" : [1.10, 2e5]}', {"/b/0": b"3"}, b'{"a":1, "b" : [3, 2e5]}'),
        (b'{"a":1,"b":2,"c":3}', {"/b": None}, b'{"a":1,"c":3}'),
        (b'{"a":1,"b":2,"c":3}', {"/a": None, "/c": None}, b'{"b":2}'),
        (b'{"a":1,"b":2}', {"/a": None, "/b": None}, b"{}"),
        (b"[1,2,3]", {"/1": None, "/2": None}, b"[1]"),
        (b"[1,2,3]", {"/0": None, "/1": None}, b"[3]"),
        (b'[{"x":1},{"x":2}]', {"/1": None, "/1/x": b"9"}, b'[{"x":1}]'),
        (b'{"a":{"b":1}}', {"/a": b"7", "/a/b": None}, b'{"a":7}'),
        (b'{"a/b":1,"m~n":2,"\\u00e9":3}', {"/a~1b": b"x", "/m~0n": b"y", "/\xe9": b"z"},
         b'{"a/b":x,"m~n":y,"\\u00e9":z}'),
        (b'{"a":"} , \\" [","b":1}', {"/b": b"2"}, b'{"a":"} , \\" [","b":2}'),
        (b'{"a":1,"a":2,"b":3}', {"/a": None}, b'{"b":3}'),
        (b"5", {"": b"6"}, b"6"),
        (b'{"":{"":1}}', {"//": b"2"}, b'{"":{"":2}}'),
    ],
)  # fmt: skip
def test_what_is_left(text: bytes, changes: dict[str, bytes | None], left: bytes) -> None:
    assert splice(text, changes) == left


@pytest.mark.parametrize("pointer", ["/c", "/a/0", "/b/2", "/b/-", "/b/01", "/b/x"])
def test_a_pointer_that_names_nothing_is_no_change(pointer: str) -> None:
    with pytest.raises(NoSuchValue):
        splice(b'{"a":1,"b":[1,2]}', {pointer: None})


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text('a/~"\\,:[]{}é\u0000', max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab/~"\\é01', max_size=2), inner, max_size=4),
    max_leaves=12,
)


def places(tree: Any, pointer: str = "") -> list[str]:
    """Pointers of everything in `tree`."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [pointer, *(one for key, value in items for one in places(value, f"{pointer}/{escape_pointer(str(key))}"))]


def changed(tree: Any, pointer: str, changes: dict[str, bytes | None]) -> Any:
    """The same by values: a change of what holds another one wins."""
    if isinstance(tree, dict | list):
        pairs = list(tree.items() if isinstance(tree, dict) else enumerate(tree))
        left = []
        for key, value in pairs:
            at = f"{pointer}/{escape_pointer(str(key))}"
            if at not in changes:
                left.append((key, changed(value, at, changes)))
            elif (text := changes[at]) is not None:
                left.append((key, json.loads(text)))
        return dict(left) if isinstance(tree, dict) else [value for _, value in left]
    return tree


@given(TREES, st.data(), st.sampled_from([None, 1]), st.booleans())
def test_the_same_as_changing_the_values(tree: Any, data: st.DataObject, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only).encode()
    there = [pointer for pointer in places(tree) if pointer]
    changes = (
        data.draw(st.dictionaries(st.sampled_from(there), st.sampled_from([None, b'{"new":[1]}']))) if there else {}
    )
    assert json.loads(splice(text, changes)) == changed(copy.deepcopy(tree), "", changes)
    assert splice(text, {}) == text
