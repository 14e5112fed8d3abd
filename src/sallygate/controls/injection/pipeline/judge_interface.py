"""Interface of a judge of one language, as the judging and the prefilter use it.

Refuses to know any language.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sallygate.controls.injection.pipeline.evidence import Evidence
from sallygate.controls.injection.pipeline.values import Kind

TEXTS: frozenset[Kind] = frozenset(("path", "query", "name", "header", "cookie", "body", "file"))
"""Kinds of values that are one text an application may put into something."""
DOCUMENTS: frozenset[Kind] = frozenset(("json", "xml"))
"""Kinds of values that hold texts that are values of their own."""
HOP: frozenset[Kind] = frozenset(("hop",))
"""Kind of the headers that only logs and gateways read."""
JSON: frozenset[Kind] = frozenset(("json",))
XML: frozenset[Kind] = frozenset(("xml",))


class Judge(Protocol):
    """Judge of one language of attacks. A class that implements it derives from it, so that its definition is checked."""

    name: str
    """Name of the language, or of the part of it that this judge reads; no other judge has it."""
    triggers: tuple[str, ...]
    """Expressions of Hyperscan, of which a text must hold one for the judge to be asked; their order is their number."""
    kinds: frozenset[Kind] = TEXTS
    """Kinds of values that the judge is asked about."""
    cost: float = 1.0
    """Cost of one character at worst, in units of what a character costs the judge of SQL."""
    least: int = 96
    """Cost of the shortest text, in the same unit."""
    texts_in: Callable[[str], list[str]] | None = None
    """Gives the texts that a document of the language holds and that are values of their own; None for a language without."""

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest evidence in `text`, in which the triggers with the numbers `hits` were hit."""
        ...
