"""Readers of amounts: `10/s burst 20`, `50MB/day`, `10m`, `1MiB`. Each raises `ValueError` with the fault and a valid
example."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from sallygate.parsing.addresses import parse_address

_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0,
            "day": 86400.0, "w": 604800.0, "y": 31536000.0}  # fmt: skip
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
_AMOUNT = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
"""What a double holds exactly; no amount needs more."""
RATE_PER_S_MAX = 1_000_000.0
"""Above what one process can decide: a larger number is a typing error."""
BURST_MAX = 10_000_000


class Rate(Struct, frozen=True):
    """Rate with a burst: `per_s` requests a second, at most `burst` at once; `text` as written."""

    per_s: float
    burst: int
    text: str


class Budget(Struct, frozen=True):
    """An amount per calendar window."""

    most: int
    window: Literal["hour", "day", "month"]
    text: str


def read_duration_s(text: str) -> float:
    """Duration in seconds from a text like `30s`. Raises `ValueError`."""
    match = re.fullmatch(rf"({_AMOUNT})\s*([a-z]+)", text.strip())
    if not match or match[2] not in _SECONDS:
        raise ValueError("not a duration; write for example 30s, 10m, 12h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def read_bytes(text: str) -> int:
    """Size in bytes from a text like `10MB` or `1GiB`. Raises `ValueError`."""
    match = re.fullmatch(rf"({_AMOUNT})\s*([A-Za-z]*)", text.strip())
    if not match or match[2].upper() not in _BYTES:
        raise ValueError("not a size; write for example 512KiB, 10MB or 1GiB")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def read_rate(text: str) -> Rate:
    """Rate from a text like `10/s burst 20`; without a burst, that of one second. Raises `ValueError`."""
    match = re.fullmatch(rf"({_AMOUNT})\s*/\s*(s|sec|min|m|h|hour|d|day)(?:\s+burst\s+([0-9]{{1,15}}))?", text.strip())
    if not match:
        raise ValueError("not a rate; write for example 10/s, 10/s burst 20 or 600/min")
    per_s = float(match[1]) / _SECONDS[match[2]]
    # Without a word on bursts, one second's worth may come at once, and always at least one request.
    burst = int(match[3]) if match[3] else max(1, round(per_s))
    if not 0 < per_s <= RATE_PER_S_MAX or not 0 < burst <= BURST_MAX:
        raise ValueError(
            f"out of bounds; a rate is above 0 and at most {RATE_PER_S_MAX:.0f}/s, a burst 1 to {BURST_MAX}"
        )
    return Rate(per_s, burst, text.strip())


def read_budget(text: str, *, of_bytes: bool) -> Budget:
    """Budget from a text like `50MB/day` (bytes) or `10000/day` (records). Raises `ValueError`."""
    amount, slash, window = (part.strip() for part in text.rpartition("/"))
    if not slash or window not in ("hour", "day", "month"):
        raise ValueError(f"not a budget; write for example {'50MB' if of_bytes else '10000'}/day (hour, day or month)")
    most = read_bytes(amount) if of_bytes else int(amount) if re.fullmatch("[0-9]{1,15}", amount) else -1
    if most < 1:
        raise ValueError("a budget needs an amount of at least 1; write for example 10000/day")
    return Budget(most, window, text.strip())  # type: ignore[arg-type]  # checked above


def read_endpoint(text: str) -> tuple[str, int]:
    """(address, port) of `127.0.0.1:8443` or `[::1]:8443`."""
    host, colon, port = text.strip().rpartition(":")
    address = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535 or parse_address(address) is None:
        raise ValueError("not an address and port; write for example 127.0.0.1:8443 or [::1]:8443")
    return address, int(port)
