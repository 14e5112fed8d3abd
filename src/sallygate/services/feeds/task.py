"""Task of one fetch of one feed: the state of the fetch before, and the result."""

from __future__ import annotations

from msgspec import Struct

from sallygate.parsing.indicators import Format, Group, Reading, Settings
from sallygate.policy.intelligence import Kind


class Task(Struct, frozen=True):
    """One fetch of one feed."""

    name: str
    kind: Kind
    locator: str
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
    """Result of a fetch: what was read, and the server's marks for the next fetch."""

    reading: Reading
    unchanged: bool = False
    """There is nothing new, and `reading` is empty."""
    etag: str = ""
    modified: str = ""
    added_after: str = ""
    more: bool = False
    """There is more to come than one fetch may take: ask again at once."""


class Known(Struct):
    """What is known from before, for asking whether it has changed. Empty where everything is fetched again."""

    etag: str = ""
    modified: str = ""
    added_after: str = ""
    groups: dict[str, Group] = {}
    """Objects of a collection, or events of a directory."""
