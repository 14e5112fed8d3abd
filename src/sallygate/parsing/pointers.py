"""JSON pointers (RFC 6901) into any document."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote


def escape_pointer(token: str) -> str:
    """One reference token, as it stands in a pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def unescape_pointer(token: str) -> str:
    """The name one reference token stands for."""
    return token.replace("~1", "/").replace("~0", "~")


def resolve_pointer(document: object, pointer: str) -> object:
    """The value at a pointer written as a URI fragment without `#`. Raises LookupError."""
    value = document
    for token in pointer.split("/")[1:]:
        token = unquote(token).replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value[token]
        elif isinstance(value, list) and token.isascii() and token.isdigit():
            value = value[int(token)]
        else:
            raise LookupError(pointer)
    return value
