"""What the evaluation found: tables in the terminal, and a page with the cases that were decided the wrong way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from lab.injection.evaluate import Count
from lab.injection.redaction import redacted

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "lab" / "results" / "injection.json"
PAGE = ROOT / "docs" / "injection-evaluation.md"

RECORDED = "recorded requests"
"""How the names of rows begin whose examples are requests of real people."""
Better = Literal["at most", "at least"]


@dataclass
class Row:
    name: str
    count: Count
    target: float | None = None
    better: Better = "at most"

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.count.share <= self.target if self.better == "at most" else self.count.share >= self.target

    @property
    def said_target(self) -> str:
        return "" if self.target is None else f"{self.better} {self.target:.1%}"


@dataclass
class Part:
    title: str
    explanation: str
    rows: list[Row] = field(default_factory=list)


def show(console: Console, parts: list[Part]) -> None:
    for part in parts:
        table = Table(title=part.title, title_justify="left")
        for name in ("", "refused", "of", "share", "target", "met"):
            table.add_column(name, justify="left" if name in ("", "target", "met") else "right")
        for row in part.rows:
            met = {None: "", True: "[green]yes[/]", False: "[bold red]no[/]"}[row.met]
            table.add_row(row.name, f"{row.count.refused:,}", f"{row.count.total:,}", f"{row.count.share:.2%}",
                          row.said_target, met)  # fmt: skip
        console.print(table)


def write(parts: list[Part], facts: dict[str, str], left_out: list[str]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"facts": facts, "parts": [_as_json(part) for part in parts]}, indent=1) + "\n")
    PAGE.write_text("\n".join(_page(parts, facts, left_out)) + "\n")


def _as_json(part: Part) -> dict[str, Any]:
    rows = [
        {"name": row.name, "refused": row.count.refused, "of": row.count.total, "target": row.target, "met": row.met}
        for row in part.rows
    ]
    return {"title": part.title, "rows": rows}


def _page(parts: list[Part], facts: dict[str, str], left_out: list[str]) -> Iterator[str]:
    yield "# Detection rates of injection"
    yield ""
    yield "Written by `make lab-injection`. " + "; ".join(f"{name}: {value}" for name, value in facts.items()) + "."
    for part in parts:
        yield from ("", f"## {part.title}", "", part.explanation, "")
        yield "| | Refused | Of | Share | Target | Met |"
        yield "|---|---:|---:|---:|---|---|"
        for row in part.rows:
            met = {None: "", True: "yes", False: "**no**"}[row.met]
            yield (f"| {row.name} | {row.count.refused:,} | {row.count.total:,} | {row.count.share:.2%} "
                   f"| {row.said_target} | {met} |")  # fmt: skip
        wrong = [(row.name, example) for row in part.rows for example in row.count.wrong]
        if wrong:
            yield from ("", "<details><summary>Decided the wrong way, some of them</summary>", "", "```")
            for name, example in wrong:
                shown = redacted(example) if name.startswith(RECORDED) else example
                yield f"{name}: {shown}".replace("`", "'").encode("unicode_escape").decode("ascii")[:300]
            yield from ("```", "", "</details>")
    yield from ("", "## Left out as harmless by themselves", "")
    yield "Before anything was tuned: one or two plain words, a single mark, or a remark of a list's author; at most 1% of a"
    yield "family, the shortest first."
    yield from ("", "```", *(line.encode("unicode_escape").decode("ascii") for line in left_out), "```")
