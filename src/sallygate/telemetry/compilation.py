"""Progress of compiling the patterns of injection: a bar on a terminal, lines elsewhere, more time from systemd.

Refuses to know what is compiled, and how.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sallygate.net.sockets import notify

LINE_S = 10.0
"""Between two lines where there is no terminal."""
EXTENSION_S = 30
"""Of a service's start, asked of systemd again and again while the work goes on."""
TITLE = "compiling the patterns of injection, once for this user and machine"


Say = Callable[..., object]
"""Writer of one line of a log, with values by name: `log.info`, `on_standard_error`."""


class Compilation:
    """Context manager of one compilation. `reached` gives the share of the work that is done, from which the rest is
    estimated; `tick` is called some ten times a second."""

    def __init__(self, say: Say, now: Callable[[], float] = time.monotonic) -> None:
        self._say, self._now = say, now
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._begun = self._line_at = self._extended_at = 0.0
        self._total_s: float | None = None
        self._waits = False

    def __enter__(self) -> Compilation:
        self._begun = self._line_at = self._now()
        console = Console(stderr=True, emoji=False)
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("compiling patterns, once", total=None, left="estimating the time …")
            self._bar.start()
        else:
            self._say(TITLE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        notify("STATUS=")
        if kind is None:
            self._say("the patterns of injection are compiled", took_s=round(self._now() - self._begun, 1))

    def waiting(self) -> None:
        """Another process compiles them, and this one waits for it."""
        if not self._waits:
            self._waits = True
            if self._bar is not None:
                self._bar.update(self._task, left="waiting for another process that compiles them …")
            else:
                self._say("waiting for another process that compiles them")
        self._extend()

    def reached(self, share: float) -> None:
        """`share` of the work is done, and took as long as it took."""
        elapsed_s = self._now() - self._begun
        self._total_s = elapsed_s / share
        if self._bar is None:
            self._say(TITLE, left_s=round(self._total_s - elapsed_s))

    def tick(self) -> None:
        """Show how far it is."""
        now = self._now()
        self._extend()
        if self._total_s is None:
            return
        left_s = self._total_s - (now - self._begun)
        if self._bar is not None:
            left = f"about {left_s:.0f} s left" if left_s >= 1 else "nearly done, longer than estimated"
            done = min(now - self._begun, 0.99 * self._total_s)
            self._bar.update(self._task, total=self._total_s, completed=done, left=left)
        elif now - self._line_at >= LINE_S:
            self._line_at = now
            self._say(TITLE, left_s=max(round(left_s), 0))

    def _extend(self) -> None:
        now = self._now()
        if now - self._extended_at >= EXTENSION_S / 3:
            self._extended_at = now
            notify(f"EXTEND_TIMEOUT_USEC={EXTENSION_S * 1_000_000}", f"STATUS={TITLE}")


def on_standard_error(line: str, /, **values: object) -> None:
    """A line of a command, whose output is on standard output."""
    sys.stderr.write(line + "".join(f" {name}={value}" for name, value in values.items()) + "\n")
    sys.stderr.flush()
