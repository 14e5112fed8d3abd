"""A figure: what was measured, in rounds, and what it should be. Knows nothing of how it is measured or shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["at most", "at least"]


@dataclass
class Figure:
    """Values are one a round; the median is the figure, the smallest and largest its spread."""

    section: str
    name: str
    unit: str
    values: list[float]
    target: float | None = None
    better: Better = "at most"
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.median <= self.target if self.better == "at most" else self.median >= self.target

    def as_json(self) -> dict[str, Any]:
        values = [round(value, 3) for value in self.values]
        return {**asdict(self), "values": values, "median": round(self.median, 3), "met": self.met}


@dataclass
class Section:
    """What one section found, and what it had to leave out."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, unit: str, values: Sequence[float], target: float | None = None, *,
            better: Better = "at most", note: str = "") -> None:  # fmt: skip
        self.figures.append(Figure(self.name, name, unit, list(values), target, better, note))


Advance = Callable[[str], None]
"""Called after each step of a section with what comes next, for the progress bar."""


def quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]
