"""Bounded table of counters: an entry a subject, shared buckets beyond its bound, and what was taken as deltas.

A full table never forgives: an entry still in penalty is kept, and newcomers share `OVERFLOW_BUCKETS` buckets, which
are stricter than an entry of their own, never looser. A bucket is chosen by a hash under the installation's secret:
nobody can choose whose bucket to fill, and every gate of the installation chooses the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from sallygate.model.counting import Room, Row

ENTRIES_MAX = 100_000
"""Subjects a table holds: about 25 MB when full. Addresses beyond it share the overflow buckets."""
OVERFLOW_BUCKETS = 1024
EVICTION_STEPS = 8
"""Entries looked at to make room for a newcomer; bounds the work of one request on a full table."""
BUCKET = "\0"
"""Begins the name of a bucket among deltas; no subject begins so."""

Deltas = Mapping[str, int]
"""Amounts taken, by subject or bucket. An amount of 0 says that the entry changed otherwise."""
Entry = TypeVar("Entry")


class BucketHash:
    """Hash of subjects under a key of at most 64 bytes (BLAKE2b, RFC 7693). Looks and takes of one request name the
    same subject, so that the last one is remembered."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=8)
        self._last, self._number = "", 0

    def __call__(self, subject: str) -> int:
        if subject != self._last or not subject:
            hashed = self._keyed.copy()
            hashed.update(subject.encode("utf-8", "surrogatepass"))
            self._last, self._number = subject, int.from_bytes(hashed.digest(), "big")
        return self._number


_UNKEYED = BucketHash(b"")


class Table(Protocol):
    """Table of counters, as decisions and the writer of counters see it."""

    name: str
    spec: tuple[object, ...]
    """What it was made for: an equal one takes its place."""

    def look(self, subject: str, now: float, amount: int = 1) -> Room:
        """What is left, before anything is taken."""
        ...

    def take(self, subject: str, now: float, amount: int) -> None:
        """Count an amount."""
        ...

    def subjects(self) -> list[str]:
        """Those with a row."""
        ...

    def row(self, subject: str) -> Row | None:
        """A subject's entry as it is kept; None where there is none to keep."""
        ...

    def load(self, subject: str, a: float, b: float, now: float) -> None:
        """Take a kept row over."""
        ...

    def shift(self, seconds: float) -> None:
        """The clock jumped by so much: what counts from now on moves along, and is neither forgiven nor drawn out."""
        ...

    def take_deltas(self) -> dict[str, int]:
        """What was taken since the last call, given up to the caller."""
        ...

    def give_back(self, deltas: Deltas) -> None:
        """Deltas that could not be written or sent, to be taken once more."""
        ...

    def merge(self, deltas: Deltas, now: float) -> None:
        """Count what another gate has taken, as if it was taken now. Deltas may come in any order."""
        ...

    def keyed(self, bucket_hash: BucketHash) -> None:
        """Choose buckets by this hash, before anything is counted."""
        ...


class BoundedTable(Generic[Entry]):
    """Bounded table of counters. A subclass says what an entry is, when it is free, and how amounts add up."""

    def __init__(self, name: str, spec: tuple[object, ...], entries_max: int, buckets: int = OVERFLOW_BUCKETS) -> None:
        self.name, self.spec = name, spec
        self._entries_max, self._buckets_max = entries_max, buckets
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._buckets: dict[int, Entry] = {}
        self._deltas: dict[str, int] = {}
        self._bucket_deltas: dict[int, int] = {}
        self._hash = _UNKEYED

    def _is_free(self, entry: Entry, now: float) -> bool:
        """Whether an entry may be forgotten."""
        raise NotImplementedError

    def _sum(self, entry: Entry | None, now: float, amount: int) -> Entry:
        """An entry with an amount added, up to a bound. In whatever order amounts of one moment are added, the sum is
        the same."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._entries)

    def keyed(self, bucket_hash: BucketHash) -> None:
        """Use a keyed hash for the overflow buckets, so that processes can add their counts."""
        self._hash = bucket_hash

    def subjects(self) -> list[str]:
        """Subjects with an entry of their own."""
        return list(self._entries)

    def take_deltas(self) -> dict[str, int]:
        """Amounts taken since the last call, by subject or bucket."""
        deltas, self._deltas = self._deltas, {}
        if self._bucket_deltas:
            deltas |= {f"{BUCKET}{bucket}": amount for bucket, amount in self._bucket_deltas.items()}
            self._bucket_deltas = {}
        return deltas

    def give_back(self, deltas: Deltas) -> None:
        """Add deltas again that could not be written."""
        for key, amount in deltas.items():
            if key.startswith(BUCKET):
                bucket = int(key[len(BUCKET) :])
                self._bucket_deltas[bucket] = self._bucket_deltas.get(bucket, 0) + amount
            else:
                self._deltas[key] = self._deltas.get(key, 0) + amount

    def merge(self, deltas: Deltas, now: float) -> None:
        """Add the deltas of another gate; the order of several merges has no effect."""
        own = self.take_deltas()  # what another gate has taken is not this one's
        for key, amount in deltas.items():
            if key.startswith(BUCKET):
                bucket = int(key[len(BUCKET) :])
                self._buckets[bucket] = self._sum(self._buckets.get(bucket), now, amount)
            elif amount:
                self._put(key, self._sum(self._entry(key), now, amount), now, 0)
        self.give_back(own)

    def _entry(self, subject: str) -> Entry | None:
        """The subject's entry, or that of its bucket."""
        entry = self._entries.get(subject)
        if entry is None and self._buckets:
            entry = self._buckets.get(self._hash(subject) % self._buckets_max)
        return entry

    def _put(self, subject: str, entry: Entry, now: float, amount: int) -> None:
        """Keep an entry after `amount` was taken from it."""
        entries = self._entries
        if subject in entries:
            entries[subject] = entry
            entries.move_to_end(subject)
        elif len(entries) < self._entries_max or self._make_room(now):
            entries[subject] = entry
        else:
            bucket = self._hash(subject) % self._buckets_max
            self._buckets[bucket] = entry
            self._bucket_deltas[bucket] = self._bucket_deltas.get(bucket, 0) + amount
            return
        self._deltas[subject] = self._deltas.get(subject, 0) + amount

    def _make_room(self, now: float) -> bool:
        entries = self._entries
        for _ in range(min(EVICTION_STEPS, len(entries))):
            subject = next(iter(entries))
            if self._is_free(entries[subject], now):
                del entries[subject]
                self._deltas.pop(subject, None)
                return True
            entries.move_to_end(subject)
        return False

    def _changed(self) -> None:
        """Every row is to be written once more."""
        for subject in self.subjects():
            self._deltas.setdefault(subject, 0)
