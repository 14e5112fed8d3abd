"""Event log: one SQLite file an hour under `events/`, written in batches by a thread of its own.

Events wait in the log's `queue`. What cannot be kept is counted, and the log says how many; refusals of one flood are
aggregated with exact counts.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import MsgspecError
from msgspec.structs import replace

from sallygate.events.aggregation import aggregate, condense
from sallygate.events.reading import read_event
from sallygate.events.record import Pending
from sallygate.events.sink_queue import EventQueue
from sallygate.model.event import Event
from sallygate.ports import EventSink, EventSource, StoreError
from sallygate.stores.event_file import EventFile, is_damage, keep_private, parts_of, put_aside

BATCH_S = 0.05
"""DESIGN, rule 6: at most 50 ms."""
CHECK_ROUNDS = 20
"""Batches between two looks at the file while nothing is written: a second."""
STOP_S = 10.0
"""Greatest time that a stop waits for the disk."""
RETRY_S = 1.0
"""Between attempts while the disk refuses."""
EXPIRED_AT_ONCE = 4
"""Files removed when an hour begins: a clock set ahead for a moment must not remove them all, and one is enough."""
ROW_BITS = 36
"""A sequence number is the hour of its file and the row in it, so that it grows over files."""


class EventLog:
    """Writes events below `directory`. `tell` gets a line for the operator when something is lost or works again;
    `watch`, every batch as it will be written, once, on the log's own thread."""

    def __init__(
        self,
        directory: Path,
        queue_max: int,
        retention_s: float,
        tell: Callable[[str], None],
        watch: Callable[[list[Event]], None] = lambda events: None,
    ) -> None:
        self._directory = directory
        self._retention_s = retention_s
        self._tell = tell
        self._watch = watch
        self._watched = 0
        """Of the events waiting, so many at the front were shown already: the disk refused them before."""
        self.queue = EventQueue(queue_max)
        self._wake = threading.Event()
        self._stopping = False
        self._file: EventFile | None = None
        self._hour = -1
        self._gone: tuple[EventFile, str] | None = None
        """A file that is not what was opened, and why, until another is open."""
        self._last = 0
        """The last sequence number given."""
        self.failing = False
        self.written = 0
        self.removed = 0
        """Events that were written, and are gone with a file that was removed, emptied or damaged."""
        self._thread = threading.Thread(target=self._run, name="sallygate-events", daemon=True)

    def start(self) -> None:
        """Begin to write, once: a gate whose start fails later is started once more. Raises `OSError`."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory.chmod(0o700)
        for file in self._directory.iterdir():
            keep_private(file)
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end. Returns when it is on disk, or is counted as lost."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=STOP_S)
        before = self.queue.lost
        self.queue.lose(*self.queue.take())
        if lost := self.queue.lost - before:
            self._tell(f"{lost} events that waited are lost: they could not be written before the end")

    def put(self, event: Event | Pending) -> None:
        """Let `event` wait to be written. Never waits, never fails."""
        self.queue.put(event)

    @property
    def waiting(self) -> int:
        """Number of events in the queue."""
        return len(self.queue)

    @property
    def dropped(self) -> int:
        """Exchanges whose events were lost before they were written."""
        return self.queue.lost

    def _run(self) -> None:
        rounds = 0
        while not self._stopping:
            self._wake.wait(RETRY_S if self.failing else BATCH_S)
            rounds += 1
            try:
                if rounds % CHECK_ROUNDS == 0:
                    self._check()
                self._write_waiting()
            except Exception as error:  # without this thread all events would be lost unseen
                self._tell(f"events cannot be written: {type(error).__name__}: {error}")
                self.failing = True
        self._write_waiting()
        self._close()

    def _write_waiting(self) -> None:
        batch = self.queue.take()
        count = len(batch)
        if not count:
            return
        events: list[Event] = []
        try:
            events = condense(batch)
            written = aggregate(events)
            self._show(written if not self._watched else aggregate(events[self._watched :]))
            self._append(written)
        except (sqlite3.Error, OSError) as error:
            if not self.failing:
                self._tell(f"events cannot be written: {error}; they wait in memory, and are counted when lost")
            self.failing = True
            self.queue.put_back(events)  # as events: a whole exchange is large
            self._watched = len(events)
            self._close()
            return
        except Exception as error:  # an event that cannot be written must not end the log
            self._tell(f"{count} events are lost: {type(error).__name__}: {error}")
            self.queue.lose(*batch)
            self._watched = 0
            return
        self.written += count
        self._watched = 0
        if self.failing:
            self.failing = False
            self._tell(f"events are written again; {self.queue.lost} were lost until now")

    def _show(self, events: list[Event]) -> None:
        try:
            self._watch(events)
        except Exception as error:  # a failing live view must not end the log
            self._tell(f"events could not be shown: {type(error).__name__}: {error}")

    def _append(self, events: list[Event]) -> None:
        hour = int(events[-1].at // 3600)
        if self._file is not None and (why := self._file.changed()):
            self._open_again(why)
        if self._file is None or hour != self._hour:
            self._open(hour)
        assert self._file is not None
        try:
            self._file.append(events)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._open_again("damaged")
            self._file.append(events)

    def _check(self) -> None:
        """Notice what became of the file while nothing was written."""
        if self._file is not None and (why := self._file.changed() or ("" if self._file.readable() else "damaged")):
            self._open_again(why)

    def _open(self, hour: int) -> None:
        self._close()
        last = (hour << ROW_BITS) - 1  # a clock set ahead for a moment must not lift the numbers for good
        if self._last >> ROW_BITS == hour:
            last = self._last
        path = self._directory / f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%H}.db"
        try:
            self._file = EventFile(path, last)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            aside = put_aside(path).name
            self._tell(f"events cannot be written to {path}: {error}; it is kept as {aside}, they go into a new file")
            self._file = EventFile(path, last)
        self._hour = hour
        self._expire(hour)
        if self._gone is not None:
            (gone, why), self._gone = self._gone, None
            self._count_gone(gone, why)

    def _count_gone(self, old: EventFile, why: str) -> None:
        here = self._file.rows if self._file is not None and self._file.path == old.path else 0
        lost = max(old.rows - here, 0)
        self.removed += lost
        self._tell(
            f"{old.path}: was {why} by another program; {lost} events that were in it are lost, further ones are kept"
        )

    def _open_again(self, why: str) -> None:
        """Go on in the file of the same hour, a new one where the old cannot be read; count what is gone, as soon as
        there is a file again."""
        assert self._file is not None
        self._gone, hour = (self._file, why), self._hour
        self._open(hour)

    def _expire(self, hour: int) -> None:
        """Remove files whose whole hour is older than the retention."""
        oldest = datetime.fromtimestamp(hour * 3600 - self._retention_s - 3600, UTC)
        for file in sorted((*self._directory.glob("*.db"), *self._directory.glob("*.damaged")))[:EXPIRED_AT_ONCE]:
            if file.stem < f"{oldest:%Y-%m-%dT%H}":
                for part in parts_of(file):
                    part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._last = self._file.last
            self._file.close()
        self._file, self._hour = None, -1


def read_events(directory: Path, since: float = 0.0, after_seq: int = -1) -> Iterator[Event]:
    """Events at or after `since` with a sequence number above `after_seq`, oldest first. Reads beside a writer."""
    first = max(int(since // 3600), after_seq >> ROW_BITS if after_seq >= 0 else 0)
    start = f"{datetime.fromtimestamp(first * 3600, UTC):%Y-%m-%dT%H}"
    for file in sorted(directory.glob("*.db")):
        if file.stem < start:
            continue
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            rows = connection.execute(
                "SELECT seq, record FROM events WHERE seq > ? AND at >= ? ORDER BY seq", (after_seq, since)
            )
            for seq, record in rows:
                yield replace(read_event(record), seq=seq)
        except (sqlite3.DatabaseError, MsgspecError) as error:
            if "no such table" not in str(error):  # the writer is just making it
                raise StoreError(f"{file}: cannot be read: {error}; move it away to read the others") from error
        finally:
            connection.close()


def latest_events(directory: Path, since: float, most: int) -> Iterator[Event]:
    """The latest `most` events at or after `since`, latest first. Reads beside a writer. Raises `StoreError`."""
    start, left = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H}", most
    for file in sorted(directory.glob("*.db"), reverse=True):
        if file.stem < start or left <= 0:
            return
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            rows = connection.execute(
                "SELECT seq, record FROM events WHERE at >= ? ORDER BY seq DESC LIMIT ?", (since, left)
            )
            for seq, record in rows:
                left -= 1
                yield replace(read_event(record), seq=seq)
        except (sqlite3.DatabaseError, MsgspecError) as error:
            if "no such table" not in str(error):  # the writer is just making it
                raise StoreError(f"{file}: cannot be read: {error}; move it away to read the others") from error
        finally:
            connection.close()


class EventFiles:
    """Events kept in the files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, since: float = 0.0, after_seq: int = -1) -> Iterator[Event]:
        """See `read_events`."""
        return read_events(self._directory, since, after_seq)

    def latest(self, since: float, most: int) -> Iterator[Event]:
        """See `latest_events`."""
        return latest_events(self._directory, since, most)


if TYPE_CHECKING:
    _source: type[EventSource] = EventFiles
    _sink: type[EventSink] = EventLog
