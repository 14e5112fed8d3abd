"""Collector of a feed's content: the bytes of a file or URL, or the changes of a collection or directory."""

from __future__ import annotations

from pathlib import Path

from sallygate.net.http_client import FetchError
from sallygate.parsing.indicators import IndicatorError, Reading, guess_format, read
from sallygate.security.regular_files import open_regular
from sallygate.services.feeds.http import FEED_BYTES_MAX, Asking
from sallygate.services.feeds.misp import gather_events
from sallygate.services.feeds.task import Gathered, Known, Task
from sallygate.services.feeds.taxii import gather_objects


async def gather(task: Task, known: Known) -> Gathered:
    """Raises `FetchError` or `IndicatorError`."""
    if task.kind == "file":
        return _read(task, _file(Path(task.locator)), task.locator)
    async with Asking(task.ca, task.username, task.password) as asking:
        if task.kind == "taxii":
            return await gather_objects(task, known, asking)
        if task.kind == "misp":
            return await gather_events(task, known, asking)
        asked = {}
        if known.etag:
            asked["If-None-Match"] = known.etag
        if known.modified:
            asked["If-Modified-Since"] = known.modified
        answer = await asking.get(task.locator, "*/*", FEED_BYTES_MAX, asked)
        if answer.unchanged:
            return Gathered(Reading(), True, known.etag, known.modified)
        found = _read(task, answer.data, task.locator.partition("?")[0])
        found.etag = _validator(answer.headers.get("etag", ""))
        found.modified = _validator(answer.headers.get("last-modified", ""))
        return found


def _validator(text: str) -> str:
    """As a header may carry it again."""
    return text if len(text) <= 256 and text.isascii() and text.isprintable() else ""


def _file(file: Path) -> bytes:
    try:
        with open_regular(file) as stream:
            data = stream.read(FEED_BYTES_MAX + 1)
    except OSError as error:
        raise FetchError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > FEED_BYTES_MAX:
        raise FetchError(f"{file}: is larger than {FEED_BYTES_MAX >> 20} MiB")
    return data


def _read(task: Task, data: bytes, name: str) -> Gathered:
    form = task.format or guess_format(name, data)
    if form is None and (task.settings.column or task.settings.confidence_column):
        form = "csv"
    if form is None:
        raise IndicatorError("its name and content do not show its format; write `format: plain` or `format: csv`")
    reading = Reading()
    read(data, form, task.settings, reading)
    return Gathered(reading)
