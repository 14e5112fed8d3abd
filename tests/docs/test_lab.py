"""Every module of the lab can be imported: figures are measured with what is there now."""

from __future__ import annotations

import importlib
import pkgutil

import lab


def test_every_module_of_the_lab_can_be_imported() -> None:
    names = [found.name for found in pkgutil.walk_packages(lab.__path__, "lab.") if not found.name.endswith("__main__")]
    for name in names:
        importlib.import_module(name)
    assert len(names) >= 30
