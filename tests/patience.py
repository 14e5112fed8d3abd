"""How long tests wait for what must happen: every deadline is scaled by one variable.

`SALLYGATE_TEST_PATIENCE` multiplies the deadlines, which are written for an idle machine. A deadline that is not reached
costs nothing, so the default is generous.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = float(os.environ.get("SALLYGATE_TEST_PATIENCE", "6"))


def patient(seconds: float) -> float:
    """A deadline of so many seconds on an idle machine, in seconds on this one."""
    return seconds * PATIENCE


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Fails when what is done in it takes so much processor time: for work that must not grow beyond all measure."""
    begun = time.process_time()
    yield
    spent = time.process_time() - begun
    assert spent < patient(seconds), f"{spent:.1f} s of processor time"


def until(condition: Callable[[], Any], within_s: float = 5.0) -> Any:
    """Wait for something another process does, and return what the condition found; fail when it does not happen."""
    deadline = time.monotonic() + patient(within_s)
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {patient(within_s)} s")
