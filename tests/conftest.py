"""Makes the modules of this directory (`contract_harness` and the like) importable from every test below
it; and keeps the compiled patterns of injection for all sessions and workers."""

from __future__ import annotations

import os

import pytest

import patterns


def pytest_configure(config: pytest.Config) -> None:
    """Every gate and command of the suite loads the patterns kept here; what compiles its own takes the name away."""
    os.environ["SALLYGATE_PATTERNS_FILE"] = str(patterns.keep(config.rootpath / ".pytest_cache" / "d" / "patterns"))
