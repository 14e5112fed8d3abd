"""`python -m lab.speed [SECTION…] [--no-write]`: measure, show, and write each section down when it is done."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lab.speed import (
    early,
    engine,
    feeds,
    gateway,
    identity,
    injection,
    inprocess,
    logins,
    memory,
    operations,
    replaying,
    report,
)
from lab.speed.servers import Missing

SECTIONS = {
    "engine": engine,
    "early": early,
    "feeds": feeds,
    "identity": identity,
    "injection": injection,
    "gateway": gateway,
    "inprocess": inprocess,
    "operations": operations,
    "logins": logins,
    "replay": replaying,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.speed", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all when left out")
    parser.add_argument("--no-write", action="store_true", help="show only; do not change results and documentation")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    names = [name for name in SECTIONS if not asked.sections or name in asked.sections]
    console, found = Console(), []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console) as progress,
        tempfile.TemporaryDirectory(prefix="sallygate-lab-") as scratch,
    ):
        task = progress.add_task("measuring", total=sum(SECTIONS[name].STEPS for name in names))

        def advance(what: str) -> None:
            progress.update(task, advance=1, description=what)
            if not console.is_terminal:  # into a file: one line a step
                console.print(what)

        for name in names:
            where = report.machine()
            try:
                section = SECTIONS[name].run(Path(scratch), advance)
            except Missing as missing:
                console.print(f"[yellow]{name} is left out:[/] {missing}")
                continue
            found.append(section)
            if not asked.no_write:
                report.write(section, where)
    report.show(console, found)
    if found and not asked.no_write:
        console.print(f"written: {report.RESULTS.relative_to(report.servers.ROOT)}, docs/performance.md")


if __name__ == "__main__":
    main()
