"""Reader of credentials: API keys and the `Authorization` header. Reads the spelling and verifies nothing."""

from __future__ import annotations

import base64
import binascii

from msgspec import Struct

KEY_ID_CHARS = 12
"""Base 62: 71 bits, so that ids never collide by chance."""
KEY_SECRET_CHARS = 43
"""Base 62: 256 bits of chance (DESIGN, rule 5)."""
KEY_CHECK_CHARS = 8
"""Base 62: 47 bits of keyed MAC. Its only work is to spare the store a look-up for invented keys."""

_SECRET_AT = len("sg_") + KEY_ID_CHARS + len("_")
KEY_CHARS = _SECRET_AT + KEY_SECRET_CHARS + KEY_CHECK_CHARS
AUTHORIZATION_CHARS_MAX = 8192
"""As the largest header line of nginx and Apache."""


class ApiKeyText(Struct, frozen=True, gc=False):
    """Parts of an API key's text: id, checked part, check digits."""

    id: str
    checked: str
    """What the check is a MAC of: `sg_<id>_<secret>`."""
    check: str
    whole: str


def parse_api_key(text: str) -> ApiKeyText | None:
    """Parts of an API key, by spelling alone; None for a text that is no key."""
    if len(text) != KEY_CHARS or not text.startswith("sg_") or text[_SECRET_AT - 1] != "_":
        return None
    key_id = text[3 : _SECRET_AT - 1]
    if not text.isascii() or not (key_id + text[_SECRET_AT:]).isalnum():
        return None
    return ApiKeyText(key_id, text[:-KEY_CHECK_CHARS], text[-KEY_CHECK_CHARS:], text)


def seems_api_key(text: str) -> bool:
    """Whether a text was meant as a key, valid or not: no name or password is spelled like one."""
    return text.startswith("sg_") and len(text) >= KEY_CHARS // 2


def parse_authorization(value: str) -> tuple[str, str] | None:
    """(`bearer` or `basic`, credentials). For `basic` the credentials are the user name when the password is empty,
    and the password otherwise (as clients send a key in either place). None when malformed or of another scheme."""
    scheme, _, rest = value.partition(" ")
    rest = rest.strip(" ")
    match scheme.lower():
        case "bearer":
            return ("bearer", rest) if rest else None
        case "basic" if len(rest) <= AUTHORIZATION_CHARS_MAX:
            try:
                user, colon, password = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return ("basic", password or user) if colon else None
    return None


def parse_basic(value: str) -> tuple[str, str] | None:
    """(user name, password) of `Authorization: Basic` (RFC 7617, in UTF-8); None when malformed or of another
    scheme."""
    scheme, _, rest = value.partition(" ")
    rest = rest.strip(" ")
    if scheme.lower() != "basic" or len(rest) > AUTHORIZATION_CHARS_MAX:
        return None
    try:
        user, colon, password = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
