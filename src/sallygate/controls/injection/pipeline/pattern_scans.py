"""Scans of many patterns at once for a judge: one pass of Hyperscan in place of one pass for each expression.

A scan that asks which expressions of `re` can match at all is made of what each is sure to contain (`superset`): the
expression then decides. Scans are compiled once with the prefilter's patterns and loaded from there with them.

Refuses to know what is an attack.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Sequence

import hyperscan

__all__ = ["SCANS", "Scan", "dump", "is_loadable", "load", "pack", "possible", "processor", "superset", "unpack"]

PLATFORM_END = 20
"""Bytes of a database's head up to its processor: mark, version, length (of one expression always the same), platform."""
Found = Callable[[int, int, int, int, object], bool | None]


class Scan:
    """A database of its own, which any thread may scan with."""

    def __init__(self, expressions: Sequence[str], flags: int = 0) -> None:
        self.expressions = tuple(expressions)
        self.flags = flags | hyperscan.HS_FLAG_DOTALL
        self.database: hyperscan.Database | None = None
        self._own = threading.local()
        self._compiling = threading.Lock()
        SCANS.append(self)

    def compiled(self) -> hyperscan.Database:
        """Hyperscan database of the expressions, compiled at the first use; safe to call from several threads."""
        with self._compiling:
            if self.database is None:
                numbers = list(range(len(self.expressions)))
                database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
                expressions = [one.encode() for one in self.expressions]
                database.compile(expressions=expressions, ids=numbers, flags=[self.flags] * len(numbers))
                self.database = database
            return self.database

    def __call__(self, data: bytes, found: Found) -> bool:
        """Whether the scan got to its end: `found` ends it by returning true."""
        database = self.database or self.compiled()
        scratch = getattr(self._own, "scratch", None)
        if scratch is None:
            scratch = self._own.scratch = hyperscan.Scratch(database)
        try:
            database.scan(data, match_event_handler=found, scratch=scratch)
        except hyperscan.ScanTerminated:
            return False
        return True


SCANS: list[Scan] = []
"""All there are, in the order in which their modules are read."""


def dump() -> list[bytes]:
    """The databases of all scans, compiled where they are not."""
    return [hyperscan.dumpb(scan.compiled()) for scan in SCANS]


def load(dumped: Sequence[bytes]) -> None:
    """Databases that `dump` made. What was made by another version or for another processor is compiled now: a request
    must not be the one that waits for it."""
    if len(dumped) == len(SCANS):
        for scan, data in zip(SCANS, dumped, strict=True):
            if scan.database is None:
                with contextlib.suppress(hyperscan.HyperscanError):
                    scan.database = hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
    for scan in SCANS:
        scan.compiled()


def is_loadable(packed: bytes) -> bool:
    """Whether what was packed was compiled by this version of Hyperscan for a processor like this one."""
    try:
        hyperscan.loadb(unpack(packed)[-1], hyperscan.HS_MODE_BLOCK)
    except (hyperscan.HyperscanError, IndexError):
        return False
    return True


def processor() -> str:
    """What Hyperscan takes this processor for, as 16 hexadecimal digits: databases are compiled for it."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=[b"a"], ids=[0], flags=[0])
    return hashlib.sha256(hyperscan.dumpb(database)[:PLATFORM_END]).hexdigest()[:16]


def pack(parts: Iterable[bytes]) -> bytes:
    """Bytes of several parts, each after its length in 8 bytes."""
    return b"".join(len(part).to_bytes(8) + part for part in parts)


def unpack(data: bytes) -> list[bytes]:
    """What `pack` was given; of damaged data whatever it looks like."""
    parts, at = [], 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8])
        parts.append(data[at + 8 : end])
        at = end
    return parts


def possible(patterns: Sequence[re.Pattern[str]]) -> Callable[[str], list[int]]:
    """Gives the numbers of those `patterns` that may match a text; all that do are among them."""
    scan = Scan(
        [superset(pattern.pattern) for pattern in patterns],
        hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY,
    )

    def numbers(text: str) -> list[int]:
        found: list[int] = []

        def hit(number: int, start: int, end: int, flags: int, context: object) -> None:
            found.append(number)

        scan(text.encode("latin-1", "replace"), hit)
        found.sort()
        return found

    return numbers


_LOOKED = re.compile(r"\(\?<?[=!]").match
_NOT_BEHIND = re.compile(r"\(\?<!(?:\[((?:\\.|[^\]\\^])(?:\\.|[^\]\\])*)\]|(\\[ws]))\)").match
_BEHIND = re.compile(r"\(\?<=([a-z]+)\)").match
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}").match
_CLASS = re.compile(r"\[(\^?)((?:\]|\\.|[^\]\\])(?:\\.|[^\]\\])*)\]", re.DOTALL).match
_WIDE = {"s": r"\s\x0b\x1c-\x1f?\x80-\xff", "w": r"\w?\x80-\xff", "d": r"\d?\x80-\xff"}
_UNITS = re.compile(r"(?:\\u....|\\.|.)(?:-(?:\\u....|\\.|.))?", re.DOTALL).findall
_BYTE_CODE = re.compile(r"\\u00([0-9a-fA-F]{2})").sub
_CODES = re.compile(r"\\u([0-9a-fA-F]{4})").findall


def superset(expression: str) -> str:
    """An expression for bytes, one a character, that matches wherever `expression` matches characters, and where it might.

    Bounds of repetition are left out, look-around and boundaries too, but for one character before an alternative;
    characters beyond ASCII may be of any class, and those beyond Latin-1 stand as `?`."""
    parts: list[str] = []
    open_groups: list[bool] = []  # of each, whether it begins what is looked for
    at, first = 0, True
    while at < len(expression):
        char = expression[at]
        if first and (before := _before(expression, at)) is not None:
            part, at = before
            parts.append(part)
        elif char == "\\" and expression[at + 1] in "bB":
            at += 2
        elif _LOOKED(expression, at):
            at = _closed(expression, at)
        elif char == "(":
            open_groups.append(first)
            parts.append("(?:")
            at += 1
            if expression.startswith("?", at):
                at += 2
        elif char == ")":
            parts.append(char)
            open_groups.pop()
            at, first = at + 1, False
        elif char == "|":
            parts.append(char)
            at, first = at + 1, not open_groups or open_groups[-1]
        elif (counted := _COUNTED(expression, at)) is not None:
            least = int(counted[1])
            parts.append("*" if least == 0 else "+" if least == 1 else f"{{{least},}}")
            at = _possessed(expression, counted.end())
        elif char in "*+?":
            parts.append(char)
            at = _possessed(expression, at + 1)
        else:
            part, at = _atom(expression, at)
            parts.append(part)
            first = False
    return "".join(parts)


def _before(expression: str, at: int) -> tuple[str, int] | None:
    """One character before what is looked for, instead of the look back or the boundary at `at`; and where that ends."""
    if expression.startswith(r"\b", at) and expression[at + 2 : at + 3].isalnum():
        return r"(?:^|\W)", at + 2
    if (found := _NOT_BEHIND(expression, at)) is not None:
        return f"(?:^|[^{found[1] or found[2]}])", found.end()
    if (found := _BEHIND(expression, at)) is not None:
        return found[1], found.end()
    return None


def _atom(expression: str, at: int) -> tuple[str, int]:
    """One character or class of them, and where it ends."""
    char = expression[at]
    if char == "[":
        found = _CLASS(expression, at)
        assert found is not None
        units = _UNITS(_BYTE_CODE(r"\\x\1", found[2]))
        if found[1]:  # a character it does not match may stand for others it does
            return "[^" + "".join(one for one in units if not _is_beyond(one) and "?" not in one) + "]", found.end()
        return "[" + "".join(map(_widened, units)) + "]", found.end()
    if char == "\\":
        kind = expression[at + 1]
        if kind == "u":
            return _spelled(chr(int(expression[at + 2 : at + 6], 16))), at + 6
        return f"[{_WIDE[kind]}]" if kind in _WIDE else char + kind, at + 2
    return char if char.isascii() else _spelled(char), at + 1


def _spelled(char: str) -> str:
    return r"\?" if ord(char) > 255 else f"\\x{ord(char):02x}"


def _is_beyond(unit: str) -> bool:
    """Whether a character or range of a class is about characters that are no byte."""
    return any(int(code, 16) > 255 for code in _CODES(unit)) or max(unit) > "\xff"


def _widened(unit: str) -> str:
    if _is_beyond(unit):
        low, _, high = unit.partition("-")
        return rf"{low}-\xff?" if high and not _is_beyond(low) else "?"
    if unit[0] == "\\":
        return _WIDE.get(unit[1:], unit)
    return unit if unit.isascii() else "-".join(map(_spelled, unit.split("-")))


def _possessed(expression: str, at: int) -> int:
    """Behind what makes a repetition possessive or lazy."""
    return at + 1 if expression[at : at + 1] in ("+", "?") else at


def _closed(expression: str, at: int) -> int:
    """Behind the parenthesis that closes the one at `at`."""
    depth = 0
    while True:
        char = expression[at]
        if char == "\\":
            at += 2
            continue
        if char == "[":
            found = _CLASS(expression, at)
            assert found is not None
            at = found.end()
            continue
        depth += (char == "(") - (char == ")")
        at += 1
        if depth == 0:
            return at
