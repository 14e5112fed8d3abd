"""The operator's log on standard error: JSON for machines, colour for people. Never a secret, never a body."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog

Log = structlog.stdlib.BoundLogger


class Unfailing:
    """A stream whose failures are not its writers': a full disk or a closed pipe under the log must not end a request,
    nor the background work that wanted to tell of a failure. What was lost is told when it works again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def write(self, text: str) -> int:
        try:
            if self.lost:
                self._stream.write(f'{{"event": "log lines could not be written", "lines": {self.lost}}}\n')
                self._stream.flush()
                self.lost = 0
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1
        return len(text)

    def flush(self) -> None:
        """`write` has."""


def open_log(*, quiet: bool = False) -> Log:
    """JSON lines where standard error is no terminal. `quiet` keeps only what went wrong."""
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    return log
