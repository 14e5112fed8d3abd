"""The table, the page and the picture."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.flood import memory, scenes, slow
from lab.flood.scenes import Outcome
from lab.speed import servers
from lab.speed.report import machine

PAGE = servers.ROOT / "docs" / "flood-evaluation.md"
PICTURE = servers.ROOT / "docs" / "images" / "flood.svg"
RESULTS = servers.ROOT / "lab" / "results" / "flood.json"
BEGIN, END = "<!-- figures: written by `make lab-flood` -->", "<!-- end of figures -->"
COLUMNS = ("flood", "sources", "sent", "loyal served", "p99 before", "during", "after", "API at most",
           "under way", "recovered", "met")  # fmt: skip
WIDTH, HEIGHT, LEFT, TOP = 900, 220, 60, 30


def _yes(good: bool) -> str:
    return "yes" if good else "**no**"


def rows(outcomes: list[Outcome]) -> list[tuple[str, ...]]:
    return [
        (
            one.kind,
            f"{one.sources:,}",
            f"{one.flood_per_s:,.0f}/s",
            f"{one.success(one.loyal, 'during'):.2%}",
            *(f"{one.p99_ms(phase):.0f} ms" for phase in ("before", "during", "after")),
            f"{one.api['served_most']}/s",
            f"{one.api['under_way_most']}",
            f"{one.recovery_s:.1f} s",
            _yes(one.good),
        )
        for one in outcomes
    ]


def show(console: Console, outcomes: list[Outcome], slows: list[slow.Slow], grown: memory.Memory | None) -> None:
    table = Table(*COLUMNS)
    for row in rows(outcomes):
        table.add_row(*row)
    console.print(table)
    table = Table("slowhttptest", "connections", "loyal requests", "failed", "p99 before", "during")
    for one in slows:
        table.add_row(one.kind, str(one.connections), str(one.requests), str(one.failed),
                      f"{one.p99_before_ms:.0f} ms", f"{one.p99_ms:.0f} ms")  # fmt: skip
    console.print(table)
    if grown is not None:
        console.print(_memory(grown))


def _memory(grown: memory.Memory) -> str:
    sizes = ", ".join(f"{size:.0f}" for size in grown.sizes_mb)
    return (
        f"A million sources, every fourth one in the penalty box: {grown.before_mb:.0f} MB before, then every 100,000 sources "
        f"{sizes} MB: {grown.added_mb:.0f} MB more at most; bound {memory.BOUND_MB} MB, and no growth once the tables "
        f"are full: {'met' if grown.good else 'not met'}."
    )


def write(outcomes: list[Outcome], slows: list[slow.Slow], grown: memory.Memory | None) -> None:
    """Into the page, between its marks; the picture; and all numbers as JSON, which is not kept in the repository."""
    lines = [", ".join(f"{name} {value}" for name, value in machine().items()), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(outcomes)]
    lines += ["", "| flood | sources | answered | gate, processor | a request of the flood | generator | guests served |",
              "|---|---:|---|---:|---:|---:|---:|"]  # fmt: skip
    for one in outcomes:
        answered = ", ".join(f"{count:,} × {name.split()[-1]}" for name, count in _by_status(one).items())
        each_us = one.gate_cpu_s / max(one.begun, 1) * 1e6
        lines.append(f"| {one.kind} | {one.sources:,} | {answered} | {one.gate_cpu_s:.1f} s | {each_us:.0f} µs | "
                     f"{one.flood_cpu_s:.1f} s | {one.success(one.guests, 'during'):.0%} |")  # fmt: skip
    lines += ["", "| slowhttptest | connections | loyal requests | failed | p99 before | during |",
              "|---|---:|---:|---:|---:|---:|"]  # fmt: skip
    lines += [
        f"| {one.kind} | {one.connections:,} | {one.requests:,} | {one.failed} | {one.p99_before_ms:.0f} ms | {one.p99_ms:.0f} ms |"
        for one in slows
    ]
    if grown is not None:
        lines += ["", _memory(grown)]
    page = PAGE.read_text()
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    PAGE.write_text(page[:start] + "\n\n" + "\n".join(lines) + "\n\n" + page[end:])
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([_plain(one) for one in outcomes]))
    shown = next((one for one in outcomes if one.kind == "mixture" and one.sources == max(scenes.SOURCES)), None)
    if shown is not None:
        PICTURE.write_text(picture(shown))


def _by_status(outcome: Outcome) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, count in outcome.flood.items():
        if count:
            status = name.rpartition(" ")[2] if name != "no connection" else "no connection"
            counts[status] = counts.get(status, 0) + count
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {"kind": outcome.kind, "sources": outcome.sources, "loyal": outcome.loyal, "guests": outcome.guests,
            "flood": dict(outcome.flood), "api": outcome.api, "gate": outcome.gate, "begin": outcome.begin}  # fmt: skip


# the picture ----------------------------------------------------------------------------------------------------------


def picture(outcome: Outcome) -> str:
    """Requests of the flood, the API's load and the loyal callers' times, one above the other, over the seconds."""
    span = scenes.BEFORE_S + scenes.FLOOD_S + scenes.AFTER_S
    begin = outcome.begin
    sent = [(second - begin, sum(counts.values())) for second, counts in sorted(outcome.flood_by_s.items())]
    bore = [(int(second) - begin, count) for second, count in sorted(outcome.api["served_by_s"].items(), key=_second)]
    loyal = [(row[0] - begin, row[1] * 1e3) for row in outcome.loyal]
    limit = [(one["at"], float(one["limit"])) for one in outcome.gate if "limit" in one]
    panels = [
        ("requests of the flood a second", sent, "#b3261e", 6000.0, True),
        ("requests a second the API served (its limit is 100)", bore, "#1f6feb", 120.0, True),
        ("places at the API the gate gives, as found out", limit, "#6e40c9", 40.0, True),
        ("milliseconds each request of a loyal caller took", loyal, "#1a7f37", 300.0, False),
    ]
    height = TOP + len(panels) * (HEIGHT + 50)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * LEFT} {height}" '
        'font-family="sans-serif" font-size="14">',
        f'<rect width="{WIDTH + 2 * LEFT}" height="{height}" fill="white"/>',
    ]
    for number, (title, points, colour, most, joined) in enumerate(panels):
        top = TOP + number * (HEIGHT + 50)
        parts += _panel(title, points, colour, most, joined, top, span)
    return "\n".join([*parts, "</svg>\n"])


def _second(pair: tuple[str, int]) -> int:
    return int(pair[0])


def _panel(title: str, points: list[tuple[float, float]], colour: str, most: float, joined: bool, top: float,
           span: float) -> list[str]:  # fmt: skip
    def place(at: float, value: float) -> tuple[float, float]:
        return LEFT + max(at, 0.0) / span * WIDTH, top + HEIGHT - min(value / most, 1.0) * HEIGHT

    flood_at, flood_to = (place(at, 0)[0] for at in (scenes.BEFORE_S, scenes.BEFORE_S + scenes.FLOOD_S))
    parts = [
        f'<rect x="{flood_at:.0f}" y="{top}" width="{flood_to - flood_at:.0f}" height="{HEIGHT}" fill="#fbe9e7"/>',
        f'<text x="{LEFT}" y="{top - 8}">{title}</text>',
        f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{most:,.0f}</text>',
        f'<text x="{LEFT - 8}" y="{top + HEIGHT}" text-anchor="end">0</text>',
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>',
    ]
    placed = [place(at, value) for at, value in points if 0 <= at <= span]
    if joined:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    else:
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6" fill="{colour}"/>' for x, y in placed]
    return parts
