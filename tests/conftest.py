"""Makes the modules of this directory (`contract_harness` and the like) importable from every test below
it; and compiles the patterns of injection once for all of them."""

from __future__ import annotations

import os

import pytest

from sallygate.controls.injection import compile_patterns, patterns_signature
from sallygate.security.state_directory import keep_patterns_ahead


@pytest.fixture(scope="session", autouse=True)
def patterns_made_ahead(tmp_path_factory: pytest.TempPathFactory):
    """Every gate and command of the suite loads the patterns compiled once; what compiles its own takes the name away."""
    file = tmp_path_factory.mktemp("patterns") / "patterns.bin"
    keep_patterns_ahead(file, patterns_signature(), compile_patterns())
    os.environ["SALLYGATE_PATTERNS_FILE"] = str(file)
    yield file
    os.environ.pop("SALLYGATE_PATTERNS_FILE", None)
