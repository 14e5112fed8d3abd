"""Reader of `name=value&name=value`: query strings and application/x-www-form-urlencoded bodies (WHATWG URL, section
5).

Strict where the standard is lenient: a percent sign is followed by two hexadecimal digits, what comes out is
UTF-8 and holds no NUL. `;` is an ordinary character, never a separator. It does not know which names are
expected."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

PAIRS_MAX = 1000
"""Pairs in one query or form: what PHP takes (max_input_vars), a hundred times what an API declares."""

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


class FormError(ValueError):
    """The bytes are not pairs that read one way. `detail` never holds any of them."""

    def __init__(self, detail: str, rule: str = "form") -> None:
        """`rule` is the field of the policy that has the limit, if it is one."""
        super().__init__(detail)
        self.detail = detail
        self.rule = rule


def split_pairs(raw: bytes, pairs_max: int = PAIRS_MAX) -> list[tuple[str, str]]:
    """Names and values still encoded, in order; empty pairs (`a=1&&b=2`) left out. Raises `FormError`."""
    if raw.count(b"&") >= pairs_max:
        raise FormError(f"more than {pairs_max} pairs", "limits.form_fields")
    try:
        text = raw.decode("ascii") if raw.isascii() else raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormError("not UTF-8") from None
    pairs = []
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((name, value))
    return pairs


def decode_component(text: str) -> str:
    """One name or value decoded: `+` is a space, `%XX` a byte of UTF-8. Raises `FormError`."""
    if "+" in text:
        text = text.replace("+", " ")
    return decode_percent(text) if "%" in text or "\x00" in text else text


def decode_percent(text: str) -> str:
    """`text` with `%XX` decoded and nothing else changed. Raises `FormError`."""
    if _BROKEN.search(text):
        raise FormError("a percent sign that encodes nothing")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise FormError("percent-encoded bytes that are not UTF-8") from None
    if "\x00" in decoded:
        raise FormError("a NUL character")
    return decoded


def decode_pairs(raw: bytes, pairs_max: int = PAIRS_MAX) -> tuple[tuple[str, str], ...]:
    """Decoded pairs of a query string or form body, in order. Raises `FormError`."""
    if not raw:
        return ()
    pairs = split_pairs(raw, pairs_max)
    if b"%" in raw or b"+" in raw or b"\x00" in raw:
        return tuple((decode_component(name), decode_component(value)) for name, value in pairs)
    return tuple(pairs)
