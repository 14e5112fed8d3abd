"""The driver compiled with mypyc decides as it does uncompiled: its transcripts, its shell and its state machine pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULES = ("exchange", "request_body", "response", "response_copy", "ledger")
SUITE = ("tests/unit/engine/test_exchange.py", "tests/unit/engine/test_exchange_modes.py",
         "tests/unit/engine/test_response_modes.py", "tests/unit/guard", "tests/property/test_exchange_machine.py")  # fmt: skip


def run(*command: str, cwd: Path, **variables: str) -> str:
    said = subprocess.run(
        command, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, (said.stdout + said.stderr)[-3000:]
    return said.stdout


@pytest.mark.long
def test_the_driver_decides_alike_when_it_is_compiled(tmp_path: Path) -> None:
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    if shutil.which("cc") is None or not headers.is_file():
        pytest.skip("a C compiler or Python's headers are missing: apt-get install gcc python3-dev")
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    mypyc = Path(sys.executable).with_name("mypyc")
    run(sys.executable, str(mypyc), *(f"sallygate/engine/{name}.py" for name in MODULES), cwd=source)
    where = run(sys.executable, "-c", "import sallygate.engine.exchange as e; print(e.__file__)", cwd=tmp_path,
                PYTHONPATH=str(source))  # fmt: skip
    assert where.strip().endswith((".so", ".pyd")), "compiled, or this test would compare the driver with itself"
    said = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITE, cwd=tmp_path,
               PYTHONPATH=str(source), SALLYGATE_PATTERNS_FILE=os.environ["SALLYGATE_PATTERNS_FILE"])  # fmt: skip
    assert int(said.rsplit(" passed", 1)[0].split()[-1]) > 250
