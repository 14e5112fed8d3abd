"""Prefilter of the judges: a Hyperscan database of all triggers, which says which judges to ask about a text.

A second database holds the triggers of those judges alone that are asked about whole documents, which are long.

Hyperscan compiles the expressions into automata that read each byte once and never go back, so no input can make it slow.
A compiled database is bytes that depend on the expressions, the library and the processor; `signature` names what it was
made from. The caller has to protect the stored bytes from changes: they are loaded without a check.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Sequence
from importlib.metadata import version

import hyperscan

from sallygate.controls.injection.pipeline.pattern_scans import SCANS, pack, unpack
from sallygate.controls.injection.pipeline.values import BETWEEN

_BETWEEN = BETWEEN.encode()
_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH


class Prefilter:
    """`triggers[n]` are the expressions of judge number n; `documents` are the numbers of judges asked about whole
    documents."""

    def __init__(
        self, triggers: Sequence[Sequence[str]], compiled: bytes | None = None, documents: Collection[int] = ()
    ) -> None:
        self._owners = [
            (judge, number) for judge, expressions in enumerate(triggers) for number in range(len(expressions))
        ]
        parts = (range(len(triggers)), documents) if documents else (range(len(triggers)),)
        self._databases = (_loaded(compiled, len(parts)) if compiled is not None else None) or [
            _compiled(triggers, part) for part in parts
        ]
        self._own = threading.local()

    def dump(self) -> bytes:
        """The compiled databases, for `compiled` of the next start."""
        dumped: list[bytes] = list(map(hyperscan.dumpb, self._databases))
        return pack(dumped)

    def hits(self, text: str, document: bool = False) -> dict[int, list[int]]:
        """Which judges to ask about `text`: their numbers, each with those of its triggers that were hit. The text is
        scanned with `BETWEEN` on both sides: triggers may ask for any character before and after what they look for.
        `document`: only those that are asked about whole documents."""
        owners = self._owners
        found: dict[int, list[int]] = {}

        def hit(number: int, start: int, end: int, flags: int, context: object) -> None:
            judge, trigger = owners[number]
            if judge in found:
                found[judge].append(trigger)
            else:
                found[judge] = [trigger]

        data = f"{BETWEEN}{text}{BETWEEN}".encode("utf-8", "replace")
        number = -1 if document else 0
        self._databases[number].scan(data, match_event_handler=hit, scratch=self._scratches()[number])
        return found

    def texts_hit(self, joined: str) -> set[int]:
        """Numbers of the texts, joined by `BETWEEN`, in which the first match of each trigger ends. A match in one text
        ends there, so that what matches in a text is found once those before it are taken away."""
        data = f"{BETWEEN}{joined}{BETWEEN}".encode("utf-8", "replace")
        ends: set[int] = set()

        def hit(number: int, start: int, end: int, flags: int, context: object) -> None:
            ends.add(end)

        self._databases[0].scan(data, match_event_handler=hit, scratch=self._scratches()[0])
        return {data.count(_BETWEEN, 0, end - 1) - 1 for end in ends}

    def _scratches(self) -> list[hyperscan.Scratch]:
        """Working memory of this thread: two scans may not share one."""
        scratches: list[hyperscan.Scratch] | None = getattr(self._own, "scratches", None)
        if scratches is None:
            scratches = self._own.scratches = list(map(hyperscan.Scratch, self._databases))
        return scratches


def _loaded(compiled: bytes, count: int) -> list[hyperscan.Database] | None:
    """None when they were compiled for another processor, by another version or for other judges."""
    try:
        databases = [hyperscan.loadb(part, hyperscan.HS_MODE_BLOCK) for part in unpack(compiled)[:count]]
    except hyperscan.HyperscanError:
        return None
    return databases if len(databases) == count else None


def _compiled(triggers: Sequence[Sequence[str]], judges: Collection[int]) -> hyperscan.Database:
    """The triggers of `judges`, each by its number among all."""
    numbered = enumerate((judge, expression) for judge, of_judge in enumerate(triggers) for expression in of_judge)
    wanted = [(number, expression.encode()) for number, (judge, expression) in numbered if judge in judges]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression for _, expression in wanted],
        ids=[number for number, _ in wanted],
        flags=[_FLAGS] * len(wanted),
    )
    return database


def compile_database(triggers: Sequence[Sequence[str]], judges: Collection[int]) -> bytes:
    """One of the databases in `Prefilter.dump`: of all judges, then of those asked about documents."""
    dumped: bytes = hyperscan.dumpb(_compiled(triggers, judges))
    return dumped


def signature(triggers: Sequence[Sequence[str]], documents: Collection[int] = ()) -> str:
    """What compiled databases depend on besides the processor, as 16 hexadecimal digits."""
    digest = hashlib.sha256(f"{version('hyperscan')}\0{_FLAGS}\0{sorted(documents)}\0".encode())
    for of_judge in triggers:
        digest.update("\0".join(of_judge).encode() + b"\1")
    for scan in SCANS:
        digest.update("\0".join(scan.expressions).encode() + b"\2%d" % scan.flags)
    return digest.hexdigest()[:16]
