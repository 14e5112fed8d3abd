"""Readers of threat intelligence: bytes of a feed to the addresses it names. Pure and bounded. A line that cannot be
read is counted and reported by its position, never by its content.

A format is a module: `plain`, `table` (CSV), `stix` (bundles and TAXII's envelopes), `misp`; they fill a `Reading`.
"""

from __future__ import annotations

from typing import Literal

from sallygate.parsing.indicators.misp import read_misp
from sallygate.parsing.indicators.plain import read_plain
from sallygate.parsing.indicators.reading import Entry, Group, IndicatorError, Reading, Settings
from sallygate.parsing.indicators.stix import read_stix
from sallygate.parsing.indicators.table import read_table

Format = Literal["stix", "csv", "plain", "misp"]

__all__ = ["Entry", "Format", "Group", "IndicatorError", "Reading", "Settings", "guess_format", "read"]


def read(data: bytes, format: Format, settings: Settings, reading: Reading) -> None:
    """Adds what `data` names to `reading`. Raises `IndicatorError` for what is not of the format at all."""
    _refuse_archive(data)
    if format == "plain":
        read_plain(data, settings, reading)
    elif format == "csv":
        read_table(data, settings, reading)
    elif format == "stix":
        read_stix(data, settings, reading)
    else:
        read_misp(data, settings, reading)


def guess_format(name: str, data: bytes) -> Format | None:
    """By a file's name or, where that says nothing, its beginning; None where it could be several."""
    name = name.lower()
    if name.endswith(".csv"):
        return "csv"
    if name.endswith((".txt", ".netset", ".ipset", ".list")):
        return "plain"
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        if b'"bundle' in start or b'"spec_version"' in start or b'"objects"' in start or name.endswith(".stix.json"):
            return "stix"
        if any(word in start for word in (b'"Event"', b'"response"', b'"Attribute"', b'"to_ids"')):
            return "misp"
    return None


def _refuse_archive(data: bytes) -> None:
    for magic, what in ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "a zip archive"), (b"BZh", "bzip2"),
                        (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")):  # fmt: skip
        if data.startswith(magic):
            raise IndicatorError(f"is {what}; feeds are read as they are, uncompressed")
