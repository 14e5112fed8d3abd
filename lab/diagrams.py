"""Pictures of the architecture, drawn from the code: `python -m lab.diagrams` writes `docs/images/house.svg` (packages and
layers, from the import contract in `pyproject.toml`) and `docs/images/driver.svg` (events, commands, phases, controls)."""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import get_args

from sallygate.engine.order import ORDER
from sallygate.model import driver
from sallygate.model.control import Phase

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sallygate"
OUT = ROOT / "docs" / "images"
WIDTH, MARGIN, LINE = 1080, 20, 17
"""Pixels: width of a picture, its margin, and the height of a line of text."""
CHAR = 6.6
"""Widest average character of the 12-pixel font, in pixels."""


class Picture:
    """SVG under construction, from top to bottom."""

    def __init__(self, title: str) -> None:
        self.title, self.height, self._parts = title, MARGIN, list[str]()

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """One line; `kind` is a class of the style."""
        self._parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """A rectangle; `kind` is a class of the style."""
        self._parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A line with a head at its end."""
        self._parts.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="arrow"/>')

    def svg(self) -> str:
        """The whole document; the same for the same code."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:g}" role="img">',
                f"<title>{escape(self.title)}</title>",
                "<style>text{font:12px sans-serif;fill:#1f2328}.name{font-weight:bold;font-size:13px}"
                ".title{font-weight:bold;font-size:15px}.small{fill:#59636e}.box{fill:#f6f8fa;stroke:#8c959f}"
                ".core{fill:#ddf4ff;stroke:#0969da}.page{fill:#fff}"
                ".arrow{stroke:#59636e;stroke-width:1.5;marker-end:url(#head)}</style>",
                '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
                '<path d="M0 0L8 4L0 8z" fill="#59636e"/></marker></defs>',
                f'<rect width="{WIDTH}" height="{self.height:g}" class="page"/>',
                *self._parts,
                "</svg>\n",
            ]
        )


def layers() -> list[list[str]]:
    """Packages of each layer, from the highest to the lowest, as import-linter enforces them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [one["layers"] for one in contracts if one["type"] == "layers"]
    return [[name.strip(" ()") for name in layer.split("|")] for layer in found]


def purpose(name: str) -> str:
    """First sentence of a package's or module's docstring."""
    path = SOURCE / name
    doc = ast.get_docstring(ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()))
    return (doc or "").split("\n\n")[0].replace("\n", " ").replace("`", "").partition(". ")[0].rstrip(".")


def children(name: str) -> list[str]:
    """Names of the modules and packages directly in a package."""
    found = [one.name + "/" * one.is_dir() for one in (SOURCE / name).iterdir() if one.suffix == ".py" or one.is_dir()]
    return sorted(one.removesuffix(".py") for one in found if not one.startswith("__") and one != "native/")


def house() -> str:
    """Layers of packages: each imports from the layers below it only."""
    picture = Picture("Packages and layers of Sallygate")
    picture.text(MARGIN, picture.height + 12, "Packages and layers: imports point down only", "title")
    picture.height += 28
    for layer in layers():
        width = (WIDTH - 2 * MARGIN - 10 * (len(layer) - 1)) / len(layer)
        wide = int((width - 20) / CHAR)
        lines = {name: [(line, "") for line in textwrap.wrap(purpose(name), wide)] for name in layer}
        for name in layer:
            if (SOURCE / name).is_dir():
                inside = textwrap.wrap(" · ".join(children(name)), wide, break_on_hyphens=False)
                lines[name] += [(line, "small") for line in inside]
        height = 26 + LINE * max(map(len, lines.values()))
        for number, name in enumerate(layer):
            x = MARGIN + number * (width + 10)
            picture.box(x, picture.height, width, height, "core" if name in ("engine", "controls", "model") else "box")
            picture.text(x + 10, picture.height + 17, name + ("/" if (SOURCE / name).is_dir() else ".py"), "name")
            for at, (line, kind) in enumerate(lines[name]):
                picture.text(x + 10, picture.height + 17 + LINE * (at + 1), line, kind)
        picture.height += height + 8
    picture.height += MARGIN - 8
    return picture.svg()


def _kinds(base: type | None) -> list[str]:
    """Names of the events (with `base`) or of the commands, in the order of the module."""
    commands = [one.__name__ for one in get_args(driver.Command)]
    if base is None:
        return commands
    return [name for name, one in vars(driver).items()
            if isinstance(one, type) and issubclass(one, base) and one is not base]  # fmt: skip


def _column(picture: Picture, x: float, y: float, title: str, names: Iterable[str]) -> float:
    picture.text(x, y, title, "name")
    for name in names:
        y += LINE
        picture.text(x, y, name)
    return y


def driver_picture() -> str:
    """The driver between its shells and the engine, and the controls of each phase."""
    picture = Picture("Exchange driver of Sallygate")
    picture.text(
        MARGIN, picture.height + 12, "One exchange: a shell feeds events, the driver answers with commands", "title"
    )
    top, side, middle = picture.height + 40, 240, 300
    events, commands = _kinds(driver.Event), _kinds(None)
    height = LINE * (max(len(events), len(commands)) + 1) + 16
    left, right = MARGIN + side, MARGIN + side + middle
    picture.box(MARGIN, top, side - 40, height, "box")
    _column(picture, MARGIN + 12, top + 20, "Events (to the driver)", events)
    picture.box(left, top, middle, height, "core")
    said = ["Exchange driver", "engine/exchange.py", "", "without input or output of its own;", "applies charges and takes slots;",
            "ends by End, ApiFailed, Reply or close"]  # fmt: skip
    for at, line in enumerate(said):
        picture.text(left + middle / 2, top + height / 2 - 50 + LINE * at, line, "name" if not at else "", "middle")
    picture.box(right + 40, top, side - 40, height, "box")
    _column(picture, right + 52, top + 20, "Commands (to the shell)", commands)
    picture.arrow(left - 38, top + height / 2, left - 4, top + height / 2)
    picture.arrow(right + 4, top + height / 2, right + 38, top + height / 2)
    shells = right + side + 24
    picture.box(shells, top, WIDTH - MARGIN - shells, height, "box")
    wide = int((WIDTH - MARGIN - shells - 24) / CHAR)
    lines = [
        "guard/",
        *textwrap.wrap(purpose("guard"), wide),
        "",
        "offline/",
        *textwrap.wrap(purpose("offline/decide"), wide),
    ]
    picture.text(shells + 12, top + 20, "Shells", "name")
    for at, line in enumerate(lines):
        picture.text(shells + 12, top + 20 + LINE * (at + 1), line)
    picture.height = top + height + 40
    picture.text(
        MARGIN,
        picture.height,
        "Phases of the engine, and the controls of each in their order (engine/order.py)",
        "title",
    )
    picture.height += 14
    for phase in get_args(Phase):
        names = [row.control.name for row in ORDER if row.phase == phase]
        picture.box(MARGIN, picture.height, 110, 24, "core")
        picture.text(MARGIN + 10, picture.height + 16, phase, "name")
        picture.text(MARGIN + 126, picture.height + 16, " → ".join(names) or "no control yet")
        picture.height += 30
    picture.height += MARGIN - 6
    return picture.svg()


def pictures() -> dict[str, str]:
    """File name of each picture, and its content."""
    return {"house.svg": house(), "driver.svg": driver_picture()}


def main() -> None:
    """Write the pictures."""
    for name, svg in pictures().items():
        (OUT / name).write_text(svg)


if __name__ == "__main__":
    main()
