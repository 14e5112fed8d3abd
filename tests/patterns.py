"""Compiled patterns of injection, kept from one session to the next; a file for each version and kind of processor.

Compiling takes ten seconds of a processor. The first of several workers compiles, the others wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
from functools import cache
from pathlib import Path

from sallygate.controls.injection import (
    Prefilter,
    compile_patterns,
    load_prefilter,
    make_prefilter,
    patterns_signature,
)
from sallygate.security.kept_patterns import keep_patterns_ahead, patterns_ahead


def keep(directory: Path) -> Path:
    """The file of the patterns in `directory`, made when there is none. From then on `compile_patterns` of this process
    gives what the file holds."""
    directory.mkdir(parents=True, exist_ok=True)
    signature = patterns_signature()
    file = directory / f"{signature}-{_processor()}.bin"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compiled = _read(file, signature)
        if compiled is None:
            part = file.with_suffix(".part")
            keep_patterns_ahead(part, signature, compile_patterns())
            part.replace(file)
    if compiled is not None:
        load_prefilter(compiled)  # which `compile_patterns` gives from then on
    return file


@cache
def prefilter() -> Prefilter:
    """The prefilter of all judges, loaded once in this process."""
    return make_prefilter(compile_patterns())


def _read(file: Path, signature: str) -> bytes | None:
    os.environ["SALLYGATE_PATTERNS_FILE"] = str(file)
    return patterns_ahead(signature)


def _processor() -> str:
    """What the processor is able to do, as 8 hexadecimal digits: patterns compiled for another are not loaded."""
    able = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        able += next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
    return hashlib.sha256(able.encode()).hexdigest()[:8]
