"""Poller of a MISP feed: a directory with `manifest.json` and one file for each event. Only new and changed events are
fetched; events that the manifest no longer lists are removed."""

from __future__ import annotations

from sallygate.parsing.indicators import Group, IndicatorError, Reading
from sallygate.parsing.indicators.misp import read_manifest, read_misp
from sallygate.services.feeds.http import Asking, NotThere
from sallygate.services.feeds.task import Gathered, Known, Task

MANIFEST_BYTES_MAX = 64 << 20
"""That of the largest public feed, with 2,000 events, is 2 MiB."""
EVENT_BYTES_MAX = 64 << 20
EVENTS_AT_ONCE = 1_000
"""Fetched in one go; the others come in the next, at once."""
ANSWERS_BYTES_MAX = 1 << 30


async def gather_events(task: Task, known: Known, asking: Asking) -> Gathered:
    """Fetch the new and changed events of a MISP feed. Raises `FetchError` or `IndicatorError`."""
    base = task.locator.rstrip("/")
    answer = await asking.get(f"{base}/manifest.json", "application/json", MANIFEST_BYTES_MAX)
    listed = read_manifest(answer.data)
    reading = Reading()
    changed = []
    for uuid, at in listed.items():
        group = known.groups.get(uuid)
        if group is not None and group.version == at:
            reading.put(uuid, group)
        else:
            changed.append(uuid)
    gone = len(known.groups) - len(reading.groups)
    bytes_, fetched = 0, 0
    # The youngest first: if there is much, it is what counts most.
    for uuid in sorted(changed, key=lambda one: listed[one], reverse=True)[:EVENTS_AT_ONCE]:
        fetched += 1
        try:
            answer = await asking.get(f"{base}/{uuid}.json", "application/json", EVENT_BYTES_MAX)
        except NotThere:  # feeds forget a file now and then, and the other events are not worse for it
            reading.read += 1
            reading.wrong(f"event {uuid}", "is listed and not there")
            continue
        bytes_ += len(answer.data)
        _read_event(task, uuid, listed[uuid], answer.data, reading)
        if bytes_ > ANSWERS_BYTES_MAX:
            break
    for uuid in changed:
        # What was known of an event that is still to be fetched, or cannot be read, counts meanwhile.
        if uuid not in reading.groups and uuid in known.groups:
            reading.put(uuid, known.groups[uuid])
    unchanged = not changed and not gone and bool(known.groups)
    return Gathered(reading, unchanged=unchanged, more=fetched < len(changed))


def _read_event(task: Task, uuid: str, changed: int, data: bytes, reading: Reading) -> None:
    """Under the id it was asked for by: an event cannot speak for another."""
    one = Reading()
    try:
        read_misp(data, task.settings, one)
    except IndicatorError as error:
        reading.read += 1
        reading.wrong(f"event {uuid}", str(error))
        return
    reading.read += one.read
    reading.unused.update(one.unused)
    reading.bad += one.bad
    reading.said = [*reading.said, *(f"event {uuid}, {said}" for said in one.said)][:5]
    reading.put(uuid, Group(float(changed), tuple(one.all())))
