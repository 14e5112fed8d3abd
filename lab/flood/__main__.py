"""`python -m lab.flood [SECTION …]`: floods, slow senders, memory. Everything is written down only when all have run."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from lab.flood import memory, report, scenes, slow
from lab.speed.servers import Missing

SECTIONS = ("floods", "slow", "memory")


def main(wanted: list[str]) -> int:
    console = Console()
    if unknown := set(wanted) - set(SECTIONS):
        console.print(f"There is no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
        return 2
    outcomes: list[scenes.Outcome] = []
    slows: list[slow.Slow] = []
    grown: memory.Memory | None = None
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if not wanted or "floods" in wanted:
            for kind in scenes.KINDS:
                for sources in scenes.SOURCES:
                    outcomes.append(scenes.scene(kind, sources, directory / f"{kind.replace(' ', '-')}-{sources}"))
                    console.print("flood", *report.rows(outcomes[-1:])[0], highlight=False)
        if not wanted or "slow" in wanted:
            try:
                for kind in slow.KINDS:
                    slows.append(slow.run(kind, directory / f"slow-{kind}"))
                    console.print(slows[-1])
            except Missing as missing:
                console.print(str(missing))
        if not wanted or "memory" in wanted:
            grown = memory.run(directory / "memory")
    report.show(console, outcomes, slows, grown)
    if not wanted and slows:
        report.write(outcomes, slows, grown)
        console.print(f"written to {report.PAGE}")
    met = all(one.good for one in outcomes) and not any(one.failed for one in slows) and (grown is None or grown.good)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
