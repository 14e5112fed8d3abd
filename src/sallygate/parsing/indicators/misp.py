"""Reader of MISP: an event of a feed, or an export of events or attributes. Only attributes count that name an address,
are meant for detection (`to_ids`) and are not deleted. `ip-dst` counts as `ip-src` does: a command-and-control machine
also calls."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec
from msgspec import Struct

from sallygate.parsing.indicators.blocks import blocks_of
from sallygate.parsing.indicators.reading import Entry, Group, IndicatorError, Reading, Settings, seconds

MANIFEST_EVENTS_MAX = 100_000
"""Of one feed; the largest public ones have about 2,000."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TYPES = frozenset(("ip-src", "ip-dst", "ip-src|port", "ip-dst|port"))
_CONFIDENCE = {"completely-confident": 100, "usually-confident": 75, "fairly-confident": 50, "rarely-confident": 25,
               "unconfident": 1}  # fmt: skip
"""The taxonomy `misp:confidence-level`, by the middle of each of its steps."""
_TAG = re.compile(r'misp:confidence-level="([a-z-]+)"')


class _Tag(Struct):
    name: str = ""


class _Attribute(Struct):
    type: str = ""
    value: str = ""
    to_ids: bool = False
    deleted: bool = False
    timestamp: str | int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    Tag: list[_Tag] = []


class _Object(Struct):
    deleted: bool = False
    Attribute: list[_Attribute] = []


class _Event(Struct):
    uuid: str = ""
    timestamp: str | int = 0
    Attribute: list[_Attribute] = []
    Object: list[_Object] = []


class _Holder(Struct):
    """`{"Event": …}`, `{"response": [{"Event": …}]}` or `{"response": {"Attribute": […]}}`."""

    Event: _Event | None = None
    Attribute: list[_Attribute] = []
    response: msgspec.Raw = msgspec.Raw(b"[]")


class _Listed(Struct):
    timestamp: str | int = 0


_holder = msgspec.json.Decoder(_Holder)
_holders = msgspec.json.Decoder(list[msgspec.Raw])
_manifest = msgspec.json.Decoder(dict[str, _Listed])
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_manifest(data: bytes) -> dict[str, int]:
    """Events of a feed by UUID, with when each was changed. Raises `IndicatorError`."""
    try:
        listed = _manifest.decode(data)
        found = {uuid: int(one.timestamp) for uuid, one in listed.items()}
    except (*_WRONG, ValueError):
        raise IndicatorError("is not the manifest of a MISP feed") from None
    if len(found) > MANIFEST_EVENTS_MAX:
        raise IndicatorError(f"lists more than {MANIFEST_EVENTS_MAX:,} events")
    if not all(_UUID.fullmatch(uuid) for uuid in found):
        raise IndicatorError("lists an event whose id is no UUID")  # ids become parts of addresses
    return found


def read_misp(data: bytes, settings: Settings, reading: Reading) -> None:
    """An export, or one event."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        parts = _parts(data)
    except _WRONG:
        raise IndicatorError("is not a MISP event or export, or was cut short") from None
    if not parts:
        raise IndicatorError("holds neither events nor attributes of MISP")
    for number, holder in enumerate(parts):
        if holder is None:
            reading.read += 1
            reading.wrong(f"/response/{number}", "not an event of MISP")
        elif holder.Event is not None:
            _put_event(holder.Event, f"/response/{number}", settings, reading)
        else:
            reading.add(_read_attributes(holder.Attribute, "/Attribute", settings, reading))


def _put_event(event: _Event, where: str, settings: Settings, reading: Reading) -> None:
    try:
        changed = _moment(event.timestamp)
    except (ValueError, OverflowError) as error:
        reading.read += 1
        reading.wrong(where, str(error))
        return
    entries = _read_event(event, settings, reading)
    if _UUID.fullmatch(event.uuid):
        reading.put(event.uuid, Group(changed, tuple(entries)))
    else:
        reading.add(entries)


def _parts(data: bytes) -> list[_Holder | None]:
    """None for what is not as it should be."""
    if data.lstrip()[:1] == b"[":
        return [_part(raw) for raw in _holders.decode(data)]
    top = _holder.decode(data)
    if top.Event is not None or top.Attribute:
        return [top]
    inner = bytes(top.response).lstrip()
    if inner[:1] == b"[":
        return [_part(raw) for raw in _holders.decode(inner)]
    return [_holder.decode(inner)] if inner[:1] == b"{" else []


def _part(raw: msgspec.Raw) -> _Holder | None:
    try:
        return _holder.decode(raw)
    except _WRONG:
        return None


def _read_event(event: _Event, settings: Settings, reading: Reading) -> list[Entry]:
    entries = _read_attributes(event.Attribute, "/Event/Attribute", settings, reading)
    for number, one in enumerate(event.Object):
        if one.deleted:
            reading.read += len(one.Attribute)
            reading.unused["deleted"] += len(one.Attribute)
        else:
            entries += _read_attributes(one.Attribute, f"/Event/Object/{number}/Attribute", settings, reading)
    return entries


def _read_attributes(attributes: list[_Attribute], where: str, settings: Settings, reading: Reading) -> list[Entry]:
    entries: list[Entry] = []
    for number, one in enumerate(attributes):
        reading.read += 1
        if one.type not in _TYPES:
            reading.unused["attribute: another type"] += 1
        elif one.deleted:
            reading.unused["deleted"] += 1
        elif not one.to_ids:
            reading.unused["not for detection (`to_ids`)"] += 1
        else:
            try:
                entries += _entries(one, settings)
            except (ValueError, OverflowError) as error:
                reading.wrong(f"{where}/{number}", str(error))
    return entries


def _entries(one: _Attribute, settings: Settings) -> list[Entry]:
    text = one.value.partition("|")[0] if one.type.endswith("|port") else one.value
    changed, seen = _moment(one.timestamp), seconds(one.last_seen)
    dated = max(changed, seen)
    since = seconds(one.first_seen) or dated
    until = dated + settings.expiry_s if dated else 0.0
    tags = (_TAG.fullmatch(tag.name) for tag in one.Tag)
    sure = next((_CONFIDENCE[tag[1]] for tag in tags if tag and tag[1] in _CONFIDENCE), settings.confidence)
    return [(bits, start, length, since, until, sure) for bits, start, length in blocks_of(text.strip())]


def _moment(timestamp: str | int) -> float:
    moment = float(int(timestamp))
    if not 0 <= moment < 1e11:
        raise ValueError("a timestamp that is none")
    return moment
