"""Child process for one fetch of one feed: `python -m sallygate.services.feeds.worker`. Reading a million indicators
takes no time from requests, and a crash stays in the child.

Its first line of input is the `Task`, its only line of output the `Done`. It ends when its input does, and with it
the parent; when it takes more memory or processor time than a feed may; and it runs when nothing else wants the
processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from sallygate.net.http_client import FetchError
from sallygate.parsing.indicators import Group, IndicatorError
from sallygate.parsing.indicators.reading import Reading
from sallygate.ports import StoreError
from sallygate.services.feeds.cache import Kept
from sallygate.services.feeds.collect import gather
from sallygate.services.feeds.task import Gathered, Known, Task
from sallygate.state.feeds.compiling import compile_entries, shares
from sallygate.state.feeds.tables import About, Compiled

MEMORY_BYTES_MAX = 4 << 30
"""Address space. Two million indicators take 1 GiB while they are compiled, their bytes 256 MiB."""
PROCESSOR_S_MAX = 600
"""A million indicators take 10 to 30 s."""
NICE = 19
TAKEN_BACK_S = 90 * 86400.0
"""For so long an indicator that was revoked is remembered, so that an older version of it does not count again."""
COUNTS_MAX = 40
"""Most reasons that are reported; there are about thirty."""


class Done(Struct, frozen=True):
    """Answer of the child process: outcome, reason, and the compiled files."""

    outcome: Literal["compiled", "unchanged", "failed"]
    said: str = ""
    """Why it failed; or what of it was not used."""
    compiled: str = ""
    objects: str = ""
    about: About | None = None
    more: bool = False


def work(task: Task) -> Done:
    """Fetches, reads, compiles and writes; puts nothing in force. Raises nothing that was to be expected."""
    kept = Kept(Path(task.directory), [bytes.fromhex(key) for key in task.keys])
    try:
        return _work(task, kept)
    except (FetchError, IndicatorError, StoreError) as error:
        return Done("failed", str(error))
    except MemoryError:
        return Done("failed", f"takes more than {MEMORY_BYTES_MAX >> 30} GiB of memory to read")
    except OSError as error:
        return Done("failed", f"{kept.directory}: cannot be written: {error.strerror}; check its owner and space")
    except Exception as error:  # a fault of ours; what it says may hold what was read
        return Done("failed", f"cannot be read, by a fault of Sallygate's: {type(error).__name__}; please report it")


def _work(task: Task, kept: Kept) -> Done:
    earlier = _earlier(task, kept)
    begins = earlier is not None and 0 < earlier.about.recheck_at <= task.now
    known = Known() if earlier is None or task.whole else _known(task, kept, earlier.about, begins)
    found = asyncio.run(gather(task, known))
    reading = found.reading
    if found.unchanged and earlier is not None and not begins:
        return Done("unchanged", about=earlier.about, more=found.more)
    # Of a collection a poll brings what is new: one bad object of two would keep it from going on for ever.
    looked_at = reading.read + len(known.groups)
    if reading.bad > task.bad_max * looked_at:
        raise IndicatorError(
            f"{reading.bad:,} of {looked_at:,} lines or objects cannot be read, more than `bad_max` "
            f"({task.bad_max:.3g}): {'; '.join(reading.said)}"
        )
    compiled = compiled_of(task, found, earlier)
    if max(compiled.about.shares) > task.share_max:
        share = max(compiled.about.shares)
        raise IndicatorError(
            f"covers {share:.3%} of all public addresses, more than `share_max` ({task.share_max:.3%})"
        )
    objects: Path | None = None
    if task.kind in ("taxii", "misp"):
        objects, digest = kept.write_objects(_still_of_use(reading, task))
        compiled.about = msgspec.structs.replace(compiled.about, objects=digest)
    try:
        part = kept.write_compiled(compiled)
    except BaseException:
        if objects is not None:
            objects.unlink(missing_ok=True)
        raise
    return Done("compiled", "", str(part), str(objects or ""), compiled.about, found.more)


def _known(task: Task, kept: Kept, about: About, begins: bool) -> Known:
    """`begins`: an indicator that was left out counts from now on, so that everything is read again."""
    if task.kind == "url":
        return Known() if begins else Known(about.etag, about.modified)
    groups = kept.read_objects(about.objects) if task.kind in ("taxii", "misp") else None
    return Known() if groups is None else Known(added_after=about.added_after, groups=groups)


def _earlier(task: Task, kept: Kept) -> Compiled | None:
    with contextlib.suppress(FileNotFoundError, StoreError):
        earlier = kept.load()
        if earlier.about.source == task.source:
            return earlier
    return None


def compiled_of(task: Task, found: Gathered, earlier: Compiled | None) -> Compiled:
    """What counts of a reading."""
    reading = found.reading
    tables, counted = compile_entries(reading.all(), task.now, task.settings.confidence_min, earlier)
    unused = reading.unused + counted.dropped
    about = About(
        task.source,
        reading_of(task.settings),
        task.now,
        sum(len(table.lengths) for table in tables.values()),
        reading.read,
        reading.bad,
        tuple(reading.said),
        dict(unused.most_common(COUNTS_MAX)),
        shares(counted.covered),
        counted.recheck_at,
        found.etag,
        found.modified,
        found.added_after,
    )
    return Compiled(about, tables)


def reading_of(settings: object) -> str:
    """How a feed was read, as one text to compare."""
    return msgspec.json.encode(settings).decode()


def _still_of_use(reading: Reading, task: Task) -> dict[str, Group]:
    """Of a collection, what has not ended; and for a while, what was taken back. Of a MISP feed everything, so that no
    event is fetched again in vain."""
    if task.kind == "misp":
        return reading.groups
    return {
        key: group
        for key, group in reading.groups.items()
        if (
            any(not until or until > task.now for _, _, _, _, until, _ in group.entries)
            if group.entries
            else group.version > task.now - TAKEN_BACK_S
        )
    }


def _end_with_the_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Entry point of the child process: sets its limits, runs one task from standard input."""
    with contextlib.suppress(OSError):  # a service may be kept from it: deploy/sallygate.service is
        os.nice(NICE)
    with contextlib.suppress(OSError):  # when memory runs out, this process goes, and not the gate
        Path("/proc/self/oom_score_adj").write_text("1000")
    for kind, most in ((resource.RLIMIT_AS, MEMORY_BYTES_MAX), (resource.RLIMIT_CPU, PROCESSOR_S_MAX)):
        with contextlib.suppress(ValueError, OSError):  # a stricter one is set, or the service's own holds
            resource.setrlimit(kind, (most, most))
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    done = work(task)
    sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
