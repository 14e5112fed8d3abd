"""Reader of STIX 2.1 bundles and TAXII 2.1 envelopes: the addresses that `indicator` objects name.

An address as an object of its own (`ipv4-addr`) accuses nobody: bundles hold those of victims, too. Indicators that are
revoked take their earlier versions back; those of type `benign` are not used. Of members that stand twice the last one
counts; nobody else reads these bytes after us.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from sallygate.parsing.indicators.pattern import Unused, blocks_of_pattern
from sallygate.parsing.indicators.reading import Group, IndicatorError, Reading, Settings, seconds

ID_CHARS_MAX = 128
"""`indicator--` and a UUID are 47."""
_KNOWN = frozenset(
    "attack-pattern campaign course-of-action grouping identity incident infrastructure intrusion-set location malware "
    "malware-analysis note observed-data opinion relationship report sighting threat-actor tool vulnerability "
    "marking-definition language-content extension-definition ipv4-addr ipv6-addr autonomous-system domain-name url "
    "file artifact directory email-addr email-message mac-addr mutex network-traffic process software user-account "
    "windows-registry-key x509-certificate".split()
)
"""Types that a message may name; any other type is text of the feed."""


class Envelope(Struct):
    """A bundle, or a page of a TAXII collection."""

    objects: list[Raw] = []
    type: str = ""
    more: bool = False
    next: str | None = None


class _Kind(Struct):
    type: str


class _Indicator(Struct):
    id: str
    pattern: str
    modified: datetime | None = None
    pattern_type: str = "stix"
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    confidence: int | None = None
    revoked: bool = False
    indicator_types: list[str] = []


_envelope = msgspec.json.Decoder(Envelope)
_kind = msgspec.json.Decoder(_Kind)
_indicator = msgspec.json.Decoder(_Indicator)


def read_envelope(data: bytes) -> Envelope:
    """Raises `IndicatorError`."""
    try:
        return _envelope.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise IndicatorError("is not a STIX bundle, or was cut short") from None


def read_stix(data: bytes, settings: Settings, reading: Reading) -> None:
    """Read a bundle or an envelope into `reading`. Raises `IndicatorError` for any other document."""
    envelope = read_envelope(data)
    if envelope.type not in ("bundle", "") or (not envelope.type and not envelope.objects and b"objects" not in data):
        raise IndicatorError("is not a STIX bundle: it has no `objects`")
    read_objects(envelope, settings, reading)


def read_objects(envelope: Envelope, settings: Settings, reading: Reading) -> None:
    """Read the objects of an envelope into `reading`; unknown types are counted as unused."""
    for number, raw in enumerate(envelope.objects):
        reading.read += 1
        try:
            kind = _kind.decode(raw).type
            if kind != "indicator":
                reading.unused[f"object: {kind}" if kind in _KNOWN else "object: another type"] += 1
                continue
            _read_indicator(_indicator.decode(raw), settings, reading)
        except Unused as reason:
            reading.unused[str(reason)] += 1
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            reading.wrong(f"/objects/{number}", "not an object of STIX 2.1")
        except (ValueError, OverflowError) as error:
            reading.wrong(f"/objects/{number}", str(error))


def _read_indicator(one: _Indicator, settings: Settings, reading: Reading) -> None:
    if len(one.id) > ID_CHARS_MAX or not one.id.startswith("indicator--"):
        raise ValueError("its id is none")
    modified = seconds(one.modified)
    if one.revoked:
        reading.put(one.id, Group(modified, ()))
        raise Unused("revoked")
    if "benign" in one.indicator_types:
        reading.put(one.id, Group(modified, ()))
        raise Unused("benign")
    if one.pattern_type != "stix":
        raise Unused("pattern: another language")
    since = seconds(one.valid_from)
    dated = max(since, modified)
    until = seconds(one.valid_until) or (dated + settings.expiry_s if dated else 0.0)
    sure = one.confidence or settings.confidence  # 0 is "not said" (STIX 2.1, appendix A)
    if not 0 <= sure <= 100:
        raise ValueError("its confidence is not from 0 to 100")
    try:
        blocks = blocks_of_pattern(one.pattern)
    except Unused:
        reading.put(one.id, Group(modified, ()))
        raise
    entries = tuple((bits, start, length, since or modified, until, sure) for bits, start, length in blocks)
    reading.put(one.id, Group(modified, entries))
