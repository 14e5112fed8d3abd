"""Reader of CSV with a column of addresses: named in the header, numbered from 1, or the only possible one. Commas,
semicolons or tabs separate; `#` begins a comment line.

A record is a line: a quotation mark left open spoils its own line, not the rest of the feed.
"""

from __future__ import annotations

import csv

from sallygate.parsing.indicators.blocks import blocks_of
from sallygate.parsing.indicators.plain import lines_of
from sallygate.parsing.indicators.reading import IndicatorError, Reading, Settings

ADDRESS_NAMES = (
    "ip", "ip_address", "ipaddress", "ip address", "address", "src_ip", "source_ip", "dst_ip", "dest_ip", "host_ip",
    "network", "prefix", "cidr", "netblock", "indicator", "ioc", "ioc_value", "value",
)  # fmt: skip
"""Headers that are looked for, the surest first."""


def read_table(data: bytes, settings: Settings, reading: Reading) -> None:
    """Read CSV into `reading`. Raises `IndicatorError` if the column of addresses cannot be found."""
    columns: tuple[int, int | None] | None = None
    separator = ""
    for number, raw in lines_of(data):
        line = raw.decode("utf-8", "replace")
        separator = separator or max(",;\t", key=line.count)
        try:
            row = next(csv.reader((line,), delimiter=separator, strict=True, skipinitialspace=True))
        except (csv.Error, StopIteration):
            reading.read += 1
            reading.wrong(f"line {number}", "not a record of a table")
            continue
        if columns is None:
            columns, is_header = _columns(row, settings)
            if is_header:
                continue
        reading.read += 1
        _add(number, row, columns, settings, reading)


def _add(number: int, row: list[str], columns: tuple[int, int | None], settings: Settings, reading: Reading) -> None:
    at, sure_at = columns
    try:
        if at >= len(row):
            raise ValueError("has no such column")
        blocks = blocks_of(row[at].strip())
        sure = settings.confidence if sure_at is None else _confidence(row, sure_at)
    except ValueError as error:
        reading.wrong(f"line {number}, column {at + 1}", str(error))
        return
    reading.add((bits, start, length, 0.0, 0.0, sure) for bits, start, length in blocks)


def _confidence(row: list[str], at: int) -> int:
    text = row[at].strip() if at < len(row) else ""
    if not text.isascii() or not text.isdecimal() or len(text) > 3 or int(text) > 100:
        raise ValueError("its confidence is not a whole number from 0 to 100")
    return int(text)


def _columns(row: list[str], settings: Settings) -> tuple[tuple[int, int | None], bool]:
    """Where addresses and confidences stand, and whether this first row is a header."""
    names = [cell.strip().lower() for cell in row]
    is_header = not any(_is_address(cell) for cell in row)
    if settings.column:
        at = _column(settings.column, names, is_header, "column")
    elif is_header:
        found = next((names.index(name) for name in ADDRESS_NAMES if name in names), None)
        if found is None:
            raise IndicatorError("no column of its header is known to hold addresses; name one in `column`")
        at = found
    else:
        holding = [number for number, cell in enumerate(row) if _is_address(cell)]
        if len(holding) > 1:
            raise IndicatorError("several columns hold addresses; say which in `column`, by its number from 1")
        at = holding[0]
    sure = settings.confidence_column
    return (at, _column(sure, names, is_header, "confidence_column") if sure else None), is_header


def _column(wanted: str, names: list[str], is_header: bool, field: str) -> int:
    if wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    if is_header and wanted.lower() in names:
        return names.index(wanted.lower())
    raise IndicatorError(f"has no such column as `{field}` names; it has {len(names)}"
                         + ("" if is_header else ", and no header"))  # fmt: skip


def _is_address(cell: str) -> bool:
    try:
        blocks_of(cell.strip())
    except ValueError:
        return False
    return True
