"""The prefilter: one Hyperscan database of every judge's triggers. It says which judges to ask, nothing more.

Hyperscan compiles the expressions into automata that read each byte once and never go back, so no input can make it slow.
A compiled database is bytes that depend on the expressions, the library and the processor; `signature` names what it was
made from, and whoever keeps it must keep it from being changed: it is loaded as it is.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from importlib.metadata import version

import hyperscan

from sallygate.controls.injection.values import BETWEEN

_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH


class Prefilter:
    """`triggers[n]` are the expressions of judge number n."""

    def __init__(self, triggers: Sequence[Sequence[str]], compiled: bytes | None = None) -> None:
        self._owners = [
            (judge, number) for judge, expressions in enumerate(triggers) for number in range(len(expressions))
        ]
        self._database = (_loaded(compiled) if compiled is not None else None) or _compiled(triggers)
        self._own = threading.local()

    def dump(self) -> bytes:
        """The compiled database, for `compiled` of the next start."""
        data: bytes = hyperscan.dumpb(self._database)
        return data

    def hits(self, text: str) -> dict[int, list[int]]:
        """Which judges to ask about `text`: their numbers, each with those of its triggers that were hit. The text is
        scanned with `BETWEEN` on both sides: triggers may ask for any character before and after what they look for."""
        owners = self._owners
        found: dict[int, list[int]] = {}

        def hit(number: int, start: int, end: int, flags: int, context: object) -> None:
            judge, trigger = owners[number]
            if judge in found:
                found[judge].append(trigger)
            else:
                found[judge] = [trigger]

        data = f"{BETWEEN}{text}{BETWEEN}".encode("utf-8", "replace")
        self._database.scan(data, match_event_handler=hit, scratch=self._scratch())
        return found

    def _scratch(self) -> hyperscan.Scratch:
        """Working memory of this thread: two scans may not share one."""
        scratch = getattr(self._own, "scratch", None)
        if scratch is None:
            scratch = self._own.scratch = hyperscan.Scratch(self._database)
        return scratch


def _loaded(compiled: bytes) -> hyperscan.Database | None:
    """None when it was compiled for another processor or by another version."""
    try:
        return hyperscan.loadb(compiled, hyperscan.HS_MODE_BLOCK)
    except hyperscan.HyperscanError:
        return None


def _compiled(triggers: Sequence[Sequence[str]]) -> hyperscan.Database:
    expressions = [expression.encode() for of_judge in triggers for expression in of_judge]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    numbers = list(range(len(expressions)))
    database.compile(expressions=expressions, ids=numbers, flags=[_FLAGS] * len(expressions))
    return database


def signature(triggers: Sequence[Sequence[str]]) -> str:
    """What a compiled database depends on besides the processor, as 16 hexadecimal digits."""
    digest = hashlib.sha256(f"{version('hyperscan')}\0{_FLAGS}\0".encode())
    for of_judge in triggers:
        digest.update("\0".join(of_judge).encode() + b"\1")
    return digest.hexdigest()[:16]
