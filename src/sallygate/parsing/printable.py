"""Escaping of untrusted text for one line of a terminal or a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with every character escaped that would begin a line, drive a terminal or turn its direction."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
