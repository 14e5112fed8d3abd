"""Preview of a feed without activating it: `sallygate feeds check`."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import get_args

import msgspec

from sallygate.parsing.indicators import Format
from sallygate.policy.intelligence import FeedSection
from sallygate.policy.load import Loaded
from sallygate.ports import StoreError
from sallygate.services.feeds.cache import Kept
from sallygate.services.feeds.schedule import FeedError, run, state_of, task_of
from sallygate.services.feeds.task import Task
from sallygate.telemetry.status import FeedState


def try_file(file: Path, format: str | None, column: str) -> FeedState:
    """Raises `ValueError` for what cannot be asked for, `StoreError` when it cannot be tried."""
    known = get_args(Format)
    if format is not None and format not in known:
        raise ValueError(f"{format!r} is no format; there are {', '.join(known)}")
    if column and format not in (None, "csv"):
        raise ValueError("a column is a table's; write `--format csv`")
    form: Format | None = next((one for one in known if one == format), None)
    section = FeedSection(name="file", file=str(file), format=form, column=column)
    with tempfile.TemporaryDirectory(prefix="sallygate-feed-") as scratch:
        task = Task(section.name, "file", str(file.absolute()), section.source, scratch, [os.urandom(32).hex()],
                    time.time(), section.settings, form)  # fmt: skip
        return _tried(section, task)


def try_feed(section: FeedSection, loaded: Loaded) -> FeedState:
    """A whole fetch. Raises `StoreError` when it cannot be tried."""
    with tempfile.TemporaryDirectory(prefix="sallygate-feed-") as scratch:
        key = os.urandom(32)
        try:
            task = task_of(section, loaded, Kept(Path(scratch), (key,)), (key,), time.time())
        except FeedError as error:
            raise StoreError(f"{section.name}: {error}") from None
        return _tried(section, task)


def _tried(section: FeedSection, task: Task) -> FeedState:
    # What would be refused for its share or its bad lines is read all the same, so that both can be reported.
    try:
        done = run(msgspec.structs.replace(task, share_max=1.0, bad_max=1.0))
    except FeedError as error:
        raise StoreError(f"{section.name}: {error}") from None
    if done.about is None:
        return state_of(section, None, 0.0, task.now, failing=True, failures=1, said=done.said)
    about = done.about
    said = ""
    if about.bad > section.bad_max * about.read:
        said = f"would be refused: more than `bad_max` ({section.bad_max:.3g}) cannot be read"
    elif section.is_over_share(about.shares):
        said = f"would be refused: covers more than `share_max` ({section.share_max:.3%})"
    now = time.time()
    return state_of(section, about, now, now, failing=bool(said), said=said)
