"""Object ids and filter shapes: hashes and shapes that the monitor compares, without the values.

An id is remembered as a keyed 64-bit hash of its collection and its text, so that an id asked for (`GET /orders/17`)
equals the same id handed out before (`{"items": [{"id": 17}]}`), and neither can be read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice

IDS_MAX = 128
"""Remembered of one exchange: a page of a list. More sets the truncation flag."""
NODES_MAX = 2_000
"""Places of one answer looked at for ids; bounds the work whatever the answer."""
ID_CHARS_MAX = 128
"""No id is longer; a longer value in an id's place is a text."""
FILTERS_MAX = 24
COLLECTIONS_MAX = 10_000
"""A contract names its collections; this only bounds a broken one."""

IdPair = tuple[str, str]
"""Collection and id."""


class IdHasher:
    """Hashes of ids under one installation's key. A collection's state is kept, so that an id costs 0.5 µs."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(digest_size=8, key=key)
        self._collections: dict[str, blake2b] = {}

    def __call__(self, collection: str, value: str) -> int:
        started = self._collections.get(collection)
        if started is None:
            started = self._keyed.copy()
            started.update(f"{collection}\0".encode())
            if len(self._collections) < COLLECTIONS_MAX:
                self._collections[collection] = started
        hasher = started.copy()
        hasher.update(value.encode("utf-8", "replace"))
        return int.from_bytes(hasher.digest(), "big")


def asked_ids(
    names: Mapping[str, str], pairs: tuple[tuple[str, str], ...], body_ids: tuple[int, ...], hash_id: IdHasher
) -> tuple[tuple[int, ...], bool]:
    """Hashes of the ids a request names, in its path and query (`pairs`) and its JSON body, already hashed; and
    whether there were more."""
    found = [hash_id(names[name], value) for name, value in pairs if name in names and value]
    unique = tuple(dict.fromkeys((*found, *body_ids)))
    return unique[:IDS_MAX], len(unique) > IDS_MAX


def answered_ids(names: Mapping[str, str], tree: object, hash_id: IdHasher) -> tuple[tuple[int, ...], bool]:
    """Hashes of the ids in a JSON value, breadth first, and whether there were more than were looked at."""
    found: dict[int, None] = {}
    queue: list[object] = [tree]
    for looked, node in enumerate(queue):
        if looked > NODES_MAX or len(queue) > 2 * NODES_MAX or len(found) >= IDS_MAX:
            return tuple(found)[:IDS_MAX], True
        if type(node) is dict:
            for name, value in islice(node.items(), NODES_MAX):
                kind = type(value)  # a decoder makes exactly these types
                if kind is dict or kind is list:
                    queue.append(value)
                elif name in names and (kind is str or kind is int):
                    text = str(value)
                    if 0 < len(text) <= ID_CHARS_MAX:
                        found[hash_id(names[name], text)] = None
        elif type(node) is list:
            queue += [item for item in node[:NODES_MAX] if type(item) is dict or type(item) is list]
    return tuple(found), False


def count_records(tree: object, pointer: str) -> int | None:
    """Length of the array at `pointer` (RFC 6901); an object or scalar there is one record, nothing there none."""
    node = tree
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            return 0
    if isinstance(node, list):
        return len(node)
    return 0 if node is None else 1


def filter_shape(query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Names with bucketed values: `n3` a number of three digits, `e` empty, `w4` a text with a wildcard and below
    2⁴ characters, `t4` another text."""
    return tuple((name[:64], _bucket(value)) for name, value in query[:FILTERS_MAX])


def _bucket(value: str) -> str:
    if not value:
        return "e"
    if value.isascii() and value.isdecimal():
        return f"n{len(value)}"
    return f"{'w' if '%' in value or '*' in value else 't'}{len(value).bit_length()}"


def most_records(partial: bytes) -> int:
    """The most records a JSON answer cut short can have held: each object begins with a brace, each scalar but the
    first follows a comma."""
    return partial.count(b"{") or partial.count(b",") + 1
