"""Operator's log on standard error: JSON for programs, colour for a console. Never a secret, never a body."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO, cast

import structlog

from sallygate.model.event import Event
from sallygate.parsing.printable import printable
from sallygate.policy.serving import LogSection

Log = structlog.stdlib.BoundLogger

LINES_MAX = 10_000
"""Waiting for a log that is slow; further ones are lost, and counted. Some 4 MB."""
DRAIN_S = 1.0
"""At the end of the process, for lines still waiting."""
LINES_PER_S = 50
"""Lines a second about requests. A flood must not fill the disk through the log; the number of lines left out is
logged."""


class Unfailing:
    """A stream whose failures are not its writers': a full disk, a closed pipe or a reader that stopped under the log
    must not end or hold up a request, nor the background work that wanted to tell of a failure. Lines wait for a
    thread of their own; the number of lost lines is logged when it works again."""

    lost_in_all = 0
    """By every stream of the process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = 0
        atexit.register(self.drain, DRAIN_S)

    def write(self, text: str) -> int:
        """Queue a line for the writing thread; returns its length even if the line is lost."""
        if len(self._waiting) >= LINES_MAX:
            self._lose()
            return len(text)
        self._waiting.append(text)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="sallygate-log", daemon=True)
            self._thread.start()
        self._some.set()
        return len(text)

    def flush(self) -> None:
        """The thread does."""

    def drain(self, within_s: float) -> None:
        """Wait until all is written, but no longer."""
        deadline = time.monotonic() + within_s
        while self._waiting and time.monotonic() < deadline:
            time.sleep(0.005)

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while self._waiting:
                self._put(self._waiting[0])
                self._waiting.popleft()

    def _put(self, text: str) -> None:
        try:
            if self.lost:
                self._stream.write(f'{{"event": "log lines could not be written", "lines": {self.lost}}}\n')
                self._stream.flush()
                self.lost = 0
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._lose()

    def _lose(self) -> None:
        self.lost += 1
        Unfailing.lost_in_all += 1


def open_log(section: LogSection | None = None, *, quiet: bool = False) -> Log:
    """As the policy's `log` says. `quiet` keeps only what went wrong."""
    section = section or LogSection()
    console = section.format == "console" or (section.format == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    )
    level = (
        logging.WARNING if quiet and section.level == "info" else logging.getLevelNamesMapping()[section.level.upper()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([_one_line] if console else []),  # JSON escapes by itself
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    return log


def _one_line(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No field begins another line but a traceback, which is the program's own."""
    for name, value in fields.items():
        if isinstance(value, str) and name not in ("exception", "stack"):
            fields[name] = printable(value)
    return fields


class RequestLog:
    """A line a request, or a line for many alike, at most `LINES_PER_S` in a second. Called on one thread, with events
    as they are written; `which` is asked each time, so that a reload reaches it."""

    def __init__(self, log: Log, which: Callable[[], str], now: Callable[[], float] = time.monotonic) -> None:
        self._log, self._which, self._now = log, which, now
        self._room = float(LINES_PER_S)
        self._at = now()
        self._left_out = 0

    def __call__(self, events: list[Event]) -> None:
        which = self._which()
        if which == "none":
            return
        now = self._now()
        self._room = min(self._room + (now - self._at) * LINES_PER_S, LINES_PER_S)
        self._at = now
        for event in events:
            if event.decision == "allow" and which == "refused":
                continue
            if self._room < 1:
                self._left_out += event.count
                continue
            self._room -= 1
            if self._left_out:
                self._log.warning("requests were left out of this log; the events have them", requests=self._left_out)
                self._left_out = 0
            self._log.info(_sentence(event), **_fields(event))


def _sentence(event: Event) -> str:
    what = f"{event.status} {printable(event.method)} {printable(event.path)}"
    if event.decision == "allow":
        return f"passed {what}"
    detail = next((finding.detail for finding in event.findings if finding.mode == "enforce"), event.decision)
    times = f", {event.count} times" if event.count > 1 else ""
    return f"refused {what}{times}: {printable(detail)}"


def _fields(event: Event) -> dict[str, Any]:  # Any: structlog's own signature
    found = next((finding for finding in event.findings if finding.mode == "enforce"), None)
    fields: dict[str, Any] = {
        "request_id": event.request_id,
        "trace_id": event.trace_id,
        "client": event.client_address,
        "account": event.account,
        "operation": event.operation,
        "reason": found.code if found else "",
        "where": found.where if found else "",
        "ms": "" if event.took_us is None else round(event.took_us / 1000, 1),
    }
    if event.count > 1:
        fields["count"] = event.count
    return {name: value for name, value in fields.items() if value != ""}
