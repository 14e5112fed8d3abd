"""The pictures of the architecture are those of the code."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from lab import diagrams


@pytest.mark.parametrize("name", ["driver.svg", "house.svg"])
def test_a_picture_is_that_of_the_code(name: str) -> None:
    svg = diagrams.pictures()[name]
    assert (diagrams.OUT / name).read_text() == svg, "run: make pictures"
    assert svg == diagrams.pictures()[name], "the same code gives the same picture"
    assert ElementTree.fromstring(svg).get("viewBox")


def test_the_house_has_every_package() -> None:
    drawn = {name for layer in diagrams.layers() for name in layer}
    here = {one.stem for one in diagrams.SOURCE.iterdir() if (one / "__init__.py").exists() or one.suffix == ".py"}
    assert len(here) > 15 and drawn == here - {"__init__"}
