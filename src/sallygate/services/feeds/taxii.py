"""Poller of a TAXII 2.1 collection (OASIS TAXII 2.1, section 5.4): objects added since the last poll, page by page,
merged into the stored ones. A failed poll changes nothing, and the next one starts at the same point.

A later version of an indicator takes the place of the earlier one, and one that is revoked takes it away. An object
that the server forgets without a word stays until it expires.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from sallygate.net.http_client import FetchError
from sallygate.parsing.indicators import IndicatorError, Reading
from sallygate.parsing.indicators.stix import read_envelope, read_objects
from sallygate.policy.intelligence import without_query
from sallygate.services.feeds.http import Asking
from sallygate.services.feeds.task import Gathered, Known, Task

MEDIA_TYPE = "application/taxii+json;version=2.1"
PAGE_OBJECTS = 5_000
"""Asked for; servers give fewer."""
PAGE_BYTES_MAX = 64 << 20
PAGES_MAX = 20_000
"""A million indicators at fifty a page, which is what small servers give."""
POLL_BYTES_MAX = 1 << 30
"""Of one poll: two million indicators at 500 bytes."""
NEXT_CHARS_MAX = 4096
DATE_CHARS_MAX = 64


class _Resource(Struct):
    """A collection, or what else may have been named by mistake."""

    id: str = ""
    can_read: bool | None = None
    api_roots: list[str] | None = None
    versions: list[str] | None = None
    collections: list[object] | None = None


async def gather_objects(task: Task, known: Known, asking: Asking) -> Gathered:
    """Poll a TAXII collection for objects added since the last poll. Raises `FetchError` or
    `IndicatorError`."""
    collection = task.locator.rstrip("/")
    if not known.added_after:
        await _check_collection(collection, asking)
    reading = Reading()
    reading.groups = dict(known.groups)
    next_, last, pages, bytes_, added = "", known.added_after, 0, 0, False
    while True:
        query = {"match[type]": "indicator", "limit": str(PAGE_OBJECTS)}
        if known.added_after:
            query["added_after"] = known.added_after
        if next_:
            query["next"] = next_
        url = f"{collection}/objects/?{urlencode(query, quote_via=quote, safe='[]:')}"
        answer = await asking.get(url, MEDIA_TYPE, PAGE_BYTES_MAX)
        pages, bytes_ = pages + 1, bytes_ + len(answer.data)
        envelope = read_envelope(answer.data or b"{}")
        added = added or bool(envelope.objects)
        read_objects(envelope, task.settings, reading)
        last = _date(answer.headers.get("x-taxii-date-added-last", "")) or last
        if not envelope.more:
            break
        # The same `next` as before is no circle: servers keep a place of their own under it.
        if not envelope.next or len(envelope.next) > NEXT_CHARS_MAX or not envelope.objects:
            raise FetchError(f"{without_query(url)}: says there is more, and not where")
        if pages >= PAGES_MAX or bytes_ > POLL_BYTES_MAX:
            raise FetchError(f"{without_query(url)}: has more than one poll may take ({PAGES_MAX:,} pages, "
                             f"{POLL_BYTES_MAX >> 30} GiB)")  # fmt: skip
        next_ = envelope.next
    return Gathered(reading, unchanged=not added and bool(known.added_after), added_after=last)


def _date(text: str) -> str:
    return text if len(text) <= DATE_CHARS_MAX and text.isascii() and text.isprintable() else ""


async def _check_collection(collection: str, asking: Asking) -> None:
    """That it is one, and may be read. Raises `FetchError` with what was named instead."""
    url = f"{collection}/"
    answer = await asking.get(url, MEDIA_TYPE, PAGE_BYTES_MAX)
    try:
        found = msgspec.json.decode(answer.data, type=_Resource)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise IndicatorError("is no TAXII 2.1 collection") from None
    if found.api_roots is not None:
        raise FetchError(f"{url}: is a server's discovery; name a collection, …/API-ROOT/collections/ID/")
    if found.versions is not None:
        raise FetchError(f"{url}: is an API root; name a collection of it, {url}collections/ID/")
    if found.collections is not None:
        raise FetchError(f"{url}: is the list of collections; name one of them, {url}ID/")
    if not found.id:
        raise FetchError(f"{url}: is no TAXII 2.1 collection")
    if found.can_read is False:
        raise FetchError(f"{url}: may not be read with this `username`")
