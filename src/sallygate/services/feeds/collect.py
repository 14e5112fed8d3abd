"""What a feed has: the bytes of a file or URL, read; or of a collection or directory, what has changed there."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from sallygate.net.fetching import FetchError
from sallygate.parsing.indicators import Format, Group, IndicatorError, Reading, Settings, guess_format, read
from sallygate.policy.intelligence import Kind
from sallygate.services.feeds.http import FEED_BYTES_MAX, Asking


class Task(Struct, frozen=True):
    """One fetch of one feed."""

    name: str
    kind: Kind
    place: str
    """The URL, or the file's path."""
    source: str
    """As `About.source`."""
    directory: str
    """Where what is kept of it lies, and where the new goes."""
    keys: list[str]
    """Hexadecimal; under these what is kept is tagged, the new under the first."""
    now: float
    settings: Settings
    format: Format | None = None
    share_max: float = 1.0
    bad_max: float = 0.05
    username: str = ""
    password: str = ""
    ca: str = ""
    whole: bool = False
    """Fetch and read all of it, whether it has changed or not."""


class Gathered(Struct):
    reading: Reading
    unchanged: bool = False
    """There is nothing new, and `reading` is empty."""
    etag: str = ""
    modified: str = ""
    added_after: str = ""
    more: bool = False
    """There is more to come than one fetch may take: ask again at once."""


class Known(Struct):
    """What is known from before, for asking whether it has changed. Empty where everything is wanted anew."""

    etag: str = ""
    modified: str = ""
    added_after: str = ""
    groups: dict[str, Group] = {}
    """Objects of a collection, or events of a directory."""


async def gather(task: Task, known: Known) -> Gathered:
    """Raises `FetchError` or `IndicatorError`."""
    from sallygate.services.feeds.misp import gather_events
    from sallygate.services.feeds.taxii import gather_objects

    if task.kind == "file":
        return _read(task, _file(Path(task.place)), task.place)
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
        answer = await asking.get(task.place, "*/*", FEED_BYTES_MAX, asked)
        if answer.unchanged:
            return Gathered(Reading(), True, known.etag, known.modified)
        found = _read(task, answer.data, task.place.partition("?")[0])
        found.etag = _validator(answer.headers.get("etag", ""))
        found.modified = _validator(answer.headers.get("last-modified", ""))
        return found


def _validator(text: str) -> str:
    """As a header may carry it again."""
    return text if len(text) <= 256 and text.isascii() and text.isprintable() else ""


def _file(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
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
        raise IndicatorError("its format is not told by its name or content; write `format: plain` or `format: csv`")
    reading = Reading()
    read(data, form, task.settings, reading)
    return Gathered(reading)
